# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Comparison of the answers of a student and its teachers on the same rows.

Shapes: N rows, P answers (one for each row; of taggers, one for each word of all rows), C labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..models.label_checks import IGNORED
from ..runtime.answers import softmax
from ..runtime.entities import is_seen
from ..teachers.base import TAGS, TRANSLATION
from ..text.labels import REGRESSION
from .lesson_answers import labels_in
from .lesson_texts import Text, columns_in, texts_in
from .rows import label_name, short

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass
class Comparison:
    """Comparison of student and teachers on the rows of a split.

    Args:
        scores: Number of `rows` and, for taggers, of `words`; metrics of `teacher` and `student`; and `agreement`, the
            share of rows, or of words, with the same answer; in a regression, the `correlation` of the values, None if
            it is not defined.
        differing: Index of the row of each different answer, with the text and both answers, the surest ones first.
    """

    scores: dict[str, Any]
    differing: list[tuple[int, dict[str, str]]]


def asked(model: Any, texts: list[Text]) -> Any:
    """Return the answers of a teacher, or of a student as one.

    Args:
        model: Teacher.
        texts: Texts, pairs of texts, or words.
    """
    return model.translations(texts) if hasattr(model, "translations") else model.answers(texts)


def compare(task: Any, rows: Dataset, theirs: Any, student: Any, ours: np.ndarray | None) -> Comparison:
    """Compare student and teachers on the rows of a split.

    Args:
        task: Task of the student.
        rows: Prepared rows of the split.
        theirs: Answers of the teachers to these rows, as the lesson has them.
        student: The student as a teacher.
        ours: Logits of the student, `[N, C]`; None to let it answer.
    """
    if ours is None:
        ours = asked(student, texts_in(rows))
    how: Any = {TAGS: _tagged, TRANSLATION: _translated}.get(task.problem_type, _classified)
    return how(task, rows, theirs, ours)


def metrics_of(task: Any, rows: Dataset, answers: Any) -> dict[str, Any]:
    """Return the metrics of answers to rows. Words of invisible characters do not count.

    Args:
        task: Task of the student.
        rows: Prepared rows of a split.
        answers: Answers to these rows, as the lesson has them.
    """
    if task.problem_type == TRANSLATION:
        return task.measure(answers, rows["target"][:])
    if task.problem_type != TAGS:
        return task.metrics(answers, np.asarray(rows["labels"]))
    labels = np.where(_seen(rows), labels_in(rows, task), IGNORED)
    return task.metrics(*_in_rows(answers, labels, _row_of_words(rows), len(rows)))


def _seen(rows: Dataset) -> np.ndarray:
    """Return True for each word that has a visible character."""
    return np.array([is_seen(word) for row in rows["words"] for word in row], dtype=bool)


def _row_of_words(rows: Dataset) -> np.ndarray:
    """Return the index of the row of each word."""
    return np.repeat(np.arange(len(rows)), [len(row) for row in rows["words"]])


def _classified(task: Any, rows: Dataset, theirs: np.ndarray, ours: np.ndarray) -> Comparison:
    labels, both = np.asarray(rows["labels"]), (theirs, ours)
    metrics = [metrics_of(task, rows, each) for each in both]
    if task.problem_type == REGRESSION:
        # Values that are all the same have no correlation.
        with np.errstate(invalid="ignore", divide="ignore"):
            correlation = float(np.corrcoef(theirs[:, 0], ours.reshape(len(ours)))[0, 1])
        facts = _facts(rows, metrics, {"correlation": correlation if np.isfinite(correlation) else None})
        return Comparison(facts, [])
    answers = [np.asarray(task.predicted(each)) for each in both]
    scores = [task.scores(each).max(1) for each in both]
    different = (answers[0] != answers[1]).reshape(len(labels), -1).any(1)
    differing = [
        (
            place,
            {
                **{name: short(rows[name][place]) for name in columns_in(rows)},
                "label": label_name(task, labels[place]),
                "teacher": label_name(task, answers[0][place]),
                "teacher_score": f"{scores[0][place]:.4f}",
                "student": label_name(task, answers[1][place]),
                "student_score": f"{scores[1][place]:.4f}",
            },
        )
        for place in _surest_first(different, *scores)
    ]
    return Comparison(_facts(rows, metrics, {"agreement": float(1 - different.mean())}), differing)


def _tagged(task: Any, rows: Dataset, theirs: np.ndarray, ours: np.ndarray) -> Comparison:
    words, of_row, seen = [word for row in rows["words"] for word in row], _row_of_words(rows), _seen(rows)
    labels, both = labels_in(rows, task), (theirs, ours)
    metrics = [metrics_of(task, rows, each) for each in both]
    answers, scores = ([read(each) for each in both] for read in (task.predicted, lambda each: softmax(each).max(1)))
    different = seen & (answers[0] != answers[1])
    differing = [
        (
            int(of_row[place]),
            {
                "text": short(" ".join(rows["words"][int(of_row[place])])),
                "word": words[place],
                "label": task.label_names[labels[place]],
                "teacher": task.label_names[answers[0][place]],
                "teacher_score": f"{scores[0][place]:.4f}",
                "student": task.label_names[answers[1][place]],
                "student_score": f"{scores[1][place]:.4f}",
            },
        )
        for place in _surest_first(different, *scores)
    ]
    facts = _facts(rows, metrics, {"agreement": float(1 - different[seen].mean())})
    return Comparison({**facts, "words": int(seen.sum())}, differing)


def _in_rows(scores: np.ndarray, labels: np.ndarray, of_row: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scores `[N, W, C]` and labels `[N, W]` of the words of each row, padded with labels of -100."""
    sizes = np.bincount(of_row, minlength=count)
    column = np.arange(len(of_row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    padded = np.zeros((count, sizes.max(), scores.shape[1]), dtype=np.float32)
    known = np.full(padded.shape[:2], IGNORED)
    padded[of_row, column], known[of_row, column] = scores, labels
    return padded, known


def _translated(task: Any, rows: Dataset, theirs: list[str], ours: list[str]) -> Comparison:
    sources, targets = rows["source"][:], rows["target"][:]
    metrics = [metrics_of(task, rows, each) for each in (theirs, ours)]
    different = [place for place in range(len(rows)) if theirs[place] != ours[place]]
    differing = [
        (
            place,
            {
                "source": short(sources[place]),
                "target": short(targets[place]),
                "teacher": short(theirs[place]),
                "student": short(ours[place]),
            },
        )
        for place in different
    ]
    return Comparison(_facts(rows, metrics, {"agreement": 1 - len(different) / len(rows)}), differing)


def _facts(rows: Dataset, metrics: list[dict], alike: dict[str, float | None]) -> dict[str, Any]:
    return {"rows": len(rows), "teacher": metrics[0], "student": metrics[1], **alike}


def _surest_first(different: np.ndarray, theirs: np.ndarray, ours: np.ndarray) -> list[int]:
    places = np.flatnonzero(different)
    return places[np.argsort(-np.minimum(theirs, ours)[places], kind="stable")].tolist()


__all__ = ["Comparison", "asked", "compare"]
