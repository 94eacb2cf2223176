# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Loss of a graph with int8 weights: the task's metric on validation rows, before and after."""

from typing import Any, NamedTuple

from ..hub.card_words import METRICS, figure
from ..inference.predictor import BATCH_TOKENS, Predictor
from ..utils.errors import HfRnnError
from .graph_predictor import Graph, GraphPredictor
from .validation import ValidationRows


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


def measure(predictor: Predictor, rows: ValidationRows, graph: Graph) -> dict[str, Any]:
    """Return the metrics of a graph on validation rows.

    Args:
        predictor: Model of the graph, with its tokenizer.
        rows: Validation rows.
        graph: Graph of a text classifier or tagger.
    """
    on_graph = GraphPredictor(predictor.model, predictor.tokenizer, predictor.task, graph=graph)
    return rows.task.judge(on_graph, rows.rows, BATCH_TOKENS)


def check_loss(
    measures: dict[str, bool], before: dict[str, float], after: dict[str, float], max_loss: float
) -> Loss:
    """Return the change of the task's first metric; raise [`HfRnnError`] if the loss is greater than allowed.

    Args:
        measures: Metrics of the task, with True if greater is better; the first one counts.
        before: Metrics with weights in float32.
        after: Metrics with weights in int8.
        max_loss: Largest loss in points, or increase in percent of a metric of which less is better.
    """
    metric, greater = next(iter(measures.items()))
    old, new = float(before[metric]), float(after[metric])
    # BLEU is already in points.
    scale = 1 if metric in ("bleu", "chrf") else 100
    lost = scale * (old - new) if greater else 100 * (new / old - 1) if old else 0.0 if new == old else float("inf")
    unit = "points" if greater else "%"
    text = f"{METRICS[metric][0]} {figure(metric, old)} → {figure(metric, new)} ({-lost:+.2f} {unit})"
    # NaN is a loss too.
    if not lost <= max_loss:
        raise HfRnnError(
            f"int8 weights lose {lost:.2f} {unit}, and {max_loss:g} are allowed: {text}. Leave int8 out, or allow more, "
            f"max_loss={max(1, round(lost + 0.5))}."
        )
    return Loss(metric, old, new, lost, text)


__all__ = ["Loss", "check_loss", "measure"]
