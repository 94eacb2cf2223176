# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Read CSV and TSV files as tables of strings: with Arrow if that is exact, else with [`ExactReader`].

No types are inferred: a field is a string as in the file, and an empty field is missing.
"""

import codecs
import io
import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from ..utils.errors import DataError
from .arguments import DataArguments
from .dialects import DELIMITERS, Dialect, ExactReader, Record, find_dialect, lines_in, names_of
from .encodings import Utf8Stream, encoding_name, ending_of, find_encoding, wrong_encoding

logger = logging.getLogger(__name__)

# Bytes per block that Arrow parses, bytes per piece that numpy searches (both small enough for the processor's cache),
# and maximum bytes of a record.
BLOCK, PIECE, LONGEST = 1 << 20, 1 << 17, 1 << 28
# Blocks that Arrow's threads parse in one run.
BLOCKS = 16
# Maximum number of bad rows whose lines the warning names.
NAMED = 5


@dataclass
class BadRows:
    """Rows that were skipped in a file, by `data.on_bad_rows`.

    Args:
        count: Number of skipped rows.
        lines: Line numbers of the first skipped rows, at most `NAMED`.
    """

    count: int = 0
    lines: list[int] = field(default_factory=list)


class DelimitedFile:
    """A CSV or TSV file as an iterable of tables.

    Args:
        file: Path of the file.
        data: Settings of the file format; those left at None are detected.
        known: Column names that mark a row as a header.

    Raises:
        DataError: The file is empty, its encoding or dialect is unclear, or two columns have the same name.
    """

    def __init__(self, file: Path, data: DataArguments, known: Collection[str] = ()):
        self.file, self.skip = file, data.on_bad_rows == "skip"
        self.encoding = find_encoding(file, data.encoding)
        with Utf8Stream(file, self.encoding) as stream:
            self.dialect = find_dialect(file, stream, data, known)
        self.exact = ExactReader(self.dialect)
        with Utf8Stream(file, self.encoding) as stream:
            first = self._first(stream)
        header = [self._decode(name) for name in first.fields] if self.dialect.header else None
        self.names = names_of(file, header, len(first.fields))
        # Byte offset of the first row.
        self.begins = first.end if self.dialect.header else 0
        self.bad = BadRows()
        self.as_strings = csv.ConvertOptions(column_types=dict.fromkeys(self.names, pa.string()))
        # True for bytes that may stand before and after a quoted field.
        self.ends = np.zeros(256, dtype=bool)
        self.ends[[ord(character) for character in (self.dialect.delimiter, "\r", "\n")]] = True

    def described(self) -> str:
        """Return one line about the encoding and the dialect of the file."""
        return f"{encoding_name(self.encoding)} · {self.dialect}"

    def _first(self, stream: Utf8Stream) -> Record:
        """Return the first record."""
        data = b""
        while True:
            more = stream.read(max(1 << 16, len(data)))
            data += more
            record = next(self.exact.records(data, final=not more), None)
            if record is not None or not more:
                break
        if record is None:
            raise DataError(f"the file {str(self.file)!r} is empty.")
        if record.fields is None:
            raise self._error(record, self._line(record.start))
        return record

    def __iter__(self) -> Iterator[pa.Table]:
        """Yield the rows as tables of string columns, one part of the file at a time.

        Raises:
            DataError: A row has broken quotes or another number of fields than the first one (unless such rows are
                skipped), a row is too long, or a byte is invalid in the encoding.
        """
        self.bad = BadRows()
        with Utf8Stream(self.file, self.encoding) as stream:
            ahead = _Ahead(stream)
            ahead.skip(self.begins)
            while True:
                run = _Run(ahead, self._plain, self.dialect)
                yield from self._by_arrow(run)
                if run.is_full:
                    continue
                # The run ended at bytes that Arrow does not parse exactly, or at the end of the file.
                read = 0
                if ahead.rest:
                    table, read = self._exactly(ahead.rest, ahead.final, ahead.offset)
                    yield from [table] * bool(len(table))
                if ahead.final:
                    break
                if not read and len(ahead.rest) > LONGEST:
                    raise DataError(
                        f"line {self._line(ahead.offset)} of {str(self.file)!r} begins a row that does not end within "
                        f"{LONGEST >> 20} MB: close its quotes, or write data.quotechar='none'."
                    )
                ahead.take(ahead.rest, read)
        if self.bad.count:
            lines = ", ".join(map(str, self.bad.lines)) + (", …" if self.bad.count > len(self.bad.lines) else "")
            logger.warning(f"{self.file.name}: {self.bad.count} bad rows were left out (lines {lines}).")

    def _plain(self, data: bytearray, size: int, final: bool) -> int:
        """Return the number of leading bytes that Arrow parses exactly; 0 if there are none.

        They are whole records whose quotes stand only at both ends of a field, or are doubled.

        Args:
            data: Buffer that begins with a record.
            size: Number of valid bytes in the buffer.
            final: True if the file ends with these bytes.
        """
        if self.dialect.escape or data.startswith(codecs.BOM_UTF8):
            # Arrow would remove a U+FEFF at the beginning of a row as a byte order mark.
            return 0
        # `find` is many times faster than `count` if there is no carriage return.
        returns = self.dialect.line_end == "\n" and data.find(b"\r", 0, size) >= 0 and data.count(b"\r", 0, size)
        if returns and returns > data.count(b"\r\n", 0, size) + data.endswith(b"\r", 0, size):
            # Arrow would end a record at a single carriage return.
            return 0
        read, line_end = np.frombuffer(data, dtype=np.uint8, count=size), self.dialect.line_end.encode()
        places = _places(data, size, self.dialect.quote.encode())
        while not final and (size := data.rfind(line_end, 0, size) + 1):
            before = int(np.searchsorted(places, size))
            if before % 2 == 0:
                break
            # This line end is inside quotes. Search before the opening quote.
            size = int(places[before - 1])
        places = places[: np.searchsorted(places, size)]
        if len(places) % 2 or not len(places):
            return 0 if len(places) else size
        # Positions of the bytes before each opening quote and after each closing quote.
        around = places + np.tile([-1, 1], len(places) // 2)
        at_end = self.ends.take(read.take(around, mode="clip"))
        at_end[0] |= around[0] < 0
        at_end[-1] |= around[-1] == len(read)
        if not at_end.all():
            doubled = places[2::2] == places[1:-1:2] + 1
            at_end[1:-1:2] |= doubled
            at_end[2::2] |= doubled
        return size if at_end.all() else 0

    def _by_arrow(self, run: "_Run") -> Iterator[pa.Table]:
        """Yield the rows of a run as tables; parse each block separately if Arrow cannot parse the whole run."""
        table = self._parse(pa.PythonFile(run, "r"), BLOCK)
        run.stop()
        if table is not None:
            yield table
            return
        for block, offset in run.blocks:
            table = self._parse(pa.BufferReader(block), block.size + 1)
            if table is None:
                table, _ = self._exactly(block.to_pybytes(), True, offset)
            if len(table):
                yield table

    def _parse(self, source: pa.NativeFile, size: int) -> pa.Table | None:
        """Return the rows; None if there are none, or one is not UTF-8 or has another number of fields.

        Args:
            source: File that returns whole records per read.
            size: Number of bytes that Arrow requests per read.
        """
        bad: list[Any] = []

        def keep(row: Any) -> str:
            bad.append(row)
            return "skip"

        try:
            table = csv.read_csv(
                source,
                # With smaller blocks, Arrow would split a block at any line end, even inside quotes.
                read_options=csv.ReadOptions(column_names=self.names, block_size=size),
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
        """Return the complete rows in some bytes as a table, and the number of bytes read."""
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
        """Return the line number of a byte offset. This reads the file again, because it is rarely needed."""
        line = 1
        with Utf8Stream(self.file, self.encoding) as stream:
            while offset > 0 and (part := stream.read(min(BLOCK, offset))):
                line += lines_in(part[:offset])
                offset -= len(part)
        return line

    def _decode(self, value: bytes) -> str:
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise wrong_encoding(self.file, "utf-8", error.object[error.start]) from error

    def _error(self, record: Record, line: int) -> DataError:
        """Return the error for a bad record at a line."""
        shown = record.raw[:120].decode("utf-8", "replace")
        where = f"{str(self.file)!r} cannot be read as {ending_of(self.file)}: line {line}"
        if record.fields is None:
            return DataError(
                f"{where} has broken quotes: {shown!r}. Check that quotes are closed, and that those inside a field "
                "are doubled; or write data.quotechar='none' if quotes are ordinary characters, data.escapechar='\\\\' "
                "if a backslash comes before them, or data.on_bad_rows='skip'."
            )
        return DataError(
            f"{where} has {len(record.fields)} fields, and the first row has {len(self.names)}: {shown!r}. Give all "
            "rows the same columns, with quotes around a field that holds a "
            f"{DELIMITERS.get(self.dialect.delimiter, self.dialect.delimiter)}; or write "
            "data.delimiter=CHARACTER or data.quotechar=CHARACTER for other characters, or data.on_bad_rows='skip'."
        )


class _Ahead:
    """Part of a file that is not consumed yet. `rest` holds those of its bytes that are already read."""

    def __init__(self, stream: Utf8Stream):
        self.stream = stream
        self.rest, self.final, self.offset = b"", False, 0
        # Buffers are reused in each run, because allocation takes more time than reading.
        self.buffers: list[bytearray] = []

    def read(self, place: int = 0) -> tuple[bytearray, int]:
        """Return a buffer with the next bytes of the file, and the number of valid bytes in it.

        Args:
            place: Index of the buffer in this run.
        """
        while len(self.buffers) <= place:
            self.buffers.append(bytearray(BLOCK))
        # A row that does not end in the bytes read so far needs a larger buffer.
        buffer = self.buffers[place] if len(self.rest) <= BLOCK // 2 else bytearray(2 * len(self.rest))
        buffer[: len(self.rest)] = self.rest
        size = len(self.rest) + self.stream.readinto(memoryview(buffer)[len(self.rest) :])
        self.final = size < len(buffer)
        return buffer, size

    def take(self, read: bytes | memoryview, size: int) -> None:
        """Consume the first `size` bytes of `read`, and keep the others for the next read."""
        self.rest, self.offset = bytes(read[size:]), self.offset + size

    def skip(self, size: int) -> None:
        """Skip the next `size` bytes."""
        self.stream.readinto(memoryview(bytearray(size)))
        self.offset += size


class _Run(io.RawIOBase):
    """Next blocks of a file that Arrow parses exactly, as a file object for Arrow's threads.

    Args:
        ahead: Part of the file that is not consumed yet.
        plain: Function that counts the bytes that Arrow parses exactly, `DelimitedFile._plain`.
        dialect: Dialect of the file.
    """

    def __init__(self, ahead: _Ahead, plain: Callable[[bytearray, int, bool], int], dialect: Dialect):
        self.ahead, self.plain = ahead, plain
        self.quote, self.line_end = dialect.quote.encode(), dialect.line_end.encode()
        # Blocks and their byte offsets in the file.
        self.blocks: list[tuple[pa.Buffer, int]] = []
        self.is_full, self.stopped = False, False
        self.lock = Lock()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> Any:
        """Return the next block; `size` is ignored."""
        with self.lock:
            self.is_full = len(self.blocks) == BLOCKS
            if self.stopped or self.is_full:
                return b""
            buffer, filled = self.ahead.read(len(self.blocks))
            given, offset = self._given(buffer, self.plain(buffer, filled, self.ahead.final)), self.ahead.offset
            self.ahead.take(memoryview(buffer)[:filled], given)
            self.stopped = not given
            self.blocks += [(pa.py_buffer(buffer).slice(0, given), offset)] * bool(given)
            return self.blocks[-1][0] if given else b""

    def _given(self, buffer: bytearray, whole: int) -> int:
        """Return the number of bytes of a block: the whole records, if possible without the last line end.

        Arrow then finds a row that continues in the next block, and is faster.
        """
        end = whole
        while end and buffer[end - 1] in b"\r\n":
            end -= 1
        start = buffer.rfind(self.line_end, 0, end) + 1
        is_record = start and not (self.quote and buffer.count(self.quote, start, end) % 2)
        return end if is_record else whole

    def stop(self) -> None:
        """End the file, even for a thread that still reads."""
        with self.lock:
            self.stopped = True


def _places(data: bytearray, size: int, byte: bytes) -> np.ndarray:
    """Return the positions of a byte in the first `size` bytes. Each searched piece fits the processor's cache."""
    if not byte or data.find(byte, 0, size) < 0:
        return np.empty(0, dtype=int)
    read = np.frombuffer(data, dtype=np.uint8, count=size)
    pieces = range(0, size, PIECE)
    return np.concatenate([np.flatnonzero(read[start : start + PIECE] == ord(byte)) + start for start in pieces])


def _missing_if_empty(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a string column with null for empty strings. This is faster than Arrow's own check of each field."""
    lengths = pc.binary_length(column)
    if pc.min(lengths).as_py() != 0:
        return column
    return pc.if_else(pc.equal(lengths, 0), None, column)


__all__ = ["DelimitedFile"]
