# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Evaluation of a trained model on labelled rows: those of its own run, or others."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..hub.folder import RUN_FILE
from ..tasks import Task
from ..text.arguments import COLUMN_SETTINGS, IN_MEMORY, DataArguments
from ..text.batching import BATCH_TOKENS
from ..text.loading import load
from ..text.schema import fingerprint
from ..text.splits import SPLITS, choose_split
from ..utils.errors import DataError, HfRnnError, nearest
from ..utils.output import bars_if_seen
from .columns import own_columns
from .predictor import Predictor

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

logger = logging.getLogger(__name__)

VALIDATION = "validation"


def labelled_rows(
    predictor: Predictor, data: Any, split: str | None, given: Collection[str] | None
) -> tuple[DatasetDict, Task]:
    """Return the splits of a labelled data set, and the task of the model with the columns of that data set.

    Args:
        predictor: Trained model.
        data: Same as in [`evaluate`].
        split: Same as in [`evaluate`].
        given: Same as in [`evaluate`].

    Raises:
        HfRnnError: Same as in [`evaluate`].
    """
    source, of_run = None, predictor.task.data
    data = of_run if data is None else data
    if isinstance(data, DataArguments):
        given = COLUMN_SETTINGS if given is None else given
    elif isinstance(data, (str, Path)):
        data = of_run if of_run.reads(str(data)) else of_run.elsewhere(str(data))
    else:
        source, data, given = data, of_run.elsewhere(IN_MEMORY), None
    if not data.path:
        raise HfRnnError(f"the model has no {RUN_FILE} that names its data: name a data set, data=PATH.")
    task = predictor.task.with_data(data)
    splits = task.hold_out_test(load(data, split or data.test_split, source, task.tagged))
    wanted = splits[split] if split in splits else next(iter(splits.values()))
    labels = task.problem_type != "language_modeling"
    return splits, task.with_data(own_columns(task, wanted, given or (), labels))


@bars_if_seen()
def evaluate(
    predictor: Predictor | str | Path,
    data: Any = None,
    split: str | None = None,
    batch_tokens: int = BATCH_TOKENS,
    given: Collection[str] | None = None,
) -> dict:
    """Evaluate a model on labelled rows.

    Args:
        predictor: Trained model, or its folder or Hub id.
        data: A [`DataArguments`], the path or Hub id of a data set, or rows as in `hf_rnn.train`. None for the data of
            the training run. The path of that data is read with the settings of the run, such as `data.test_size`.
        split: Name of the split to evaluate on. None selects, of the data of the training run, the test split, or
            else the validation rows; of other data, the only split, or else the test split.
        batch_tokens: Maximum number of tokens in a batch, padding included.
        given: Keys of column settings, such as `text_column`, whose columns must exist. Missing columns of other keys
            are searched for by name. None selects all columns of a [`DataArguments`], and none of other data.

    Returns:
        Number of rows as `rows`, and the metrics of the task.

    Raises:
        HfRnnError: No data set is named, or it cannot be loaded; the split, a column or a label does not exist; or the
            validation rows were held out of rows that have changed since.
    """
    if not isinstance(predictor, Predictor):
        predictor = Predictor.from_pretrained(predictor)
    rows, task = rows_to_judge(predictor, data, split, given)
    return {"rows": len(rows), **task.judge(predictor, rows, batch_tokens)}


def rows_to_judge(
    predictor: Predictor, data: Any = None, split: str | None = None, given: Collection[str] | None = None
) -> tuple[Dataset, Task]:
    """Return the encoded rows that [`evaluate`] evaluates a model on, and the task that judges its answers to them.

    Args:
        predictor: Trained model.
        data: Same as in [`evaluate`].
        split: Same as in [`evaluate`].
        given: Same as in [`evaluate`].

    Raises:
        HfRnnError: Same as in [`evaluate`].
    """
    splits, task = labelled_rows(predictor, data, split, given)
    for how in dict.fromkeys(rows.info.description for rows in splits.values() if rows.info.description):
        logger.info(f"{task.data.path}: {how}.")
    if data is None:
        split = _split_of_run(task, splits, split)
    if data is None and split not in splits and split == VALIDATION and not task.data.streaming:
        rows = _held_out(task, splits)
    else:
        rows = task.prepare_split(splits, split)
    _warn_of_seen_rows(predictor, task, splits, split)
    return task.encode(rows, predictor.tokenizer), task


def _split_of_run(task: Task, splits: DatasetDict, split: str | None) -> str:
    """Return the named split of a training run; or its test split, or else its validation split.

    `VALIDATION` stands for validation rows that the run held out.

    Raises:
        DataError: The split does not exist.
    """
    validation = choose_split(splits, task.data.validation_split) or VALIDATION
    if split is None:
        return str(task.data.test_split) if task.data.test_split in splits else validation
    if split in splits:
        return split
    if SPLITS.get(split) == VALIDATION:
        return validation
    near = nearest(split, [*splits, VALIDATION]) or validation
    raise DataError(
        f"the data of the run, {task.data.path!r}, have no split {split!r}, only "
        f"{', '.join(dict.fromkeys([*splits, validation]))}: write split={near!r}."
    )


def _held_out(task: Task, splits: DatasetDict) -> Dataset:
    """Return the validation rows that the training run held out of its training split."""
    prepared = task.prepare(splits)
    if task.fingerprint not in (None, fingerprint(prepared, task.label_names)):
        raise DataError(
            f"the validation rows were held out of {task.data.path!r}, but its rows, or the columns that are "
            "read, have changed since training: restore them, or name other rows, data=PATH."
        )
    logger.info(f"evaluating on the validation rows that the training run held out of {task.data.path}.")
    return prepared[VALIDATION]


def _warn_of_seen_rows(predictor: Predictor, task: Task, splits: DatasetDict, split: str | None) -> None:
    """Warn if the model, or the n-grams of its wide path, were trained on the rows."""
    of_run, path = predictor.task.data, task.data.path
    if path == IN_MEMORY or not of_run.reads(path):
        return
    name = split or (next(iter(splits)) if len(splits) == 1 else task.data.test_split)
    if name == choose_split(splits, of_run.train_split) or name in of_run.unlabelled_splits:
        logger.warning(
            f"the model was trained on rows of the split {name} of {path}, so the score is too high: leave data and "
            "split out, or name other rows, data=PATH."
        )
    elif name in (VALIDATION, choose_split(splits, of_run.validation_split)) and _has_wide_path(predictor):
        logger.warning(
            "the n-grams of this model were fitted to its validation rows after training, so the score is too high: "
            "metrics.json has the score from before. For rows that nothing saw, train with data.test_size=0.1."
        )


def _has_wide_path(predictor: Predictor) -> bool:
    return bool(getattr(predictor.model.config, "wide_ngrams", 0))


__all__ = ["VALIDATION", "evaluate", "labelled_rows", "rows_to_judge"]
