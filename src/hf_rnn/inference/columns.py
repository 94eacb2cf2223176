# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Columns that a trained model reads in data that it was not trained on."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..tasks import Task
from ..text.arguments import DataArguments
from ..text.columns import by_name, check_column, choose_texts, pair_by_name
from ..utils.errors import HfRnnError

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)


def text_columns(task: Task, rows: Dataset) -> list[str]:
    """Return the name of the text column, and that of the second text for a model of pairs.

    Args:
        task: Task of the model, with the data section that [`own_columns`] returns for the rows.
        rows: Rows of data that the model was not trained on.

    Raises:
        HfRnnError: No column, or more than one, can be the text.
    """
    if not task.one_answer:
        return [task.text_column(rows)]
    text, pair = choose_texts(rows, task.data)
    reads_pairs = pair is not None and (task.data.text_pair_column is not None or not task.has_schema)
    return [text, str(pair)] if reads_pairs else [text]


def own_columns(task: Task, rows: Dataset, given: Collection[str], labels: bool = False) -> DataArguments:
    """Return the data section of a task, with columns that exist in other data than that of training.

    A column of training that is missing in the rows is replaced by one with a well-known name, or the text column by
    the only column. For a model without a saved schema, and for tasks other than text classification, its setting
    becomes None: the task then searches for the column.

    Args:
        task: Task of a trained model.
        rows: Rows of the other data.
        given: Keys of column settings that were given for these rows. Their columns must exist.
        labels: True if the label column is needed too.

    Raises:
        HfRnnError: A given column does not exist, or a missing column of training has no replacement.
    """
    data, there = task.data, set(rows.column_names)
    asked = ("text_column", "text_pair_column", *(["label_column"] if labels else []))
    names = {key: getattr(data, key) for key in asked}
    gone = [
        key
        for key, name in names.items()
        if name is not None and key not in given and not set(name if isinstance(name, list) else [name]) <= there
    ]
    for key in given:
        check_column(rows, key, data)
    cleared: dict[str, Any] = dict.fromkeys(gone)
    data = replace(data, **cleared)
    if not gone or not task.has_schema or not task.one_answer:
        return data
    found: dict[str, Any] = {key: by_name(rows, key, data) for key in gone if key != "text_pair_column"}
    if names["text_pair_column"] is not None and {"text_column", "text_pair_column"} & set(gone):
        # Both columns of a pair are replaced together: one replacement alone may belong to another pair.
        pair = pair_by_name(rows, data)
        found |= {key: name for key, name in zip(asked, pair or (None, None), strict=False) if key not in given}
    missing = next((key for key in gone if found.get(key) is None), None)
    if missing is not None:
        raise HfRnnError(
            f"the model was trained on the column {names[missing]!r}, but {data.path!r} has "
            f"{', '.join(map(repr, rows.column_names))}. Write data.{missing}=NAME to choose one."
        )
    for key, name in found.items():
        logger.info(
            f"{data.path} has no column {names[key]!r}, which the model was trained on: reading {name!r} instead."
        )
    return replace(data, **found)


__all__ = ["own_columns", "text_columns"]
