# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Fit of the wide path of a text classifier, after the training of the recurrent network.

The fit is a convex problem. The loss on the validation split chooses the weighting and regularisation of the n-grams;
with few validation rows, cross-validation chooses them and the order. The weights of recurrent network and n-grams in
the sum of logits are chosen on the validation split. After the evaluation on it, the n-grams are fitted to both splits.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.utils import broadcast_object_list

from ..inference.predictor import Predictor
from ..models.configuration_rnn import RNNConfig
from ..models.wide_path import WidePath
from ..text.labels import REGRESSION
from ..text.vocabulary import fingerprint
from ..utils.output import say
from .class_balance import weights_in_effect
from .linear_model import Labels
from .ngram_choice import MIN_CV_ROWS, Hyperparameters, choose_bag
from .ngrams import Bag, fit_bag

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from transformers import PreTrainedTokenizerBase

    from .trainer import RNNTrainer

# Maximum number of tokens, and of logits, to which n-grams are fitted. Of more rows, a random sample is taken.
MOST_TOKENS, MOST_LOGITS = 20_000_000, 100_000_000
# Strengths of two Gaussian priors on the weights of recurrent network and n-grams: each is near ½, and both are equal.
# A few validation rows determine the sum of the weights, but hardly their difference. Measured on 450 questions of
# TREC, 50 validation rows gave 0.73 and 0.19 without the second prior; equal weights had a lower loss on other
# questions.
PRIOR_HALF, PRIOR_EQUAL = 1.0, 4.0
# Ratio of the standard deviation of the recurrent network's weighted logits to that of the n-grams' logits, used with
# fewer than MIN_CV_ROWS rows in total.
FEW_ROWS_SPREAD = 0.2


def mixing_weights(recurrent: np.ndarray, wide: np.ndarray, labels: Labels, all_rows: int) -> tuple[float, float]:
    """Return the weights of the recurrent network's and the n-grams' logits whose sum has the least loss.

    The weights are 0 or greater. Priors keep them near ½ and near each other if there are few validation rows.

    With fewer than MIN_CV_ROWS rows in total, except in regression, the weights are not fitted. The weight of the
    n-grams is then 1. The weight of the recurrent network gives its logits a fifth of the standard deviation of the
    n-grams' logits.

    Args:
        recurrent: Logits of the recurrent network for the validation rows, `[N, C]`.
        wide: Logits of the n-grams for the validation rows, `[N, C]`.
        labels: Labels of the N validation rows.
        all_rows: Number of training and validation rows together.
    """
    from scipy.optimize import minimize

    if all_rows < MIN_CV_ROWS and labels.problem_type != REGRESSION and wide.std():
        # So few validation rows cannot determine the weights. The recurrent network is overconfident, because it has
        # memorised its few training rows.
        return FEW_ROWS_SPREAD * _spread(wide) / max(_spread(recurrent), 1e-6), 1.0
    rows = labels.effective_rows() * labels.values.size / len(labels.values)
    unit = labels.constant_loss() or 1.0 if labels.problem_type == REGRESSION else 1.0

    def loss(weights: np.ndarray) -> float:
        prior = PRIOR_HALF * np.square(weights - 0.5).sum() + PRIOR_EQUAL * (weights[0] - weights[1]) ** 2
        return labels.loss(weights[0] * recurrent + weights[1] * wide) / unit + prior / rows

    # The last two starting points are those of one part alone, which may be scaled too.
    starts: list[tuple[float, float]] = [(0.5, 0.5), (1.0, 0.0), (0.0, 1.0)]
    found = [minimize(loss, start, bounds=[(0, 10), (0, 10)], method="L-BFGS-B") for start in starts]
    best = min(found, key=lambda each: each.fun)
    return float(best.x[0]), float(best.x[1])


@dataclass
class WidePaths:
    """Wide paths of a text classifier, with the decisions of their fit.

    Args:
        measured: Wide path fitted to the training rows, for the evaluation on the validation split; None if the fitted
            weight of the n-grams is 0, or there are no n-grams.
        final: Wide path fitted to training and validation rows; None in the same cases.
        decisions: Number of `ngrams`, the training `rows` of `all_rows` in the fit, `order`, `power`, `strength`,
            `binary`, `recurrent_weight`, `wide_weight`, and the validation `losses` of the two parts and of their sum.
        seconds: Duration of the fit in seconds.
    """

    measured: WidePath | None
    final: WidePath | None
    decisions: dict[str, Any]
    seconds: float = 0.0


def fit_wide_paths(
    config: Any,
    train: Dataset,
    validation: Dataset,
    most: int,
    recurrent: np.ndarray,
    unk_token_id: int | None,
    class_weights: np.ndarray | None = None,
    chosen: Hyperparameters | None = None,
    bags: dict | None = None,
) -> WidePaths:
    """Fit the wide paths of a trained text classifier.

    Args:
        config: Configuration of the model, which has no wide path yet.
        train: Encoded training rows.
        validation: Encoded validation rows.
        most: Maximum number of n-grams.
        recurrent: Logits of the recurrent network for the validation rows, `[N, C]`.
        unk_token_id: Id of the unknown token; None if the tokenizer has none. No n-gram contains it: it is rarer in the
            training rows, which the vocabulary comes from, than in other texts.
        class_weights: Weight of each class in the loss, `[C]`; None for 1.
        chosen: Hyperparameters of the n-grams; None to choose them.
        bags: Fitted n-grams of earlier calls with the same rows, which are not fitted again; changed in place. None to
            fit them.
    """
    bags = {} if bags is None else bags

    def rows_and_labels(rows: Dataset) -> tuple[list[np.ndarray], Labels]:
        ids = [np.asarray(each, np.int64) for each in rows.with_format("numpy")["input_ids"][:]]
        if unk_token_id is not None:
            ids = [np.where(each == unk_token_id, -1, each) for each in ids]
        return ids, Labels(str(config.problem_type), np.asarray(rows["labels"]), config.num_labels, class_weights)

    places = _some([train, validation], config.num_labels)
    of_train, (rows, labels) = rows_and_labels(train.select(places[0])), rows_and_labels(validation.select(places[1]))
    recurrent = recurrent[places[1]]
    key = config.wide_order, most
    if key not in bags:
        bags[key] = choose_bag(of_train, (rows, labels), config.wide_order, most, chosen)
    bag = bags[key]
    wide = bag.logits(rows)
    a, b = mixing_weights(recurrent, wide, labels, len(train) + len(validation))
    decisions = {
        "ngrams": 0,
        "rows": len(places[0]),
        "all_rows": len(train),
        "order": bag.ngrams.order,
        "power": bag.power,
        "strength": bag.strength,
        "binary": bag.ngrams.binary,
        "recurrent_weight": round(a, 4),
        "wide_weight": round(b, 4),
        "losses": {
            "recurrence": round(labels.loss(recurrent), 4),
            "wide path": round(labels.loss(wide), 4),
            "both": round(labels.loss(a * recurrent + b * wide), 4),
        },
    }
    if b == 0 or not len(bag.ngrams.keys):
        return WidePaths(None, None, decisions)
    of_both = (*key, "with validation")
    if of_both not in bags:
        bags[of_both] = fit_bag([*of_train[0], *rows], of_train[1].joined(labels), bag, most)
    final = bags[of_both]
    decisions["ngrams"] = len(final.ngrams.keys)
    return WidePaths(_path_of(config, bag, a, b), _path_of(config, final, a, b), decisions)


def _spread(logits: np.ndarray) -> float:
    """Return the standard deviation of logits `[N, C]`, centred in each row if there are several labels."""
    return float((logits - logits.mean(1, keepdims=True) if logits.shape[1] > 1 else logits).std())


def _some(splits: list[Dataset], labels: int) -> list[np.ndarray]:
    """Return sorted indices of rows of each split: all, or a random sample within MOST_TOKENS and MOST_LOGITS."""
    tokens, rows = (sum(each) for each in zip(*((sum(split["length"]), len(split)) for split in splits), strict=True))
    share = min(1.0, MOST_TOKENS / max(1, tokens), MOST_LOGITS / (labels * max(1, rows)))
    draw = np.random.default_rng(0).permutation
    return [np.sort(draw(len(split))[: max(1, math.floor(share * len(split)))]) for split in splits]


def _path_of(config: Any, bag: Bag, recurrent_weight: float, wide_weight: float) -> WidePath:
    sizes = {"wide_ngrams": len(bag.ngrams.keys), "wide_order": bag.ngrams.order, "wide_binary": bag.ngrams.binary}
    path = WidePath(RNNConfig.from_dict({**config.to_dict(), **sizes}))
    with torch.no_grad():
        path.keys.copy_(torch.from_numpy(bag.ngrams.keys))
        path.scale.copy_(torch.from_numpy(bag.scale))
        path.weight.copy_(torch.from_numpy(wide_weight * bag.weight * bag.scale[:, None]))
        path.bias.copy_(torch.from_numpy(wide_weight * bag.bias))
        path.recurrent_weight.fill_(recurrent_weight)
    return path


def add_wide_path(
    trainer: RNNTrainer,
    tokenizer: PreTrainedTokenizerBase,
    encoded: DatasetDict,
    most: int,
    chosen: Hyperparameters | None = None,
    bags: dict | None = None,
) -> WidePaths:
    """Fit a wide path, add it to a trained text classifier if the validation split favours it.

    The first process fits the wide path and sends it to the others. The decisions are printed.

    Args:
        trainer: Trainer of the classifier, after training.
        tokenizer: Tokenizer of the model.
        encoded: Encoded splits; train and validation are read.
        most: Maximum number of n-grams.
        chosen: Hyperparameters of the n-grams; None to choose them.
        bags: Same as in [`fit_wide_paths`].

    Returns:
        The wide paths. The model has `measured`; `final` may replace it after the evaluation on the validation split.
    """
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    begun, fitted = time.monotonic(), None
    if trainer.args.process_index == 0:
        validation = encoded["validation"].with_format("numpy")["input_ids"][:]
        recurrent = Predictor(model.eval(), tokenizer, trainer.task).logits(validation)
        splits = encoded["train"], encoded["validation"]
        weights = weights_in_effect(trainer.args, trainer.task, encoded["train"])
        fitted = fit_wide_paths(model.config, *splits, most, recurrent, tokenizer.unk_token_id, weights, chosen, bags)
    paths: WidePaths = broadcast_object_list([fitted])[0]
    paths.seconds = time.monotonic() - begun
    model.config.wide_ngrams = 0
    if paths.measured is not None:
        model.config.wide_vocabulary = fingerprint(tokenizer)
        put_wide_path(trainer, paths.measured)
    if trainer.args.should_log:
        say(summary(paths.decisions))
    return paths


def put_wide_path(trainer: RNNTrainer, path: WidePath) -> None:
    """Set the wide path of a trained text classifier.

    Args:
        trainer: Trainer of the classifier.
        path: Wide path to set.
    """
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    model.config.wide_ngrams, model.config.wide_order = len(path.keys), path.order
    model.config.wide_binary = path.binary
    model.wide_path, path.config = path.to(model.device), model.config


def summary(decisions: dict[str, Any]) -> str:
    """Return a description of the decisions of a fit on one line.

    Args:
        decisions: Decisions of [`WidePaths`].
    """
    losses = ", ".join(f"{name} {value:.4f}" for name, value in decisions["losses"].items())
    end = f"validation loss: {losses}"
    a, b = decisions["recurrent_weight"], decisions["wide_weight"]
    if not decisions["ngrams"]:
        why = "the recurrence is better alone" if b == 0 else "the training rows have no n-gram of known tokens"
        return f"wide path  left out, since {why}; {end}"
    known = f"{decisions['ngrams']:,} n-grams of up to {decisions['order']} tokens"
    if decisions["binary"]:
        known += ", each counted once per text"
    if decisions["rows"] < decisions["all_rows"]:
        known += f", fitted to {decisions['rows']:,} of {decisions['all_rows']:,} rows"
    return f"wide path  {known}; logits = {a:.2f} · recurrence + {b:.2f} · n-grams; {end}"


__all__ = ["WidePaths", "add_wide_path", "mixing_weights", "put_wide_path"]
