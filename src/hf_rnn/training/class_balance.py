# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Losses and rows for skewed classes: class weights, focal loss, and repeated rows of rare classes.

Shape letters: B rows of a batch, N rows of a split, C classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..text.labels import MULTI, SINGLE
from ..utils.errors import ConfigError, nearest
from ..utils.output import say

if TYPE_CHECKING:
    from datasets import Dataset

    from ..tasks import Task
    from .arguments import RNNTrainingArguments

BALANCED = "balanced"
# Maximum number of labels on a line that is printed.
SHOWN = 20


@dataclass(frozen=True)
class ClassLoss:
    """Loss of a text classifier with class weights and the focusing factor of the focal loss.

    For one label per row, it is the mean of `w[y] (1 - p[y])^gamma (-log p[y])` over the rows. For several labels per
    row, it is the mean of the same over rows and labels, with the weight on labels that a row has (Lin et al. 2017).

    Args:
        several: True for several labels per row.
        weights: Weight of each class, `[C]`; None for 1.
        gamma: Focusing parameter of the focal loss; 0 for the cross-entropy.
    """

    several: bool = False
    weights: np.ndarray | None = None
    gamma: float = 0.0

    def __bool__(self) -> bool:
        return self.weights is not None or self.gamma > 0

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Args:
            logits: Logits, `[B, C]`.
            labels: Class indices `[B]`, or 0 and 1 of shape `[B, C]`.
        """
        weights = None if self.weights is None else torch.as_tensor(self.weights).to(logits)
        if self.several:
            labels = labels.to(logits.dtype)
            loss = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
            # The loss of a label is -log p, with p the probability of its right value.
            factor = 1 if weights is None else torch.where(labels > 0.5, weights, 1)
        else:
            loss = F.cross_entropy(logits, labels, reduction="none")
            factor = 1 if weights is None else weights[labels]
        if self.gamma:
            # 1 - p, as a difference of 1 and a number near 1, would lose digits. A power below 1 has no gradient at 0.
            factor = factor * (-torch.expm1(-loss)).clamp(min=1e-8) ** self.gamma
        return (factor * loss).mean()


def class_loss(args: RNNTrainingArguments, task: Task, rows: Any) -> ClassLoss:
    """Return the loss that the training arguments ask for.

    Args:
        args: Training arguments; `class_weights`, `focal_gamma` and `balanced_sampling` are read.
        task: Task to train.
        rows: Encoded training rows, whose labels `"balanced"` counts.

    Raises:
        ConfigError: The task has no classes; the weights have another number than the labels, or one of them is not
            above 0; a weight belongs to no label; or another objective or label smoothing is set too.
    """
    asked = [
        name
        for name, nothing in (("class_weights", None), ("focal_gamma", 0), ("balanced_sampling", False))
        if getattr(args, name) != nothing
    ]
    if not asked:
        return ClassLoss()
    setting = f"training.{asked[0]}={getattr(args, asked[0])!r}"
    if task.problem_type not in (SINGLE, MULTI):
        raise ConfigError(
            f"{setting} is for classes of texts, and the problem type is {task.problem_type}: leave it out."
        )
    if args.label_smoothing_factor and asked != ["balanced_sampling"]:
        raise ConfigError(
            f"{setting} does not go with training.label_smoothing_factor={args.label_smoothing_factor}: leave one of "
            "them out."
        )
    several = task.problem_type == MULTI
    if several and args.balanced_sampling:
        raise ConfigError(
            "training.balanced_sampling=True repeats the rows of rare classes, and a row of this data set has several: "
            "write training.class_weights='balanced' instead."
        )
    if args.balanced_sampling and args.class_weights:
        raise ConfigError(
            f"training.balanced_sampling=True and training.class_weights={args.class_weights!r} both balance the "
            "classes: leave one of them out."
        )
    weights = class_weights(args.class_weights, task.label_names, several, rows)
    if weights is not None and args.should_log:
        say(f"weights    {by_label(dict(zip(task.label_names, weights, strict=True)))}")
    return ClassLoss(several, weights, args.focal_gamma)


def remedy_for_rare_classes(args: RNNTrainingArguments, task: Task) -> str | None:
    """Return a setting that a run does not have and by which rare classes are predicted more often; None for none.

    Args:
        args: Training arguments of the run.
        task: Task of the run.
    """
    has_threshold = task.problem_type == MULTI or (task.problem_type == SINGLE and len(task.label_names) == 2)
    if has_threshold and args.thresholds is None:
        return "training.thresholds='f1'"
    weighted = args.class_weights is not None or args.balanced_sampling
    return "training.class_weights='balanced'" if task.problem_type in (SINGLE, MULTI) and not weighted else None


def by_label(numbers: dict[str, float]) -> str:
    """Return the numbers of the first labels on one line.

    Args:
        numbers: Numbers by the name of their label.
    """
    shown = [f"{name} {number:.3g}" for name, number in list(numbers.items())[:SHOWN]]
    return " · ".join(shown) + (" · …" if len(numbers) > SHOWN else "")


def class_weights(
    asked: str | list[float] | dict[str, float] | None, names: list[str], several: bool, rows: Any
) -> np.ndarray | None:
    """Return the weight of each class, `[C]`, or None without weights.

    Args:
        asked: `"balanced"`; one weight for each class in the order of `names`; weights by the name of their class, with
            1 for the others; or None.
        names: Names of the classes.
        several: True for several labels per row.
        rows: Encoded training rows, whose labels are counted.

    Raises:
        ConfigError: There is no weight, the weights have another number than the classes, a weight is not above 0, or a
            class is unknown.
    """
    if asked is None:
        return None
    if isinstance(asked, str):
        if asked != BALANCED:
            raise ConfigError(
                f"training.class_weights={asked!r} must be 'balanced', a list with a weight for each class, or weights "
                f"by class: write training.class_weights='balanced', or {_by_name(names)}."
            )
        return _balanced(names, several, rows)
    if isinstance(asked, dict):
        if not asked:
            raise ConfigError(
                f"training.class_weights={{}} has no weight: write 'balanced', or {_by_name(names)}, or leave it out."
            )
        for name in asked:
            if name not in names:
                near = nearest(name, names)
                raise ConfigError(
                    f"training.class_weights has the class {name!r}, which is not one of {', '.join(names[:20])}"
                    + (f": did you mean {near!r}?" if near else f": write {_by_name(names)}.")
                )
        asked = [asked.get(name, 1.0) for name in names]
    if len(asked) != len(names):
        raise ConfigError(
            f"training.class_weights={list(asked)} has {len(asked)} weights, and there are {len(names)} classes "
            f"({', '.join(names[:20])}): write one for each in this order, or by class, {_by_name(names)}."
        )
    for name, weight in zip(names, asked, strict=True):
        if not (math.isfinite(weight) and weight > 0):
            raise ConfigError(
                f"training.class_weights has the weight {weight} for {name!r}, which must be greater than 0. To leave "
                "a class out, remove its rows from the data."
            )
    return np.asarray(asked, np.float32)


def weights_in_effect(args: RNNTrainingArguments, task: Task, rows: Any) -> np.ndarray | None:
    """Return the weight that each class has in training, `[C]`, by class weights or by repeated rows; None for 1.

    Args:
        args: Training arguments; `class_weights` and `balanced_sampling` are read.
        task: Task of the run.
        rows: Encoded training rows, without repeated ones.
    """
    asked = BALANCED if args.balanced_sampling else args.class_weights
    return class_weights(asked, task.label_names, task.problem_type == MULTI, rows)


def _by_name(names: list[str]) -> str:
    return f"training.class_weights={{{names[-1]!r}: 2.0}}"


def _balanced(names: list[str], several: bool, rows: Any) -> np.ndarray:
    """Return weights that give all classes, or a label and its absence, the same sum; 1 for a class without rows."""
    if "labels" not in (getattr(rows, "column_names", None) or ()):
        raise ConfigError(
            "training.class_weights='balanced' counts the labels of all training rows, and data.streaming=True never "
            f"loads all of them: write the weights, {_by_name(names)}."
        )
    labels = np.asarray(rows.with_format("numpy")["labels"])
    if several:
        counts = labels.sum(0)
        weights = (len(labels) - counts) / counts.clip(min=1)
        return np.where((counts > 0) & (weights > 0), weights, 1).astype(np.float32)
    counts = np.bincount(labels, minlength=len(names))
    # As in scikit-learn, the mean weight of the rows is 1.
    weights = len(labels) / ((counts > 0).sum() * counts.clip(min=1))
    return np.where(counts > 0, weights, 1).astype(np.float32)


def balanced_rows(rows: Dataset, seed: int) -> Dataset:
    """Return rows in which each class is as frequent as the largest one: rows of the others are repeated.

    Each row of a class occurs equally often, up to one time more for rows that are drawn at random.

    Args:
        rows: Encoded training rows with one label each.
        seed: Seed of the draw.
    """
    labels, random = np.asarray(rows["labels"]), np.random.default_rng(seed)
    largest = int(np.bincount(labels).max())
    places = []
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        places += [np.tile(of_class, largest // len(of_class))]
        places += [random.choice(of_class, largest % len(of_class), replace=False)]
    return rows.select(np.sort(np.concatenate(places)))


__all__ = [
    "BALANCED",
    "ClassLoss",
    "balanced_rows",
    "by_label",
    "class_loss",
    "class_weights",
    "remedy_for_rare_classes",
    "weights_in_effect",
]
