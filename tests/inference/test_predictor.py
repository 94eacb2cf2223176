import itertools
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from transformers import AutoTokenizer, BertConfig, pipeline

from hf_rnn import DataArguments, Predictor
from hf_rnn.inference import predictor as prediction
from hf_rnn.inference.evaluation import evaluate
from hf_rnn.utils.errors import UserError

TEXTS = ["the film was not good .", "", "  ", "the soup was bad , but the lamp was lovely .", "unseen words only"]


def test_answers_are_those_of_the_pipeline_in_order(tiny_run):
    predictor = Predictor.from_pretrained(tiny_run)
    answers = predictor(TEXTS, batch_tokens=12)
    expected = pipeline("text-classification", model=str(tiny_run))(TEXTS)
    for answer, theirs in zip(answers, expected, strict=True):
        assert answer["label"] == theirs["label"]
        assert answer["score"] == pytest.approx(theirs["score"], abs=1e-6)
    assert predictor(TEXTS[:1])[0]["score"] == pytest.approx(answers[0]["score"], abs=1e-6)
    assert predictor([]) == []


def test_scores_are_the_probabilities_of_all_labels_in_the_order_of_the_labels(tiny_run):
    predictor = Predictor.from_pretrained(tiny_run)
    scores, names = predictor.scores(TEXTS), predictor.task.label_names
    assert scores.shape == (len(TEXTS), len(names))
    assert scores.sum(1) == pytest.approx(1, abs=1e-6)
    for row, answer in zip(scores, predictor(TEXTS, top_k=None), strict=True):
        expected = dict(zip(answer["labels"], answer["scores"], strict=True))
        assert dict(zip(names, row, strict=True)) == pytest.approx(expected)
    assert predictor.scores([]).shape == (0, len(names))
    with pytest.raises(UserError, match=r"one string: pass a list of texts, \[text\]"):
        predictor.scores(TEXTS[0])


def test_a_stream_is_answered_in_order_and_read_a_window_at_a_time(tiny_run, monkeypatch):
    monkeypatch.setattr(prediction, "TEXTS_AT_ONCE", 4)
    predictor = Predictor.from_pretrained(tiny_run)
    seen = []

    def endless():
        for number in itertools.count():
            seen.append(number)
            yield "the film was good . " * (number % 7)

    answers = list(itertools.islice(predictor.stream(endless(), top_k=None), 10))
    assert len(seen) == 12  # three windows of four texts, and no further text
    expected = predictor(["the film was good . " * (number % 7) for number in range(10)], top_k=None)
    for answer, other in zip(answers, expected, strict=True):
        assert answer["labels"] == other["labels"]
        assert answer["scores"] == pytest.approx(other["scores"], abs=1e-6)


def test_a_stream_takes_pairs_and_missing_texts_and_says_what_it_cannot_read(tiny_run):
    predictor = Predictor.from_pretrained(tiny_run)
    pairs = list(predictor.stream([("the film", "was good ."), ["the soup", None]]))
    assert pairs == predictor(["the film", "the soup"], ["was good .", ""])
    assert list(predictor.stream([None])) == predictor([""])
    with pytest.raises(UserError, match=r"one string: pass a list of texts, \[text\]"):
        predictor.stream("the film was good .")
    for rows in (["a", ("b", "c")], [("a", "b", "c")], [()]):
        with pytest.raises(UserError, match="one text a row, or a pair"):
            list(predictor.stream(rows))
    for rows in ([{"text": "a"}], [b"a"]):
        with pytest.raises(UserError, match=r"is of type (dict|bytes): pass texts"):
            list(predictor.stream(rows))
    assert list(predictor.stream(["half a \ud83d"])) == predictor(["half a ?"])


@pytest.mark.parametrize("options", [{"batch_tokens": 0}, {"batch_tokens": "x"}, {"top_k": True}, {"top_k": -1}])
def test_options_of_a_prediction_are_checked_before_any_text_is_read(tiny_run, options):
    (name,) = options
    with pytest.raises(UserError, match=f"{name}=.* must be a whole number, 1 or greater"):
        Predictor.from_pretrained(tiny_run).stream(iter([]), **options)


def test_no_batch_of_a_prediction_is_over_its_budget_of_tokens(tiny_run):
    predictor, shapes = Predictor.from_pretrained(tiny_run), []
    texts = ["the film " * length for length in (1, 30, 2, 2, 9, 1, 1)]
    expected = [answer["score"] for answer in predictor(texts)]
    predictor.model.model.embed_tokens.register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0].shape)))
    # The text of 60 tokens is read window by window.
    assert [answer["score"] for answer in predictor(texts, batch_tokens=20)] == pytest.approx(expected, abs=1e-6)
    assert shapes[:3] == [(1, 20)] * 3
    assert shapes[-2:] == [(1, 18), (5, 4)]
    assert predictor([]) == []


def test_evaluating_gives_the_metrics_of_the_predictions(tiny_run, tmp_path):
    (tmp_path / "a.csv").write_text("review,sentiment\nthe film was good .,positive\nit was bad .,negative\n")
    predictor = Predictor.from_pretrained(tiny_run)
    metrics = evaluate(predictor, DataArguments(path=str(tmp_path / "a.csv")))
    right = [
        answer["label"] == label
        for answer, label in zip(
            predictor(["the film was good .", "it was bad ."]), ["positive", "negative"], strict=True
        )
    ]
    assert metrics["accuracy"] == sum(right) / 2
    assert metrics["rows"] == 2


def test_texts_are_cut_as_in_training(tiny_run):
    predictor = Predictor.from_pretrained(tiny_run)
    predictor.task.data.max_length = 4
    (cut,) = predictor(["the film was good , but the soup was bad ."])
    assert cut["score"] == pytest.approx(predictor(["the film bad ."])[0]["score"], abs=1e-6)


def test_a_model_of_another_kind_is_refused(tiny_run, tmp_path):
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="is a bert model, not one of hf_rnn"):
        Predictor.from_pretrained(tmp_path)


def test_a_folder_without_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no model that can be loaded"):
        Predictor.from_pretrained(tmp_path)
    with pytest.raises(UserError, match="there is no folder"):
        Predictor.from_pretrained(tmp_path / "nothing")


def test_a_tokenizer_of_another_model_is_refused(tiny_run, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_run, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["new", "words"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(UserError, match=r"do not belong together.*resize_token_embeddings"):
        Predictor.from_pretrained(folder)


def test_predicting_keeps_no_graph(tiny_run):
    predictor = Predictor.from_pretrained(tiny_run)
    predictor(TEXTS)
    assert all(parameter.grad is None for parameter in predictor.model.parameters())
    assert torch.is_grad_enabled()


def test_one_predictor_answers_eight_threads(tiny_run):
    predictor = Predictor.from_pretrained(tiny_run)
    texts = [f"the film was {'not ' * (number % 7)}good ." for number in range(40)]
    expected = [predictor([text])[0]["score"] for text in texts]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda text: predictor([text])[0]["score"], texts * 5))
    assert answers == pytest.approx(expected * 5, abs=1e-6)
