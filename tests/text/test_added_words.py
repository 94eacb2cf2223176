"""Tests of further words in the vocabulary of a tokenizer."""

import random

import pytest

from hf_rnn import train_tokenizer
from hf_rnn.text.added_words import add_words, used_words, whole_words


def backend(kind, texts=("we met in Bonn", "we met in Ulm"), **settings):
    texts = [*texts] * 3
    return train_tokenizer(texts, kind=kind, vocab_size=60, show_progress=False, **settings).backend_tokenizer


@pytest.mark.parametrize("kind", ["word", "wordpiece"])
def test_the_words_that_texts_use(kind):
    texts = ["We met\tin <b>New York</b>, in 1996.", None, "", "a-b <br>Kiel"]
    tokenizer = backend(kind, lowercase=True, strip_html=True, normalize_digits=True)
    words = whole_words(tokenizer, ["york", "New", "1996", "-", "kiel", "zanzibar", "yor"])
    assert used_words(tokenizer, words, texts) == ["york", "new", "0000", "-", "kiel"]


def test_the_words_of_whitespace_separated_texts_keep_their_marks():
    assert used_words(backend("whitespace"), ["U.S.", "U.S", ","], ["in U.S. ,"]) == ["U.S.", ","]


def test_wordpiece_uses_the_longest_entry_at_the_beginning_of_a_word():
    tokenizer = backend("wordpiece")
    assert used_words(tokenizer, ["Zan", "Zanzibar", "Kiel"], ["in Zanzibars"]) == ["Zanzibar"]


@pytest.mark.parametrize("kind", ["word", "whitespace", "wordpiece"])
@pytest.mark.parametrize("seed", range(5))
def test_texts_have_the_same_tokens_before_and_after_the_words_that_they_do_not_use(kind, seed):
    draw = random.Random(seed)

    def word() -> str:
        return "".join(draw.choices("abc", k=draw.randint(1, 6)))

    texts = [" ".join(word() for _ in range(8)) for _ in range(20)]
    tokenizer = backend(kind, texts)
    words = whole_words(tokenizer, [word() for _ in range(200)])
    add_words(tokenizer, used_words(tokenizer, words, texts))
    before = [tokenizer.encode(text).tokens for text in texts]
    add_words(tokenizer, whole_words(tokenizer, words))
    assert [tokenizer.encode(text).tokens for text in texts] == before


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
