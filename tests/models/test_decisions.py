"""Tests of temperature and thresholds, in every way to call a text classifier."""

import logging
import shutil

import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from support.small_models import config as small_config
from transformers import BertConfig, BertForSequenceClassification, TextClassificationPipeline, pipeline

from hf_rnn import Predictor, RNNForSequenceClassification, average, explain, how_it_read
from hf_rnn.inference.evaluation import evaluate
from hf_rnn.inference.long_text import logits_of
from hf_rnn.models.decisions import decide
from hf_rnn.models.wide_path import WidePath

SEVERAL = {"problem_type": "multi_label_classification"}
TEXTS = ["the film was not good .", "", "the soup was bad , but the lamp was lovely .", "unseen words only"]


def labels(*names: str, **settings):
    return small_config(id2label=dict(enumerate(names)), **settings)


def test_a_class_is_chosen_over_its_threshold_and_the_other_one_otherwise():
    scores = np.array([[0.75, 0.25], [0.65, 0.35], [0.4, 0.6]])
    assert decide(scores, labels("ham", "spam")).tolist() == [0, 0, 1]
    assert decide(scores, labels("ham", "spam", thresholds={"spam": 0.3})).tolist() == [0, 1, 1]
    assert decide(scores, labels("ham", "spam", thresholds={"ham": 0.7})).tolist() == [0, 1, 1]


def test_each_label_of_several_has_its_threshold_or_a_half():
    scores = np.array([[0.2, 0.55, 0.7], [0.1, 0.45, 0.9]])
    assert decide(scores, labels("a", "b", "c", **SEVERAL)).tolist() == [[0, 1, 1], [0, 0, 1]]
    thresholds = {"a": 0.15, "c": 0.8}
    assert decide(scores, labels("a", "b", "c", thresholds=thresholds, **SEVERAL)).tolist() == [[1, 1, 0], [0, 0, 1]]


def test_thresholds_that_are_set_later_are_checked_too():
    config = labels("a", "b", "c")
    config.thresholds = {"c": 0.6}
    with pytest.raises(ValueError, match="decides between two classes"):
        decide(np.array([[0.1, 0.4, 0.5]]), config)


@pytest.mark.parametrize(
    ("names", "settings", "message"),
    [
        (("ham", "spam"), {"thresholds": {"Spam": 0.3}}, "'Spam', which is not one of ham, spam: write thresholds="),
        (("ham", "spam"), {"thresholds": {"spam": 1.2}}, "a number from 0 to 1, such as thresholds={'spam': 0.5}"),
        (("ham", "spam"), {"thresholds": {"spam": float("nan")}}, "a number from 0 to 1"),
        (("ham", "spam"), {"thresholds": {"spam": 0.3, "ham": 0.7}}, "name one, such as thresholds={'spam': 0.3}"),
        (("a", "b", "c"), {"thresholds": {"a": 0.3}}, "3 labels: leave thresholds out"),
        (("ham", "spam"), {"temperature": 0.0}, "temperature=0.0 must be greater than 0"),
    ],
)
def test_settings_that_do_not_fit_the_labels_are_refused(names, settings, message):
    with pytest.raises(StrictDataclassError, match=message.replace("{", r"\{").replace("(", r"\(")):
        labels(*names, **settings)


def test_the_temperature_divides_the_logits_in_every_way_to_call_a_model():
    torch.manual_seed(0)
    settings = {"num_labels": 3, "wide_ngrams": 4, "wide_order": 1, "initializer_range": 1.0}
    model = RNNForSequenceClassification(small_config(**settings)).eval()
    path = model.wide_path
    assert isinstance(path, WidePath)
    path.keys.copy_(torch.tensor([6, 7, 8, 9]))
    path.scale.fill_(1.0)
    path.weight.data.normal_(std=2)
    ids = torch.tensor([[5, 6, 7, 8, 5, 30, 31]])

    def logits():
        stream = model.stream()
        stream.feed_ids(ids.tolist())
        with torch.no_grad():
            ways = {
                "forward": model(ids).logits,
                "stream": stream.logits(),
                "long": logits_of(model, ids[0].tolist(), 3),
                "parts": model.recurrent_logits(ids) + path.token_scores(ids).sum(0) + path.bias / temperature,
            }
        return {name: way.reshape(3) for name, way in ways.items()}

    temperature = 1.0
    before = logits()
    model.config.temperature = temperature = 2.5
    for name, after in logits().items():
        torch.testing.assert_close(after, before["forward"] / 2.5, msg=name)


@pytest.fixture(scope="module")
def cautious(tiny_run, tmp_path_factory):
    """Return the folder of a classifier with a temperature, and a threshold that changes some answers."""
    folder = tmp_path_factory.mktemp("cautious") / "model"
    predictor = Predictor.from_pretrained(tiny_run)
    scores = predictor.scores(TEXTS)[:, 1]
    predictor.model.config.temperature = 1.5
    predictor.model.config.thresholds = {"positive": float(predictor.scores(TEXTS)[scores.argmin(), 1]) - 0.001}
    predictor.model.save_pretrained(folder)
    predictor.tokenizer.save_pretrained(folder)
    for name in ("run.yaml", "schema.json"):
        (folder / name).write_bytes((tiny_run / name).read_bytes())
    return folder


def test_predictor_pipeline_explanation_and_curve_choose_the_same_label(cautious, tiny_run):
    predictor = Predictor.from_pretrained(cautious)
    answers = predictor(TEXTS)
    assert {answer["label"] for answer in answers} == {"positive"}
    assert any(answer["score"] < 0.5 for answer in answers), "no answer was changed by the threshold"
    classify = pipeline("text-classification", model=str(cautious))
    for kind in ({}, {"top_k": 1}):
        for answer, theirs in zip(answers, classify(TEXTS, **kind), strict=True):
            theirs = theirs if isinstance(theirs, dict) else theirs[0]
            assert theirs["label"] == answer["label"]
            assert theirs["score"] == pytest.approx(answer["score"], abs=1e-6)
    every = classify(TEXTS[0], top_k=None)
    assert [each["label"] for each in every] == predictor(TEXTS[0], top_k=None)["labels"]
    model, tokenizer = predictor.model, predictor.tokenizer
    assert explain(model, tokenizer, TEXTS[0], method="occlusion").label == "positive"
    plain = Predictor.from_pretrained(tiny_run)
    assert predictor.scores(TEXTS) == pytest.approx(_softened(plain.scores(TEXTS), 1.5), abs=1e-6)
    read = how_it_read(model, tokenizer, TEXTS[0])
    assert read.scores[-1] == pytest.approx(predictor.scores(TEXTS[:1])[0], abs=1e-5)
    assert read.lines()[-1].startswith("positive\t")


def _softened(scores: np.ndarray, temperature: float) -> np.ndarray:
    powers = scores ** (1 / temperature)
    return powers / powers.sum(1, keepdims=True)


def test_evaluating_obeys_the_threshold(cautious):
    rows = [{"text": text, "label": "positive"} for text in TEXTS]
    assert evaluate(Predictor.from_pretrained(cautious), rows)["accuracy"] == 1.0


def test_a_threshold_that_is_changed_in_a_predictor_counts(cautious):
    predictor = Predictor.from_pretrained(cautious)
    predictor.model.config.thresholds = {"positive": 1.0}
    assert {answer["label"] for answer in predictor(TEXTS)} == {"negative"}
    assert evaluate(predictor, [{"text": text, "label": "negative"} for text in TEXTS])["accuracy"] == 1.0


def test_pipelines_of_other_models_are_those_of_transformers(tiny_run):
    config = BertConfig(vocab_size=999, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    model = BertForSequenceClassification(config).eval()
    tokenizer = Predictor.from_pretrained(tiny_run).tokenizer
    ours = pipeline("text-classification", model=model, tokenizer=tokenizer)
    theirs = TextClassificationPipeline(model=model, tokenizer=tokenizer)
    assert isinstance(ours, TextClassificationPipeline)
    for how in ({}, {"top_k": None}, {"top_k": 1}, {"function_to_apply": "none"}):
        assert ours(TEXTS[0], **how) == theirs(TEXTS[0], **how)


def test_an_ensemble_and_a_mean_of_weights_have_the_mean_thresholds(cautious, tmp_path, caplog):
    other = RNNForSequenceClassification.from_pretrained(cautious)
    other.config.thresholds, other.config.temperature = {"positive": 0.9}, 6.0
    shutil.copytree(cautious, tmp_path / "other")
    other.save_pretrained(tmp_path / "other")
    first = RNNForSequenceClassification.from_pretrained(cautious).config.thresholds["positive"]
    ensemble = Predictor.from_pretrained(cautious, others=[tmp_path / "other"])
    assert ensemble.task.thresholds == {"positive": pytest.approx((first + 0.9) / 2)}
    assert ensemble.model.config.thresholds == {"positive": first}
    average([cautious, tmp_path / "other"], tmp_path / "mean")
    merged = RNNForSequenceClassification.from_pretrained(tmp_path / "mean").config
    assert merged.thresholds == ensemble.task.thresholds
    assert merged.temperature == pytest.approx(3.0)
    other.config.thresholds = {"negative": 0.5}
    other.save_pretrained(tmp_path / "other")
    with caplog.at_level(logging.WARNING):
        assert Predictor.from_pretrained(cautious, others=[tmp_path / "other"]).task.thresholds is None
    assert "thresholds for different labels, so the ensemble has none" in caplog.text
