# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Training rows of a student: texts of the data, transfer texts and made-up texts, with the answers of the teachers.

Shapes: N texts, C labels.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset, DatasetDict, Features, List, Value

from ..inference.columns import own_columns, text_columns
from ..inference.generated_text import generated
from ..teachers.base import Teacher, columns_of
from ..teachers.labelling import Processes, answer, folder_of
from ..teachers.transformer import TransformerTeacher
from ..text.augmentation import Augmenter
from ..text.collation import TEACHER
from ..text.columns import text_of
from ..text.labels import MULTI, REGRESSION, SINGLE
from ..text.loading import load
from ..utils.errors import ConfigError, DataError
from ..utils.output import say
from .open_teachers import ColumnsTeacher, cache_of, open_teachers

if TYPE_CHECKING:
    from .run_config import RunConfig

logger = logging.getLogger(__name__)

# Folder in the output folder for the answers of teachers without a key, until the training begins.
ANSWERS = ".answers"
TEXTS = ("text", "text_pair")
UNKNOWN = "\ufffd"


@dataclass
class Lesson:
    """Training rows of a student.

    Args:
        rows: Texts, labels and answers of the teachers: first the training rows of the data, then the transfer texts,
            then the made-up ones. The label of a text without one is the answer of the teachers.
        found: Number of rows that are not made up.
        counts: Number of rows of each origin.
        teachers: The teachers.
        scores: Answers of the teachers to the rows of the evaluated splits, `[N, C]`, by split.
        embeddings: Folder of the teacher whose token embeddings the student starts from; None for none.
    """

    rows: Dataset
    found: int
    counts: dict[str, int]
    teachers: list[Teacher]
    scores: dict[str, np.ndarray]
    embeddings: Path | None

    @property
    def texts(self) -> Dataset:
        """The rows that are not made up, to train a tokenizer on them."""
        return self.rows.select(range(self.found))

    def facts(self) -> dict[str, Any]:
        """Return the teachers and the numbers of rows, as metrics.json has them."""
        return {
            "teachers": [{"name": each.name, "license": each.license} for each in self.teachers],
            "rows": self.counts,
        }


def prepare_lesson(
    run: RunConfig, task: Any, splits: DatasetDict, prepared: DatasetDict, given: Sequence[Any] = ()
) -> Lesson:
    """Open the teachers, collect the texts of a lesson, and let the teachers answer them.

    Args:
        run: Run of the student.
        task: Task of the run, which has prepared the rows.
        splits: Splits of the data set as they were read, with the columns of `teacher.columns`.
        prepared: Prepared splits.
        given: Teachers that were passed in Python.

    Raises:
        HfRnnError: A teacher cannot be opened or does not fit the labels, or there are no transfer texts.
    """
    teachers = open_teachers(run, task, splits, prepared, given)
    kept = Path(str(run.training.output_dir)) / ANSWERS
    _remove(run, kept)
    train = prepared["train"]
    columns = [name for name in TEXTS if name in train.column_names]
    own = _texts(train, columns)
    known = {*own, *(text for split in ("validation", "test") for text in _texts(prepared.get(split), columns))}
    transfer = _transfer_texts(run, task, prepared, columns, known)
    made_up = _made_up(run, teachers, own + transfer, len(own) + len(transfer), known | set(transfer))
    texts = [*own, *transfer, *made_up]
    answers = _Answers(run, task, teachers, prepared, columns)
    # The few rows of evaluations come first, so that a teacher that does not fit is found before the many texts.
    judged = {
        split: answers.of(_texts(prepared[split], columns)) for split in ("validation", "test") if split in prepared
    }
    if run.training.should_log:
        say(_judgement(task, teachers, judged["validation"], prepared["validation"]))
    scores = answers.of(texts)
    labels = _decisions(scores[len(own) :], task.problem_type)
    features = Features(
        {
            **{name: Value("string") for name in columns},
            "labels": train.features["labels"],
            TEACHER: List(Value("float32")),
        }
    )
    # In the vocabulary of the student, the mask of the teacher is an unknown word.
    masks = _masks(teachers)
    rows = {name: [_without(masks, text[place]) for text in texts] for place, name in enumerate(columns)}
    rows |= {"labels": [*train["labels"], *labels.tolist()], TEACHER: list(scores)}
    counts = {"labelled": len(own), "unlabelled": len(transfer), "made up": len(made_up)}
    _remove(run, kept)
    embeddings = _folder_with_embeddings(teachers) if run.distil.teacher_embeddings else None
    if run.training.should_log:
        say(f"lesson     {' · '.join(f'{count:,} {origin}' for origin, count in counts.items() if count)}")
    learnt = Dataset.from_dict(rows, features=features)
    return Lesson(learnt, len(own) + len(transfer), counts, teachers, judged, embeddings)


def _judgement(task: Any, teachers: list[Teacher], scores: np.ndarray, rows: Dataset) -> str:
    """Return the names of the teachers and their metric on the validation rows, as a line."""
    names = ", ".join(f"{each.name} ({each.license or 'license unknown'})" for each in teachers)
    metric, labels = next(iter(task.measures)), np.asarray(rows["labels"])
    value = task.metrics(scores, labels)[metric]
    if task.problem_type == SINGLE and value <= np.bincount(labels).max() / len(labels):
        logger.warning(
            f"the teacher is no better than one that always gives the most frequent label ({metric} {value:.2%} on "
            f"{len(labels)} validation rows): check teacher.label_map and teacher.columns, or name another teacher."
        )
    return f"teacher    {names}: {metric} {value:.4g} on {len(rows):,} validation rows"


def _remove(run: RunConfig, kept: Path) -> None:
    """Remove the answers of teachers without a key: a function may answer differently in the next call."""
    run.training.distributed_state.wait_for_everyone()
    if run.training.should_save:
        shutil.rmtree(kept, ignore_errors=True)
    run.training.distributed_state.wait_for_everyone()


def _folder_with_embeddings(teachers: list[Teacher]) -> Path:
    """Return the folder of the first teacher that is a model of transformers."""
    folders = [each.folder for each in teachers if isinstance(each, TransformerTeacher)]
    if not folders:
        raise ConfigError(
            f"distil.teacher_embeddings=True starts from the embeddings of a transformer, and the teacher is "
            f"{teachers[0].name!r}: leave it out, or name vectors, model.vectors=FILE."
        )
    return folders[0]


class _Answers:
    """Answers of all teachers, as one.

    Args:
        run: Run of the student.
        task: Task of the run.
        teachers: The teachers.
        prepared: Prepared splits; the validation rows weigh the teachers.
        columns: Columns of texts.
    """

    def __init__(self, run: RunConfig, task: Any, teachers: list[Teacher], prepared: DatasetDict, columns: list[str]):
        self.run, self.task, self.teachers = run, task, teachers
        self.weights = np.ones((len(teachers), len(task.label_names)))
        if run.teacher.ensemble == "by_class" and len(teachers) > 1:
            validation = prepared["validation"]
            labels = np.asarray(validation["labels"])
            for place, scores in enumerate(self._of_each(_texts(validation, columns))):
                self.weights[place] = _f1(_decisions(scores, task.problem_type), labels, task.problem_type) + 1e-3
        self.weights /= self.weights.sum(0)

    def of(self, texts: list[tuple[str, ...]]) -> np.ndarray:
        """Return the answers to texts, `[N, C]`: log probabilities, log-odds, or values.

        Args:
            texts: Texts, or pairs of texts.
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
        return _normalised(mean).astype(np.float32)

    def _of_each(self, texts: list[tuple[str, ...]]) -> list[np.ndarray]:
        run, task, args = self.run, self.task, self.run.training
        processes = Processes(args.process_index, args.world_size, args.distributed_state.wait_for_everyone)
        found = []
        for teacher in self.teachers:
            folder = folder_of(teacher, cache_of(run), Path(str(args.output_dir)) / ANSWERS)
            if isinstance(teacher, ColumnsTeacher):
                scores = teacher.scores(texts, task.problem_type)
            else:
                scores = answer(teacher, texts, task.problem_type, folder, processes)
            renamed = run.teacher.label_map or {}
            places = columns_of(teacher.labels, task.label_names, renamed, teacher.name, scores.shape[1])
            scores = scores[:, places]
            found.append(_normalised(scores) if task.problem_type == SINGLE else scores)
        return found


def _normalised(scores: np.ndarray) -> np.ndarray:
    """Return log probabilities whose probabilities sum to 1; labels of the teacher may have been left out."""
    highest = scores.max(1, keepdims=True)
    return scores - highest - np.log(np.exp(scores - highest).sum(1, keepdims=True))


def _decisions(scores: np.ndarray, problem_type: str) -> np.ndarray:
    """Return the labels that scores decide for: indices `[N]`, 0 and 1 `[N, C]`, or values `[N]`."""
    if problem_type == SINGLE:
        return scores.argmax(1)
    return (scores > 0).astype(np.float32) if problem_type == MULTI else scores[:, 0]


def _f1(predicted: np.ndarray, labels: np.ndarray, problem_type: str) -> np.ndarray | float:
    """Return the F1 of each class, `[C]`; 1 for regression."""
    from sklearn.metrics import f1_score

    return 1.0 if problem_type == REGRESSION else f1_score(labels, predicted, average=None, zero_division=0)


def _texts(rows: Dataset | None, columns: list[str]) -> list[tuple[str, ...]]:
    return [] if rows is None else list(zip(*(rows[name] for name in columns), strict=True))


def _transfer_texts(
    run: RunConfig, task: Any, prepared: DatasetDict, columns: list[str], known: set[tuple[str, ...]]
) -> list[tuple[str, ...]]:
    """Return the texts without labels, each once. Texts of the labelled splits are left out, those for tests too."""
    read: list[tuple[str, ...]] = []
    if run.teacher.columns is not None and (run.distil.transfer or "unlabelled" in prepared):
        raise ConfigError(
            "teacher.columns has answers to the labelled rows only, and distil.transfer or data.unlabelled_splits has "
            "other texts: leave them out, or name a model, teacher.path=FOLDER."
        )
    if "unlabelled" in prepared:
        if len(columns) > 1:
            raise DataError(
                f"data.unlabelled_splits={run.data.unlabelled_splits} have single texts, and the rows are pairs: name "
                "a file with both columns, distil.transfer=FILE."
            )
        read += _texts(prepared["unlabelled"], ["text"])
    for path in run.distil.transfer:
        read += _texts_of_file(path, task, len(columns))
    fresh = [text for text in dict.fromkeys(read) if any(part.strip() for part in text) and text not in known]
    if read and not fresh:
        raise DataError(
            f"none of the {len(read):,} texts of {', '.join([*run.distil.transfer, *run.data.unlabelled_splits])} is "
            "left: they are empty, or among the labelled rows. Name other texts, distil.transfer=FILE, or write "
            "distil.size=100000 to make up texts."
        )
    if len(fresh) < len(read):
        logger.info(
            f"{len(read) - len(fresh):,} of {len(read):,} transfer texts are empty, repeated or among the labelled "
            "rows, and were left out."
        )
    return fresh


def _texts_of_file(path: str, task: Any, count: int) -> list[tuple[str, ...]]:
    """Return the texts, or pairs of texts, of all splits of a data set."""
    found: list[tuple[str, ...]] = []
    data = replace(task.data.elsewhere(path), text_column=task.columns.text, text_pair_column=task.columns.text_pair)
    for name, rows in load(data).items():
        columns = text_columns(task.with_data(own_columns(task.with_data(data), rows, ())), rows)
        if len(columns) < count:
            raise DataError(
                f"the split {name!r} of {path!r} has one text a row, in {columns[0]!r}, and the model reads pairs: "
                "name a file with both columns, as in the training rows."
            )
        where = f"of {path!r}"
        parts = [[text_of(value, f"the column {name!r} {where}") for value in rows[name]] for name in columns[:count]]
        found += zip(*parts, strict=True)
    return found


def _made_up(
    run: RunConfig, teachers: list[Teacher], texts: list[tuple[str, ...]], have: int, known: set[tuple[str, ...]]
) -> list[tuple[str, ...]]:
    """Return made-up texts, so that there are `distil.size` in all."""
    distil = run.distil
    if distil.size is None or distil.size <= have:
        if distil.size is not None:
            logger.info(f"distil.size={distil.size:,} makes up no texts: the data has {have:,} already.")
        return []
    if distil.generator is not None and len(texts[0]) > 1:
        raise DataError(
            f"distil.generator={distil.generator!r} writes single texts, and the rows are pairs: leave it out."
        )
    if any(isinstance(each, ColumnsTeacher) for each in teachers):
        raise DataError(
            f"distil.size={distil.size} makes up texts, and teacher.columns has answers to the texts of the data only: "
            "leave it out, or name a model, teacher.path=FOLDER."
        )
    wanted, seed = distil.size - have, run.training.seed
    made: list[tuple[str, ...]] = []
    if distil.generator is not None:
        like, single = [text[0] for text in texts], [text[0] for text in known]
        made = [(text,) for text in generated(distil.generator, wanted // 2, seed, like=like, known=single)]
    mask = next(iter(_masks(teachers)), None)
    augmenter = Augmenter(texts, distil.augment, seed, mask=mask, vectors=run.model.vectors)
    made += augmenter.draw(wanted - len(made), known | set(made))
    if len(made) < wanted:
        logger.warning(
            f"only {len(made):,} of {wanted:,} texts could be made up from {len(texts):,}: name more transfer texts, "
            f"distil.transfer=FILE, or write distil.size={have + len(made)}."
        )
    return made


def _masks(teachers: list[Teacher]) -> list[str]:
    """Return the mask tokens of the teachers that have one."""
    return [mask for each in teachers if (mask := getattr(each, "mask", None))]


def _without(masks: list[str], text: str) -> str:
    """Return a text whose masks are replaced by a character that is in no vocabulary."""
    for mask in masks:
        text = text.replace(mask, UNKNOWN)
    return text


def with_lesson(prepared: DatasetDict, lesson: Lesson | None) -> DatasetDict:
    """Return prepared splits whose training rows are those of a lesson.

    Args:
        prepared: Prepared splits.
        lesson: Lesson of the student; None for a run without a teacher.
    """
    return prepared if lesson is None else DatasetDict({**prepared, "train": lesson.rows})


__all__ = ["ANSWERS", "Lesson", "prepare_lesson", "with_lesson"]
