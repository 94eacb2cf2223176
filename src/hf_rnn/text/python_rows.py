# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Rows that are handed over in Python: data frames, tables, lists and dicts."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..utils.errors import UserError
from .splits import SPLITS
from .tables import column_of, in_memory, table_of

if TYPE_CHECKING:
    from datasets import Dataset


def splits_in(source: Any) -> dict[str, Dataset]:
    """Return the splits of rows that were handed over in Python.

    Args:
        source: a pandas or polars DataFrame, a pyarrow Table, a `datasets.Dataset`, a list of dicts or of pairs (text,
            label), or a dict of columns; or a `datasets.DatasetDict` or a dict of such, by their splits.

    Raises:
        UserError: anything else.
    """
    if isinstance(source, Mapping) and source and not all(map(_is_column, source.values())):
        found: dict[str, Dataset] = {}
        for name, rows in source.items():
            split = SPLITS.get(str(name).lower(), str(name))
            if split in found:
                raise UserError(
                    f"there are several tables for the split {split}: {', '.join(map(str, source))}. Pass one."
                )
            found[split] = _rows_in(rows)
        return found
    return {"train": _rows_in(source)}


def _is_column(value: Any) -> bool:
    """Return whether a value is a column of a table, and not a table."""
    plain = isinstance(value, (list, tuple)) or type(value).__module__.split(".")[0] == "numpy"
    return plain and not (len(value) and isinstance(value[0], (dict, tuple)))


def is_table(rows: Any) -> bool:
    """Return whether a value of Python is a table, and not texts.

    Args:
        rows: any value.
    """
    if _is_dataset(rows) or isinstance(rows, (Mapping, pa.Table)):
        return True
    if isinstance(rows, (list, tuple)):
        return bool(rows) and isinstance(rows[0], Mapping)
    return type(rows).__module__.split(".")[0] in ("pandas", "polars") and hasattr(rows, "columns")


def _is_dataset(rows: Any) -> bool:
    """Return whether a value is a `datasets.Dataset`, of which there is none before the library is loaded."""
    library = sys.modules.get("datasets")
    return library is not None and isinstance(rows, library.Dataset)


def _rows_in(rows: Any) -> Dataset:
    kind = type(rows).__module__.split(".")[0]
    if _is_dataset(rows):
        return rows
    if isinstance(rows, pa.Table):
        return in_memory(rows)
    if kind == "polars" and hasattr(rows, "to_arrow"):
        return in_memory(rows.to_arrow())
    if kind == "pandas" and hasattr(rows, "columns"):
        names = [str(name) for name in rows.columns]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UserError(f"the DataFrame has several columns called {twice!r}: give each its own name.")
        return in_memory(pa.table({n: _series(rows.iloc[:, place]) for place, n in enumerate(names)}))
    if isinstance(rows, Mapping) and rows and all(map(_is_column, rows.values())):
        lengths = {str(name): len(values) for name, values in rows.items()}
        if len(set(lengths.values())) > 1:
            raise UserError(f"the columns have different lengths, {lengths}: give each row a value in each column.")
        return in_memory(pa.table({str(name): column_of(list(map(_plain, values))) for name, values in rows.items()}))
    if isinstance(rows, (list, tuple)) and rows:
        if all(isinstance(row, Mapping) for row in rows):
            return in_memory(table_of([{str(name): _plain(value) for name, value in row.items()} for row in rows]))
        if all(isinstance(row, (tuple, list)) and len(row) == 2 for row in rows):
            return in_memory(table_of([{"text": text, "label": label} for text, label in rows]))
        if all(isinstance(row, str) for row in rows):
            return in_memory(table_of([{"text": text} for text in rows]))
    what = f"{type(rows).__module__}.{type(rows).__qualname__}"
    raise UserError(
        f"{what}{' without rows' if hasattr(rows, '__len__') and not len(rows) else ''} cannot be read as rows: pass a "
        "pandas or polars DataFrame, a datasets.Dataset, a list of dicts, or a list of pairs (text, label)."
    )


def _series(values: Any) -> pa.Array:
    """Return a column of pandas: missing values stay missing, and a category is its name."""
    missing = values.isna()
    return column_of([None if gone else _plain(value) for value, gone in zip(values, missing, strict=True)])


def _plain(value: Any) -> Any:
    return value.tolist() if type(value).__module__ == "numpy" and hasattr(value, "tolist") else value


__all__ = ["is_table", "splits_in"]
