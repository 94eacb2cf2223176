# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Comparison of a student with its teachers: metrics, agreement, size and speed, and the rows where they differ."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from ..hub.card_teacher import teacher_text
from ..hub.folder import DISAGREEMENTS_FILE
from ..inference.predictor import Predictor
from ..text.labels import REGRESSION
from ..utils.machine import one_thread
from ..utils.output import say
from .lesson import TEXTS, Lesson
from .report import MOST_ERRORS, tried
from .rows import label_name, row_name, short
from .run_folder import saved_bytes, write_results

if TYPE_CHECKING:
    from datasets import DatasetDict

    from .trainer import RNNTrainer

# Number of texts whose answers are timed, and repetitions; the median counts.
TIMED, TIMES = 128, 3
# Seconds after which no further repetition is started.
LONGEST = 20.0


def add_teacher_report(
    lesson: Lesson,
    trainer: RNNTrainer,
    prepared: DatasetDict,
    judged: dict[str, tuple[np.ndarray, np.ndarray]],
    order: dict[str, np.ndarray],
    results: dict,
) -> None:
    """Add the comparison to the metrics and the card of a saved student, write a table of rows, and print it.

    Args:
        lesson: Lesson of the student.
        trainer: Trainer of the run, after training.
        prepared: Splits as the task prepares them.
        judged: Logits and labels by evaluated split.
        order: Indices into `prepared` of the rows of `judged`, by split.
        results: Metrics of the run; the key `teacher` is added.
    """
    folder, task = Path(str(trainer.args.output_dir)), trainer.task
    logits = {split: of_split[np.argsort(order[split])] for split, (of_split, _) in judged.items()}
    found: dict[str, Any] = {**lesson.facts(), "metric": next(iter(task.measures)), "scores": {}}
    for split in logits:
        labels = np.asarray(prepared[split]["labels"])
        found["scores"][split] = {
            "rows": len(labels),
            "teacher": task.metrics(lesson.scores[split], labels),
            "student": task.metrics(logits[split], labels),
            "agreement": _agreement(task, lesson.scores[split], logits[split]),
        }
    found["student"] = {
        "parameters": sum(parameter.numel() for parameter in trainer.model.parameters()),
        "bytes": saved_bytes(folder),
    }
    models = [model for model in (getattr(each, "model", None) for each in lesson.teachers) if model is not None]
    if len(models) == len(lesson.teachers):
        # The weights of a transformer in float32.
        count = sum(parameter.numel() for model in models for parameter in model.parameters())
        found["teacher"] = {"parameters": count, "bytes": 4 * count}
    speed = tried("speed of the teacher", lambda: _speed(lesson, folder, prepared))
    found |= {"speed": speed} if speed else {}
    results["teacher"] = found
    tried("table of disagreements", lambda: _write_disagreements(lesson, task, prepared, logits, folder))
    model_id = trainer.hub_model_id or trainer.args.hub_name
    tried("comparison with the teacher", lambda: write_results(results, folder, folder, model_id))
    if trainer.args.should_log:
        tried("comparison with the teacher", lambda: say(teacher_text(found)))


def _agreement(task: Any, teacher: np.ndarray, student: np.ndarray) -> float:
    """Return the share of rows that both answer in the same way; the correlation of the values of a regression."""
    if task.problem_type == REGRESSION:
        return float(np.corrcoef(teacher[:, 0], student.reshape(len(student)))[0, 1])
    same = np.asarray(task.predicted(teacher)) == np.asarray(task.predicted(student))
    return float(same.reshape(len(same), -1).all(1).mean())


def _speed(lesson: Lesson, folder: Path, prepared: DatasetDict) -> dict[str, Any] | None:
    """Return the texts a second of teacher and student, and the milliseconds for one text, on one thread."""
    if any(not each.group for each in lesson.teachers):
        return None  # Answers in columns take no time.
    rows = prepared["validation"].select(range(min(TIMED, len(prepared["validation"]))))
    columns = [name for name in TEXTS if name in rows.column_names]
    texts = list(zip(*(rows[name] for name in columns), strict=True))
    shortest = [min(texts, key=lambda text: sum(map(len, text)))]
    student = Predictor.from_pretrained(folder)

    def by_student(some: list[tuple[str, ...]]) -> Any:
        return student.scores([text if len(columns) > 1 else text[0] for text in some])

    def by_teachers(some: list[tuple[str, ...]]) -> Any:
        return [teacher.answers(some) for teacher in lesson.teachers]

    with one_thread():
        seconds = {
            (name, kind): _seconds(answers, some)
            for kind, some in (("texts", texts), ("one", shortest))
            for name, answers in (("teacher", by_teachers), ("student", by_student))
        }
    return {
        name: {
            "texts_a_second": len(texts) / seconds[name, "texts"],
            "milliseconds_for_one": 1000 * seconds[name, "one"],
        }
        for name in ("teacher", "student")
    }


def _seconds(answers: Callable[[Any], Any], texts: Any) -> float:
    """Return the median time for the answers to some texts, in seconds, after a first time that is not counted."""
    taken: list[float] = []
    for _ in range(TIMES + 1):
        begun = time.perf_counter()
        answers(texts)
        taken.append(time.perf_counter() - begun)
        if sum(taken) > LONGEST:
            break
    return median(taken[1:] or taken)


def _write_disagreements(
    lesson: Lesson, task: Any, prepared: DatasetDict, logits: dict[str, np.ndarray], folder: Path
) -> None:
    """Write the rows that teacher and student answer in different ways, those of which both are surest first."""
    if task.problem_type == REGRESSION:
        return
    rows = []
    columns = [name for name in TEXTS if name in prepared["validation"].column_names]
    for split in logits:
        ours, theirs = (np.asarray(task.predicted(each)) for each in (logits[split], lesson.scores[split]))
        scores = [task.scores(each).max(1) for each in (lesson.scores[split], logits[split])]
        differ = np.flatnonzero((ours != theirs).reshape(len(ours), -1).any(1))
        source, numbers = task.row_numbers[split]
        for place in sorted(differ.tolist(), key=lambda place: -min(score[place] for score in scores)):
            rows.append(
                {
                    "row": row_name(source, int(numbers[place])),
                    **{name: short(prepared[split][name][place]) for name in columns},
                    "label": label_name(task, prepared[split]["labels"][place]),
                    "teacher": label_name(task, theirs[place]),
                    "teacher_score": f"{scores[0][place]:.4f}",
                    "student": label_name(task, ours[place]),
                    "student_score": f"{scores[1][place]:.4f}",
                }
            )
    names = ["row", *columns, "label", "teacher", "teacher_score", "student", "student_score"]
    with open(folder / DISAGREEMENTS_FILE, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows[:MOST_ERRORS])


__all__ = ["add_teacher_report"]
