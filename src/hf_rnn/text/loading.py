# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Load the rows of a data set: all rows, or the first rows of a stream."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ..utils.errors import DataError
from .arguments import DataArguments
from .files import Files, Whole
from .sources import open_splits, reading
from .tables import collect, tables_of

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict, IterableDataset

logger = logging.getLogger(__name__)


def load(data: DataArguments, split: str | None = None, source: Any = None, tagged: bool = False) -> DatasetDict:
    """Read all splits of a data set; with `data.streaming`, only the first rows of the named split.

    Args:
        data: Settings with the path and the file format.
        split: Split to read with `data.streaming`; all splits if it is None or does not exist.
        source: Rows that were passed in Python, in place of `data.path`; None to use the path.
        tagged: True if .txt files have the CoNLL format; False if they have one text per line.

    Returns:
        Splits by their names. Nested columns become columns such as `translation.en`.

    Raises:
        DataError: Nothing is found, a file cannot be read, or a split has no rows.
    """
    from datasets import DatasetDict

    found = open_splits(data, source, tagged)
    if data.streaming:
        wanted = [name for name in found if split in (None, name)]
        found = {name: read_first(found[name], data) for name in wanted or found}
    read = {}
    with reading(data):
        for name, rows in found.items():
            read[name] = _read(rows)
    empty = [name for name, rows in read.items() if not len(rows)]
    if empty or not read:
        raise DataError(f"the data set {data.path!r} has no rows in {', '.join(empty) or 'any split'}.")
    return DatasetDict(read)


def _read(rows: Any) -> Dataset:
    # The description of a Hub data set is removed, because it is not about the format of a file.
    how, rows = (rows.described(), rows.dataset()) if isinstance(rows, Files) else ("", rows)
    # A column may hold several nested ones, such as the text in each language: column.en, column.de.
    names = rows.column_names
    inside = [f"{name}.{key}" for name in names if isinstance(rows.features[name], dict) for key in rows.features[name]]
    twice = next((name for name in inside if name in names), None)
    if twice is not None:
        raise DataError(f"the rows have {twice!r} both as a column and as a nested column: rename one of them.")
    rows = rows.flatten()
    rows.info.description = how
    return rows


def read_first(rows: Any, data: DataArguments) -> Dataset:
    """Return the first rows of a stream, in memory.

    Args:
        rows: Stream or [`~hf_rnn.text.files.Files`] to read. A data set in memory is returned as it is.
        data: Settings; `streaming_sample` is the maximum number of rows.

    Raises:
        DataError: There are no rows, or they cannot be read.
    """
    from datasets import Dataset

    if isinstance(rows, Dataset):
        return rows
    with reading(data):
        how = rows.described() if isinstance(rows, Files) else ""
        stream: IterableDataset = rows.stream() if isinstance(rows, Files) else rows
        read = list(stream.take(data.streaming_sample))
        if len(read) == data.streaming_sample:
            logger.info(f"only the first {len(read):,} rows of a split are read (data.streaming_sample).")
        if not read:
            raise DataError(f"the data set {data.path!r} has no rows in a split that is needed.")
        if stream.features is not None:
            first = Dataset.from_list(read, features=stream.features)
        else:
            first = collect(tables_of(read))
    first.info.description = how
    return first


def open_alone(data: DataArguments, tagged: bool = False) -> Files | Whole:
    """Open a data set that has one split, to read its rows one at a time.

    Args:
        data: Settings with the path and the file format.
        tagged: True if .txt files have the CoNLL format; False if they have one text per line.

    Raises:
        DataError: Nothing is found, or the data set has several splits.
    """
    found = open_splits(data, tagged=tagged)
    if len(found) > 1:
        raise DataError(f"{data.path!r} has the splits {', '.join(found)}: name one file.")
    (rows,) = found.values()
    return rows if isinstance(rows, Files) else Whole(rows)


__all__ = ["load", "open_alone", "read_first"]
