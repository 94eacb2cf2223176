# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Fit of a classifier's temperature and thresholds on the validation rows, after training.

Shape letters: N validation rows, C labels.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from accelerate.utils import broadcast_object_list

from ..inference.predictor import Predictor
from ..models.decisions import DEFAULT, check_thresholds
from ..text.labels import MULTI, SINGLE
from ..utils.errors import ConfigError, nearest
from ..utils.figures import draw_calibration
from ..utils.output import say
from .class_balance import by_label, weights_in_effect
from .linear_model import Labels

if TYPE_CHECKING:
    from datasets import DatasetDict
    from transformers import PreTrainedTokenizerBase

    from .trainer import RNNTrainer

logger = logging.getLogger(__name__)

FITTED = ("f1", "precision")
# Bounds of the temperature, and the strength of the prior that keeps it near 1 if there are few validation rows.
COLDEST, HOTTEST, PRIOR = 0.1, 10.0, 1.0
# With a least precision, a label with fewer validation rows than this gets the threshold of all labels together.
FEWEST_ROWS = 5
# For the highest F1, the probabilities of a label weigh as much as the labels of this number of rows that have it.
PRIOR_ROWS = 10


def check_calibration(args: Any, task: Any) -> None:
    """Check the settings of calibration and thresholds against the labels, before training.

    Args:
        args: Training arguments; `calibrate`, `thresholds`, `min_precision` and `positive_class` are read.
        task: Task to train, which knows its labels.

    Raises:
        ConfigError: The task has no probabilities; the thresholds are neither to be fitted nor numbers from 0 to 1 by
            label; there are more than two classes; the positive class does not exist; or a setting of fitted thresholds
            is set without them.
    """
    asked = args.thresholds
    if args.calibrate and task.problem_type not in (SINGLE, MULTI):
        raise ConfigError(
            f"training.calibrate=True is for probabilities of classes, and the problem type is {task.problem_type}: "
            "leave it out."
        )
    if asked != "precision" and args.min_precision != type(args).min_precision:
        raise ConfigError(
            f"training.min_precision={args.min_precision} is the least precision of fitted thresholds: write "
            "training.thresholds='precision' too, or leave it out."
        )
    if args.positive_class is not None and not asked:
        raise ConfigError(
            f"training.positive_class={args.positive_class!r} names the class that a threshold chooses: write "
            "training.thresholds='f1' too, or leave it out."
        )
    if asked is None:
        return
    names = task.label_names
    if asked == {}:
        raise ConfigError(
            "training.thresholds={} has no threshold: write training.thresholds='f1', or "
            f"training.thresholds={{{names[-1]!r}: {DEFAULT}}}, or leave it out."
        )
    if task.problem_type not in (SINGLE, MULTI) or (task.problem_type == SINGLE and len(names) != 2):
        kind = f"{len(names)} classes" if task.problem_type == SINGLE else f"the problem type {task.problem_type}"
        raise ConfigError(
            f"training.thresholds={asked!r} is for two classes or for several labels per text, and this run has "
            f"{kind}: leave it out"
            + (", or write training.class_weights='balanced'." if task.problem_type == SINGLE else ".")
        )
    if isinstance(asked, dict):
        try:
            check_thresholds(asked, names, task.problem_type)
        except ValueError as error:
            raise ConfigError(f"training.{error}") from None
    elif asked not in FITTED:
        raise ConfigError(
            f"training.thresholds={asked!r} must be one of {', '.join(FITTED)}, or numbers by label: write "
            f"training.thresholds='f1', or training.thresholds={{{names[-1]!r}: {DEFAULT}}}."
        )
    if args.positive_class is not None and (isinstance(asked, dict) or task.problem_type == MULTI):
        raise ConfigError(
            f"training.positive_class={args.positive_class!r} is for fitted thresholds of two classes: leave it out."
        )
    if args.positive_class is not None and args.positive_class not in names:
        near = nearest(args.positive_class, names) or names[1]
        raise ConfigError(
            f"training.positive_class={args.positive_class!r} is not one of {', '.join(names)}: write "
            f"training.positive_class={near!r}."
        )


def calibrate(trainer: RNNTrainer, tokenizer: PreTrainedTokenizerBase, encoded: DatasetDict) -> dict[str, Any]:
    """Fit temperature and thresholds of a trained text classifier as the training arguments ask; print and set them.

    Args:
        trainer: Trainer of the classifier, after training and after the fit of its wide path.
        tokenizer: Tokenizer of the model.
        encoded: Encoded splits; the validation rows are read, and the training rows are counted.

    Returns:
        Facts for metrics.json: `temperature`, `thresholds`, and the validation `losses` before and after.
    """
    args, task = trainer.args, trainer.task
    if not (args.calibrate or args.thresholds):
        return {}
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    found: dict[str, Any] = {}
    if args.process_index == 0:
        rows = encoded["validation"].with_format("numpy")
        logits = Predictor(model.eval(), tokenizer, task).logits(rows["input_ids"][:])
        values = np.asarray(rows["labels"])
        weights = weights_in_effect(args, task, encoded["train"])
        labels = Labels(str(task.problem_type), values, len(task.label_names), weights)
        temperature = 1.0
        if args.calibrate:
            temperature, found["losses"] = fit_temperature(logits, labels)
            found["temperature"] = temperature
        if args.thresholds:
            scores = task.scores(logits / np.float32(temperature))
            train = np.asarray(encoded["train"]["labels"])
            found["thresholds"] = _thresholds(args, task, scores, values, train, weights)
    (found,) = broadcast_object_list([found])
    model.config.temperature = found.get("temperature", 1.0)
    model.config.thresholds = found.get("thresholds")
    task.config = model.config
    if args.should_log:
        say(summary(found))
    return found


def fit_temperature(logits: np.ndarray, labels: Labels) -> tuple[float, dict[str, float]]:
    """Return the temperature with the least validation loss, and the losses before and after.

    With fewer validation rows than classes, the temperature stays 1. Few rows leave it near 1.

    Args:
        logits: Logits of the validation rows, `[N, C]`.
        labels: Labels of the validation rows; their class weights count.
    """
    from scipy.optimize import minimize_scalar

    before = labels.loss(logits)
    if len(logits) < labels.num_labels:
        logger.warning(
            f"{len(logits)} validation rows are fewer than the {labels.num_labels} classes, so the scores were not "
            "calibrated: write a larger data.validation_size."
        )
        return 1.0, {"before": round(before, 4), "after": round(before, 4)}

    def loss(log_temperature: float) -> float:
        return labels.loss(logits / math.exp(log_temperature)) + PRIOR * log_temperature**2 / labels.effective_rows()

    bounds = (math.log(COLDEST), math.log(HOTTEST))
    temperature = round(math.exp(float(minimize_scalar(loss, bounds=bounds, method="bounded").x)), 4)
    return temperature, {"before": round(before, 4), "after": round(labels.loss(logits / temperature), 4)}


def _thresholds(
    args: Any, task: Any, scores: np.ndarray, labels: np.ndarray, train: np.ndarray, weights: np.ndarray | None
) -> dict[str, float]:
    """Return the thresholds by label that the training arguments set, or ask to fit."""
    if isinstance(args.thresholds, dict):
        return dict(args.thresholds)
    least = args.min_precision if args.thresholds == "precision" else None
    if task.problem_type == MULTI:
        fitted = fit_thresholds(scores, labels, least, weights)
        _warn_of_precision(scores, labels, fitted, task.label_names, least)
        return {name: float(value) for name, value in zip(task.label_names, fitted, strict=True)}
    counts = np.bincount(train, minlength=2)
    positive = int(counts.argmin()) if counts[0] != counts[1] else 1
    if args.positive_class is not None:
        positive = task.label_names.index(args.positive_class)
    of_class = (labels == positive).astype(int)
    name = task.label_names[positive]
    if not of_class.any():
        logger.warning(
            f"no validation row has the class {name!r}, so it has no fitted threshold: write a larger "
            "data.validation_size."
        )
        return {name: DEFAULT}
    if of_class.sum() < FEWEST_ROWS:
        logger.warning(
            f"few validation rows have the class {name!r} ({of_class.sum()}), so its fitted threshold is uncertain: "
            "write a larger data.validation_size."
        )
    ratio = None if weights is None else weights[[positive]] / weights[1 - positive]
    of_class, scores = of_class[:, None], scores[:, [positive]]
    fitted = fit_thresholds(scores, of_class, least, ratio)
    _warn_of_precision(scores, of_class, fitted, [name], least)
    return {name: float(fitted[0])}


def _warn_of_precision(
    scores: np.ndarray, labels: np.ndarray, thresholds: np.ndarray, names: list[str], least: float | None
) -> None:
    """Warn of labels whose precision on the validation rows is lower than what was asked for."""
    if least is None:
        return
    chosen = scores > thresholds
    count, right = chosen.sum(0).tolist(), (chosen * labels).sum(0).tolist()
    missed = {name: r / n for name, n, r in zip(names, count, right, strict=True) if r < least * n}
    if missed:
        logger.warning(
            f"no threshold gives these labels a precision of training.min_precision={least} on the validation rows, so "
            f"they have the highest that was found: {by_label(missed)}. Give them more rows, or write a lower "
            "training.min_precision."
        )


def fit_thresholds(
    scores: np.ndarray, labels: np.ndarray, least: float | None = None, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return the threshold of each label, `[C]`, that is best on the validation rows.

    A few rows of a label say little about the threshold of the highest F1. Therefore the truth of a row is a weighted
    mean of its label and its probability, in which the probability has the weight of `PRIOR_ROWS` rows with the label.
    The threshold has the highest F1 of these expected counts (compare Lipton et al. 2014). A label that no row has, and
    of which the probabilities promise fewer than `FEWEST_ROWS` rows, gets the threshold that is best for all labels
    together; with a least precision, so does a label with fewer than `FEWEST_ROWS` rows.

    Args:
        scores: Probabilities, `[N, C]`.
        labels: True labels as 0 and 1, `[N, C]`.
        least: Least precision, with the highest recall; None for the highest F1.
        weights: Weight of each label against its absence in training, `[C]`, which its scores reflect; None for 1.
    """
    rows, truth = labels.sum(0), labels
    enough = rows >= FEWEST_ROWS
    if least is None:
        odds = scores / np.maximum(1 - scores, 1e-12) / (1 if weights is None else weights)
        expected, share = odds / (1 + odds), PRIOR_ROWS / (rows + PRIOR_ROWS)
        truth = (1 - share) * labels + share * expected
        enough = (rows > 0) | (expected.sum(0) >= FEWEST_ROWS)
    common = best_threshold(scores.reshape(-1), labels.reshape(-1), least)
    return np.array(
        [
            best_threshold(of_label, has, least) if one else common
            for of_label, has, one in zip(scores.T, truth.T, enough, strict=True)
        ]
    )


def best_threshold(scores: np.ndarray, truth: np.ndarray, least: float | None = None) -> float:
    """Return the threshold of one label.

    It lies halfway, on the scale of logits, between the two scores that it separates. If no threshold has the least
    precision, the one with the highest precision is returned.

    Args:
        scores: Probabilities of the label, `[N]`.
        truth: 1 if a row has the label, else 0, or the probability that it has the label, `[N]`.
        least: Least precision, with the highest recall; None for the highest F1.
    """
    from sklearn.metrics import precision_recall_curve

    if not truth.any():
        return DEFAULT
    # Each row counts with the label and without it, by the probability of both.
    has, weights = np.repeat([1, 0], len(truth)), np.concatenate([truth, 1 - truth])
    # The curve counts scores of `edges` and above; its last point, without a prediction, has no edge.
    precision, recall, edges = precision_recall_curve(has, np.tile(scores, 2), sample_weight=weights)
    precision, recall = precision[:-1], recall[:-1]
    if least is None:
        value = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    else:
        value = np.where(precision >= least, 1 + recall, precision)
    best = int(len(value) - 1 - value[::-1].argmax())
    below = np.unique(scores[scores < edges[best]])
    upper = float(edges[best])
    lower = float(below[-1]) if len(below) else min(1e-4, upper / 2)
    threshold = _halfway(lower, upper)
    # Four digits are easier to read, but do not separate all scores near 0 and 1.
    rounded = round(threshold, 4)
    return rounded if lower <= rounded < upper else threshold


def _halfway(low: float, high: float) -> float:
    """Return the probability whose logit is the mean of the logits of two probabilities."""
    logits = [math.log(p / (1 - p)) for p in (min(max(each, 1e-12), 1 - 1e-12) for each in (low, high))]
    return 1 / (1 + math.exp(-sum(logits) / 2))


def coverage(task: Any, logits: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> list[dict[str, float]]:
    """Return the share of rows that a classifier answers, and the accuracy on them, for some least scores.

    Args:
        task: Task of the classifier.
        logits: Logits `[N, C]` by split; the last split is read.
        labels: Class indices `[N]` by split.

    Returns:
        A dict for each least score; an empty list unless each row has one of some classes.
    """
    from ..tasks.metrics import coverage_table

    split = list(logits)[-1]
    found = _confidence(task, logits[split], labels[split])
    return [] if found is None else coverage_table(*found)


def _confidence(task: Any, logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the score of each row's answer, and True if it is right; None unless each row has one of some classes."""
    if task.problem_type != SINGLE:
        return None
    predicted = task.predicted(logits)
    return np.take_along_axis(task.scores(logits), predicted[:, None], 1)[:, 0], predicted == labels


def draw(task: Any, logits: np.ndarray, labels: np.ndarray, split: str, path: Path) -> None:
    """Draw the reliability diagram and, for one label per row, the curve of accuracy and coverage.

    Args:
        task: Task of the classifier.
        logits: Logits, `[N, C]`.
        labels: Class indices `[N]`, or 0 and 1 of shape `[N, C]`.
        split: Name of the split.
        path: Path of the PNG file to write.
    """
    from ..tasks.metrics import coverage_curve, reliability

    scores, found = task.scores(logits), _confidence(task, logits, labels)
    if found is None:
        draw_calibration(reliability(scores.reshape(-1), labels.reshape(-1)), None, split, path)
        return
    bins = reliability(scores.max(1), scores.argmax(1) == labels)
    draw_calibration(bins, coverage_curve(*found)[:2], split, path)


def summary(found: dict[str, Any]) -> str:
    """Return a description of temperature and thresholds on one or two lines.

    Args:
        found: Facts as [`calibrate`] returns them.
    """
    lines = []
    if "temperature" in found:
        losses = "validation loss {before:.4f} before, {after:.4f} after".format(**found["losses"])
        lines.append(f"scores     logits are divided by the temperature {found['temperature']:g}; {losses}")
    if found.get("thresholds"):
        lines.append(f"thresholds {by_label(found['thresholds'])}")
    return "\n".join(lines)


__all__ = [
    "best_threshold",
    "calibrate",
    "check_calibration",
    "coverage",
    "draw",
    "fit_temperature",
    "fit_thresholds",
]
