# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Linear model on token n-grams, which are weighted by naive-Bayes ratios and inverse document frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..models.wide_path import longer_keys
from .linear_model import Labels, LinearModel

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Maximum number of n-grams in a fit, before those of small weight are removed; the most frequent ones are taken. The
# second number is the maximum number of weights over all labels; L-BFGS holds some 25 copies of them.
MOST, MOST_WEIGHTS = 1_000_000, 20_000_000

# Token ids of each row. No n-gram contains an id below 0.
Rows = Sequence[np.ndarray]


@dataclass
class NGrams:
    """Known n-grams of a wide path.

    Args:
        keys: Sorted int64 keys, `[K]`, from [`~hf_rnn.models.wide_path.longer_keys`].
        order: Number of tokens of the longest n-grams.
        binary: True if an n-gram that occurs several times in a row counts once.
    """

    keys: np.ndarray
    order: int
    binary: bool

    @classmethod
    def of(cls, rows: Rows, order: int, binary: bool, most: int) -> tuple[NGrams, csr_matrix]:
        """Return the most frequent n-grams of rows, and their counts in each row, `[N, K]`.

        Args:
            rows: Token ids of the N rows, `[T]` each.
            order: Number of tokens of the longest n-grams.
            binary: True if an n-gram that occurs several times in a row counts once.
            most: Maximum number of n-grams, K.
        """
        keys, places = keys_of(rows, order)
        known, columns, counts = np.unique(keys, return_inverse=True, return_counts=True)
        if len(known) > most:
            kept = np.sort(np.argsort(-counts, kind="stable")[:most])
            column_of = np.full(len(known), -1)
            column_of[kept] = np.arange(most)
            known, columns = known[kept], column_of[columns]
            places, columns = places[columns >= 0], columns[columns >= 0]
        ngrams = cls(known, order, binary)
        return ngrams, ngrams._counted(places, columns, len(rows))

    def counts(self, rows: Rows) -> csr_matrix:
        """Count the known n-grams in each row, `[N, K]`; with `binary`, no count is above 1.

        Args:
            rows: Token ids of the N rows, `[T]` each.
        """
        keys, places = keys_of(rows, self.order)
        if not len(self.keys):
            keys, places = keys[:0], places[:0]
        columns = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        known = self.keys[columns] == keys
        return self._counted(places[known], columns[known], len(rows))

    def _counted(self, rows: np.ndarray, columns: np.ndarray, N: int) -> csr_matrix:
        from scipy.sparse import csr_matrix

        counts = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(N, len(self.keys)))
        counts.sum_duplicates()
        if self.binary:
            counts.data[:] = 1
        return counts


def keys_of(rows: Rows, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys of all n-grams in rows, and the index of the row of each.

    Args:
        rows: Token ids of each row, `[T]` each.
        order: Number of tokens of the longest n-grams.
    """
    ids = np.concatenate([*rows, np.zeros(0, np.int64)]).astype(np.int64)
    row = np.repeat(np.arange(len(rows)), [len(each) for each in rows])
    keys, known, all_keys, all_rows = np.zeros_like(ids), ids >= 0, [], []
    for n in range(order):
        # Each key extends the n-gram that ends at the previous token. N-grams across a row boundary are dropped.
        keys = longer_keys(keys[: len(ids) - n] if n == 0 else keys[:-1], ids[n:])
        known = (known if n == 0 else known[:-1]) & (ids[n:] >= 0)
        inside = known & (row[n:] == row[: max(0, len(row) - n)])
        all_keys.append(keys[inside])
        all_rows.append(row[n:][inside])
    return np.concatenate(all_keys), np.concatenate(all_rows)


def scales(counts: csr_matrix, labels: Labels, power: float) -> np.ndarray:
    """Return the scales of the features, `[K]`.

    A scale is the inverse document frequency (smoothed as in scikit-learn) times a power of the naive-Bayes ratio. The
    ratio is the root mean square of the log-count ratios over the labels.

    Source: Wang and Manning 2012.

    Args:
        counts: Counts of the n-grams in each row, `[N, K]`.
        labels: Labels of the N rows.
        power: Exponent of the ratios; 0 gives inverse document frequencies alone.
    """
    N, K = counts.shape
    has = counts.copy()
    has.data = np.ones_like(has.data)
    frequency = np.asarray(has.sum(0)).reshape(K)
    inverse = np.log((1 + N) / (1 + frequency)) + 1
    if power == 0:
        return inverse.astype(np.float32)
    squares = np.zeros(K)
    indicators = labels.indicators()
    for indicator in indicators.T:
        found = has.T @ indicator
        with_label, without = 1 + found, 1 + frequency - found
        squares += np.log(with_label / with_label.sum() / (without / without.sum())) ** 2
    ratios = np.sqrt(squares / indicators.shape[1])
    return (ratios**power * inverse).astype(np.float32)


def features(counts: csr_matrix, scale: np.ndarray) -> csr_matrix:
    """Return the features `count · scale / norm`, `[N, K]`, as in [`~hf_rnn.models.wide_path.WidePath`].

    Args:
        counts: Counts of the n-grams in each row, `[N, K]`.
        scale: Scales of the features, `[K]`.
    """
    from scipy.sparse import diags

    norms = np.sqrt(counts @ np.square(scale.astype(np.float64)))
    norms[norms == 0] = 1
    return (diags((1 / norms).astype(np.float32)) @ counts @ diags(scale)).tocsr()


@dataclass
class Bag:
    """Fitted bag-of-n-grams model.

    Args:
        ngrams: Known n-grams.
        scale: Scales of the features, `[K]`.
        weight: Weights of the features, `[K, C]`.
        bias: Bias, `[C]`.
        power: Exponent of the naive-Bayes ratios in the scale.
        strength: Inverse strength of the L2 regularisation.
    """

    ngrams: NGrams
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    power: float
    strength: float

    def logits(self, rows: Rows) -> np.ndarray:
        """Return the logits of rows, `[N, C]`.

        Args:
            rows: Token ids of the N rows, `[T]` each.
        """
        return self.logits_of(self.ngrams.counts(rows))

    def logits_of(self, counts: csr_matrix) -> np.ndarray:
        """Return the logits of rows whose n-grams are counted, `[N, C]`.

        Args:
            counts: Counts of the n-grams in each row, `[N, K]`.
        """
        return np.asarray(features(counts, self.scale) @ self.weight) + self.bias

    def pruned(self, counts: csr_matrix, labels: Labels, most: int) -> Bag:
        """Keep the n-grams with the largest weights and fit again; return this bag if it has at most `most` n-grams.

        Args:
            counts: Counts of the n-grams in the training rows, `[N, K]`.
            labels: Labels of the training rows.
            most: Maximum number of n-grams to keep.
        """
        if len(self.ngrams.keys) <= most:
            return self
        size = np.abs(self.weight).max(1) * self.scale
        kept = np.sort(np.argpartition(-size, most)[:most])
        ngrams = replace(self.ngrams, keys=self.ngrams.keys[kept])
        fit = Fit(ngrams, counts[:, kept], labels, self.power)
        fit.model.begin_with(self.weight[kept], self.bias)
        return fit.bag(self.strength)


class Fit:
    """Fits of bags that have the same scale.

    Args:
        ngrams: Known n-grams.
        counts: Counts of the n-grams in the training rows, `[N, K]`.
        labels: Labels of the training rows.
        power: Exponent of the naive-Bayes ratios in the scale.
    """

    def __init__(self, ngrams: NGrams, counts: csr_matrix, labels: Labels, power: float):
        self.ngrams, self.power = ngrams, power
        self.scale = scales(counts, labels, power)
        self.model = LinearModel(features(counts, self.scale), labels)

    def bag(self, *strengths: float) -> Bag:
        """Fit at each strength in turn, each time from the previous weights, and return the last bag.

        Args:
            strengths: Inverse strengths of the L2 regularisation.
        """
        for strength in strengths:
            self.model.fit(strength)
        return Bag(self.ngrams, self.scale, self.model.weight, self.model.bias, self.power, strengths[-1])


def most_ngrams(labels: Labels) -> int:
    """Return the maximum number of n-grams in a fit.

    Args:
        labels: Labels of the training rows.
    """
    return max(1, min(MOST, MOST_WEIGHTS // labels.num_labels))


def fit_bag(rows: Rows, labels: Labels, like: Bag, most: int) -> Bag:
    """Fit a bag of n-grams to rows with the hyperparameters of another bag.

    Args:
        rows: Token ids of the N rows, `[T]` each.
        labels: Labels of the N rows.
        like: Bag whose order, power and strength are used, and whose weights the fit starts from.
        most: Maximum number of n-grams to keep; those with the largest weights are kept.
    """
    ngrams, counts = NGrams.of(rows, like.ngrams.order, like.ngrams.binary, most_ngrams(labels))
    fit = Fit(ngrams, counts, labels, like.power)
    _, places, known = np.intersect1d(ngrams.keys, like.ngrams.keys, assume_unique=True, return_indices=True)
    weight = np.zeros((len(ngrams.keys), like.weight.shape[1]), np.float32)
    weight[places] = like.weight[known]
    fit.model.begin_with(weight, like.bias)
    return fit.bag(like.strength).pruned(counts, labels, most)


__all__ = ["MOST_WEIGHTS", "Bag", "Fit", "NGrams", "Rows", "fit_bag", "keys_of", "most_ngrams"]
