import numpy as np
from PIL import Image

from hf_rnn.utils import figures
from hf_rnn.utils.figures import draw_confusion, draw_curves, new_figure


def size(path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_curves_need_no_evaluation(tmp_path):
    draw_curves([{"epoch": 1.0, "loss": 0.5}], "accuracy", tmp_path / "a.png")
    draw_curves([], "eval_accuracy", tmp_path / "b.png")
    assert size(tmp_path / "a.png") == size(tmp_path / "b.png")


def test_any_name_can_be_drawn(tmp_path):
    names = ["好评", "$ and $", "_{", "a" * 200, ""]
    labels = np.arange(5)
    draw_confusion(labels, labels, names, "test", tmp_path / "a.png")
    many = np.arange(60)
    draw_confusion(many, many, [str(i) for i in many], "test", tmp_path / "b.png")
    assert max(size(tmp_path / "b.png")) < 2500


def test_of_many_classes_those_with_the_most_errors_are_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "new_figure", lambda *size: drawn.append(new_figure(*size)) or drawn[-1])
    labels = np.arange(150).repeat(3)
    predicted = labels.copy()
    predicted[labels == 77] = 140
    draw_confusion(predicted, labels, [f"topic {n}" for n in range(150)], "test", tmp_path / "a.png")
    names = [label.get_text() for label in drawn[0].axes[0].get_yticklabels()]
    assert len(names) == 30
    assert {"topic 77", "topic 140"} <= set(names)


def test_the_matrix_of_many_classes_has_those_with_the_most_errors(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("hf_rnn.utils.figures.new_figure", lambda *size: drawn.append(new_figure(*size)) or drawn[-1])
    labels = np.arange(150)
    predicted = labels.copy()
    predicted[[7, 140]] = [140, 7]
    draw_confusion(predicted, labels, [f"class {n}" for n in labels], "test", tmp_path / "matrix.png")
    axes = drawn[0].axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert len(names) == 30
    assert {"class 7", "class 140"} <= set(names)
    assert "the 30 of 150 classes with the most errors" in axes.get_title()
