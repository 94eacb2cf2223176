"""Tests of the fit of temperature and thresholds, and of the pictures and figures about them."""

import json
import logging

import numpy as np
import pytest
from PIL import Image
from support import tiny_config
from support.reviews import made_up_reviews

import hf_rnn
from hf_rnn.models.decisions import DEFAULT
from hf_rnn.tasks.metrics import calibration, coverage_curve, coverage_table
from hf_rnn.training.calibration import best_threshold, fit_temperature, fit_thresholds
from hf_rnn.training.linear_model import Labels
from hf_rnn.utils.errors import ConfigError

SINGLE, MULTI = "single_label_classification", "multi_label_classification"


def drawn(rows: int, temperature: float, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return logits, and labels drawn from the probabilities of the logits divided by a temperature."""
    draw = np.random.default_rng(0)
    logits = 3 * draw.standard_normal((rows, classes)).astype(np.float32)
    gumbel = draw.gumbel(size=logits.shape)
    return logits, (logits / temperature + gumbel).argmax(1)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def test_the_temperature_of_the_rows_is_found_and_calibrates_the_scores():
    logits, labels = drawn(20_000, 2.0)
    temperature, losses = fit_temperature(logits, Labels(SINGLE, labels, 3))
    assert temperature == pytest.approx(2.0, rel=0.05)
    assert losses["after"] < losses["before"]
    assert calibration(softmax(logits), labels)["ece"] > 0.1
    assert calibration(softmax(logits / temperature), labels)["ece"] < 0.015


def test_few_rows_leave_the_temperature_near_one(caplog):
    logits, labels = drawn(20_000, 5.0)
    few, _ = fit_temperature(logits[:6], Labels(SINGLE, labels[:6], 3))
    assert 1 < few < 5
    with caplog.at_level(logging.WARNING):
        none, _ = fit_temperature(logits[:2], Labels(SINGLE, labels[:2], 3))
    assert none == 1
    assert "2 validation rows are fewer than the 3 classes" in caplog.text


def test_calibration_error_and_brier_score():
    scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8]])
    found = calibration(scores, np.array([0, 1, 1, 1]))
    assert found["ece"] == pytest.approx(0.5 * abs(0.9 - 0.5) + 0.5 * abs(0.8 - 1))
    assert found["brier"] == pytest.approx((0.01 + 0.81 + 0.04 + 0.04) / 4)
    several = calibration(scores, np.array([[1, 0], [1, 0], [0, 1], [0, 1]]))
    assert several["brier"] == pytest.approx((0.01 + 0.04) / 2)
    three = calibration(np.array([[0.2, 0.3, 0.5]]), np.array([2]))
    assert three["brier"] == pytest.approx(0.04 + 0.09 + 0.25)


def test_coverage_counts_the_most_confident_answers_first():
    confidence, right = np.array([0.6, 0.95, 0.8, 0.99]), np.array([False, True, False, True])
    share, accuracy, least = coverage_curve(confidence, right)
    assert share.tolist() == [0.25, 0.5, 0.75, 1]
    assert accuracy == pytest.approx([1, 1, 2 / 3, 0.5])
    assert least.tolist() == [0.99, 0.95, 0.8, 0.6]
    assert coverage_table(confidence, right) == [
        {"min_score": 0.7, "coverage": 0.75, "accuracy": pytest.approx(2 / 3)},
        {"min_score": 0.9, "coverage": 0.5, "accuracy": 1.0},
    ]


def test_a_threshold_has_the_best_f1_or_the_precision_that_is_asked_for():
    scores = np.array([0.1, 0.2, 0.3, 0.35, 0.5, 0.6, 0.7, 0.9])
    truth = np.array([0, 0, 1, 0, 0, 1, 0, 1])
    assert 0.5 < best_threshold(scores, truth) < 0.6
    assert 0.7 < best_threshold(scores, truth, least=0.9) < 0.9
    # Several thresholds have this precision and the same recall; the highest one has the best precision.
    assert 0.2 < best_threshold(scores, truth, least=0.2) < 0.3
    # No threshold has this precision; the highest one is that of the last two rows.
    assert 0.6 < best_threshold(np.array([0.2, 0.6, 0.7, 0.8]), np.array([1, 0, 1, 0]), least=0.9) < 0.7
    assert best_threshold(scores, np.zeros(8, int)) == DEFAULT


@pytest.mark.parametrize("scores", [[1e-6, 2e-6, 3e-5, 5e-5], [0.99991, 0.99995, 0.99999, 0.999995]])
def test_a_threshold_separates_scores_near_0_and_1(scores):
    assert (np.array(scores) > best_threshold(np.array(scores), np.array([0, 0, 1, 1]))).tolist() == [0, 0, 1, 1]


def test_a_label_of_few_rows_gets_the_threshold_of_the_f1_of_expected_counts():
    draw = np.random.default_rng(0)
    scores = draw.random((400, 3)) ** 8
    labels = (draw.random(scores.shape) < scores).astype(int)
    # With perfect probabilities and many rows, the threshold of the highest F1 is half of that F1 (Lipton et al. 2014).
    known = fit_thresholds(draw.random((100_000, 1)) ** 8, np.zeros((100_000, 1)))[0]
    assert 0.25 < known < 0.45
    labels[:, 1] = 0
    labels[:, 2] = 0
    labels[scores[:, 2].argmin(), 2] = 1  # One row, of the lowest score, would move a threshold to 0.
    thresholds = fit_thresholds(scores, labels)
    assert thresholds == pytest.approx([known] * 3, abs=0.1)


def test_a_label_that_no_row_has_or_may_have_gets_the_threshold_of_all_labels():
    draw = np.random.default_rng(0)
    scores = draw.random((400, 3)) * [1, 1e-4, 0.01]
    labels = (scores > 0.3).astype(int)
    common = best_threshold(scores.reshape(-1), labels.reshape(-1))
    assert fit_thresholds(scores, labels)[1:].tolist() == [common, common]


def test_class_weights_do_not_change_which_rows_a_fitted_threshold_chooses():
    draw = np.random.default_rng(0)
    scores = draw.random((400, 1)) ** 8
    labels = (draw.random(scores.shape) < scores).astype(int)
    weighted = 20 * scores / (1 - scores + 20 * scores)  # Scores of a loss in which the label counts 20 times.
    plain, of_weighted = fit_thresholds(scores, labels), fit_thresholds(weighted, labels, weights=np.array([20.0]))
    assert (scores > plain).tolist() == (weighted > of_weighted).tolist()


def test_a_label_of_few_rows_gets_the_precision_of_all_labels():
    draw = np.random.default_rng(0)
    scores = draw.random((400, 2))
    labels = (scores > [0.2, 0.7]).astype(int)
    labels[:, 1] = 0
    labels[:2, 1] = 1
    thresholds = fit_thresholds(scores, labels, 0.9)
    assert thresholds[0] == pytest.approx(0.2, abs=0.02)
    assert thresholds[1] == best_threshold(scores.reshape(-1), labels.reshape(-1), 0.9)


def rows_of(count: int, label: str = "positive") -> list[dict]:
    reviews = made_up_reviews(count)
    names = ("negative", label)
    return [{"text": t, "label": names[y]} for t, y in zip(reviews["text"], reviews["label"], strict=True)]


def trained(folder, rows, **training) -> dict:
    config = tiny_config("", folder, **{"num_train_epochs": 2, **training})
    config["data"], config["report"] = {"test_size": 0.2}, {"baseline": False}
    return hf_rnn.train(config, data=rows)


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory) -> tuple:
    folder = tmp_path_factory.mktemp("calibrated") / "run"
    more = {"num_train_epochs": 8, "per_device_train_batch_size": 16}
    fitted = {"calibrate": True, "thresholds": "f1", "positive_class": "positive"}
    return folder, trained(folder, rows_of(400), **fitted, **more)


def test_a_run_saves_what_it_fitted_and_its_metrics_are_those_of_the_saved_model(calibrated):
    folder, metrics = calibrated
    config = json.loads((folder / "config.json").read_text())
    facts = metrics["run"]["calibration"]
    assert config["temperature"] == facts["temperature"] != 1
    assert config["thresholds"] == facts["thresholds"]
    assert set(config["thresholds"]) == {"positive"}
    again = hf_rnn.evaluate(folder, rows_of(400), split=None)
    assert {"ece", "brier"} <= again.keys() & metrics["test"].keys()
    card = (folder / "README.md").read_text()
    assert f"logits divided by the temperature {config['temperature']:g}" in card
    assert "expected calibration error" in card
    assert "the model answers" in card
    with Image.open(folder / "calibration.png") as picture:
        assert min(picture.size) > 200


def test_predictions_without_thresholds_do_not_change_by_calibration(tmp_path):
    rows = rows_of(200)
    plain, fitted = (trained(tmp_path / str(on), rows, calibrate=on) for on in (False, True))
    for name in ("accuracy", "f1_macro"):
        assert plain["test"][name] == fitted["test"][name]
    assert plain["test"]["brier"] != fitted["test"]["brier"]


def test_thresholds_of_several_labels_are_fitted_and_used(tmp_path):
    draw = np.random.default_rng(0)
    words = {"red": "rose ruby blood", "green": "grass leaf frog", "blue": "sky sea"}
    rows = []
    for _ in range(300):
        names = [name for name in words if draw.random() < 0.3]
        texts = [draw.choice(words[name].split()) for name in names] + list(draw.choice("a the of".split(), 3))
        rows.append({"text": " ".join(draw.permutation(texts)), "label": names})
    metrics = trained(tmp_path / "run", rows, calibrate=True, thresholds="f1")
    thresholds = json.loads((tmp_path / "run" / "config.json").read_text())["thresholds"]
    assert set(thresholds) == set(words)
    predictor = hf_rnn.Predictor.from_pretrained(tmp_path / "run")
    texts = [row["text"] for row in rows[:50]]
    scores, names = predictor.scores(texts), predictor.task.label_names
    for row, answer in zip(scores, predictor(texts), strict=True):
        assert set(answer["labels"]) == {n for n, score in zip(names, row, strict=True) if score > thresholds[n]}
    assert 0 <= metrics["test"]["ece"] <= 1


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"thresholds": {}}, "thresholds={} has no threshold: write training.thresholds='f1', or"),
        ({"thresholds": "f2"}, "thresholds='f2' must be one of f1, precision, or numbers by label: write"),
        ({"thresholds": {"positive": 1.5}}, "a number from 0 to 1, such as thresholds="),
        (
            {"thresholds": {"good": 0.5}},
            "thresholds has the label 'good', which is not one of negative, positive",
        ),
        ({"thresholds": "f1", "positive_class": "Positive"}, "write training.positive_class='positive'"),
        ({"positive_class": "positive"}, "write training.thresholds='f1' too, or leave it out"),
        ({"thresholds": "precision", "min_precision": 1.5}, "training.min_precision=1.5 must be"),
        ({"thresholds": "f1", "min_precision": 0.8}, "write training.thresholds='precision' too, or leave it out"),
    ],
)
def test_settings_that_do_not_fit_the_labels_are_refused_before_training(tmp_path, training, message):
    with pytest.raises(ConfigError, match=message):
        trained(tmp_path / "run", rows_of(60), **training)
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_threshold_of_three_classes_is_refused(tmp_path):
    rows = [{"text": f"{word} x{n}", "label": word} for n in range(20) for word in ("red", "green", "blue")]
    with pytest.raises(ConfigError, match=r"this run has 3 classes: leave it out, or write training.class_weights"):
        trained(tmp_path / "run", rows, thresholds="f1")


def test_a_threshold_for_a_class_without_validation_rows_is_a_half_and_says_so(tmp_path, caplog):
    rows = {
        "train": rows_of(80),
        "validation": [row for row in rows_of(60) if row["label"] == "negative"],
    }
    config = tiny_config("", tmp_path / "run", thresholds="f1", positive_class="positive")
    config["data"], config["report"] = {}, {"baseline": False}
    with caplog.at_level(logging.WARNING):
        hf_rnn.train(config, data=rows)
    assert "no validation row has the class 'positive'" in caplog.text
    assert json.loads((tmp_path / "run" / "config.json").read_text())["thresholds"] == {"positive": 0.5}


def test_thresholds_say_what_few_rows_and_a_high_precision_cannot_give(tmp_path, caplog):
    draw = np.random.default_rng(0)
    rows = [
        {"text": " ".join(draw.choice(list("abcdefgh"), 6)), "label": "yes" if n % 20 == 0 else "no"}
        for n in range(400)
    ]
    with caplog.at_level(logging.WARNING):
        trained(tmp_path / "run", rows, thresholds="precision", min_precision=0.95)
    assert "few validation rows have the class 'yes' (" in caplog.text
    assert "a precision of training.min_precision=0.95 on the validation rows, so they have the highest" in caplog.text
