"""Tests of further words in the vocabulary of a tokenizer."""

import pytest

from hf_rnn import train_tokenizer
from hf_rnn.text.added_words import add_words, whole_words, words_in


def backend(kind, **settings):
    texts = ["we met in Bonn", "we met in Ulm"] * 3
    return train_tokenizer(texts, kind=kind, vocab_size=60, show_progress=False, **settings).backend_tokenizer


@pytest.mark.parametrize("kind", ["word", "wordpiece"])
def test_the_words_of_texts_are_those_that_the_tokenizer_separates(kind):
    texts = ["We met\tin <b>New York</b>, in 1996.", None, "", "a-b <br>met"]
    tokenizer = backend(kind, lowercase=True, strip_html=True, normalize_digits=True)
    words = {"we", "met", "in", "new", "york", ",", "0000", ".", "a", "-", "b"}
    assert words <= words_in(tokenizer, texts)
    # Each word of a text, read at once, is among them.
    cut = tokenizer.pre_tokenizer.pre_tokenize_str
    at_once = {word for text in texts if text for word, _ in cut(tokenizer.normalizer.normalize_str(text))}
    assert at_once <= words_in(tokenizer, texts)


def test_the_words_of_whitespace_separated_texts_keep_their_marks():
    assert words_in(backend("whitespace"), ["in U.S. ,"]) == {"in", "U.S.", ","}


@pytest.mark.parametrize("kind", ["word", "whitespace", "wordpiece"])
def test_words_are_added_after_the_others_without_a_change_of_these(kind):
    tokenizer = backend(kind)
    before = tokenizer.get_vocab()
    words = whole_words(tokenizer, ["Kiel", "Bonn", "New York", "Kiel", "kiel", ""])
    assert words == ["Kiel", "kiel"]
    add_words(tokenizer, words)
    assert tokenizer.get_vocab() == before | {"Kiel": len(before), "kiel": len(before) + 1}
    assert tokenizer.encode("in Kiel").tokens == ["in", "Kiel"]
    assert whole_words(tokenizer, words) == []
