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
from ..teachers.endpoint import EndpointTeacher
from ..text.labels import REGRESSION
from ..utils.machine import one_thread
from ..utils.output import say
from .comparison import Comparison, asked, compare
from .lesson import Lesson
from .lesson_texts import Text, texts_in
from .open_teachers import teacher_in_python
from .report import MOST_ERRORS, tried
from .rows import row_name
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
    judged: dict[str, tuple[np.ndarray, np.ndarray] | None],
    order: dict[str, np.ndarray],
    results: dict,
) -> None:
    """Add the comparison to the metrics and the card of a saved student, write a table of rows, and print it.

    Args:
        lesson: Lesson of the student.
        trainer: Trainer of the run, after training.
        prepared: Splits as the task prepares them.
        judged: Logits and labels by evaluated split; None for each split of a tagger or a translator.
        order: Indices into `prepared` of the rows of `judged`, by split.
        results: Metrics of the run; the key `teacher` is added.
    """
    folder, task = Path(str(trainer.args.output_dir)), trainer.task
    student = teacher_in_python(task)(Predictor.from_pretrained(folder))
    compared = {}
    for split, of_split in judged.items():
        # The logits of a classifier are in the order of length.
        ours = None if of_split is None else of_split[0][np.argsort(order[split])]
        compared[split] = compare(task, prepared[split], lesson.scores[split], student, ours)
    found: dict[str, Any] = {**lesson.facts(), "metric": next(iter(task.measures))}
    found["scores"] = {split: each.scores for split, each in compared.items()}
    found["student"] = {
        "parameters": sum(parameter.numel() for parameter in trainer.model.parameters()),
        "bytes": saved_bytes(folder),
    }
    models = [model for model in (getattr(each, "model", None) for each in lesson.teachers) if model is not None]
    if len(models) == len(lesson.teachers):
        # The weights of a transformer in float32.
        count = sum(parameter.numel() for model in models for parameter in model.parameters())
        found["teacher"] = {"parameters": count, "bytes": 4 * count}
    speed = tried("speed of the teacher", lambda: _speed(lesson, student, prepared))
    found |= {"speed": speed} if speed else {}
    results["teacher"] = found
    tried("table of disagreements", lambda: _write_disagreements(task, compared, folder))
    model_id = trainer.hub_model_id or trainer.args.hub_name
    tried("comparison with the teacher", lambda: write_results(results, folder, folder, model_id))
    if trainer.args.should_log:
        tried("comparison with the teacher", lambda: say(teacher_text(found)))


def _speed(lesson: Lesson, student: Any, prepared: DatasetDict) -> dict[str, Any] | None:
    """Return the texts a second of teacher and student, and the milliseconds for one text, on one thread."""
    if any(not each.group or isinstance(each, EndpointTeacher) for each in lesson.teachers):
        return None  # Columns take no time, and an endpoint is on another machine, where each answer may cost.
    rows = prepared["validation"].select(range(min(TIMED, len(prepared["validation"]))))
    texts = texts_in(rows)
    shortest = [min(texts, key=lambda text: sum(map(len, text)))]

    def by_student(some: list[Text]) -> Any:
        return asked(student, some)

    def by_teachers(some: list[Text]) -> Any:
        return [asked(teacher, some) for teacher in lesson.teachers]

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


def _write_disagreements(task: Any, compared: dict[str, Comparison], folder: Path) -> None:
    """Write the answers in which teacher and student differ, those of which both are surest first."""
    if task.problem_type == REGRESSION:
        return
    rows = []
    for split, each in compared.items():
        source, numbers = task.row_numbers.get(split, (split, None))
        for place, row in each.differing:
            rows.append({"row": row_name(source, place if numbers is None else int(numbers[place])), **row})
    with open(folder / DISAGREEMENTS_FILE, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["row", "text", "label", "teacher", "student"])
        writer.writeheader()
        writer.writerows(rows[:MOST_ERRORS])


__all__ = ["add_teacher_report"]
