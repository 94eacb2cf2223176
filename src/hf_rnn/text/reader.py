# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The base class of the readers of all file formats."""

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
    """Base class of all readers. A file format overrides `rows` or `tables`.

    Args:
        file: File to read.
        data: Data settings, which may say how the file is written.
        known: Column names that a header may have.
    """

    # Types of the columns, if the file says more about them than Arrow, such as class names.
    features: Features | None = None
    # Names of the columns, if all rows have the same ones.
    columns: list[str] | None = None

    def __init__(self, file: Path, data: DataArguments, known: Collection[str] = ()):
        self.file, self.data, self.known = file, data, known

    @cached_property
    def encoding(self) -> str:
        """Encoding of a text file, detected once."""
        return find_encoding(self.file, self.data.encoding)

    @property
    def paths(self) -> list[Path]:
        """The files to read."""
        return [self.file]

    def described(self) -> str:
        """Return one line that says how the file is written, or an empty string if nothing was detected."""
        return ""

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows, one at a time."""
        for table in self.tables():
            yield from table.to_pylist()

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows as Arrow tables, one part of the file at a time."""
        return tables_of(self.rows())


__all__ = ["Reader"]
