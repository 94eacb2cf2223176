# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Loss of a graph with int8 weights: the task's metric on validation rows, before and after."""

import math
from typing import Any, NamedTuple

import numpy as np

from ..hub.card_words import METRICS, figure
from ..inference.predictor import Predictor
from ..runtime.batching import BATCH_TOKENS
from ..utils.errors import HfRnnError
from .validation import ValidationRows

# Metrics that are already in points.
IN_POINTS = ("bleu", "bleu_lowercase", "chrf")


class Loss(NamedTuple):
    """Change of a metric by quantization.

    Args:
        metric: Name of the metric, such as `accuracy`.
        before: Value with weights in float32.
        after: Value with weights in int8.
        lost: Loss in points of the metric, or its increase in percent if less is better; negative for a gain.
        text: Description for people.
    """

    metric: str
    before: float
    after: float
    lost: float
    text: str


def measure(predictor: Predictor, rows: ValidationRows) -> dict[str, Any]:
    """Return the metrics of exported graphs on validation rows, which are read in the batches of the runtime.

    Logits of int8 weights depend on the batch.

    Args:
        predictor: Predictor whose answers are those of the graphs.
        rows: Validation rows.
    """
    return rows.task.judge(predictor, rows.rows, BATCH_TOKENS)


def check_loss(measures: dict[str, bool], before: dict[str, float], after: dict[str, float], max_loss: float) -> Loss:
    """Return the change of the task's first metric; raise [`HfRnnError`] if the loss is greater than allowed.

    Args:
        measures: Metrics of the task, with True if greater is better; the first one counts.
        before: Metrics with weights in float32.
        after: Metrics with weights in int8.
        max_loss: Largest loss in points, or increase in percent of a metric of which less is better.
    """
    metric, greater = next(iter(measures.items()))
    old, new = float(before[metric]), float(after[metric])
    if greater:
        lost, unit = (old - new) * (1 if metric in IN_POINTS else 100), "points"
    else:
        lost, unit = (100 * (new / old - 1) if old else np.inf if new else 0.0), "%"
    change = f"{abs(lost):.2f} {unit} {'better' if lost < 0 else 'worse'}" if lost else "unchanged"
    text = f"{METRICS[metric][0]} {figure(metric, old)} → {figure(metric, new)} ({change})"
    # NaN is a loss too.
    if not lost <= max_loss:
        advice = f", or allow more, max_loss={math.ceil(lost)}." if math.isfinite(lost) else "."
        raise HfRnnError(
            f"int8 weights lose {lost:.2f} {unit}, and {max_loss:g} are allowed: {text}. Leave int8 out{advice}"
        )
    return Loss(metric, old, new, lost, text)


__all__ = ["Loss", "check_loss", "measure"]
