# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Open the teachers of a run: models by their paths, models that were passed in Python, and columns of the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import DatasetDict
from huggingface_hub.constants import HF_HOME

from ..inference.predictor import Predictor
from ..models.configuration_rnn import RNNConfig
from ..teachers.base import TAGS, TRANSLATION, log_scores
from ..teachers.columns import scores_in
from ..teachers.endpoint import PROMPT, endpoint_teacher, is_endpoint
from ..teachers.python_model import python_teacher
from ..teachers.python_words import python_tagger, python_translator
from ..teachers.transformer import (
    TransformerTagger,
    TransformerTeacher,
    TransformerTranslator,
    find_transformer,
    license_of,
)
from ..teachers.zero_shot import ZeroShotTeacher, is_nli, zero_shot_teacher
from ..utils.errors import ConfigError
from ..utils.output import say
from .distil_arguments import IN_PYTHON
from .teacher_finetuning import finetuned

if TYPE_CHECKING:
    from .run_config import RunConfig


def cache_of(run: RunConfig) -> Path:
    """Return the folder in which the answers of teachers are kept for all runs.

    Args:
        run: Run of the student.
    """
    return Path(run.teacher.cache or Path(HF_HOME) / "hf_rnn" / "teachers").expanduser()


def open_teachers(
    run: RunConfig, task: Any, splits: DatasetDict, prepared: DatasetDict, given: Sequence[Any]
) -> list[Any]:
    """Open the teachers of a run.

    Args:
        run: Run of the student.
        task: Task of the run, which has prepared the rows.
        splits: Splits of the data set as they were read.
        prepared: Prepared splits, on which a teacher is fine-tuned.
        given: Teachers that were passed in Python, which replace `teacher.path`.

    Raises:
        HfRnnError: A teacher cannot be opened, or has no classification head.
    """
    if run.teacher.columns is not None:
        return [ColumnsTeacher(run, task, splits, prepared)]
    if given:
        teachers = [teacher_in_python(task)(model) for model in given]
    else:
        teachers = [_open(path, run, task, prepared) for path in run.teacher.path]
    if "teacher.hypothesis" in run.given and not any(isinstance(each, ZeroShotTeacher) for each in teachers):
        raise ConfigError(
            f"teacher.hypothesis={run.teacher.hypothesis!r} is read by NLI models, and none of the teachers "
            f"({', '.join(each.name for each in teachers)}) is used as one: name one, or leave it out."
        )
    if wanted := run.teacher.outputs:
        for each in teachers:
            if getattr(each, "outputs", wanted) not in (None, wanted):
                raise ConfigError(
                    f"teacher.outputs={wanted!r}, and the teacher {each.name!r} answers with {each.outputs}: leave it "
                    "out."
                )
            each.outputs = wanted
    return teachers


def teacher_in_python(task: Any) -> Callable[..., Any]:
    """Return the function that makes a teacher of an object in Python, and of its name.

    Args:
        task: Task of the student.
    """
    return {TAGS: python_tagger, TRANSLATION: python_translator}.get(task.problem_type, python_teacher)


def _open(path: str, run: RunConfig, task: Any, prepared: DatasetDict) -> Any:
    teacher = run.teacher
    wanted = task.label_names, str(task.problem_type)
    of_words = {TAGS: TransformerTagger, TRANSLATION: TransformerTranslator}.get(task.problem_type)
    if path == IN_PYTHON:
        raise ConfigError(
            "the teacher of this run was passed in Python: call hf_rnn.distil(CONFIG, teacher=MODEL), or name a "
            "folder, teacher.path=FOLDER."
        )
    if is_endpoint(path):
        if of_words is not None:
            raise ConfigError(
                f"teacher.path={path!r} is an endpoint, and endpoints teach text classifiers: name a model of "
                f"transformers or of hf_rnn for {task.problem_type}."
            )
        return endpoint_teacher(path, *wanted, model=teacher.endpoint_model, prompt=teacher.prompt or PROMPT)
    with run.training.main_process_first(desc="finding the teacher"):
        folder, config = find_transformer(path, teacher.revision)
    if isinstance(config, RNNConfig):
        # Its folder has more files than that of a transformer, such as the settings of its data.
        predictor = Predictor.from_pretrained(path, **({} if Path(path).is_dir() else {"revision": teacher.revision}))
        if teacher.finetune and run.training.should_log:
            say(f"teacher    {path} is a model of hf_rnn, and teaches as it is (teacher.finetune is for transformers)")
        found = teacher_in_python(task)(predictor, name=path)
        found.license, found.model = license_of(folder), predictor.model
        return found
    if teacher.finetune:
        folder, config = finetuned(path, folder, run, task, prepared, cache_of(run))
    elif of_words is None and is_nli(config) and not is_nli_task(task):
        how = {"hypothesis": teacher.hypothesis, "license": license_of(folder)}
        return zero_shot_teacher(folder, *wanted, name=path, **how)
    return (of_words or TransformerTeacher)(path, folder, config, teacher.max_length)


def is_nli_task(task: Any) -> bool:
    """Return True if the labels of the data are those of natural language inference.

    Args:
        task: Task of the run.
    """
    return "entailment" in [label.casefold() for label in task.label_names]


def without_answers(run: RunConfig, splits: DatasetDict) -> DatasetDict:
    """Return the splits of a data set without the columns that hold the answers of a teacher.

    Args:
        run: Run of the student.
        splits: Splits of the data set as they were read.
    """
    columns = run.teacher.columns
    if columns is None:
        return splits
    named = set(columns.values() if isinstance(columns, dict) else columns)
    return DatasetDict(
        {split: rows.remove_columns(sorted(named & set(rows.column_names))) for split, rows in splits.items()}
    )


class ColumnsTeacher:
    """Answers of a teacher that are columns of the data.

    Args:
        run: Run of the student.
        task: Task of the run, which has prepared the rows.
        splits: Splits of the data set as they were read.
        prepared: Prepared splits.

    Raises:
        DataError: A column does not exist, or a value is not a number.
    """

    key: str | None = None
    group = 0
    license: str | None = None

    def __init__(self, run: RunConfig, task: Any, splits: DatasetDict, prepared: DatasetDict):
        columns = run.teacher.columns
        named = columns.values() if isinstance(columns, dict) else columns
        self.name = f"columns {', '.join(named)}"
        self.labels: list[str] | None = list(task.label_names)
        self.outputs: str | None = run.teacher.outputs
        found: dict[tuple[str, ...], list[np.ndarray]] = {}
        for split, rows in prepared.items():
            if split not in task.row_numbers:
                continue
            source, numbers = task.row_numbers[split]
            texts = [name for name in ("text", "text_pair") if name in rows.column_names]
            scores = scores_in(splits[source].select(numbers), columns, task.label_names)
            for text, row in zip(zip(*(rows[name] for name in texts), strict=True), scores, strict=True):
                found.setdefault(text, []).append(row)
        # A text that occurs several times has the mean of its answers.
        self.found = {text: np.mean(rows, axis=0) for text, rows in found.items()}

    def answers(self, texts: Sequence[tuple[str, ...]]) -> np.ndarray:
        """Return the numbers in the columns, `[N, C]`.

        Args:
            texts: N texts of the data.
        """
        return np.stack([self.found[text] for text in texts])

    def scores(self, texts: Sequence[tuple[str, ...]], problem_type: str) -> np.ndarray:
        """Return the answers in the form in which they are taught.

        Args:
            texts: N texts of the data.
            problem_type: Problem type of the student.
        """
        return log_scores(self.answers(texts), self.outputs, problem_type, self.name)


__all__ = ["ColumnsTeacher", "cache_of", "open_teachers", "teacher_in_python", "without_answers"]
