# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Read rows that are passed as Python objects: data frames, tables, lists and dicts."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ..utils.errors import DataError
from .splits import SPLITS
from .tables import column_of, in_memory, table_of

if TYPE_CHECKING:
    from datasets import Dataset


def splits_in(source: Any) -> dict[str, Dataset]:
    """Return the splits of rows that are passed as a Python object. A single table is the training split.

    Args:
        source: A pandas or polars DataFrame, a pyarrow Table, a `datasets.Dataset`, a list of dicts, of pairs (text,
            label) or of texts, or a dict of columns. A `datasets.DatasetDict`, or a dict of the objects named before,
            has one such table for each split name.

    Raises:
        DataError: The object is of another type or has no rows, its columns do not fit together, or two tables are for
            the same split.
    """
    if isinstance(source, Mapping) and source and not all(map(_is_column, source.values())):
        found: dict[str, Dataset] = {}
        for name, rows in source.items():
            split = SPLITS.get(str(name).lower(), str(name))
            if split in found:
                raise DataError(
                    f"there are several tables for the split {split}: {', '.join(map(str, source))}. Pass one."
                )
            found[split] = _rows_in(rows)
        return found
    return {"train": _rows_in(source)}


def _is_column(value: Any) -> bool:
    """Return True if a value is a column of a table, and False if it is a table."""
    plain = isinstance(value, (list, tuple)) or type(value).__module__.split(".")[0] == "numpy"
    return plain and not (len(value) and isinstance(value[0], (dict, tuple)))


def is_table(rows: Any) -> bool:
    """Return True if a Python object is a table, and False if it is texts.

    Args:
        rows: Object of any type.
    """
    if _is_dataset(rows) or isinstance(rows, (Mapping, pa.Table)):
        return True
    if isinstance(rows, (list, tuple)):
        return bool(rows) and isinstance(rows[0], Mapping)
    return type(rows).__module__.split(".")[0] in ("pandas", "polars") and hasattr(rows, "columns")


def _is_dataset(rows: Any) -> bool:
    """Return True for a `datasets.Dataset`; without importing `datasets`, since none can exist before that."""
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
            raise DataError(f"the DataFrame has several columns called {twice!r}: give each its own name.")
        return in_memory(pa.table({n: _series(rows.iloc[:, place]) for place, n in enumerate(names)}))
    if isinstance(rows, Mapping) and rows and all(map(_is_column, rows.values())):
        lengths = {str(name): len(values) for name, values in rows.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"the columns have different lengths, {lengths}: give each row a value in each column.")
        return in_memory(pa.table({str(name): column_of(list(map(_plain, values))) for name, values in rows.items()}))
    if isinstance(rows, (list, tuple)) and rows:
        if all(isinstance(row, Mapping) for row in rows):
            return in_memory(table_of([{str(name): _plain(value) for name, value in row.items()} for row in rows]))
        if all(isinstance(row, (tuple, list)) and len(row) == 2 for row in rows):
            return in_memory(table_of([{"text": text, "label": label} for text, label in rows]))
        if all(isinstance(row, str) for row in rows):
            return in_memory(table_of([{"text": text} for text in rows]))
    what = f"{type(rows).__module__}.{type(rows).__qualname__}"
    raise DataError(
        f"{what}{' without rows' if hasattr(rows, '__len__') and not len(rows) else ''} cannot be read as rows: pass a "
        "pandas or polars DataFrame, a datasets.Dataset, a list of dicts, or a list of pairs (text, label)."
    )


def _series(values: Any) -> pa.Array:
    """Return a pandas column as an Arrow array. Missing values stay missing, and a category becomes its name."""
    missing = values.isna()
    return column_of([None if gone else _plain(value) for value, gone in zip(values, missing, strict=True)])


def _plain(value: Any) -> Any:
    return value.tolist() if type(value).__module__ == "numpy" and hasattr(value, "tolist") else value


__all__ = ["is_table", "splits_in"]
