# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Linear model on token n-grams, which are weighted by naive-Bayes ratios and inverse document frequencies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
# POWERS of the naive-Bayes ratios are tried at the inverse regularisation strength FIRST. The last one is the best most
# often, and the next fits continue from its weights. Then the best power is tried at the strengths WEAKER and STRONGER
# (weaker and stronger regularisation), each as long as the loss falls.
POWERS, FIRST = (0.0, 1.0, 0.5), 10.0
WEAKER, STRONGER = (30.0, 100.0), (3.0, 1.0, 0.3, 0.1)
# With fewer than MIN_VALIDATION_ROWS validation rows, the choice is noisy and cross-validation is used. Measured on 450
# questions of TREC, hyperparameters had an accuracy on other questions of 67.0 % if 50 validation rows chose them, and
# of 69.0 % with 5-fold cross-validation. All folds are in memory at once, which the last two numbers limit.
MIN_VALIDATION_ROWS, FOLDS, MAX_CV_TOKENS, MAX_CV_LOGITS = 1000, 5, 400_000, 1_000_000
# With fewer rows than this in total, cross-validation is noisy too. Measured on 30 questions of TREC in four draws, its
# choice had an accuracy of 43.6 % on 1,000 other questions, and naive-Bayes ratios at FIRST had 47.1 %.
MIN_CV_ROWS = 100

# Token ids of each row. No n-gram contains an id below 0.
Rows = Sequence[np.ndarray]


@dataclass
class NGrams:
    """Known n-grams of a wide path.

    Args:
        keys: Sorted int64 keys, `[K]`, from [`~hf_rnn.models.wide_path.longer_keys`].
        order: Number of tokens of the longest n-grams.
    """

    keys: np.ndarray
    order: int

    @classmethod
    def of(cls, rows: Rows, order: int, most: int) -> tuple[NGrams, csr_matrix]:
        """Return the most frequent n-grams of rows, and their counts in each row, `[N, K]`.

        Args:
            rows: Token ids of the N rows, `[T]` each.
            order: Number of tokens of the longest n-grams.
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
        return cls(known, order), _counted(places, columns, (len(rows), len(known)))

    def counts(self, rows: Rows) -> csr_matrix:
        """Count the known n-grams in each row, `[N, K]`.

        Args:
            rows: Token ids of the N rows, `[T]` each.
        """
        keys, places = keys_of(rows, self.order)
        if not len(self.keys):
            keys, places = keys[:0], places[:0]
        columns = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        known = self.keys[columns] == keys
        return _counted(places[known], columns[known], (len(rows), len(self.keys)))


def _counted(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> csr_matrix:
    from scipy.sparse import csr_matrix

    counts = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    counts.sum_duplicates()
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
        ngrams = NGrams(self.ngrams.keys[kept], self.ngrams.order)
        fit = Fit(ngrams, counts[:, kept], labels, self.power)
        fit.model.begin_with(self.weight[kept], self.bias)
        return fit.bag(self.strength)


class Fit:
    """Fits of bags that have the same scale. The arguments are the same as in [`Bag`] and [`Bag.pruned`]."""

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


@dataclass(frozen=True)
class Hyperparameters:
    """Hyperparameters of a bag.

    Args:
        order: Number of tokens of the longest n-grams.
        power: Exponent of the naive-Bayes ratios in the scale.
        strength: Inverse strength of the L2 regularisation.
    """

    order: int
    power: float
    strength: float = FIRST


class Split:
    """Training rows to fit bags to, and validation rows to evaluate them on.

    The arguments are the same as in [`choose_bag`].
    """

    def __init__(self, train: tuple[Rows, Labels], validation: tuple[Rows, Labels]):
        self.train, self.validation = train, validation
        # Counts of both splits by order, and the fit for the last order and power.
        self.counts: dict[int, tuple[NGrams, csr_matrix, csr_matrix]] = {}
        self.fit: tuple[tuple[int, float], Fit] | None = None

    def bag(self, chosen: Hyperparameters) -> Bag:
        """Return a bag that is fitted to the training rows.

        A new fit starts at strength FIRST, because the few iterations do not always converge.

        Args:
            chosen: Hyperparameters of the bag.
        """
        order, power = chosen.order, chosen.power
        if order not in self.counts:
            ngrams, counts = NGrams.of(self.train[0], order, _most(self.train[1]))
            self.counts[order] = ngrams, counts, ngrams.counts(self.validation[0])
        if self.fit is None or self.fit[0] != (order, power):
            # Free the memory of the last fit before the next one allocates as much.
            self.fit = None
            self.fit = (order, power), Fit(*self.counts[order][:2], self.train[1], power)
            if chosen.strength != FIRST:
                self.fit[1].bag(FIRST)
        return self.fit[1].bag(chosen.strength)

    def loss(self, chosen: Hyperparameters) -> float:
        """Return the loss of a fitted bag, summed over the validation rows.

        Args:
            chosen: Hyperparameters of the bag.
        """
        logits = self.bag(chosen).logits_of(self.counts[chosen.order][2])
        return self.validation[1].loss(logits) * len(self.validation[0])


def choose_bag(
    train: tuple[Rows, Labels],
    validation: tuple[Rows, Labels],
    order: int,
    most: int,
    chosen: Hyperparameters | None = None,
) -> Bag:
    """Choose hyperparameters and fit a bag of n-grams to the training rows.

    Power and strength have the least loss on the validation rows. With few validation rows, 5-fold cross-validation
    over all rows chooses them, and a lower order if that is better. With fewer than MIN_CV_ROWS rows in total, the
    hyperparameters are fixed: power 1 and strength FIRST.

    Args:
        train: Token ids of the training rows, and their labels.
        validation: Token ids of the validation rows, and their labels.
        order: Maximum number of tokens of an n-gram.
        most: Maximum number of n-grams to keep; those with the largest weights are kept.
        chosen: Hyperparameters to use without a search; None to choose them.
    """
    whole, few = Split(train, validation), _are_few(train, validation)
    if chosen is not None:
        return whole.bag(chosen).pruned(whole.counts[chosen.order][1], train[1], most)
    if len(train[0]) + len(validation[0]) < MIN_CV_ROWS:
        return whole.bag(Hyperparameters(order, power=1.0))
    splits = folds(train, validation) if few else [whole]

    def loss(chosen: Hyperparameters) -> float:
        return sum(split.loss(chosen) for split in splits)

    def as_long_as_better(
        least: float, best: Hyperparameters, others: Iterable[Hyperparameters]
    ) -> tuple[float, Hyperparameters]:
        for other in others:
            if (found := loss(other)) >= least:
                break
            least, best = found, other
        return least, best

    tried = [Hyperparameters(order, power) for power in POWERS]
    least, best = min(((loss(each), each) for each in tried), key=lambda pair: pair[0])
    for strengths in (WEAKER, STRONGER):
        least, best = as_long_as_better(least, best, [replace(best, strength=strength) for strength in strengths])
        if best.strength != FIRST:
            break
    # With many rows, long n-grams are useful, and more fits would take too long.
    if few:
        _, best = as_long_as_better(least, best, [replace(best, order=shorter) for shorter in range(order - 1, 0, -1)])
    return whole.bag(best).pruned(whole.counts[best.order][1], train[1], most)


def _are_few(train: tuple[Rows, Labels], validation: tuple[Rows, Labels]) -> bool:
    rows, labels = [*train[0], *validation[0]], train[1].num_labels
    small = sum(map(len, rows)) <= MAX_CV_TOKENS and labels * len(rows) <= MAX_CV_LOGITS
    return len(validation[0]) < MIN_VALIDATION_ROWS and small


def folds(train: tuple[Rows, Labels], validation: tuple[Rows, Labels]) -> list[Split]:
    """Return the splits of a 5-fold cross-validation over all rows.

    Args:
        train: Token ids of the training rows, and their labels.
        validation: Token ids of the validation rows, and their labels.
    """
    from sklearn.model_selection import KFold

    rows, labels = [*train[0], *validation[0]], train[1].joined(validation[1])

    def some(places: np.ndarray) -> tuple[Rows, Labels]:
        return [rows[place] for place in places], labels.some(places)

    parts = KFold(min(FOLDS, len(rows)), shuffle=True, random_state=0).split(np.arange(len(rows)))
    return [Split(some(train_places), some(places)) for train_places, places in parts]


def _most(labels: Labels) -> int:
    return max(1, min(MOST, MOST_WEIGHTS // labels.num_labels))


def fit_bag(rows: Rows, labels: Labels, like: Bag, most: int) -> Bag:
    """Fit a bag of n-grams to rows with the hyperparameters of another bag.

    Args:
        rows: Token ids of the N rows, `[T]` each.
        labels: Labels of the N rows.
        like: Bag whose order, power and strength are used, and whose weights the fit starts from.
        most: Maximum number of n-grams to keep; those with the largest weights are kept.
    """
    ngrams, counts = NGrams.of(rows, like.ngrams.order, _most(labels))
    fit = Fit(ngrams, counts, labels, like.power)
    _, places, known = np.intersect1d(ngrams.keys, like.ngrams.keys, assume_unique=True, return_indices=True)
    weight = np.zeros((len(ngrams.keys), like.weight.shape[1]), np.float32)
    weight[places] = like.weight[known]
    fit.model.begin_with(weight, like.bias)
    return fit.bag(like.strength).pruned(counts, labels, most)


__all__ = ["Bag", "Hyperparameters", "NGrams", "choose_bag", "fit_bag"]
