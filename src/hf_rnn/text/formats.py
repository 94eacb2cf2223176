# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Readers of the file formats, which return rows as in the file and infer no types.

To add a format, write a [`~hf_rnn.text.reader.Reader`] with `rows` (or `tables`) and `described`, and add its file
extensions to `READERS`; tests/text/test_new_format.py is an example.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..utils.errors import DataError, first_line
from .arguments import DataArguments
from .delimited import DelimitedFile
from .dialects import has_header, names_of
from .encodings import encoding_name, ending_of, lines_of
from .json_reader import Json
from .reader import Reader

logger = logging.getLogger(__name__)

# Line between documents of a CoNLL file, and comment such as "# text = a sentence". Between sentences, a line is also a
# comment if it begins with # and has another number of columns.
_DOCUMENT, _COMMENT = "-DOCSTART-", re.compile(r"# ?\w+ = ")


class Delimited(Reader):
    """Reader of CSV and TSV files: all fields are strings, and empty fields are missing.

    Args:
        file: Path of the file.
        data: Settings of the file format.
        known: Column names that mark a row as a header.
    """

    def __init__(self, file: Path, data: DataArguments, known: Collection[str] = ()):
        super().__init__(file, data, known)
        self.delimited = DelimitedFile(file, data, known)
        self.columns = self.delimited.names

    def described(self) -> str:
        return self.delimited.described()

    def tables(self) -> Iterator[pa.Table]:
        yield pa.table({name: pa.array([], pa.string()) for name in self.delimited.names})
        yield from self.delimited


class Parquet(Reader):
    """Reader of Parquet files: columns keep their types.

    Args:
        file: Path of the file.
        data: Settings of the file format.
        known: Column names that mark a row as a header.
    """

    def __init__(self, file: Path, data: DataArguments, known: Collection[str] = ()):
        super().__init__(file, data, known)
        try:
            schema = pq.read_schema(file)
        except (OSError, pa.ArrowException) as error:
            raise self._error(error) from error
        self.columns = schema.names
        if b"huggingface" in (schema.metadata or {}):
            from datasets import Features

            self.features = Features.from_arrow_schema(schema)

    def tables(self) -> Iterator[pa.Table]:
        try:
            with pq.ParquetFile(self.file) as file:
                metadata = file.schema_arrow.metadata
                # This table gives a file without rows its columns.
                yield file.schema_arrow.empty_table()
                for batch in file.iter_batches(batch_size=1 << 14):
                    yield pa.Table.from_batches([batch]).replace_schema_metadata(metadata)
        except (OSError, pa.ArrowException) as error:
            raise self._error(error) from error

    def _error(self, error: Exception) -> DataError:
        return DataError(f"{str(self.file)!r} cannot be read as .parquet: {first_line(error)}. Write it again.")


class Lines(Reader):
    """Reader of plain text files: each line, blank lines included, is a row with the column `text`."""

    def described(self) -> str:
        return f"{encoding_name(self.encoding)} · one text a line"

    def rows(self) -> Iterator[dict[str, Any]]:
        for line in lines_of(self.file, self.encoding):
            yield {"text": line}


class Conll(Reader):
    """Reader of CoNLL files: one word per line with its columns, and blank lines between sentences.

    Tabs or spaces separate the columns. A row is a sentence with the columns `tokens` (the first column of the file),
    `column_2`, … and `tags` (the last column).
    """

    def described(self) -> str:
        return f"{encoding_name(self.encoding)} · a word and its tag a line"

    def rows(self) -> Iterator[dict[str, Any]]:
        names: list[str] = []
        separator: str | None = None
        words: list[list[str]] = []
        left_out = bad = 0
        for number, line in enumerate(chain(lines_of(self.file, self.encoding), [""]), 1):
            if _COMMENT.match(line):
                continue
            if not line.strip() or line.startswith(_DOCUMENT):
                if len(words) > 1 and [word[0] for word in words] == [str(n) for n in range(1, len(words) + 1)]:
                    raise DataError(
                        f"{str(self.file)!r} numbers the words of its sentences, as CoNLL-U does, but here the word "
                        "must be first and its tag last: keep those two columns, for example with cut -f2,4."
                    )
                if words and not bad:
                    yield dict(zip(names, map(list, zip(*words, strict=True)), strict=True))
                left_out, words, bad = left_out + bool(bad), [], 0
                continue
            if not names and not line.startswith("# "):
                separator = "\t" if "\t" in line else None
                count = len(line.split(separator))
                names = ["tokens", *(f"column_{n}" for n in range(2, count)), *(["tags"] if count > 1 else [])]
            columns = line.split(separator)
            if len(columns) == len(names):
                words.append(columns)
            elif words or not line.startswith("#"):
                bad = number
                if self.data.on_bad_rows != "skip":
                    raise DataError(
                        f"line {number} of {str(self.file)!r} has {len(columns)} columns, and the first has "
                        f"{len(names)}: {line[:80]!r}. Give each word the same columns, the word first and its tag "
                        "last, with blank lines between sentences; or write data.on_bad_rows='skip'."
                    )
        if left_out:
            logger.warning(f"{self.file.name}: {left_out} sentences with a bad line were left out.")


def looks_tagged(file: Path, encoding: str | None) -> bool:
    """Return whether a .txt file has the CoNLL format, and not one text per line.

    Args:
        file: Path of the file.
        encoding: Encoding of the file; None to detect it.
    """
    if ending_of(file) != ".txt":
        return False
    lines = [line for line in islice(lines_of(file, encoding), 500) if not line.startswith("#")]
    filled = [line for line in lines if line.strip() and not line.startswith(_DOCUMENT)]
    counts = {len(line.split("\t" if "\t" in line else None)) for line in filled}
    # Blank lines separate tagged sentences. Plain text with blank lines rarely has as many words in each line.
    return len(counts) == 1 and counts != {1} and len(filled) < len(lines) and len(filled) > 2


class Excel(Reader):
    """Reader of one sheet of an Excel file: each cell is a string without formatting."""

    def described(self) -> str:
        book, sheet = self._open()
        book.close()
        return f"sheet {sheet.title}"

    def _open(self) -> tuple[Any, Any]:
        try:
            import openpyxl
        except ImportError:
            raise DataError('Excel files are read by openpyxl: pip install openpyxl (or "hf-rnn[excel]").') from None
        try:
            with warnings.catch_warnings():
                # The warnings concern styles and extensions, which are not read.
                warnings.simplefilter("ignore")
                book = openpyxl.load_workbook(self.file, read_only=True, data_only=True)
        except Exception as error:
            raise DataError(
                f"{str(self.file)!r} cannot be read as .xlsx: {first_line(error)}. Save it again, or as CSV."
            ) from error
        names, wanted = book.sheetnames, self.data.name
        if wanted is not None and wanted not in names:
            raise DataError(
                f"{str(self.file)!r} has no sheet {wanted!r}, only {', '.join(names)}: write data.name=SHEET."
            )
        sheets = [book[wanted]] if wanted is not None else [book[name] for name in names]
        filled = [sheet for sheet in sheets if any(any(cell is not None for cell in row) for row in _cells(sheet))]
        if len(filled) > 1:
            raise DataError(
                f"{str(self.file)!r} has several sheets, {', '.join(names)}: write data.name={filled[0].title!r}, or "
                "the name of another."
            )
        if not filled:
            raise DataError(f"the file {str(self.file)!r} is empty.")
        return book, filled[0]

    def rows(self) -> Iterator[dict[str, Any]]:
        book, sheet = self._open()
        try:
            rows = ([_cell(value) for value in row] for row in _cells(sheet))
            filled = (row for row in rows if any(row))
            sample = list(islice(filled, 500))
            width = max(map(len, sample))
            texts = [[value or "" for value in row] + [""] * (width - len(row)) for row in sample]
            header = self.data.header
            if header is None:
                header = has_header(self.file, texts, {name.lower() for name in self.known})
            names = names_of(self.file, texts[0] if header else None, width)
            for row in chain(sample[1:] if header else sample, filled):
                if len(row) > width:
                    raise DataError(
                        f"{str(self.file)!r} has a row of {len(row)} cells, and the first rows have {width}: {row}. "
                        "Give all rows the same columns."
                    )
                yield dict(zip(names, [*row, *[None] * (width - len(row))], strict=True))
        finally:
            book.close()


def _cells(sheet: Any) -> Iterator[tuple]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from sheet.iter_rows(values_only=True)


def _cell(value: Any) -> str | None:
    """Return the value of a cell as a string. Excel stores a date without time as midnight, which is removed."""
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.isoformat(sep=" ").removesuffix(" 00:00:00")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).upper() if isinstance(value, bool) else str(value)


class Parallel(Reader):
    """Reader of parallel files, one per language: a row holds the same line of each file, in a column per language.

    Args:
        files: Paths of the files by language, such as `{"en": …, "de": …}`.
        data: Settings of the file format.
        known: Column names that mark a row as a header; not read here.
    """

    def __init__(self, files: Any, data: DataArguments, known: Collection[str] = ()):
        super().__init__(next(iter(files.values())), data, known)
        self.files = files

    @property
    def paths(self) -> list[Path]:
        return list(self.files.values())

    def described(self) -> str:
        return f"parallel files {', '.join(file.name for file in self.files.values())}"

    def rows(self) -> Iterator[dict[str, Any]]:
        columns = [lines_of(file, self.data.encoding) for file in self.files.values()]
        number, missing = 0, object()
        for number, lines in enumerate(zip_longest(*columns, fillvalue=missing), 1):
            short = [file.name for file, line in zip(self.files.values(), lines, strict=True) if line is missing]
            if short:
                raise DataError(
                    f"{short[0]} in {str(self.file.parent)!r} has {number - 1} lines, fewer than "
                    f"{', '.join(file.name for file in self.files.values() if file.name not in short)}: give "
                    "parallel files the same number of lines."
                )
            yield dict(zip(self.files, lines, strict=True))


READERS: dict[str, type[Reader]] = {
    ".csv": Delimited,
    ".tsv": Delimited,
    ".json": Json,
    ".jsonl": Json,
    ".ndjson": Json,
    ".parquet": Parquet,
    ".txt": Lines,
    ".conll": Conll,
    ".xlsx": Excel,
}

__all__ = ["READERS", "Conll", "Lines", "Parallel", "looks_tagged"]
