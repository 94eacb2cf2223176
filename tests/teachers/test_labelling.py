"""Answers that are kept: numbers for texts and for words, and texts."""

import numpy as np
import pytest

from hf_rnn.teachers.labelling import answer, answer_in_words
from hf_rnn.teachers.python_words import python_tagger, python_translator
from hf_rnn.utils.errors import CheckpointError

TAGS, TRANSLATION = "token_classification", "translation"
SENTENCES = [("a",), ("a", "bb", "ccc"), (), ("",), ("a",)]


def by_length(texts: list[list[str]]) -> list[np.ndarray]:
    return [np.array([[len(word), 0.0, 1.0] for word in words]).reshape(-1, 3) for words in texts]


def test_words_of_texts_of_any_length_are_answered_once(tmp_path):
    asked: list = []
    teacher = python_tagger(lambda texts: asked.extend(texts) or by_length(texts), "lengths")
    teacher.group = 2
    first = answer(teacher, SENTENCES, TAGS, tmp_path)
    assert first.shape == (6, 3)
    np.testing.assert_allclose(np.exp(first).sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(first[:, 0] - first[:, 1], [1, 1, 2, 3, 0, 1], rtol=1e-5, atol=1e-6)
    assert sorted(map(len, asked)) == [0, 1, 1, 3]
    again = answer(teacher, SENTENCES[::-1], TAGS, tmp_path)
    assert len(asked) == 4
    np.testing.assert_array_equal(again, first[[5, 4, 1, 2, 3, 0]])


def test_translations_are_written_once(tmp_path):
    asked: list = []
    teacher = python_translator(lambda texts: asked.extend(texts) or [text.upper() for text in texts], "capitals")
    assert answer_in_words(teacher, [("b",), ("ä",), ("b",)], TRANSLATION, tmp_path) == ["B", "Ä", "B"]
    assert answer_in_words(teacher, [("ä",), ("c",)], TRANSLATION, tmp_path) == ["Ä", "C"]
    assert sorted(asked) == ["b", "c", "ä"]


def test_answers_of_another_width_are_an_error(tmp_path):
    teacher = python_tagger(by_length, "lengths")
    answer(teacher, SENTENCES, TAGS, tmp_path)
    teacher.call = lambda texts: [array[:, :2] for array in by_length(texts)]
    with pytest.raises(CheckpointError, match="delete the folder of this teacher"):
        answer(teacher, [*SENTENCES, ("d",)], TAGS, tmp_path)
