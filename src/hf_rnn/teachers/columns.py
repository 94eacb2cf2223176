# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Answers of a teacher that stand in columns of the data."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..utils.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    from datasets import Dataset

_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")
# The comma of such a number separates thousands or decimals.
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")


def scores_in(rows: Dataset, columns: Mapping[str, str] | Sequence[str], label_names: Sequence[str]) -> np.ndarray:
    """Return the answers of a teacher from columns of the data, `[N, C]`, float64.

    Args:
        rows: N rows of the data.
        columns: Column of each label, by the name of the label; or a list of columns in the order of `label_names`.
        label_names: C labels of the data.

    Raises:
        ConfigError: `columns` has other labels than the data, or another number of them.
        DataError: A column does not exist, or a value is missing or not a number.
    """
    names = _names(columns, label_names)
    for name in names:
        if name not in rows.column_names:
            near = nearest(name, rows.column_names)
            raise DataError(
                f"teacher.columns names {name!r}, and the data has the columns {_listed(rows.column_names)}: "
                + (f"did you mean {near!r}?" if near else "write one of these.")
            )
    return np.stack([_numbers(rows[name][:], name) for name in names], axis=1)


def _names(columns: Mapping[str, str] | Sequence[str], label_names: Sequence[str]) -> list[str]:
    """Return the columns in the order of the labels."""
    example = ", ".join(f"{label!r}: COLUMN" for label in label_names[:20])
    if isinstance(columns, Mapping):
        # YAML reads a label such as 0 as a number.
        columns = {str(label): column for label, column in columns.items()}
        if set(columns) != set(label_names):
            raise ConfigError(
                f"teacher.columns has the labels {_listed(columns)}, and the data has {_listed(label_names)}: name a "
                f"column for each, teacher.columns={{{example}}}."
            )
        return [columns[label] for label in label_names]
    if isinstance(columns, str) or len(columns) != len(label_names):
        given = repr(columns) if isinstance(columns, str) else f"{len(columns)} columns ({_listed(columns)})"
        raise ConfigError(
            f"teacher.columns is {given}, and the data has {len(label_names)} labels ({_listed(label_names)}): name a "
            f"column for each, teacher.columns={{{example}}}."
        )
    return list(columns)


def _numbers(values: Sequence[Any], name: str) -> np.ndarray:
    return np.array([_number(value, row, name) for row, value in enumerate(values, 1)], dtype=np.float64)


def _number(value: Any, row: int, name: str) -> float:
    text = str(value).strip()
    if _THOUSANDS.fullmatch(text):
        raise DataError(
            f"row {row} has {text!r} in the column {name!r}, which may be {text.replace(',', '.', 1)} or "
            f"{text.replace(',', '')}: write numbers with a point for decimals and no thousands separator."
        )
    try:
        number = float(text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        given = "no value" if value is None or not text else repr(value)
        raise DataError(
            f"row {row} has {given} in the column {name!r}, which teacher.columns names: write the teacher's "
            "probability or logit of the label there as a number, or remove the row."
        )
    return number


def _listed(names: Any) -> str:
    return ", ".join(map(repr, list(names)[:20]))


__all__ = ["scores_in"]
