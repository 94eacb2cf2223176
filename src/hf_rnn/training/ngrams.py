# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""A linear model of n-grams of tokens, weighted by how much they tell the labels apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..models.wide_path import longer_keys
from .linear_model import Labels, LinearModel

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# The most n-grams that are fitted before those of little weight are left out: the most frequent ones. And the most
# weights that they have for all labels, of which L-BFGS holds some 25 copies.
MOST, MOST_WEIGHTS = 1_000_000, 20_000_000
# The powers of naive-Bayes ratios that are tried, with the inverse strength of regularisation FIRST; at last the one
# that is best most often, since its fit goes on. The strengths that are tried with the best of them, away from FIRST as
# long as they are better.
POWERS, FIRST = (0.0, 1.0, 0.5), 10.0
WEAKER, STRONGER = (30.0, 100.0), (3.0, 1.0, 0.3, 0.1)
# With fewer validation rows than MIN_VALIDATION_ROWS the choice is noisy: for 450 questions of TREC, hyper-parameters
# that 50 validation rows chose had 67.0 % of other questions right, and those of 5-fold cross-validation 69.0 %. All
# folds are in memory at once, so that rows of more tokens or logits than these have none.
MIN_VALIDATION_ROWS, FOLDS, MAX_CV_TOKENS, MAX_CV_LOGITS = 1000, 5, 400_000, 1_000_000
# With fewer rows than this in all, cross-validation is noise too: of 30 questions of TREC in four draws, what it chose
# had 43.6 % of 1,000 others right, and naive-Bayes ratios with FIRST had 47.1 %.
MIN_CV_ROWS = 100

# The token ids of each row; those below 0 are in no n-gram.
Rows = Sequence[np.ndarray]


@dataclass
class NGrams:
    """The n-grams that a wide path knows.

    Args:
        keys: `[K]` int64, sorted.
        order: tokens of the longest.
    """

    keys: np.ndarray
    order: int

    @classmethod
    def of(cls, rows: Rows, order: int, most: int) -> tuple[NGrams, csr_matrix]:
        """Return the most frequent n-grams of rows, and how often each row has each, `[N, K]`.

        Args:
            rows: `[T]` token ids each.
            order: tokens of the longest.
            most: n-grams at most.
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
        """Return how often each row has each n-gram, `[N, K]`.

        Args:
            rows: `[T]` token ids each.
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
    """Return the keys of all n-grams of rows, and the row of each.

    Args:
        rows: `[T]` token ids each.
        order: tokens of the longest n-gram.
    """
    ids = np.concatenate([*rows, np.zeros(0, np.int64)]).astype(np.int64)
    row = np.repeat(np.arange(len(rows)), [len(each) for each in rows])
    keys, known, all_keys, all_rows = np.zeros_like(ids), ids >= 0, [], []
    for n in range(order):
        # These extend the n-grams that end at the token before. None reaches into the row before.
        keys = longer_keys(keys[: len(ids) - n] if n == 0 else keys[:-1], ids[n:])
        known = (known if n == 0 else known[:-1]) & (ids[n:] >= 0)
        inside = known & (row[n:] == row[: max(0, len(row) - n)])
        all_keys.append(keys[inside])
        all_rows.append(row[n:][inside])
    return np.concatenate(all_keys), np.concatenate(all_rows)


def scales(counts: csr_matrix, labels: Labels, power: float) -> np.ndarray:
    """Return the weights of features, `[K]`: inverse document frequencies (as scikit-learn smooths them), times a power
    of naive-Bayes ratios, their root mean square over the labels (Wang and Manning 2012).

    Args:
        counts: `[N, K]`.
        labels: of the N rows.
        power: of the ratios; 0 for inverse document frequencies alone.
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
    """Return `count · scale / norm`, `[N, K]`, as [`~hf_rnn.models.wide_path.WidePath`] computes them."""
    from scipy.sparse import diags

    norms = np.sqrt(counts @ np.square(scale.astype(np.float64)))
    norms[norms == 0] = 1
    return (diags((1 / norms).astype(np.float32)) @ counts @ diags(scale)).tocsr()


@dataclass
class Bag:
    """A fitted bag of n-grams.

    Args:
        ngrams: that it knows.
        scale: `[K]` of its features.
        weight: `[K, C]` of its features.
        bias: `[C]`.
        power: of the naive-Bayes ratios in its scale.
        strength: inverse strength of its regularisation.
    """

    ngrams: NGrams
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    power: float
    strength: float

    def logits(self, rows: Rows) -> np.ndarray:
        """Return logits `[N, C]`.

        Args:
            rows: the token ids of each.
        """
        return self.logits_of(self.ngrams.counts(rows))

    def logits_of(self, counts: csr_matrix) -> np.ndarray:
        """Return logits `[N, C]`.

        Args:
            counts: `[N, K]` of the rows.
        """
        return np.asarray(features(counts, self.scale) @ self.weight) + self.bias

    def pruned(self, counts: csr_matrix, labels: Labels, most: int) -> Bag:
        """Return a bag of the n-grams of the largest weights, fitted anew; this one where it has no more.

        Args:
            counts: `[N, K]` of the training rows.
            labels: of these rows.
            most: n-grams that are kept.
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
    """The fit of bags of one scale; the arguments are those of [`Bag`] and [`Bag.pruned`]."""

    def __init__(self, ngrams: NGrams, counts: csr_matrix, labels: Labels, power: float):
        self.ngrams, self.power = ngrams, power
        self.scale = scales(counts, labels, power)
        self.model = LinearModel(features(counts, self.scale), labels)

    def bag(self, *strengths: float) -> Bag:
        """Return the bag of the last of some strengths. Each fit goes on from the weights of the one before it.

        Args:
            strengths: inverse strengths of the regularisation.
        """
        for strength in strengths:
            self.model.fit(strength)
        return Bag(self.ngrams, self.scale, self.model.weight, self.model.bias, self.power, strengths[-1])


@dataclass(frozen=True)
class Hyperparameters:
    """The hyper-parameters of a bag.

    Args:
        order: tokens of its longest n-gram.
        power: of the naive-Bayes ratios in its scale.
        strength: inverse strength of its regularisation.
    """

    order: int
    power: float
    strength: float = FIRST


class Split:
    """Training rows, and validation rows that judge what is fitted to them; the arguments are those of
    [`choose_bag`]."""

    def __init__(self, train: tuple[Rows, Labels], validation: tuple[Rows, Labels]):
        self.train, self.validation = train, validation
        # `counts` by order, and the fit of the last order and power.
        self.counts: dict[int, tuple[NGrams, csr_matrix, csr_matrix]] = {}
        self.fit: tuple[tuple[int, float], Fit] | None = None

    def bag(self, chosen: Hyperparameters) -> Bag:
        """Return a fitted bag. All fits begin with the strength FIRST, since few iterations do not always converge."""
        order, power = chosen.order, chosen.power
        if order not in self.counts:
            ngrams, counts = NGrams.of(self.train[0], order, _most(self.train[1]))
            self.counts[order] = ngrams, counts, ngrams.counts(self.validation[0])
        if self.fit is None or self.fit[0] != (order, power):
            # The memory of the last one is free before the next one takes as much.
            self.fit = None
            self.fit = (order, power), Fit(*self.counts[order][:2], self.train[1], power)
            if chosen.strength != FIRST:
                self.fit[1].bag(FIRST)
        return self.fit[1].bag(chosen.strength)

    def loss(self, chosen: Hyperparameters) -> float:
        """Return the loss of a fitted bag, summed over the validation rows."""
        logits = self.bag(chosen).logits_of(self.counts[chosen.order][2])
        return self.validation[1].loss(logits) * len(self.validation[0])


def choose_bag(train: tuple[Rows, Labels], validation: tuple[Rows, Labels], order: int, most: int) -> Bag:
    """Fit a bag of n-grams to training rows. Its power and strength are chosen by the loss of the validation rows or,
    where they are few, with its order, by 5-fold cross-validation over all rows.

    Args:
        train, validation: rows of token ids, and their labels.
        order: tokens of the longest n-gram, at most.
        most: n-grams that it may keep: those of the largest weights.
    """
    whole, few = Split(train, validation), _are_few(train, validation)
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
    # Many rows have use for long n-grams, and many fits would take long.
    if few:
        _, best = as_long_as_better(least, best, [replace(best, order=shorter) for shorter in range(order - 1, 0, -1)])
    return whole.bag(best).pruned(whole.counts[best.order][1], train[1], most)


def _are_few(train: tuple[Rows, Labels], validation: tuple[Rows, Labels]) -> bool:
    rows, labels = [*train[0], *validation[0]], train[1].num_labels
    small = sum(map(len, rows)) <= MAX_CV_TOKENS and labels * len(rows) <= MAX_CV_LOGITS
    return len(validation[0]) < MIN_VALIDATION_ROWS and small


def folds(train: tuple[Rows, Labels], validation: tuple[Rows, Labels]) -> list[Split]:
    """Return the splits of cross-validation over all rows.

    Args:
        train, validation: rows of token ids, and their labels.
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
    """Fit a bag of n-grams to more rows.

    Args:
        rows: token ids of each.
        labels: of these rows.
        like: the bag that tells order, power and strength, with whose weights the fit begins.
        most: n-grams that it may keep: those of the largest weights.
    """
    ngrams, counts = NGrams.of(rows, like.ngrams.order, _most(labels))
    fit = Fit(ngrams, counts, labels, like.power)
    _, places, known = np.intersect1d(ngrams.keys, like.ngrams.keys, assume_unique=True, return_indices=True)
    weight = np.zeros((len(ngrams.keys), like.weight.shape[1]), np.float32)
    weight[places] = like.weight[known]
    fit.model.begin_with(weight, like.bias)
    return fit.bag(like.strength).pruned(counts, labels, most)


__all__ = ["Bag", "NGrams", "choose_bag", "fit_bag"]
