# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The interface of the readers of all file formats."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from .arguments import DataArguments
from .encodings import find_encoding
from .tables import tables_of

if TYPE_CHECKING:
    from datasets import Features


class Reader:
    """The interface of all readers: a format overrides `rows` or `tables`.

    Args:
        file: the file that is read.
        data: how it is written, as far as the user says so.
        known: names of columns that a header may have.
    """

    # Kinds of the columns, where the file holds more of them than Arrow says, such as names of classes.
    features: Features | None = None
    # The names of the columns, where all rows have the same.
    columns: list[str] | None = None

    def __init__(self, file: Path, data: DataArguments, known: Collection[str] = ()):
        self.file, self.data, self.known = file, data, known

    @cached_property
    def encoding(self) -> str:
        """The encoding of a text file, which is found once."""
        return find_encoding(self.file, self.data.encoding)

    @property
    def paths(self) -> list[Path]:
        """The files that are read."""
        return [self.file]

    def described(self) -> str:
        """Return one line that says how the file is written, or an empty text if there was nothing to decide."""
        return ""

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows, one after the other."""
        for table in self.tables():
            yield from table.to_pylist()

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows as tables, a part at a time."""
        return tables_of(self.rows())


__all__ = ["Reader"]
