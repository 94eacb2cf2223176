# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Answers of a teacher to words, for the tokens of these words."""

from collections.abc import Sequence

import numpy as np

# Least probability, whose logarithm is finite.
LEAST = 1e-6


def scores_of_tokens(
    of_words: Sequence[Sequence[float]], word_ids: Sequence[int | None], inside: Sequence[int]
) -> np.ndarray:
    """Return log probabilities of the tokens of a row, `[T, C]`, from those of its words; zeros for other tokens.

    A token that continues a word has the probability of each tag at the tag that continues it.

    Args:
        of_words: Log probabilities of words, `[W, C]`.
        word_ids: Word of each of T tokens; None for a special token.
        inside: Index of the tag that continues each tag.
    """
    scores = np.asarray(of_words)
    found, before = np.zeros((len(word_ids), len(inside)), dtype=np.float32), None
    for place, word in enumerate(word_ids):
        if word is not None:
            found[place] = scores[word]
            if word == before:
                probabilities = np.zeros(len(inside))
                np.add.at(probabilities, inside, np.exp(scores[word]))
                found[place] = np.log(np.maximum(probabilities, LEAST))
        before = word
    return found


__all__ = ["scores_of_tokens"]
