# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Splits in files, read at once or as a stream."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..utils.errors import DataError
from .arguments import DataArguments
from .columns import KNOWN_NAMES, named_columns
from .reader import Reader
from .schema import fingerprint
from .tables import collect

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset


@dataclass
class Files:
    """Split in files of one format.

    Args:
        paths: Paths of the files, in order. For parallel files, a list with one dict of paths by language.
        data: Settings of the file format.
        reader: Class of the reader for the format.
    """

    paths: Sequence[Any]
    data: DataArguments
    reader: type[Reader]

    def __post_init__(self):
        self.known = {*KNOWN_NAMES, *named_columns(self.data)}

    @cached_property
    def first(self) -> Reader:
        """The reader of the first file."""
        return self.reader(self.paths[0], self.data, self.known)

    @cached_property
    def readers(self) -> list[Reader]:
        """The readers of all files.

        Raises:
            DataError: A file has other columns or features than the first one.
        """
        readers = [self.first, *(self.reader(path, self.data, self.known) for path in self.paths[1:])]
        for reader in readers[1:]:
            first = readers[0].columns
            if reader.columns is not None and first is not None and set(reader.columns) != set(first):
                raise DataError(
                    f"{reader.file.name} in {self.data.path!r} has the columns {', '.join(reader.columns)}, and "
                    f"{readers[0].file.name} has {', '.join(first)}: give all files of a split the same columns."
                )
            if reader.features != readers[0].features:
                raise DataError(
                    f"{reader.file.name} in {self.data.path!r} has other column types or class names than "
                    f"{readers[0].file.name}: give all files of a split the same."
                )
        return readers

    def dataset(self) -> Dataset:
        """Return all rows as a data set, in memory or on disk."""
        rows = collect(table for reader in self.readers for table in reader.tables())
        features = self.first.features
        # Features also hold what Arrow types do not, such as class names.
        return rows.cast(features) if features is not None and features != rows.features else rows

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows one at a time, without keeping them in memory."""
        for reader in self.readers:
            yield from reader.rows()

    def stream(self) -> IterableDataset:
        """Return the rows as a stream with one shard per file."""
        from datasets import IterableDataset

        features = self.first.features
        shards = {"paths": list(self.paths), "of": replace(self, paths=())}
        return IterableDataset.from_generator(_rows_of, gen_kwargs=shards, features=features)

    def described(self) -> str:
        """Return one line about the format of the first file."""
        return self.first.described()

    def fingerprint(self) -> str:
        """Return a SHA-256 hash of the bytes of all files and of the way they are read."""
        digest = hashlib.sha256(repr([self.reader.__name__, [reader.described() for reader in self.readers]]).encode())
        for reader in self.readers:
            for path in reader.paths:
                with path.open("rb") as file:
                    while part := file.read(1 << 20):
                        digest.update(part)
        return digest.hexdigest()


class Whole:
    """Split of rows that are loaded already, with methods of [`Files`].

    Args:
        whole: All rows.
    """

    def __init__(self, whole: Dataset):
        self.whole = whole

    def rows(self) -> Iterator[dict[str, Any]]:
        yield from self.whole

    def described(self) -> str:
        return ""

    def fingerprint(self) -> str:
        return fingerprint({"": self.whole}, [])


def _rows_of(paths: list[Any], of: Files) -> Iterator[dict[str, Any]]:
    for path in paths:
        yield from replace(of, paths=[path]).rows()


__all__ = ["Files", "Whole"]
