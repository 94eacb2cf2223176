# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Further words for the vocabulary of a trained tokenizer."""

from collections.abc import Collection, Iterable
from typing import Any

from tokenizers import Tokenizer, models


def used_words(tokenizer: Tokenizer, words: Collection[str], texts: Iterable[str]) -> list[str]:
    """Return the words that a tokenizer uses for texts if all these words are its entries.

    With these words as entries, the texts have the same tokens as with all words.

    Args:
        tokenizer: Tokenizer of one of the kinds word, whitespace and wordpiece.
        words: Words from [`whole_words`].
        texts: Texts to read.
    """
    read = _words_in(tokenizer, texts)
    if isinstance(tokenizer.model, models.WordPiece):
        # WordPiece begins a word with the longest entry that fits.
        entries = {*tokenizer.get_vocab(), *words}
        read = {next((word[:n] for n in range(len(word), 0, -1) if word[:n] in entries), word) for word in read}
    return [word for word in words if word in read]


def _words_in(tokenizer: Tokenizer, texts: Iterable[str]) -> set[str]:
    """Return at least all words of texts, as the tokenizer separates and normalizes them."""
    cut: Any = tokenizer.pre_tokenizer
    between_spaces = {part for text in texts for part in (text or "").split()}
    normalized = map(tokenizer.normalizer.normalize_str, between_spaces)
    return {word for part in normalized for word, _ in cut.pre_tokenize_str(part)}


def whole_words(tokenizer: Tokenizer, words: Iterable[str]) -> list[str]:
    """Return the words that can become entries of a tokenizer, normalized and each once.

    These are the words that are not entries yet, and that the tokenizer does not split at a space or a punctuation
    mark.

    Args:
        tokenizer: Tokenizer of one of the kinds word, whitespace and wordpiece.
        words: Words as written.
    """
    entries = tokenizer.get_vocab()
    cut: Any = tokenizer.pre_tokenizer
    found = dict.fromkeys(map(tokenizer.normalizer.normalize_str, words))
    return [
        word for word in found if word not in entries and [part for part, _ in cut.pre_tokenize_str(word)] == [word]
    ]


def add_words(tokenizer: Tokenizer, words: Collection[str]) -> None:
    """Add entries to a tokenizer, after those that it has.

    Args:
        tokenizer: Tokenizer of one of the kinds word, whitespace and wordpiece; it is changed.
        words: Words from [`whole_words`].
    """
    entries = tokenizer.get_vocab()
    model: Any = tokenizer.model
    tokenizer.model = type(model)(
        entries | {word: len(entries) + n for n, word in enumerate(words)}, unk_token=model.unk_token
    )


__all__ = ["add_words", "used_words", "whole_words"]
