# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Decisions of a text classifier: the labels that follow from the probabilities, with or without thresholds.

This is the only place that decides: predictions, metrics, pipelines and explanations call it. `models/decisions.py` and
`runtime/decisions.py` are the same file twice, because the first is saved with each model and the second is installed
without torch. A test compares them. Shape letters: B rows, C labels.
"""

import difflib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

# Threshold of a label of a multi-label model without a threshold of its own.
DEFAULT = 0.5
MULTI = "multi_label_classification"


def decide(scores: np.ndarray, config: Any) -> np.ndarray:
    """Return the decisions of a classifier.

    A multi-label model assigns each label whose probability is over its threshold. A model of two classes chooses
    the class with a threshold if its probability is over the threshold, and otherwise the other one. Without
    thresholds, the most probable class is chosen.

    Args:
        scores: Probabilities, `[B, C]`.
        config: Configuration of the model, or any object with its `problem_type`, `id2label` and `thresholds`.

    Returns:
        Class indices `[B]`; for a multi-label model 0 and 1, `[B, C]`.

    Raises:
        ValueError: The thresholds do not fit the labels; see [`check_thresholds`].
    """
    thresholds = config.thresholds or {}
    check_thresholds(thresholds, labels_of(config), config.problem_type)
    if config.problem_type == MULTI:
        return (scores > [thresholds.get(name, DEFAULT) for name in labels_of(config)]).astype(int)
    if not thresholds:
        return scores.argmax(-1)
    ((name, threshold),) = thresholds.items()
    chosen = labels_of(config).index(name)
    return np.where(scores[:, chosen] > threshold, chosen, 1 - chosen)


def labels_of(config: Any) -> list[str]:
    """Return the names of the labels 0, 1, …, in any order of `config.id2label`.

    Args:
        config: Configuration of the model.
    """
    return [config.id2label[i] for i in sorted(config.id2label)]


def mean_thresholds(configs: Sequence[Any]) -> dict[str, float] | None:
    """Return the mean threshold of each label over several models; None if they have thresholds for different labels.

    Args:
        configs: Configurations of the models.
    """
    every = [config.thresholds or {} for config in configs]
    if not every[0] or any(each.keys() != every[0].keys() for each in every):
        return None
    return {name: sum(each[name] for each in every) / len(every) for name in every[0]}


def check_thresholds(thresholds: dict[str, float] | None, names: list[str], problem_type: str | None) -> None:
    """Raise ValueError for thresholds that do not fit the labels of a classifier.

    Args:
        thresholds: Thresholds by the name of the label; None for none.
        names: Names of the labels.
        problem_type: Problem type of the model.
    """
    for name, threshold in (thresholds or {}).items():
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1) or names
            raise ValueError(
                f"thresholds has the label {name!r}, which is not one of {', '.join(names[:20])}: write "
                f"thresholds={{{near[0]!r}: {threshold}}}, or another label of the model."
            )
        if not (isinstance(threshold, (int, float)) and math.isfinite(threshold) and 0 <= threshold <= 1):
            raise ValueError(
                f"thresholds={{{name!r}: {threshold}}} is compared with a probability: write a number from 0 to 1, "
                f"such as thresholds={{{name!r}: {DEFAULT}}}."
            )
    if not thresholds or problem_type == MULTI:
        return
    if problem_type == "regression" or len(names) != 2:
        raise ValueError(
            f"thresholds={thresholds} decides between two classes, or for each label of a multi-label model; this one "
            f"has the problem type {problem_type} and {len(names)} labels: leave thresholds out."
        )
    if len(thresholds) != 1:
        raise ValueError(
            f"thresholds={thresholds} names both of two classes, and one follows from the other: name one, such as "
            f"thresholds={{{names[1]!r}: {thresholds[names[1]]}}}."
        )


__all__ = ["DEFAULT", "check_thresholds", "decide", "labels_of", "mean_thresholds"]
