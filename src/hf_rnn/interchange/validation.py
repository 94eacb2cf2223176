# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Validation rows of a trained model: parity is checked on them, and int8 weights are measured on them."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..inference.evaluation import VALIDATION, rows_to_judge
from ..inference.predictor import Predictor
from ..tasks import Task
from ..text.arguments import COLUMN_SETTINGS, DataArguments
from ..text.columns import named_columns
from ..text.sources import open_splits
from ..text.splits import choose_split
from ..utils.errors import HfRnnError

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)

# The part of a message that tells to write a setting of a column.
_COLUMN_ADVICE = re.compile(rf"[.:;] [^.:;]*\bdata\.(?:{'|'.join(COLUMN_SETTINGS)})=")


class ValidationRows(NamedTuple):
    """Encoded validation rows.

    Args:
        rows: Rows with `input_ids` and labels.
        task: Task that judges answers to the rows.
        source: Description of the rows.
    """

    rows: Dataset
    task: Task
    source: str


def validation_rows(predictor: Predictor, data: Any = None) -> ValidationRows:
    """Return the validation rows of the data of the training run, or rows of other data.

    Args:
        predictor: Trained model.
        data: Labelled data set as in [`~hf_rnn.inference.evaluation.evaluate`]; of a path with several splits, the
            validation split is read, or else the test split. None for the data of the training run.

    Raises:
        HfRnnError: The data cannot be read, or they have changed since training.
    """
    if data is None:
        rows, task = rows_to_judge(predictor, None, VALIDATION)
        return ValidationRows(rows, task, f"validation rows of {_title(task)}")
    if not isinstance(data, (str, Path)):
        rows, task = rows_to_judge(predictor, data)
        return ValidationRows(rows, task, f"labelled rows of {_title(task)}")
    of_run = predictor.task.data
    read = of_run if of_run.reads(str(data)) else of_run.elsewhere(str(data))
    names = open_splits(read, None, predictor.task.tagged)
    split = choose_split(names, DataArguments().validation_split)
    try:
        rows, task = rows_to_judge(predictor, data, split)
    except HfRnnError as error:
        raise _without_settings(error, str(data), of_run) from error
    return ValidationRows(rows, task, f"{split or 'labelled'} rows of {_title(task)}")


def _without_settings(error: HfRnnError, path: str, of_run: DataArguments) -> HfRnnError:
    """Return an error whose advice names no setting of columns, because an export has none; another error as it is."""
    cause, *advice = _COLUMN_ADVICE.split(str(error), maxsplit=1)
    if not advice:
        return error
    columns = ", ".join(map(repr, named_columns(of_run))) or "'text' and, for labels, 'label'"
    return type(error)(f"{cause}. Rename the columns of {path!r} to those of training, {columns}.")


def _title(task: Any) -> str:
    """Return the name of a data set, without the path on this machine, because an export may be published."""
    return str(task.title()["title"])


def validation_rows_if_any(predictor: Predictor) -> tuple[ValidationRows | None, str]:
    """Return the validation rows of the data of the training run; None and the reason if they cannot be read.

    Args:
        predictor: Trained model.
    """
    if not predictor.task.data.path:
        return None, "the model has no run.yaml that names its data"
    try:
        return validation_rows(predictor), ""
    except (HfRnnError, OSError) as error:
        return None, str(error)


__all__ = ["ValidationRows", "validation_rows", "validation_rows_if_any"]
