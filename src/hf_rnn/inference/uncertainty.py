# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Uncertainty of answers, by which texts to label are chosen (Settles 2009, Active Learning Literature Survey)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..utils.errors import HfRnnError, check_choice

# Probabilities below this count as this in logarithms.
_LEAST = 1e-12


def _entropy(scores: np.ndarray) -> np.ndarray:
    return -(scores * np.log(np.clip(scores, _LEAST, None))).sum(-1)


def _both(scores: np.ndarray) -> np.ndarray:
    """Return the probabilities `[..., C, 2]` that a label holds and does not hold."""
    return np.stack([scores, 1 - scores], -1)


def _margin(scores: np.ndarray, multi_label: bool) -> np.ndarray:
    """Return 1 minus the gap between the two most likely classes, or of the label whose probability is nearest 0.5."""
    if multi_label:
        return 1 - np.abs(2 * scores - 1).min(-1)
    first, second = np.sort(scores, -1)[..., :-3:-1].swapaxes(-1, 0)
    return 1 - (first - second)


def _entropies(scores: np.ndarray, multi_label: bool) -> np.ndarray:
    """Return the entropy of the classes in nats, or the sum of the entropies of the labels."""
    return _entropy(_both(scores)).sum(-1) if multi_label else _entropy(scores)


def _least_confidence(scores: np.ndarray, multi_label: bool) -> np.ndarray:
    """Return 1 minus the probability of the answer: of the most likely class, or of the most likely set of labels."""
    return 1 - (_both(scores).max(-1).prod(-1) if multi_label else scores.max(-1))


def _disagreement(scores: np.ndarray, multi_label: bool) -> np.ndarray:
    """Return the mean Kullback-Leibler divergence of the models `[M, N, C]` from their mean, in nats."""
    # The mean divergence from the mean is the entropy of the mean minus the mean entropy.
    return np.maximum(_entropies(scores.mean(0), multi_label) - _entropies(scores, multi_label).mean(0), 0)


DISAGREEMENT = "disagreement"
_MEASURES: dict[str, Callable[[np.ndarray, bool], np.ndarray]] = {
    "uncertainty": _margin,
    "margin": _margin,
    "entropy": _entropies,
    "least_confidence": _least_confidence,
    DISAGREEMENT: _disagreement,
}
SORTS = tuple(_MEASURES)


def uncertainty(scores: np.ndarray, how: str = "margin", multi_label: bool = False) -> np.ndarray:
    """Compute how uncertain a classifier is of its answers.

    ```python
    >>> uncertainty(np.array([[0.9, 0.1], [0.55, 0.45]]))
    array([0.2, 0.9])
    ```

    Args:
        scores: Probabilities of the labels, `[N, C]`, as [`Predictor.scores`] returns them. For `disagreement`, the
            probabilities by each of M models, `[M, N, C]`.
        how: `margin` (or `uncertainty`): 1 minus the gap between the two most likely classes. `entropy`: the entropy in
            nats. `least_confidence`: 1 minus the probability of the answer. `disagreement`: the mean divergence of the
            models from their mean (query by committee). All are defined in Settles (2009), Active Learning Literature
            Survey, sections 3.1 and 3.2.
        multi_label: True if a text can have several labels. The margin is then that of the label whose probability is
            nearest 0.5; the other measures treat the labels as independent.

    Returns:
        Uncertainty of each text, `[N]`; a greater value is less certain.

    Raises:
        HfRnnError: The measure is unknown, or the scores have another shape or are not probabilities.
    """
    check_choice("how", how, SORTS)
    scores = np.asarray(scores, dtype=np.float64)
    dimensions = 3 if how == DISAGREEMENT else 2
    if scores.ndim != dimensions or (not multi_label and scores.shape[-1] < 2):
        shape = "[models, rows, labels]" if dimensions == 3 else "[rows, labels]"
        raise HfRnnError(
            f"scores of the shape {list(scores.shape)} have no {how}: pass probabilities of the shape {shape}, with "
            "two labels or more, such as those of predictor.scores(texts)."
        )
    if scores.size and not (np.isfinite(scores).all() and scores.min() >= 0 and scores.max() <= 1 + 1e-6):
        raise HfRnnError("scores must be probabilities from 0 to 1: pass those of predictor.scores(texts), not logits.")
    return _MEASURES[how](scores, multi_label)


__all__ = ["DISAGREEMENT", "SORTS", "uncertainty"]
