"""Tests of the texts that a language model writes."""

from itertools import cycle

import pytest
import torch
from support import tiny_config
from support.reviews import made_up_reviews, reviews_as_csv

import hf_rnn
from hf_rnn.inference import generated_text
from hf_rnn.inference.generated_text import generated
from hf_rnn.utils.errors import HfRnnError


@pytest.fixture(scope="module")
def writer(tmp_path_factory) -> str:
    """Return the folder of a small language model of made-up reviews."""
    folder = tmp_path_factory.mktemp("writer")
    data = reviews_as_csv(folder / "reviews.csv", 600)
    settings = tiny_config(data, folder / "model", per_device_train_batch_size=8, window=20)
    hf_rnn.train({**settings, "task": "language_modeling"})
    return str(folder / "model")


def test_texts_are_new_not_empty_and_the_same_for_the_same_seed(writer):
    known = made_up_reviews(600)["text"]
    torch.manual_seed(7)
    state = torch.get_rng_state()
    texts = generated(writer, 40, seed=1, known=known)
    assert len(texts) == len(set(texts)) == 40
    assert all(text.strip() == text != "" and "<unk>" not in text for text in texts)
    assert not set(texts) & set(known)
    assert torch.equal(torch.get_rng_state(), state)
    assert generated(writer, 15, seed=1, known=known) == texts[:15]
    assert generated(writer, 15, seed=2, known=known) != texts[:15]


def test_the_words_are_those_of_the_corpus(writer):
    words = {word for text in made_up_reviews(600)["text"] for word in text.split()}
    assert {word for text in generated(writer, 20, seed=0) for word in text.split()} <= words


@pytest.fixture
def documents(monkeypatch) -> list[str]:
    """Return a list of documents that the model writes over and over."""
    written: list[str] = []
    monkeypatch.setattr(generated_text, "_documents", lambda *_: cycle(written))
    return written


def test_long_documents_are_split_into_sentences_of_the_length_of_the_corpus(writer, documents):
    documents += ["I saw it. It was fine! Yes.", "short", "第一句很长。第二句很长。", "one line\nanother line"]
    pieces = ["I saw it.", "It was fine!", "Yes.", "short", "第一句很长。", "第二句很长。", "one line", "another line"]
    assert generated(writer, 100, seed=0, like=["no, no"]) == pieces
    assert generated(writer, 100, seed=0, like=["a" * 12])[:2] == ["I saw it. It was fine!", "Yes."]
    assert generated(writer, 100, seed=0) == documents


def test_a_model_that_writes_nothing_new_ends(writer, documents):
    documents += ["fine .", "dull .", ""]
    assert generated(writer, 10**6, seed=0) == ["fine .", "dull ."]
    assert generated(writer, 10**6, seed=0, known=["fine . "]) == ["dull ."]


@pytest.mark.parametrize(
    ("decoded", "text"),
    [
        ("我 喜 欢 。 真 的", "我喜欢。真的"),
        ("iPhone 很 好", "iPhone 很好"),
        ("a fine film .", "a fine film ."),
        ("", ""),
    ],
)
def test_chinese_texts_get_no_spaces(decoded, text):
    assert generated_text._without_made_up_spaces(decoded) == text


def test_a_classifier_does_not_write(tiny_run):
    with pytest.raises(HfRnnError, match=r"is not a language model: .*hf-rnn train --task language_modeling") as error:
        generated(str(tiny_run), 10, seed=0)
    assert f"distil.generator={str(tiny_run)!r}" in str(error.value)


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan")])
def test_a_temperature_without_sampling_is_an_error(writer, temperature):
    with pytest.raises(HfRnnError, match=r"must be 0.01 or greater, such as 1.0"):
        generated(writer, 10, seed=0, temperature=temperature)


def test_a_folder_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(HfRnnError, match="nothing"):
        generated(str(tmp_path / "nothing"), 10, seed=0)
