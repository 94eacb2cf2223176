# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Training rows of a student: texts of the data, transfer texts and made-up texts, with the answers of the teachers.

Shapes: N texts, P answers (one for each text; of taggers, one for each word of all texts), C labels.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset, DatasetDict, Features, List, Value, concatenate_datasets

from ..tasks.text_task import FOR_TRAINING
from ..teachers.base import TAGS, TRANSLATION
from ..text.bio import begun
from ..text.collation import TEACHER
from ..text.labels import SINGLE
from ..text.schema import fingerprint
from ..utils.errors import ConfigError, DataError
from ..utils.output import say
from .comparison import metrics_of
from .lesson_answers import ANSWERS, Scores, decisions, translations
from .lesson_texts import Text, columns_in, made_up_texts, masks_of, texts_in, transfer_texts, without
from .open_teachers import open_teachers

if TYPE_CHECKING:
    from .run_config import RunConfig

logger = logging.getLogger(__name__)


@dataclass
class Lesson:
    """Training rows of a student.

    Args:
        rows: Texts, labels and answers of the teachers: first the training rows of the data, then the transfer texts,
            then the made-up ones. The label of a text without one is the answer of the teachers.
        found: Number of rows that are not made up.
        counts: Number of rows of each origin.
        teachers: The teachers.
        scores: Answers of the teachers to the rows of the evaluated splits, by split: `[N, C]`; for taggers, one for
            each word of all rows, `[P, C]`; for translators, a list of N translations.
        embeddings: Folder of the teacher whose token embeddings the student starts from; None for none.
    """

    rows: Dataset
    found: int
    counts: dict[str, int]
    teachers: list[Any]
    scores: dict[str, Any]
    embeddings: Path | None

    @property
    def texts(self) -> Dataset:
        """The rows that are not made up, to train a tokenizer on them."""
        return self.rows.select(range(self.found))

    @property
    def fingerprint(self) -> str:
        """The hash of the rows."""
        return fingerprint({"train": self.rows}, [])

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
    own = texts_in(prepared["train"])
    known = {*own, *(text for split in ("validation", "test") for text in texts_in(prepared.get(split)))}
    transfer = transfer_texts(run, task, prepared, known)
    found = own + transfer
    made_up = made_up_texts(run, task, teachers, found, known | set(transfer))
    answers = _answers(run, task, teachers, prepared)
    # The few rows of evaluations come first, so that a teacher that does not fit is found before the many texts.
    judged = {split: answers(texts_in(prepared[split])) for split in ("validation", "test") if split in prepared}
    if run.training.should_log:
        say(_judgement(task, teachers, judged["validation"], prepared["validation"]))
    counts = {"labelled": len(own), "unlabelled": len(transfer), "made up": len(made_up)}
    rows, real = _rows(run, task, prepared["train"], [*found, *made_up], answers, len(found), masks_of(teachers))
    if task.problem_type == TRANSLATION:
        counts["original pairs"] = _originals(run, len(own))
    _remove(run, kept)
    embeddings = _folder_with_embeddings(teachers) if run.distil.teacher_embeddings else None
    if run.training.should_log:
        say(f"lesson     {' · '.join(f'{count:,} {origin}' for origin, count in counts.items() if count)}")
    return Lesson(rows, real, counts, teachers, judged, embeddings)


def _judgement(task: Any, teachers: list[Any], answers: Any, rows: Dataset) -> str:
    """Return the names of the teachers and their metric on the validation rows, as a line."""
    names = ", ".join(f"{each.name} ({each.license or 'license unknown'})" for each in teachers)
    metric = next(iter(task.measures))
    value = metrics_of(task, rows, answers)[metric]
    if task.problem_type == SINGLE:
        labels = np.asarray(rows["labels"])
        if value <= np.bincount(labels).max() / len(labels):
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


def _folder_with_embeddings(teachers: list[Any]) -> Path:
    """Return the folder of the first teacher that is a model of transformers."""
    folders = [each.folder for each in teachers if hasattr(each, "folder")]
    if not folders:
        raise ConfigError(
            f"distil.teacher_embeddings=True starts from the embeddings of a transformer, and the teacher is "
            f"{teachers[0].name!r}: leave it out, or name vectors, model.vectors=FILE."
        )
    return folders[0]


def _answers(run: RunConfig, task: Any, teachers: list[Any], prepared: DatasetDict) -> Callable[[list[Text]], Any]:
    """Return the function from texts to the answers of all teachers."""
    if task.problem_type == TRANSLATION:
        return partial(translations, run, task, teachers[0])
    return Scores(run, task, teachers, prepared).of


def _rows(
    run: RunConfig, task: Any, train: Dataset, texts: list[Text], answers: Any, found: int, masks: list[str]
) -> tuple[Dataset, int]:
    """Return the rows of a lesson, and the number of those that are not made up.

    In the vocabulary of the student, the mask of a teacher is an unknown word.
    """
    if task.problem_type == TAGS:
        return _tagged(task, train, texts, answers(texts), masks), found
    if task.problem_type != TRANSLATION:
        return _classified(task, train, texts, answers(texts), masks), found
    written = answers(texts)
    whole = [place for place, text in enumerate(written) if text.strip()]
    if not whole:
        raise DataError(
            f"the teacher writes no text for any of {len(texts):,} texts, such as {texts[0][0][:60]!r}: name a teacher "
            "for these texts."
        )
    if len(whole) < len(texts):
        logger.warning(f"the teacher writes no text for {len(texts) - len(whole):,} of {len(texts):,} texts: left out.")
    pairs = [(*texts[place], written[place]) for place in whole]
    rows = _translated(train, pairs, _originals(run, len(train)), run.training.seed)
    return rows, len(rows) - sum(place >= found for place in whole)


def _classified(task: Any, train: Dataset, texts: list[Text], scores: np.ndarray, masks: list[str]) -> Dataset:
    """Return texts with labels and answers. Texts after the training rows have the label of the answer."""
    columns = columns_in(train)
    features = Features(
        {
            **{name: Value("string") for name in columns},
            "labels": train.features["labels"],
            TEACHER: List(Value("float32")),
        }
    )
    rows: dict[str, list] = {
        name: [without(masks, text[place]) for text in texts] for place, name in enumerate(columns)
    }
    rows["labels"] = [*train["labels"], *decisions(scores[len(train) :], task.problem_type).tolist()]
    return Dataset.from_dict({**rows, TEACHER: list(scores)}, features=features)


def _tagged(task: Any, train: Dataset, texts: list[Text], scores: np.ndarray, masks: list[str]) -> Dataset:
    """Return words with tags and answers. Texts after the training rows have the tags of the answer, as valid BIO."""
    parts = np.split(scores, np.cumsum([len(words) for words in texts])[:-1])
    tags = list(train["tags"])
    for part in parts[len(train) :]:
        found = [task.label_names[i] for i in decisions(part, TAGS)]
        tags.append(begun(found) if task.bio else found)
    words = [[without(masks, word) for word in text] for text in texts]
    rows = {"words": words, "tags": tags, FOR_TRAINING: [True] * len(texts), TEACHER: [part.tolist() for part in parts]}
    features = Features({**train.features, TEACHER: List(List(Value("float32")))})
    return Dataset.from_dict({name: rows[name] for name in features}, features=features)


def _originals(run: RunConfig, count: int) -> int:
    """Return the number of original pairs among the rows of a translator."""
    return round(run.distil.hard_labels * count)


def _translated(train: Dataset, pairs: list[tuple[str, str]], originals: int, seed: int) -> Dataset:
    """Return pairs of a source and its translation, after some of the original pairs."""
    kept = np.sort(np.random.default_rng(seed).permutation(len(train))[:originals])
    taught = {
        "source": [source for source, _ in pairs],
        "target": [target for _, target in pairs],
        FOR_TRAINING: [True] * len(pairs),
    }
    return concatenate_datasets([train.select(kept), Dataset.from_dict(taught, features=train.features)])


def with_lesson(prepared: DatasetDict, lesson: Lesson | None) -> DatasetDict:
    """Return prepared splits whose training rows are those of a lesson.

    Args:
        prepared: Prepared splits.
        lesson: Lesson of the student; None for a run without a teacher.
    """
    return prepared if lesson is None else DatasetDict({**prepared, "train": lesson.rows})


__all__ = ["Lesson", "prepare_lesson", "with_lesson"]
