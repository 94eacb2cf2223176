# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Abstaining: answers without the labels whose scores are low."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..text.labels import REGRESSION
from ..utils.errors import HfRnnError

if TYPE_CHECKING:
    from ..tasks import Task


def check_min_score(min_score: float, task: Task) -> None:
    """Check a least score.

    Args:
        min_score: Least score of a label; 0 for none.
        task: Task of the model that answers.

    Raises:
        HfRnnError: The score is not from 0 to 1, or answers of the task have no probabilities.
    """
    if isinstance(min_score, bool) or not isinstance(min_score, (int, float)) or not 0 <= min_score <= 1:
        raise HfRnnError(f"min_score={min_score!r} is the least probability of an answer: write a number from 0 to 1.")
    if min_score and (not task.one_answer or task.problem_type == REGRESSION):
        raise HfRnnError(
            f"min_score={min_score} compares the scores of labels, and the answers of this model have none: leave it "
            "out."
        )


def abstaining(answer: dict, min_score: float) -> dict:
    """Return an answer of a text classifier without the labels whose scores are lower than `min_score`.

    Args:
        answer: Answer with `label` and `score`, or with `labels` and `scores`.
        min_score: Least score.
    """
    if "label" in answer:
        return answer if answer["score"] >= min_score else {**answer, "label": None}
    kept = [pair for pair in zip(answer["labels"], answer["scores"], strict=True) if pair[1] >= min_score]
    return {"labels": [label for label, _ in kept], "scores": [score for _, score in kept]}


__all__ = ["abstaining", "check_min_score"]
