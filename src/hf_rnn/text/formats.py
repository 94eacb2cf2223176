# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""One reader for each format of files: rows as they stand in the file, and nothing inferred.

To add a format: a class with `tables`, `rows` and `described`, and its endings in `READERS`.
"""

from __future__ import annotations

import codecs
import json
import logging
import re
import warnings
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from functools import cached_property
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..utils.errors import UserError, first_line
from .arguments import DataArguments
from .delimited import DelimitedFile
from .dialects import has_header, names_of
from .encodings import Utf8Stream, find_encoding, kind_of, lines_of, shown, wrong_encoding
from .tables import tables_of

if TYPE_CHECKING:
    from datasets import Features

logger = logging.getLogger(__name__)

# Lines of a CoNLL file between documents, and such as "# text = a sentence". Between sentences, other lines of another
# number of columns that begin with # are comments too.
_DOCUMENT, _COMMENT = "-DOCSTART-", re.compile(r"# ?\w+ = ")
_NOTHING = object()
# White space between the values of JSON; bytes of a list that are read at a time, and of one value at most.
_BETWEEN, PIECE, LONGEST = re.compile(r"[ \t\r\n]*"), 1 << 20, 1 << 28


class Reader:
    """The interface of all readers.

    Args:
        file: its path.
        data: how it is written, as far as that was said.
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
        """The rows, one after the other."""
        for table in self.tables():
            yield from table.to_pylist()

    def tables(self) -> Iterator[pa.Table]:
        """The rows, a part at a time."""
        return tables_of(self.rows())


class Delimited(Reader):
    """CSV and TSV: all fields are strings, empty ones are missing."""

    def __init__(self, file: Path, data: DataArguments, known: Collection[str] = ()):
        super().__init__(file, data, known)
        self.delimited = DelimitedFile(file, data, known)
        self.columns = self.delimited.names

    def described(self) -> str:
        return self.delimited.described()

    def tables(self) -> Iterator[pa.Table]:
        yield pa.table({name: pa.array([], pa.string()) for name in self.delimited.names})
        yield from self.delimited


class Json(Reader):
    """JSON Lines, or one list of objects: values keep the types that JSON gives them."""

    def described(self) -> str:
        return shown(self.encoding)

    def rows(self) -> Iterator[dict[str, Any]]:
        for number, row in enumerate(self._values(), 1):
            if not isinstance(row, dict):
                if self.data.on_bad_rows == "skip":
                    logger.warning(f"{self.file.name}: row {number} is no object and was left out.")
                    continue
                raise UserError(
                    f"row {number} of {str(self.file)!r} is {json.dumps(row, ensure_ascii=False)[:80]}: write an "
                    'object for each row, such as {"text": "a text", "label": "a label"}, or --data.on_bad_rows skip.'
                )
            yield row

    def _values(self) -> Iterator[Any]:
        with Utf8Stream(self.file, self.encoding) as stream:
            beginning = stream.read(PIECE).lstrip()
        if beginning.startswith(b"["):
            yield from self._list()
            return
        lines = lines_of(self.file, self.encoding)
        before = list(islice(lines, 1))
        while before and not before[-1].strip() and (line := next(lines, None)) is not None:
            before.append(line)
        if not before or not before[-1].strip():
            return
        try:
            json.loads(before[-1])
        except RecursionError:
            pass
        except json.JSONDecodeError as error:
            if error.pos >= len(before[-1].rstrip()):
                # An object that goes on in the next line.
                yield from self._objects("\n".join(chain(before, lines)))
                return
        values = self._by_line(chain(before, lines))
        first_of, second = next(values, _NOTHING), next(values, _NOTHING)
        if second is _NOTHING:
            yield from self._inside(first_of)
        else:
            yield from chain([first_of, second], values)

    def _by_line(self, lines: Iterable[str]) -> Iterator[Any]:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield json.loads(line)
                except (json.JSONDecodeError, RecursionError) as error:
                    if self.data.on_bad_rows != "skip":
                        raise self._error(number, error) from error
                    logger.warning(f"{self.file.name}: line {number} is no JSON and was left out.")

    def _objects(self, text: str) -> Iterator[Any]:
        """Objects one behind the other, each over several lines."""
        decoder, place, values = json.JSONDecoder(), 0, []
        while (place := _BETWEEN.match(text, place).end()) < len(text):  # type: ignore[union-attr]
            try:
                value, place = decoder.raw_decode(text, place)
            except (json.JSONDecodeError, RecursionError) as error:
                raise self._error(1 + text.count("\n", 0, getattr(error, "pos", place)), error) from error
            values.append(value)
        yield from self._inside(values[0]) if len(values) == 1 else values

    def _list(self) -> Iterator[Any]:
        """The values of one list, of which only some are in memory."""
        decoder, line, place, after_value = json.JSONDecoder(), 1, 0, False
        with Utf8Stream(self.file, self.encoding) as stream:
            pieces = self._decoded(stream)
            text = next(pieces, "")
            place = text.index("[") + 1
            while True:
                place = _BETWEEN.match(text, place).end()  # type: ignore[union-attr]
                at = text[place : place + 1]
                if at == "]":
                    rest = text[place + 1 :] + "".join(pieces)
                    if rest.strip():
                        extra = json.JSONDecodeError("Extra data", text, place + 1)
                        raise self._error(line + text.count("\n", 0, place), extra)
                    return
                if at == "," and after_value:
                    place, after_value = place + 1, False
                    continue
                failed: Exception = json.JSONDecodeError("Expecting ',' or ']'", text, place)
                if not (at and after_value):
                    try:
                        value, end = decoder.raw_decode(text, place)
                        if end < len(text):
                            yield value
                            place, after_value = end, True
                            continue
                        # A number may go on behind what was read.
                    except (json.JSONDecodeError, RecursionError) as error:
                        failed = error
                elif place < len(text):
                    raise self._error(line + text.count("\n", 0, place), failed)
                more = "".join(islice(pieces, max(1, len(text) // PIECE)))
                position = getattr(failed, "pos", place)
                if not more or len(text) - position > LONGEST:
                    raise self._error(line + text.count("\n", 0, position), failed)
                line += text.count("\n", 0, place)
                text, place = text[place:] + more, 0

    def _decoded(self, stream: Any) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while part := stream.read(PIECE):
                yield decoder.decode(part)
            yield decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise wrong_encoding(self.file, "utf-8", error.object[error.start]) from error

    def _inside(self, value: Any) -> list[Any]:
        """The rows that the only object of a file holds under `data`; otherwise it is a row itself."""
        rows = value.get("data") if isinstance(value, dict) else None
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
            return rows
        if _holds_columns(value):
            raise UserError(
                f"{str(self.file)!r} is one object of columns, {', '.join(value)[:80]}, as pandas writes by default: "
                'write an object for each row, such as {"text": "a text", "label": "a label"} '
                '(pandas: to_json(…, orient="records", lines=True)).'
            )
        return [value]

    def _error(self, line: int, error: Exception) -> UserError:
        return UserError(
            f"line {line} of {str(self.file)!r} cannot be read as {kind_of(self.file)}: {first_line(error)}. Write one "
            "object a line, or one list of objects; or leave such lines out, --data.on_bad_rows skip."
        )


def _holds_columns(value: Any) -> bool:
    """Return whether an object has a list or an object of values for each column, and is no row of words and tags."""
    columns = list(value.values()) if isinstance(value, dict) else []
    of_lists = all(isinstance(column, list) and len(column) > 1 for column in columns)
    of_objects = all(isinstance(column, dict) and column.keys() == columns[0].keys() for column in columns)
    same_length = len({len(column) for column in columns if isinstance(column, (list, dict))}) == 1
    is_row = of_lists and {"tokens", "words"} & value.keys()
    return len(columns) > 0 and (of_lists or (of_objects and len(columns[0]) > 1)) and same_length and not is_row


class Parquet(Reader):
    """Parquet: columns keep their types."""

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
                # So that a file without rows has columns all the same.
                yield file.schema_arrow.empty_table()
                for batch in file.iter_batches(batch_size=1 << 14):
                    yield pa.Table.from_batches([batch]).replace_schema_metadata(metadata)
        except (OSError, pa.ArrowException) as error:
            raise self._error(error) from error

    def _error(self, error: Exception) -> UserError:
        return UserError(f"{str(self.file)!r} cannot be read as .parquet: {first_line(error)}. Write it anew.")


class Lines(Reader):
    """Plain text: each line is a row with a `text`, blank ones too."""

    def described(self) -> str:
        return f"{shown(self.encoding)} · one text a line"

    def rows(self) -> Iterator[dict[str, Any]]:
        for line in lines_of(self.file, self.encoding):
            yield {"text": line}


class Conll(Reader):
    """CoNLL: a word a line with its columns, which tabs or spaces separate, and blank lines between sentences. A row is
    a sentence: the `tokens` of the first column, the `tags` of the last, and `column_2`, … between them."""

    def described(self) -> str:
        return f"{shown(self.encoding)} · a word and its tag a line"

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
                    raise UserError(
                        f"{str(self.file)!r} numbers the words of its sentences, as CoNLL-U does, and here the word "
                        "comes first and its tag last: keep those two columns, such as with cut -f2,4."
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
                    raise UserError(
                        f"line {number} of {str(self.file)!r} has {len(columns)} columns, and the first has "
                        f"{len(names)}: {line[:80]!r}. Give each word the same columns, the word first and its tag "
                        "last, with blank lines between sentences; or write --data.on_bad_rows skip."
                    )
        if left_out:
            logger.warning(f"{self.file.name}: {left_out} sentences with a bad line were left out.")


def looks_tagged(file: Path, encoding: str | None) -> bool:
    """Return whether the lines of a .txt file are words with their columns, and not texts."""
    if kind_of(file) != ".txt":
        return False
    lines = [line for line in islice(lines_of(file, encoding), 500) if not line.startswith("#")]
    filled = [line for line in lines if line.strip() and not line.startswith(_DOCUMENT)]
    counts = {len(line.split("\t" if "\t" in line else None)) for line in filled}
    # Sentences of words are parted by blank lines; and a text of as many words a line would hardly be so too.
    return len(counts) == 1 and counts != {1} and len(filled) < len(lines) and len(filled) > 2


class Excel(Reader):
    """A sheet of an Excel file: each cell is what it shows without its formatting, as a string."""

    def described(self) -> str:
        book, sheet = self._open()
        book.close()
        return f"sheet {sheet.title}"

    def _open(self) -> tuple[Any, Any]:
        try:
            import openpyxl
        except ImportError:
            raise UserError('Excel files are read by openpyxl: pip install openpyxl (or "hf-rnn[excel]").') from None
        try:
            with warnings.catch_warnings():
                # The warnings are about styles and extensions, which are not read.
                warnings.simplefilter("ignore")
                book = openpyxl.load_workbook(self.file, read_only=True, data_only=True)
        except Exception as error:
            raise UserError(
                f"{str(self.file)!r} cannot be read as .xlsx: {first_line(error)}. Save it anew, or as CSV."
            ) from error
        names, wanted = book.sheetnames, self.data.name
        if wanted is not None and wanted not in names:
            raise UserError(f"{str(self.file)!r} has no sheet {wanted!r}, only {', '.join(names)}: write --data.name.")
        sheets = [book[wanted]] if wanted is not None else [book[name] for name in names]
        filled = [sheet for sheet in sheets if any(any(cell is not None for cell in row) for row in _cells(sheet))]
        if len(filled) > 1:
            raise UserError(
                f"{str(self.file)!r} has several sheets, {', '.join(names)}: write --data.name {filled[0].title}, or "
                "the name of another."
            )
        if not filled:
            raise UserError(f"the file {str(self.file)!r} is empty.")
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
                    raise UserError(
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
    """Return the value of a cell as a string. A date without time has midnight in Excel, which is left out."""
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.isoformat(sep=" ").removesuffix(" 00:00:00")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).upper() if isinstance(value, bool) else str(value)


class Parallel(Reader):
    """Files of as many lines each, one a language: a row is a line of each, in columns by their endings."""

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
                raise UserError(
                    f"{short[0]} in {str(self.file.parent)!r} ends after {number - 1} lines, and "
                    f"{', '.join(file.name for file in self.files.values() if file.name not in short)} goes on: give "
                    "parallel files as many lines each."
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
__all__ = ["READERS", "Conll", "Parallel", "Reader", "looks_tagged"]
