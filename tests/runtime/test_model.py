"""Tests that an exported model answers as `Predictor` does, in any batch, stream and thread."""

import itertools
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from support.marks import proof
from support.runtime_models import KINDS, TEXTS

from hf_rnn import HfRnnError, Predictor
from hf_rnn.runtime import Model
from hf_rnn.runtime import model as model_module
from hf_rnn.runtime.session import InferenceSession, Session

SECOND = ["it was dull", "", None, "the lamp", "a b c d e f g", 7, "x", "the film was good . " * 30, "y", "", "z"]


def same(answer, expected) -> bool:
    """Return True if two answers have the same labels and texts, and numbers that differ by less than 1e-4."""
    if isinstance(expected, float):
        return math.isclose(answer, expected, abs_tol=1e-4)
    if isinstance(expected, dict):
        return answer.keys() == expected.keys() and all(same(answer[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(answer) == len(expected) and all(map(same, answer, expected))
    return answer == expected


def rows(kind: str) -> tuple:
    return (TEXTS, SECOND) if kind == "pairs" else (TEXTS,)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_of_classifiers_are_those_of_a_predictor(classifiers, exported, kind):
    model, predictor = Model.from_pretrained(exported[kind]), Predictor.from_pretrained(classifiers[kind])
    for options in ({}, {"top_k": None}, {"top_k": 2}, {"batch_tokens": 30}):
        assert same(model.predict(*rows(kind), **options), predictor(*rows(kind), **options)), options
    assert np.allclose(model.scores(*rows(kind)), predictor.scores(*rows(kind)), atol=1e-4)
    if kind != "number":
        for options in ({"min_score": 0.6}, {"min_score": 0.4, "top_k": 0}):
            assert same(model.predict(*rows(kind), **options), predictor(*rows(kind), **options)), options
    assert len(np.unique(predictor.scores(*rows(kind)).round(3), axis=0)) > 4, "the texts have different answers"


def test_one_text_has_one_answer_and_no_text_has_none(exported):
    model = Model.from_pretrained(str(exported["one_label"]))
    assert model(TEXTS[0]) == model.predict(TEXTS[0]) == model.predict([TEXTS[0]])[0]
    assert model.predict([]) == []
    assert model.scores([]).shape == (0, 3)
    pairs = Model.from_pretrained(exported["pairs"])
    assert pairs.predict("the film", "was good") == pairs.predict([("the film", "was good")])[0]


@pytest.mark.parametrize(
    "text",
    [
        "Anna Blackburn lives in New York .",
        "",
        " \n\t ",
        "  Anna\u00a0\n Blackburn   left\tKiel  .",
        "Anna\u200b Ivanov \u200b left Ulm",
        "Ｋｉｅｌ 你好世界 Boris 🙂 comes from",
        "half a \ud83d Clara",
    ],
)
def test_entities_of_a_tagger_are_those_of_a_predictor(tagger, exported, text):
    model, predictor = Model.from_pretrained(exported["tagger"]), Predictor.from_pretrained(tagger)
    (answer,) = predictor([text])
    assert same(model.predict([text, "Dmitri left Kiel .", None])[0], answer)
    readable = text.encode("utf-8", "replace").decode()
    for entity in model.predict(text)["entities"]:
        assert readable[entity["start"] : entity["end"]] == entity["text"]


def test_a_tagger_that_is_asked_for_anything_else(exported):
    model = Model.from_pretrained(exported["tagger"])
    with pytest.raises(HfRnnError, match="top_k=2 is not possible, because a tagger gives each word its best tag"):
        model.predict(["Anna"], top_k=2)
    with pytest.raises(HfRnnError, match="pass one text per row, not 2"):
        model.predict(["Anna"], ["Boris"])
    with pytest.raises(HfRnnError, match="only text classifiers have scores of labels"):
        model.scores(["Anna"])
    with pytest.raises(HfRnnError, match="the answers of this model have none: leave it out"):
        model.predict(["Anna"], min_score=0.5)


def test_a_stream_is_answered_in_order_and_read_a_window_at_a_time(exported, monkeypatch):
    monkeypatch.setattr(model_module, "TEXTS_AT_ONCE", 4)
    model, seen = Model.from_pretrained(exported["one_label"]), []

    def endless():
        for number in itertools.count():
            seen.append(number)
            yield "the film was good . " * (number % 3)

    answers = list(itertools.islice(model.stream(endless(), top_k=None), 10))
    assert len(seen) == 12  # three windows of four texts, and no further text
    assert same(answers, model.predict(["the film was good . " * (number % 3) for number in range(10)], top_k=None))


def test_no_batch_is_over_its_budget_of_tokens(exported, monkeypatch):
    model, shapes = Model.from_pretrained(exported["tagger"]), []
    run = Session.run

    def counted(session, names, inputs, options=None):
        shapes.append(inputs["input_ids"].shape)
        return run(session, names, inputs, options)

    monkeypatch.setattr(Session, "run", counted)
    model.predict(["Kiel " * length for length in (1, 15, 2, 2, 6, 1, 1)], batch_tokens=12)
    assert all(B * T <= 12 or B == 1 for B, T in shapes)
    assert sum(B for B, _ in shapes) == 7
    assert len(shapes) < 7


def test_a_batch_that_onnxruntime_cannot_compute(exported, monkeypatch):
    model = Model.from_pretrained(exported["one_label"])

    def run(*_):
        raise MemoryError

    monkeypatch.setattr(InferenceSession, "run", run)
    with pytest.raises(HfRnnError, match=r"cannot compute a batch of 1 rows of 5 tokens \(MemoryError\): if memory"):
        model.predict("the film was good .")


@pytest.mark.parametrize("kind", ["one_label", "tagger", "pairs"])
def test_one_model_answers_eight_threads(exported, kind):
    model = Model.from_pretrained(exported[kind])
    texts: list = [f"the film was {'not ' * (number % 7)}good ." for number in range(40)]
    if kind == "pairs":
        texts = [[(text, "it was dull")] for text in texts]
    expected = [model.predict(text) for text in texts]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(model.predict, texts * 5))
    assert same(answers, expected * 5)


@pytest.mark.parametrize("rows", [{"text": ["a", "b"]}, pd.DataFrame({"text": ["a", "b"]})], ids=["dict", "frame"])
def test_tables_are_refused(exported, classifiers, rows):
    model, predictor = Model.from_pretrained(exported["one_label"]), Predictor.from_pretrained(classifiers["one_label"])
    for read in (model.predict, model.stream, model.scores, predictor.stream):
        with pytest.raises(HfRnnError, match=r"texts is a table of type .*: pass the texts of a column, df\['text'\]"):
            read(rows)
    assert predictor(rows) == predictor(["a", "b"])
    assert model.predict(pd.Series(["a", "b"])) == model.predict(["a", "b"])


def test_pairs_that_do_not_fit_the_texts(exported, classifiers):
    model, predictor = Model.from_pretrained(exported["pairs"]), Predictor.from_pretrained(classifiers["pairs"])
    for read in (model.predict, model.scores, predictor, predictor.scores):
        with pytest.raises(HfRnnError, match="pairs is one string: pass a list of texts"):
            read(["a", "b"], "xy")
        with pytest.raises(HfRnnError, match="texts has 2 texts and pairs has 1: pass a second text for each text"):
            read(["a", "b"], ["c"])
        with pytest.raises(HfRnnError, match="pairs=5 is of type int: pass a list of texts"):
            read(["a", "b"], 5)


def test_arguments_and_texts_that_cannot_be_read(exported):
    model = Model.from_pretrained(exported["one_label"])
    for texts, message in (
        ("one text", r"one string: pass a list of texts, \[text\]"),
        (b"one text", r"of type bytes: pass a list of texts as strings, \[texts\.decode\(\)\]"),
        (None, "texts=None is of type NoneType: pass a list of texts"),
        (5, "texts=5 is of type int: pass a list of texts"),
    ):
        for read in (model.stream, model.scores):
            with pytest.raises(HfRnnError, match=message):
                read(texts)
    for texts in ([b"a"], [{"text": "a"}]):
        with pytest.raises(HfRnnError, match=r"is of type (dict|bytes): pass texts, as strings"):
            model.predict(texts)
    for texts in (["a", ("b", "c")], [("a", "b", "c")], [()]):
        with pytest.raises(HfRnnError, match="one text a row, or a pair"):
            model.predict(texts)
    for options in ({"batch_tokens": 0}, {"batch_tokens": "x"}, {"top_k": True}, {"top_k": -1}):
        with pytest.raises(HfRnnError, match=f"{next(iter(options))}=.* must be a whole number, 1 or greater"):
            model.stream(iter([]), **options)
    with pytest.raises(HfRnnError, match=r"min_score=1\.5 is the least probability of an answer"):
        model.predict(["a"], min_score=1.5)
    with pytest.raises(HfRnnError, match=r"min_score=0\.5 compares the scores of labels"):
        Model.from_pretrained(exported["number"]).predict(["a"], min_score=0.5)
    with pytest.raises(HfRnnError, match=r"reads pairs of texts \('premise' with 'hypothesis'\)"):
        Model.from_pretrained(exported["pairs"]).predict(["a"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one_label", proof("tagger")])
def test_a_text_of_a_million_characters(exported, classifiers, tagger, kind):
    text = ("Anna Blackburn left Kiel . the film was good . " * 30_000)[: 10**6]
    model = Model.from_pretrained(exported[kind])
    predictor = Predictor.from_pretrained({**classifiers, "tagger": tagger}[kind])
    # Without the limit of the training run, the whole text is read.
    predictor.task.data.max_length = None
    object.__setattr__(model.record, "max_length", None)
    assert same(model.predict([text]), predictor([text]))
