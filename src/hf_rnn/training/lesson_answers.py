# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Answers of all teachers of a run, as one.

Shapes: N texts, P answers (one for each text; of taggers, one for each word of all texts), C labels.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..teachers.base import TAGS, Labeller, columns_of, log_softmax
from ..teachers.labelling import Processes, answer, answer_in_words, folder_of
from ..text.labels import MULTI, REGRESSION
from ..utils.errors import ConfigError
from .lesson_texts import Text, texts_in
from .open_teachers import ColumnsTeacher, cache_of

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from .run_config import RunConfig

# Folder in the output folder for the answers of teachers without a key, until the training begins.
ANSWERS = ".answers"


class Scores:
    """Answers of teachers that are numbers, averaged.

    Args:
        run: Run of the student.
        task: Task of the run.
        teachers: The teachers.
        prepared: Prepared splits; the validation rows weigh the teachers.
    """

    def __init__(self, run: RunConfig, task: Any, teachers: list[Any], prepared: DatasetDict):
        self.run, self.task, self.teachers = run, task, teachers
        self.weights = np.ones((len(teachers), len(task.label_names)))
        if run.teacher.ensemble == "by_class" and len(teachers) > 1:
            validation = prepared["validation"]
            labels = labels_in(validation, task)
            for place, scores in enumerate(self._of_each(texts_in(validation))):
                self.weights[place] = _f1(decisions(scores, task.problem_type), labels, task) + 1e-3
        self.weights /= self.weights.sum(0)

    def of(self, texts: list[Text]) -> np.ndarray:
        """Return the answers to texts, `[P, C]`: log probabilities, log-odds, or values.

        Args:
            texts: Texts, pairs of texts, or words.
        """
        each = self._of_each(texts)
        if len(each) == 1:
            return each[0]
        weights, problem_type = self.weights[:, None, :], self.task.problem_type
        stacked = np.stack(each).astype(np.float64)
        if problem_type == REGRESSION:
            return (weights * stacked).sum(0).astype(np.float32)
        if problem_type == MULTI:
            mean = (weights / (1 + np.exp(-stacked))).sum(0)
            return np.log(mean / (1 - mean)).astype(np.float32)
        mean = np.log((weights * np.exp(stacked)).sum(0))
        return log_softmax(mean).astype(np.float32)

    def _of_each(self, texts: list[Text]) -> list[np.ndarray]:
        run, task = self.run, self.task
        found = []
        renamed = run.teacher.label_map or {}
        for place, teacher in enumerate(self.teachers):
            if isinstance(teacher, ColumnsTeacher):
                scores = teacher.scores(texts, task.problem_type)
            else:
                scores = answer(
                    teacher,
                    texts,
                    task.problem_type,
                    _folder_of(teacher, task, run, place),
                    _processes_of(run),
                )
            if task.problem_type == TAGS:
                _check_scheme(teacher, task, renamed)
            self._check_renamed()
            places = columns_of(teacher.labels, task.label_names, renamed, teacher.name, scores.shape[1])
            scores = scores[:, places]
            # Labels of the teacher may have been left out.
            found.append(scores if task.problem_type in (MULTI, REGRESSION) else log_softmax(scores))
        return found

    def _check_renamed(self) -> None:
        """Raise [`ConfigError`] if `teacher.label_map` names a label that no teacher has."""
        if any(teacher.labels is None for teacher in self.teachers):
            return
        labels = [label for teacher in self.teachers for label in teacher.labels]
        if unknown := [label for label in self.run.teacher.label_map or () if label not in labels]:
            raise ConfigError(
                f"teacher.label_map names {unknown[0]!r}, which is not a label of the teacher "
                f"({', '.join(dict.fromkeys(labels[:20]))}): write one of these."
            )


def translations(run: RunConfig, task: Any, teacher: Any, texts: list[Text]) -> list[str]:
    """Return the translations of a teacher.

    Args:
        run: Run of the student.
        task: Task of the run.
        teacher: The teacher.
        texts: Source texts.
    """
    return answer_in_words(teacher, texts, task.problem_type, _folder_of(teacher, task, run), _processes_of(run))


def _folder_of(teacher: Labeller, task: Any, run: RunConfig, place: int = 0) -> Path:
    """Return the folder of a teacher's answers; `place` is its index among the teachers of the run."""
    return folder_of(
        teacher, task.problem_type, cache_of(run), Path(str(run.training.output_dir)) / ANSWERS / str(place)
    )


def _processes_of(run: RunConfig) -> Processes:
    args = run.training
    return Processes(args.process_index, args.world_size, args.distributed_state.wait_for_everyone)


def _check_scheme(teacher: Any, task: Any, renamed: dict[str, str | None]) -> None:
    """Raise [`ConfigError`] if a teacher has tags of a scheme that the data, which is read as BIO, has not."""
    given = [str(renamed.get(label, label)) for label in teacher.labels or ()]
    other = [label for label in given if task.bio and label[:2] in ("S-", "E-", "L-", "U-", "M-")]
    if other:
        raise ConfigError(
            f"the teacher {teacher.name!r} has the tags {', '.join(given[:20])} of another scheme, such as {other[0]}, "
            f"and the data has the BIO tags {', '.join(task.label_names[:20])}: name a teacher with BIO tags."
        )


def decisions(scores: np.ndarray, problem_type: str) -> np.ndarray:
    """Return the labels that scores decide for: indices `[P]`, 0 and 1 `[N, C]`, or values `[N]`.

    Args:
        scores: Answers of teachers, `[P, C]`.
        problem_type: Problem type of the student.
    """
    if problem_type == MULTI:
        return (scores > 0).astype(np.float32)
    return scores[:, 0] if problem_type == REGRESSION else scores.argmax(1)


def labels_in(rows: Dataset, task: Any) -> np.ndarray:
    """Return the labels of prepared rows; of a tagger, the indices of the tags of all words, `[P]`.

    Args:
        rows: Prepared rows of a split.
        task: Task of the run.
    """
    if task.problem_type != TAGS:
        return np.asarray(rows["labels"])
    id_of = {name: i for i, name in enumerate(task.label_names)}
    return np.array([id_of[tag] for tags in rows["tags"] for tag in tags], dtype=int)


def _f1(predicted: np.ndarray, labels: np.ndarray, task: Any) -> np.ndarray | float:
    """Return the F1 of each class, `[C]`; 1 for regression."""
    from sklearn.metrics import f1_score

    if task.problem_type == REGRESSION:
        return 1.0
    return f1_score(labels, predicted, labels=range(len(task.label_names)), average=None, zero_division=0)


__all__ = ["ANSWERS", "Scores", "decisions", "labels_in", "translations"]
