# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""CSV and TSV files as tables of strings: by Arrow where that is exact, and else by [`ExactReader`].

Nothing is inferred: a field is the characters that stand in the file, and an empty one is missing.
"""

import codecs
import logging
from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from ..errors import UserError
from .arguments import DataArguments
from .dialects import DELIMITERS, ExactReader, Record, find_dialect, lines_in, names_of
from .encodings import Utf8Stream, find_encoding, kind_of, wrong_encoding

logger = logging.getLogger(__name__)

# Bytes that are read at a time, and that a record may have.
PART, LONGEST = 1 << 22, 1 << 28
# Bytes that numpy looks at together; parts that are parsed side by side.
PIECE, THREADS = 1 << 18, min(8, cpu_count() or 1)
# Bad rows that are named.
NAMED = 5


@dataclass
class BadRows:
    """Rows that were left out of a file (`data.on_bad_rows`), by their lines."""

    count: int = 0
    lines: list[int] = field(default_factory=list)


class DelimitedFile:
    """A CSV or TSV file.

    Args:
        file: its path.
        data: how it is written, as far as that was said.
        known: names of columns that a header may have.

    Raises:
        UserError: it is empty, its encoding or dialect is not plain, or two columns have one name.
    """

    def __init__(self, file: Path, data: DataArguments, known: Collection[str] = ()):
        self.file, self.skip = file, data.on_bad_rows == "skip"
        self.encoding = find_encoding(file, data.encoding)
        with Utf8Stream(file, self.encoding) as stream:
            self.dialect = find_dialect(file, stream, data, known)
        self.exact = ExactReader(self.dialect)
        with Utf8Stream(file, self.encoding) as stream:
            _, first = self._first(stream)
        header = [self._decode(name) for name in first.fields] if self.dialect.header else None
        self.names = names_of(file, header, len(first.fields))
        self.bad = BadRows()
        self.as_strings = csv.ConvertOptions(column_types=dict.fromkeys(self.names, pa.string()))
        # Bytes before and behind a quoted field.
        self.ends = np.zeros(256, dtype=bool)
        self.ends[[ord(character) for character in (self.dialect.delimiter, "\r", "\n")]] = True

    def described(self) -> str:
        """Return one line that says how the file is written."""
        encoding = {"utf-8-sig": "utf-8"}.get(self.encoding, self.encoding)
        return f"{encoding} · {self.dialect}"

    def _first(self, stream: Utf8Stream) -> tuple[bytes, Any]:
        """Return the bytes that were read and the first record in them."""
        data = b""
        while True:
            more = stream.read(max(1 << 16, len(data)))
            data += more
            record = next(self.exact.records(data, final=not more), None)
            if record is not None or not more:
                break
        if record is None:
            raise UserError(f"the file {str(self.file)!r} is empty.")
        if record.fields is None:
            raise self._error(record, self._line(record.start))
        return data, record

    def __iter__(self) -> Iterator[pa.Table]:
        """The rows, a part at a time, as columns of strings.

        Raises:
            UserError: a row has more or fewer fields than the first, or broken quotes, unless such rows are left out;
                a byte that the encoding does not have.
        """
        self.bad = BadRows()
        # Parts are parsed side by side, while the next one is read and looked at.
        parsing: deque[tuple[Future, _Part]] = deque()
        with ThreadPoolExecutor(THREADS) as threads:
            for part in self._parts():
                if part.plain:
                    parsing.append((threads.submit(self._by_arrow, part), part))
                while parsing and (len(parsing) > THREADS or not part.plain):
                    yield from self._finished(*parsing.popleft())
                if not part.plain:
                    table, part.read = self._exactly(part.bytes(), part.final, part.offset)
                    yield from [table] * bool(len(table))
            for waiting in parsing:
                yield from self._finished(*waiting)
        if self.bad.count:
            lines = ", ".join(map(str, self.bad.lines)) + (", …" if self.bad.count > len(self.bad.lines) else "")
            logger.warning(f"{self.file.name}: {self.bad.count} bad rows were left out (lines {lines}).")

    def _parts(self) -> Iterator["_Part"]:
        """The file in parts that begin with a record. Their buffers are used in turn: each is gone after the next."""
        with Utf8Stream(self.file, self.encoding) as stream:
            _, record = self._first(stream)
        with Utf8Stream(self.file, self.encoding) as stream:
            offset = record.end if self.dialect.header else 0
            stream.readinto(memoryview(bytearray(offset)))
            buffers = [bytearray(PART) for _ in range(THREADS + 2)]
            rest, final = b"", False
            while not final:
                # A row that does not end in what was read needs more of it, and ever more.
                room = PART if len(rest) < PART // 2 else 2 * len(rest)
                buffer = buffers.pop(0) if room == PART else bytearray(room)
                buffers += [buffer] if room == PART else []
                buffer[: len(rest)] = rest
                filled = len(rest) + stream.readinto(memoryview(buffer)[len(rest) :])
                final = filled < len(buffer)
                part = _Part(buffer, filled, final, offset)
                part.plain = part.read = 0 if self.dialect.escape else self._plain(part)
                yield part
                rest, offset = bytes(memoryview(buffer)[part.read : filled]), offset + part.read
                if not part.read and len(rest) > LONGEST:
                    raise UserError(
                        f"line {self._line(offset)} of {str(self.file)!r} begins a row that does not end within "
                        f"{LONGEST >> 20} MB: close its quotes, or write --data.quotechar none."
                    )

    def _finished(self, future: Future, part: "_Part") -> Iterator[pa.Table]:
        table = future.result()
        if table is None:
            table, _ = self._exactly(part.bytes()[: part.plain], True, part.offset)
        if len(table):
            yield table

    def _plain(self, part: "_Part") -> int:
        """Return how many leading bytes Arrow reads exactly: whole records with quotes only at both ends of a field, or
        doubled. Return 0 for none."""
        data, size = part.buffer, part.size
        if data.startswith(codecs.BOM_UTF8):
            # Arrow would take a first character of a row for a byte order mark.
            return 0
        alone = data.count(b"\r", 0, size) if self.dialect.line_end == "\n" else 0
        if alone and alone > data.count(b"\r\n", 0, size) + data.endswith(b"\r", 0, size):
            # Arrow would take it for the end of a record.
            return 0
        read = np.frombuffer(data, dtype=np.uint8, count=size)
        places = _places(read if self.dialect.quote else read[:0], self.dialect.quote or " ")
        while not part.final and (size := _last_end(data, size, self.dialect.line_end.encode())):
            before = int(np.searchsorted(places, size))
            if before % 2 == 0:
                break
            # This end of a line is inside quotes: look before the one that opened them.
            size = int(places[before - 1])
        places = places[: np.searchsorted(places, size)]
        if len(places) % 2 or not len(places):
            return 0 if len(places) else size
        opening, closing = places[::2], places[1::2]
        doubled = opening[1:] == closing[:-1] + 1
        at_start = self.ends[read[opening - 1]]
        at_start[0] |= opening[0] == 0
        at_end = self.ends[read[np.minimum(closing + 1, part.size - 1)]]
        at_end[-1] |= closing[-1] == part.size - 1
        whole = at_start[0] and at_end[-1] and (at_start[1:] | doubled).all() and (at_end[:-1] | doubled).all()
        return size if whole else 0

    def _by_arrow(self, part: "_Part") -> pa.Table | None:
        """The rows in the first bytes; None where one has another number of fields, or is not UTF-8."""
        bad: list[Any] = []

        def keep(row: Any) -> str:
            bad.append(row)
            return "skip"

        try:
            table = csv.read_csv(
                pa.BufferReader(pa.py_buffer(part.buffer).slice(0, part.plain)),
                # All in one block: between blocks, Arrow does not know what stands inside quotes.
                read_options=csv.ReadOptions(column_names=self.names, block_size=part.plain + 1, use_threads=False),
                parse_options=csv.ParseOptions(
                    delimiter=self.dialect.delimiter,
                    quote_char=self.dialect.quote or False,
                    invalid_row_handler=keep,
                ),
                convert_options=self.as_strings,
            )
        except pa.ArrowInvalid:
            return None
        return None if bad else pa.table([_missing_if_empty(each) for each in table.columns], names=self.names)

    def _exactly(self, data: bytes, final: bool, offset: int) -> tuple[pa.Table, int]:
        """The whole rows in some bytes, and how many bytes these are."""
        columns: list[list[str | None]] = [[] for _ in self.names]
        read = 0
        for record in self.exact.records(data, final):
            fields, read = record.fields, record.end
            if fields is not None and len(fields) == len(self.names):
                for column, value in zip(columns, fields, strict=True):
                    column.append(self._decode(value) or None)
            elif fields is None or len(fields) > 1 or not record.raw.isspace():
                if not self.skip:
                    raise self._error(record, self._line(offset + record.start))
                self.bad.count += 1
                if len(self.bad.lines) < NAMED:
                    self.bad.lines.append(self._line(offset + record.start))
        return pa.table(columns, schema=pa.schema([(name, pa.string()) for name in self.names])), read

    def _line(self, offset: int) -> int:
        """The line in which a byte of the file stands; asked for so seldom that the file is read again for it."""
        line = 1
        with Utf8Stream(self.file, self.encoding) as stream:
            while offset > 0 and (part := stream.read(min(PART, offset))):
                line += lines_in(part[:offset])
                offset -= len(part)
        return line

    def _decode(self, value: bytes) -> str:
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise wrong_encoding(self.file, "utf-8", error.object[error.start]) from error

    def _error(self, record: Record, line: int) -> UserError:
        """Return the error for a record, with its line."""
        shown = record.raw[:120].decode("utf-8", "replace")
        where = f"{str(self.file)!r} cannot be read as {kind_of(self.file)}: line {line}"
        if record.fields is None:
            return UserError(
                f"{where} has broken quotes: {shown!r}. Check that quotes are closed, and that those inside a field "
                "are doubled; or write --data.quotechar none, where quotes are characters, --data.escapechar '\\', "
                "where a backslash stands before them, or --data.on_bad_rows skip."
            )
        return UserError(
            f"{where} has {len(record.fields)} fields, and the first row has {len(self.names)}: {shown!r}. Give all "
            "rows the same columns, with quotes around a field that holds a "
            f"{DELIMITERS.get(self.dialect.delimiter, self.dialect.delimiter)}; or write --data.delimiter for another "
            "delimiter, or --data.on_bad_rows skip."
        )


@dataclass
class _Part:
    """Some bytes of a file, in a buffer; whether the file ends with them; how many are before them. How many Arrow can
    read, and how many were."""

    buffer: bytearray
    size: int
    final: bool
    offset: int
    plain: int = 0
    read: int = 0

    def bytes(self) -> bytes:
        return bytes(memoryview(self.buffer)[: self.size])


def _last_end(data: bytearray, size: int, line_end: bytes) -> int:
    """The place behind the last end of a line in the first bytes; 0 where there is none."""
    return data.rfind(line_end, 0, size) + 1


def _places(read: np.ndarray, character: str) -> np.ndarray:
    """Return the places of a character, found in pieces that fit a processor's cache."""
    pieces = range(0, len(read), PIECE)
    found = [np.flatnonzero(read[start : start + PIECE] == ord(character)) + start for start in pieces]
    return np.concatenate(found) if found else np.empty(0, dtype=int)


def _missing_if_empty(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of strings whose empty ones are missing: faster than where Arrow asks this of each field."""
    lengths = pc.binary_length(column)
    if pc.min(lengths).as_py() != 0:
        return column
    return pc.if_else(pc.equal(lengths, 0), None, column)


__all__ = ["DelimitedFile"]
