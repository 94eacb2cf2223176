"""Tests that join words to a normally written text, and that normalize white space."""

import pytest

from hf_rnn.runtime.entities import evenly_spaced, is_seen
from hf_rnn.text.written_text import as_written


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("Peter Blackburn lives in Brussels .", "Peter Blackburn lives in Brussels."),
        ("Kiel ( and Ulm [ too ] ) , is n't far ; it 's 5 % !", "Kiel (and Ulm [too]), isn't far; it's 5%!"),
        ('" Yes , " he said , " for $ 5 . "', '"Yes," he said, "for $5."'),
        ("`` No '' : “ never ” … ?", "``No'': “never”…?"),
        ("a - b / c", "a - b / c"),
        ("北京 大学 ， 好 。", "北京大学，好。"),
        ("", ""),
    ],
)
def test_words_are_written_as_people_write_them(words, text):
    words = words.split()
    written, places = as_written(words)
    assert written == text
    assert [written[start:end] for start, end in places] == words


def test_words_that_are_not_seen_add_nothing():
    assert as_written(["a", " ", "", "b"]) == ("a b", [(0, 1), (1, 1), (1, 1), (2, 3)])
    assert [is_seen(text) for text in ("", " \t\n", "\u200b\ufeff", "\u200ba", ".")] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_characters_are_found_again_in_the_text_as_it_was():
    text = "\n New\u00a0York,\tUlm \r\n"
    spaced, places = evenly_spaced(text)
    assert spaced == "New York, Ulm"
    for word in ("New", "York,", "Ulm"):
        start = spaced.index(word)
        assert text[places[start] : places[start + len(word) - 1] + 1] == word
