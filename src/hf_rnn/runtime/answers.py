# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Answers of a text classifier: the labels, scores or values that follow from its logits."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from .decisions import decide
from .errors import DataError, HfRnnError

SINGLE, MULTI, REGRESSION = PROBLEM_TYPES = (
    "single_label_classification",
    "multi_label_classification",
    "regression",
)


class LabelsLike(Protocol):
    """Labels of a classifier, as a task and an export record have them."""

    @property
    def problem_type(self) -> str | None:
        """The problem type; None for models other than text classifiers."""

    @property
    def label_names(self) -> list[str]:
        """The names of the labels in the order of their indices."""

    @property
    def id2label(self) -> dict[int, str]:
        """The names of the labels by their indices."""

    @property
    def thresholds(self) -> dict[str, float] | None:
        """The probabilities over which labels are chosen."""


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the softmax of logits over the last axis.

    Args:
        logits: Logits of any shape; the last axis is the classes.
    """
    # Prediction must not import scipy, which is slow to load, so scipy.special.softmax is not used.
    scores = np.exp(logits - logits.max(-1, keepdims=True))
    return scores / scores.sum(-1, keepdims=True)


def scores_of(logits: np.ndarray, problem_type: str | None) -> np.ndarray:
    """Return the probabilities of the labels, `[B, C]`; in regression, the values, `[B, 1]`.

    Args:
        logits: Logits, `[B, C]`.
        problem_type: Problem type of the classifier.
    """
    if problem_type == REGRESSION:
        return logits
    # Above 500, the exponential function overflows, and the probability is 0 or 1 long before.
    return 1 / (1 + np.exp(-np.clip(logits, -500, 500))) if problem_type == MULTI else softmax(logits)


def answers_of(logits: np.ndarray, labels: LabelsLike, top_k: int | None = 1) -> list[dict]:
    """Return the `label` and `score`, the `labels` and `scores`, or the `value` of each row.

    Args:
        logits: Logits, `[B, C]`.
        labels: Labels of the classifier.
        top_k: Number of labels of a row, most likely first; None for all. 1 selects the label that the model
            chooses, which with thresholds need not be the most likely one. For several labels per row, any number
            selects the labels that the model chooses.
    """
    scores, problem_type = scores_of(logits, labels.problem_type), labels.problem_type
    if problem_type == REGRESSION:
        return [{"value": float(value)} for value in scores.reshape(len(scores))]
    answers, label_names = [], labels.label_names
    for row, chosen in zip(scores, decide(scores, labels), strict=True):
        order = np.argsort(-row).tolist()
        if problem_type == MULTI and top_k is not None:
            order = [i for i in order if chosen[i]]
        elif top_k == 1:
            order = [int(chosen)]
        else:
            order = order[:top_k]
        names, values = [label_names[i] for i in order], [float(row[i]) for i in order]
        if problem_type == SINGLE and top_k == 1:
            answers.append({"label": names[0], "score": values[0]})
        else:
            answers.append({"labels": names, "scores": values})
    return answers


def check_min_score(min_score: float, has_scores: bool) -> None:
    """Check a least score.

    Args:
        min_score: Least score of a label; 0 for none.
        has_scores: True if the answers of the model have probabilities of labels.

    Raises:
        HfRnnError: The score is not from 0 to 1, or the answers have no probabilities.
    """
    if isinstance(min_score, bool) or not isinstance(min_score, (int, float)) or not 0 <= min_score <= 1:
        raise HfRnnError(f"min_score={min_score!r} is the least probability of an answer: write a number from 0 to 1.")
    if min_score and not has_scores:
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


def one_answer_of(columns: Sequence[list[str]], top_k: int | None, what: str) -> Sequence[list[str]]:
    """Return the columns of texts; check that there is one column and that `top_k` is 1.

    Args:
        columns: Texts of all rows, followed by the second texts if rows are pairs.
        top_k: Number of labels that the caller asked for.
        what: Answer of the task, for errors.

    Raises:
        DataError: Rows are pairs of texts, or `top_k` is not 1.
    """
    if top_k != 1:
        raise DataError(f"top_k={top_k} is not possible, because {what}: leave top_k out.")
    if len(columns) > 1:
        raise DataError(f"pass one text per row, not {len(columns)}; the second is {columns[1][0][:60]!r}.")
    return columns


__all__ = ["abstaining", "answers_of", "check_min_score", "one_answer_of", "scores_of", "softmax"]
