"""Tests of class weights, the focal loss and balanced sampling."""

import json
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset
from support import tiny_config
from support.reviews import made_up_reviews

import hf_rnn
from hf_rnn.training.class_balance import ClassLoss, balanced_rows, class_weights, remedy_for_rare_classes
from hf_rnn.utils.errors import ConfigError

LOGITS = torch.tensor([[2.0, -1.0], [0.5, 0.5], [-3.0, 1.0]])


def test_weights_multiply_the_loss_of_their_class():
    labels, weights = torch.tensor([0, 1, 1]), np.array([1.0, 3.0])
    plain = F.cross_entropy(LOGITS, labels, reduction="none")
    expected = (plain * torch.tensor([1.0, 3.0, 3.0])).mean()
    torch.testing.assert_close(ClassLoss(weights=weights)(LOGITS, labels), expected)
    assert not ClassLoss()


def test_with_several_labels_the_weight_is_that_of_rows_which_have_the_label():
    labels, weights = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), torch.tensor([2.0, 5.0])
    expected = F.binary_cross_entropy_with_logits(LOGITS, labels, pos_weight=weights)
    torch.testing.assert_close(ClassLoss(True, weights.numpy())(LOGITS, labels), expected)


@pytest.mark.parametrize("several", [False, True])
def test_the_focal_loss_is_that_of_its_paper(several):
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]) if several else torch.tensor([0, 1, 1])
    if several:
        right = torch.where(labels > 0.5, LOGITS.sigmoid(), 1 - LOGITS.sigmoid())
    else:
        right = LOGITS.softmax(-1)[torch.arange(3), labels]
    expected = (-((1 - right) ** 2) * right.log()).mean()
    torch.testing.assert_close(ClassLoss(several, gamma=2.0)(LOGITS, labels), expected)


def test_the_focal_loss_of_a_certain_row_has_a_gradient():
    logits = torch.tensor([[40.0, 0.0], [0.0, 1.0]], requires_grad=True)
    ClassLoss(gamma=0.5)(logits, torch.tensor([0, 1])).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_balanced_weights_give_all_classes_the_same_sum():
    rows = Dataset.from_dict({"labels": [0] * 6 + [1] * 2 + [3] * 4})
    weights = class_weights("balanced", ["a", "b", "none", "c"], False, rows)
    assert weights.tolist() == pytest.approx([12 / 18, 2, 1, 1])
    rows = Dataset.from_dict({"labels": [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 0.0]]})
    assert class_weights("balanced", ["a", "none"], True, rows).tolist() == [1, 1]
    assert class_weights({"b": 3}, ["a", "b"], False, rows).tolist() == [1, 3]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("balance", r"class_weights='balance' must be 'balanced', a list .* write training.class_weights='balanced'"),
        ([1.0, 2.0, 3.0], r"has 3 weights, and there are 2 classes \(ham, spam\): write one for each in this order"),
        ([1.0, 0.0], r"the weight 0.0 for 'spam', which must be greater than 0"),
        ([-1.0, 1.0], r"the weight -1.0 for 'ham', which must be greater than 0"),
        ({"spam": float("nan")}, r"the weight nan for 'spam'"),
        ({"Spam": 2.0}, r"the class 'Spam', which is not one of ham, spam: did you mean 'spam'\?"),
        ({}, r"class_weights={} has no weight: write 'balanced', or training.class_weights={'spam': 2.0}, or leave"),
    ],
)
def test_weights_that_do_not_fit_the_classes_are_refused(asked, message):
    with pytest.raises(ConfigError, match=message):
        class_weights(asked, ["ham", "spam"], False, Dataset.from_dict({"labels": [0, 1]}))


@pytest.mark.parametrize(
    ("problem_type", "count", "settings", "remedy"),
    [
        ("single_label_classification", 3, {}, "training.class_weights='balanced'"),
        ("single_label_classification", 3, {"class_weights": "balanced"}, None),
        ("single_label_classification", 2, {"class_weights": "balanced"}, "training.thresholds='f1'"),
        ("multi_label_classification", 3, {"thresholds": "f1"}, "training.class_weights='balanced'"),
        ("multi_label_classification", 3, {"thresholds": "f1", "class_weights": [1, 2, 3]}, None),
    ],
)
def test_the_advice_for_a_class_that_is_never_predicted_is_not_what_the_run_has(problem_type, count, settings, remedy):
    args = SimpleNamespace(**{"thresholds": None, "class_weights": None, "balanced_sampling": False, **settings})
    task = SimpleNamespace(problem_type=problem_type, label_names=list("abc")[:count])
    assert remedy_for_rare_classes(args, task) == remedy


def test_balanced_sampling_repeats_the_rows_of_rare_classes():
    labels = [0] * 7 + [1] * 3 + [2]
    rows = balanced_rows(Dataset.from_dict({"row": range(11), "labels": labels}), seed=0)
    assert np.bincount(rows["labels"]).tolist() == [7, 7, 7]
    counts = np.bincount(rows["row"])
    assert counts[:7].tolist() == [1] * 7
    assert sorted(counts[7:10]) == [2, 2, 3]
    assert counts[10] == 7


def skewed(rows: int = 400, rare: int = 20) -> list[dict]:
    """Return reviews of which a few are complaints; their words alone do not show it."""
    reviews, draw = made_up_reviews(rows)["text"], random.Random(0)
    marks = ["refund", "broken", "money back"]
    kept = [{"text": text, "label": "other"} for text in reviews]
    for row in draw.sample(kept, rare):
        row |= {"text": f"{row['text']} {draw.choice(marks)} please", "label": "complaint"}
    return kept


def trained(folder, rows, **training) -> dict:
    config = tiny_config("", folder, **{"num_train_epochs": 3, **training})
    config["data"], config["report"] = {"validation_size": 0.25}, {"baseline": False}
    return hf_rnn.train(config, data=rows)


def test_a_rare_class_is_found_with_weights_and_with_balanced_sampling(tmp_path, capsys):
    rows = skewed()
    ways = {"plain": {}, "weighted": {"class_weights": "balanced"}, "sampled": {"balanced_sampling": True}}
    found = {}
    for name, training in ways.items():
        trained(tmp_path / name, rows, **training)
        scores = hf_rnn.Predictor.from_pretrained(tmp_path / name).scores([row["text"] for row in rows])
        found[name] = scores[[row["label"] == "complaint" for row in rows], 0].mean()
    assert min(found["weighted"], found["sampled"]) > found["plain"]
    assert "weights    complaint 10 · other 0.526" in capsys.readouterr().out
    assert json.loads((tmp_path / "weighted" / "metrics.json").read_text())["run"]["train_rows"] == 300
    assert "class_weights: balanced" in (tmp_path / "weighted" / "run.yaml").read_text()
    assert "`class_weights` balanced" in (tmp_path / "weighted" / "README.md").read_text()


def test_a_preset_weighs_skewed_classes_and_chooses_the_epoch_by_macro_f1(tmp_path):
    quick = {"num_train_epochs": 1, "per_device_train_batch_size": 64, "output_dir": str(tmp_path / "run")}
    config = {"preset": "default", "report": {"baseline": False}, "training": quick, "model": {"hidden_size": 8}}
    hf_rnn.train({**config, "tokenizer": {"rare_tokens": 0}}, data=skewed(rare=12))
    text = (tmp_path / "run" / "run.yaml").read_text()
    for line in ("class_weights: balanced", "metric_for_best_model: f1_macro", "calibrate: true"):
        assert line in text


@pytest.mark.parametrize(
    ("training", "rows", "message"),
    [
        (
            {"class_weights": "balanced"},
            [("a b", 0.5), ("c d", 1.5)] * 9,
            "for classes of texts, and the problem type",
        ),
        ({"focal_gamma": -1.0}, skewed(60, 9), "training.focal_gamma=-1.0 must be 0 or greater"),
        (
            {"class_weights": "balanced", "label_smoothing_factor": 0.1},
            skewed(60, 9),
            "does not go with training.label_smoothing_factor=0.1: leave one of them out",
        ),
        (
            {"class_weights": "balanced", "balanced_sampling": True},
            skewed(60, 9),
            "both balance the classes: leave one of them out",
        ),
        (
            {"balanced_sampling": True},
            [{"text": "a b", "label": ["x", "y"]}, {"text": "c d", "label": ["x"]}] * 9,
            "write training.class_weights='balanced' instead",
        ),
    ],
)
def test_settings_without_effect_or_in_conflict_are_refused(tmp_path, training, rows, message):
    with pytest.raises(ConfigError, match=message):
        trained(tmp_path / "run", rows, **training)
    assert not (tmp_path / "run" / "metrics.json").exists()
