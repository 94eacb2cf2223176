# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Choice of the hyperparameters of a bag of n-grams.

An n-gram counts once per text, however often it occurs. On ten of twelve data sets, the validation loss was lower than
with counts (0.373 instead of 0.400 on reviews of 777 words), and at most 0.005 higher on the other two. With few rows,
cross-validation decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .linear_model import Labels
from .ngrams import Bag, Fit, NGrams, Rows, most_ngrams

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# POWERS of the naive-Bayes ratios are tried at the inverse regularisation strength FIRST. The last one is the best most
# often, and the next fits continue from its weights. Then the best power is tried at the strengths WEAKER and STRONGER
# (weaker and stronger regularisation), each as long as the loss falls by LEAST_FALL of the loss of a constant answer.
# A smaller fall is mostly a matter of scale, which the weights of recurrent network and n-grams adapt. Of 12 data sets,
# the best strength was 3 on two, 10 or 30 on five, and 300 or 1000 on five.
POWERS, FIRST = (0.0, 1.0, 0.5), 30.0
WEAKER, STRONGER, LEAST_FALL = (100.0, 300.0, 1000.0), (10.0, 3.0, 1.0, 0.3, 0.1), 0.005
# With fewer than MIN_VALIDATION_ROWS validation rows, the choice is noisy and cross-validation is used. Measured on 450
# questions of TREC, hyperparameters had an accuracy on other questions of 67.0 % if 50 validation rows chose them, and
# of 69.0 % with 5-fold cross-validation. All folds are in memory at once, which the last two numbers limit.
MIN_VALIDATION_ROWS, FOLDS, MAX_CV_TOKENS, MAX_CV_LOGITS = 1000, 5, 400_000, 1_000_000
# With fewer rows than this in total, cross-validation is noisy too. Measured on 30 questions of TREC in four draws, its
# choice had an accuracy of 43.6 % on 1,000 other questions, and naive-Bayes ratios at FEW_ROWS_STRENGTH had 47.1 %.
MIN_CV_ROWS, FEW_ROWS_STRENGTH = 100, 10.0


@dataclass(frozen=True)
class Hyperparameters:
    """Hyperparameters of a bag.

    Args:
        order: Number of tokens of the longest n-grams.
        power: Exponent of the naive-Bayes ratios in the scale.
        strength: Inverse strength of the L2 regularisation.
        binary: True if an n-gram that occurs several times in a row counts once.
    """

    order: int
    power: float
    strength: float = FIRST
    binary: bool = True


class Split:
    """Training rows to fit bags to, and validation rows to evaluate them on.

    The arguments are the same as in [`choose_bag`].
    """

    def __init__(self, train: tuple[Rows, Labels], validation: tuple[Rows, Labels]):
        self.train, self.validation = train, validation
        # Counts of both splits by order and binary, and the fit for the last order, binary and power.
        self.counts: dict[tuple[int, bool], tuple[NGrams, csr_matrix, csr_matrix]] = {}
        self.fit: tuple[tuple[int, bool, float], Fit] | None = None

    def bag(self, chosen: Hyperparameters) -> Bag:
        """Return a bag that is fitted to the training rows.

        A new fit starts at strength FIRST, because the few iterations do not always converge.

        Args:
            chosen: Hyperparameters of the bag.
        """
        ngrams, counts, _ = self.counted(chosen)
        if self.fit is None or self.fit[0] != (chosen.order, chosen.binary, chosen.power):
            # Free the memory of the last fit before the next one allocates as much.
            self.fit = None
            fit = Fit(ngrams, counts, self.train[1], chosen.power)
            self.fit = (chosen.order, chosen.binary, chosen.power), fit
            if chosen.strength != FIRST:
                fit.bag(FIRST)
        return self.fit[1].bag(chosen.strength)

    def counted(self, chosen: Hyperparameters) -> tuple[NGrams, csr_matrix, csr_matrix]:
        """Return the n-grams of the training rows, their counts there, and their counts in the validation rows.

        Args:
            chosen: Hyperparameters, of which `order` and `binary` are read.
        """
        key = chosen.order, chosen.binary
        if key not in self.counts:
            ngrams, counts = NGrams.of(self.train[0], *key, most_ngrams(self.train[1]))
            self.counts[key] = ngrams, counts, ngrams.counts(self.validation[0])
        return self.counts[key]

    def loss(self, chosen: Hyperparameters) -> float:
        """Return the loss of a fitted bag, summed over the validation rows.

        Args:
            chosen: Hyperparameters of the bag.
        """
        logits = self.bag(chosen).logits_of(self.counted(chosen)[2])
        return self.validation[1].loss(logits) * len(self.validation[0])

    def constant_loss(self) -> float:
        """Return the loss of the best constant answer, summed over the validation rows."""
        return self.validation[1].constant_loss() * len(self.validation[0])


def choose_bag(
    train: tuple[Rows, Labels],
    validation: tuple[Rows, Labels],
    order: int,
    most: int,
    chosen: Hyperparameters | None = None,
) -> Bag:
    """Choose hyperparameters and fit a bag of n-grams to the training rows.

    Power and strength are chosen by the loss on the validation rows. With few validation rows, 5-fold cross-validation
    over all rows chooses them, and counts of repeated n-grams or a lower order if these are better. With fewer than
    MIN_CV_ROWS rows in total, the hyperparameters are fixed: power 1 and strength FEW_ROWS_STRENGTH.

    Args:
        train: Token ids of the training rows, and their labels.
        validation: Token ids of the validation rows, and their labels.
        order: Maximum number of tokens of an n-gram.
        most: Maximum number of n-grams to keep; those with the largest weights are kept.
        chosen: Hyperparameters to use without a search; None to choose them.
    """
    whole, few = Split(train, validation), _are_few(train, validation)
    if chosen is not None:
        return whole.bag(chosen).pruned(whole.counted(chosen)[1], train[1], most)
    if len(train[0]) + len(validation[0]) < MIN_CV_ROWS:
        return whole.bag(Hyperparameters(order, 1.0, FEW_ROWS_STRENGTH))
    splits = folds(train, validation) if few else [whole]

    def loss(chosen: Hyperparameters) -> float:
        return sum(split.loss(chosen) for split in splits)

    def as_long_as_better(
        least: float, best: Hyperparameters, others: Iterable[Hyperparameters], fall: float = 0.0
    ) -> tuple[float, Hyperparameters]:
        for other in others:
            if (found := loss(other)) >= least - fall:
                break
            least, best = found, other
        return least, best

    tried = [Hyperparameters(order, power) for power in POWERS]
    least, best = min(((loss(each), each) for each in tried), key=lambda pair: pair[0])
    fall = LEAST_FALL * sum(split.constant_loss() for split in splits)
    for strengths in (WEAKER, STRONGER):
        others = [replace(best, strength=strength) for strength in strengths]
        least, best = as_long_as_better(least, best, others, fall)
        if best.strength != FIRST:
            break
    # With many rows, long n-grams are useful, and more fits would take too long.
    if few:
        least, best = as_long_as_better(least, best, [replace(best, binary=False)])
        _, best = as_long_as_better(least, best, [replace(best, order=shorter) for shorter in range(order - 1, 0, -1)])
    return whole.bag(best).pruned(whole.counted(best)[1], train[1], most)


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


__all__ = ["MIN_CV_ROWS", "Hyperparameters", "choose_bag"]
