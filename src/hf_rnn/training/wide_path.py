# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The fit of a classifier's wide path: a convex problem, solved after the recurrent network was trained.

The n-grams are those of the training rows. Regularisation and weighting of features are chosen on the validation rows,
and so are the weights of the two halves in their sum.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.utils import broadcast_object_list

from ..inference.predictor import Predictor
from ..models.wide_path import WidePath, longer_keys
from ..text.labels import MULTI, REGRESSION
from ..text.tokenization import fingerprint
from ..utils.output import say

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from scipy.sparse import csr_matrix
    from transformers import PreTrainedTokenizerBase

    from .trainer import RNNTrainer

# The most n-grams that are fitted before those of little weight are left out: the most frequent ones.
MOST = 1_000_000
# The inverse strengths of regularisation, and the powers of naive-Bayes ratios, that are tried.
STRENGTHS, POWERS = (3.0, 10.0, 30.0), (0.0, 0.5, 1.0)


@dataclass
class Labels:
    """The labels of rows, and the loss that a bag of n-grams is fitted by.

    Args:
        problem_type: of the task.
        values: `[N]` class indices or numbers, or `[N, C]` of 0 and 1.
        num_labels: C.
    """

    problem_type: str
    values: np.ndarray
    num_labels: int

    def indicators(self) -> np.ndarray:
        """Return which labels each row has, `[N, C]`; in regression, on which side of the mean it is, `[N, 1]`."""
        if self.problem_type == REGRESSION:
            return (self.values > self.values.mean()).astype(np.float32).reshape(-1, 1)
        if self.problem_type == MULTI:
            return self.values.astype(np.float32)
        return np.eye(self.num_labels, dtype=np.float32)[self.values]

    def loss(self, logits: np.ndarray) -> float:
        """Return the mean loss of logits `[N, C]`."""
        from scipy.special import log_softmax

        if self.problem_type == REGRESSION:
            return float(np.square(logits.reshape(-1) - self.values.reshape(-1)).mean())
        if self.problem_type == MULTI:
            return float((np.logaddexp(0, logits) - logits * self.values).mean())
        return float(-log_softmax(logits, axis=1)[np.arange(len(logits)), self.values].mean())


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
    def of(cls, rows: Sequence[np.ndarray], order: int, most: int) -> NGrams:
        """Return the most frequent n-grams of rows of token ids.

        Args:
            rows: `[T]` int64 each.
            order: tokens of the longest.
            most: n-grams at most.
        """
        keys, counts = np.unique(keys_of(rows, order)[0], return_counts=True)
        if len(keys) > most:
            keys = np.sort(keys[np.argsort(-counts, kind="stable")[:most]])
        return cls(keys, order)

    def counts(self, rows: Sequence[np.ndarray]) -> csr_matrix:
        """Return how often each row has each n-gram, `[N, K]`."""
        from scipy.sparse import csr_matrix

        keys, places = keys_of(rows, self.order)
        columns = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        known = self.keys[columns] == keys
        shape, ones = (len(rows), len(self.keys)), np.ones(int(known.sum()), np.float32)
        counts = csr_matrix((ones, (places[known], columns[known])), shape=shape)
        counts.sum_duplicates()
        return counts


def keys_of(rows: Sequence[np.ndarray], order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys of all n-grams of rows, and the row of each.

    Args:
        rows: `[T]` token ids each.
        order: tokens of the longest n-gram.
    """
    ids = np.concatenate([*rows, np.zeros(0, np.int64)]).astype(np.int64)
    row = np.repeat(np.arange(len(rows)), [len(each) for each in rows])
    keys, all_keys, all_rows = np.zeros_like(ids), [], []
    for n in range(order):
        # These extend the n-grams that end at the token before. None reaches into the row before.
        keys = longer_keys(keys[: len(ids) - n] if n == 0 else keys[:-1], ids[n:])
        inside = row[n:] == row[: len(row) - n]
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
        with_label, without = 1 + has.T @ indicator, 1 + has.T @ (1 - indicator)
        squares += np.log(with_label / with_label.sum() / (without / without.sum())) ** 2
    ratios = np.sqrt(squares / indicators.shape[1])
    return (ratios**power * inverse).astype(np.float32)


def features(counts: csr_matrix, scale: np.ndarray) -> csr_matrix:
    """Return `count · scale / norm`, `[N, K]`, as [`~hf_rnn.models.wide_path.WidePath`] computes them."""
    from scipy.sparse import diags

    norms = np.sqrt(counts @ np.square(scale.astype(np.float64)))
    norms[norms == 0] = 1
    return (diags((1 / norms).astype(np.float32)) @ counts @ diags(scale)).tocsr()


def linear(x: csr_matrix, labels: Labels, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Fit weights `[K, C]` and biases `[C]` of a linear model.

    Args:
        x: features `[N, K]`.
        labels: of the N rows.
        strength: inverse strength of the L2 regularisation.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge

    def logistic(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        model = LogisticRegression(C=strength, max_iter=100).fit(x, y)
        return model.coef_, model.intercept_

    C = labels.num_labels
    weight, bias = np.zeros((x.shape[1], C), np.float32), np.zeros(C, np.float32)
    with warnings.catch_warnings():
        # Validation rows judge it as it is.
        warnings.simplefilter("ignore", ConvergenceWarning)
        if labels.problem_type == REGRESSION:
            model = Ridge(alpha=1 / strength).fit(x, labels.values.reshape(len(labels.values), -1))
            return model.coef_.reshape(C, -1).T.astype(np.float32), np.reshape(model.intercept_, C).astype(np.float32)
        if labels.problem_type == MULTI:
            for label in range(C):
                found = labels.values[:, label]
                if 0 < found.sum() < len(found):
                    coefficients, intercept = logistic(found)
                    weight[:, label], bias[label] = coefficients[0], intercept[0]
                else:
                    bias[label] = 10.0 if found.all() else -10.0
            return weight, bias
        seen = np.unique(labels.values)
        if len(seen) < 2:
            return weight, bias
        coefficients, intercept = logistic(labels.values)
        if len(seen) == 2:
            coefficients, intercept = (
                np.stack([-coefficients[0], coefficients[0]]) / 2,
                np.r_[-intercept, intercept] / 2,
            )
        weight[:, seen] = coefficients.T
        # A label that no training row has is not to be answered.
        bias[:] = -10.0
        bias[seen] = intercept
    return weight, bias


@dataclass
class Bag:
    """A fitted bag of n-grams.

    Args:
        ngrams: that it knows.
        scale: `[K]` of its features.
        weight: `[K, C]` of its features.
        bias: `[C]`.
        power, strength: that were chosen.
        logits: `[N, C]` of the validation rows.
        loss: theirs.
    """

    ngrams: NGrams
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    power: float
    strength: float
    logits: np.ndarray
    loss: float


def fit_bag(
    train: tuple[Sequence[np.ndarray], Labels], validation: tuple[Sequence[np.ndarray], Labels], order: int, most: int
) -> Bag:
    """Fit a bag of n-grams, and choose how on validation rows.

    Args:
        train, validation: rows of token ids, and their labels.
        order: tokens of the longest n-gram.
        most: n-grams that it may keep: those of the largest weights.
    """
    ngrams = NGrams.of(train[0], order, MOST)
    counted = ngrams, ngrams.counts(train[0]), ngrams.counts(validation[0])

    def fitted(counted: tuple[NGrams, csr_matrix, csr_matrix], tried: Sequence[tuple[float, float]]) -> Bag:
        (ngrams, counts, of_validation), bags = counted, []
        for power, strength in tried:
            scale = scales(counts, train[1], power)
            weight, bias = linear(features(counts, scale), train[1], strength)
            logits = np.asarray(features(of_validation, scale) @ weight) + bias
            bags.append(Bag(ngrams, scale, weight, bias, power, strength, logits, validation[1].loss(logits)))
        return min(bags, key=lambda bag: bag.loss)

    bag = fitted(counted, [(power, STRENGTHS[1]) for power in POWERS])
    others = fitted(counted, [(bag.power, strength) for strength in STRENGTHS if strength != STRENGTHS[1]])
    bag = min(bag, others, key=lambda each: each.loss)
    if len(ngrams.keys) > most:
        size = np.abs(bag.weight).max(1) * bag.scale
        kept = np.sort(np.argpartition(-size, most)[:most])
        ngrams = NGrams(ngrams.keys[kept], order)
        counted = ngrams, counted[1][:, kept], counted[2][:, kept]
        bag = fitted(counted, [(bag.power, bag.strength)])
    return bag


def mixing_weights(recurrent: np.ndarray, wide: np.ndarray, labels: Labels) -> tuple[float, float]:
    """Return the weights of two halves whose sum has the least loss; each 0 or greater.

    Args:
        recurrent, wide: logits `[N, C]` of the two halves.
        labels: of the N rows.
    """
    from scipy.optimize import minimize

    def loss(weights: np.ndarray) -> float:
        return labels.loss(weights[0] * recurrent + weights[1] * wide)

    # Alone, each half can be scaled too.
    starts: list[tuple[float, float]] = [(0.5, 0.5), (1.0, 0.0), (0.0, 1.0)]
    found = [minimize(loss, start, bounds=[(0, 10), (0, 10)], method="L-BFGS-B") for start in starts]
    best = min(found, key=lambda each: each.fun)
    return float(best.x[0]), float(best.x[1])


def fit_wide_path(
    config: Any, train: Dataset, validation: Dataset, most: int, recurrent: np.ndarray
) -> tuple[WidePath | None, dict[str, Any]]:
    """Fit a wide path for a trained classifier.

    Args:
        config: of a model without wide path; it is told the number of n-grams.
        train, validation: encoded rows.
        most: n-grams that it may have.
        recurrent: logits `[N, C]` of the model for the validation rows.

    Returns:
        The wide path, or None if the validation rows say that it does not help; and the decisions: `ngrams`, `order`,
        `power`, `strength`, `recurrent_weight`, `wide_weight`, and the validation losses of the two halves and of
        their sum.
    """

    def rows_and_labels(rows: Dataset) -> tuple[list[np.ndarray], Labels]:
        ids = [np.asarray(each, np.int64) for each in rows.with_format("numpy")["input_ids"][:]]
        return ids, Labels(str(config.problem_type), np.asarray(rows["labels"]), config.num_labels)

    of_train, of_validation = rows_and_labels(train), rows_and_labels(validation)
    bag = fit_bag(of_train, of_validation, config.wide_order, most)
    a, b = mixing_weights(recurrent, bag.logits, of_validation[1])
    loss = of_validation[1].loss
    decisions = {
        "ngrams": len(bag.ngrams.keys) if b > 0 else 0,
        "order": config.wide_order,
        "power": bag.power,
        "strength": bag.strength,
        "recurrent_weight": round(a, 4),
        "wide_weight": round(b, 4),
        "losses": {
            "recurrence": round(loss(recurrent), 4),
            "wide path": round(bag.loss, 4),
            "both": round(loss(a * recurrent + b * bag.logits), 4),
        },
    }
    if b == 0:
        return None, decisions
    config.wide_ngrams = len(bag.ngrams.keys)
    path = WidePath(config)
    with torch.no_grad():
        path.keys.copy_(torch.from_numpy(bag.ngrams.keys))
        path.scale.copy_(torch.from_numpy(bag.scale))
        path.weight.copy_(torch.from_numpy(b * bag.weight * bag.scale[:, None]))
        path.bias.copy_(torch.from_numpy(b * bag.bias))
        path.recurrent_weight.fill_(a)
    return path, decisions


def add_wide_path(
    trainer: RNNTrainer, tokenizer: PreTrainedTokenizerBase, encoded: DatasetDict, most: int
) -> dict[str, Any]:
    """Add a wide path to a trained classifier, where validation rows say that it helps, and print the decisions.

    Args:
        trainer: that has trained; its processes all have the same wide path then.
        tokenizer: of the model.
        encoded: the splits.
        most: n-grams that it may have.

    Returns:
        The decisions, as `wide_path`.
    """
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    fitted = None
    if trainer.args.process_index == 0:
        validation = encoded["validation"].with_format("numpy")["input_ids"][:]
        recurrent = Predictor(model.eval(), tokenizer, trainer.task).logits(validation)
        fitted = fit_wide_path(model.config, encoded["train"], encoded["validation"], most, recurrent)
    path, decisions = broadcast_object_list([fitted])[0]
    model.config.wide_ngrams = decisions["ngrams"]
    if path is not None:
        model.config.wide_vocabulary = fingerprint(tokenizer)
        model.wide_path = path.to(model.device)
    if trainer.args.should_log:
        say(summary(decisions))
    return {"wide_path": decisions}


def summary(decisions: dict[str, Any]) -> str:
    """Return the decisions of [`fit_wide_path`] on one line."""
    losses = ", ".join(f"{name} {value:.4f}" for name, value in decisions["losses"].items())
    end = f"validation loss: {losses}"
    if not decisions["ngrams"]:
        return f"wide path  left out, since the recurrence is better alone; {end}"
    a, b = decisions["recurrent_weight"], decisions["wide_weight"]
    known = f"{decisions['ngrams']:,} n-grams of up to {decisions['order']} tokens"
    return f"wide path  {known}; logits = {a:.2f} · recurrence + {b:.2f} · n-grams; {end}"


__all__ = ["add_wide_path", "fit_bag", "fit_wide_path", "mixing_weights"]
