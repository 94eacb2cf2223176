# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Read word vectors from text files (GloVe, word2vec, fastText .vec) and from the binary format of word2vec.

A file is read as a stream, and only the requested vectors are kept in memory.
"""

import codecs
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..utils.errors import DataError
from .vector_reader import VectorReader, open_file, reading

WITH_SPACES = "words with spaces"
# Bytes per read.
_PART = 1 << 20
_PRINTABLE = frozenset(range(32, 127)) | frozenset(b"\t\r")


class TextVectors(VectorReader):
    """Vectors in a text file, which has one word per line, followed by its numbers.

    The first line may be a header with the number of words and the width of the vectors.

    Args:
        path: File to read.
        head: First bytes of the file, at least its first line.

    Raises:
        DataError: The first line is neither a header nor a word with numbers.
    """

    format = "text"

    def __init__(self, path: Path, head: bytes):
        super().__init__(path)
        first = head.removeprefix(codecs.BOM_UTF8).partition(b"\n")[0]
        self.header = header_of(first)
        self.width = self.header[1] if self.header else _numbers_at_end(first.split())
        if not self.width:
            raise DataError(
                f"line 1 of {str(path)!r} is {_shown(first)}, and not a word followed by numbers: name vectors in "
                "the format of GloVe, word2vec or fastText."
            )

    def read(self, words: Collection[str]) -> dict[str, np.ndarray]:
        wanted, lines = set(words), 0
        found: dict[str, np.ndarray] = {}
        for number, word, numbers in self._entries():
            lines += 1
            if not self.is_first(word, wanted, found):
                continue
            vector = self._vector(numbers, number)
            if self.finite(vector):
                found[word] = vector
        self._check_lines(lines)
        return found

    def _words(self) -> Iterator[str]:
        return (word for _, word, _ in self._entries() if word)

    def _entries(self) -> Iterator[tuple[int, str | None, bytes]]:
        """Yield the line number, the word and the numbers of each line; no word if it cannot be read."""
        with reading(self.path), open_file(self.path) as stream:
            for number, line in enumerate(stream, 1):
                line = (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).rstrip()
                if not line or (number == 1 and self.header):
                    continue
                raw, _, numbers = line.partition(b" ")
                if numbers.count(b" ") != self.width - 1:
                    raw, numbers = self._uneven(line, number)
                yield number, self.word(raw), numbers

    def _uneven(self, line: bytes, number: int) -> tuple[bytes, bytes]:
        """Return the word and the numbers of a line that does not have exactly one space before each number.

        A word that contains spaces is counted as skipped, and both results are empty. Raise [`DataError`] for a line of
        another width.
        """
        fields = line.split()
        more = len(fields) - 1 - self.width
        if (more > 0 and not all(map(_is_number, fields[1 : 1 + more]))) or (more == -1 and line[:1].isspace()):
            self.skipped[WITH_SPACES] += 1
            return b"", b""
        if more:
            says = f"the first line declares width {self.width}" if self.header else f"line 1 has {self.width}"
            raise DataError(
                f"line {number} of {str(self.path)!r} has {len(fields) - 1} numbers ({_shown(line)}), but {says}: all "
                "vectors must have the same width. Fetch the file again, or correct that line."
            )
        return fields[0], b" ".join(fields[1:])

    def _vector(self, numbers: bytes, number: int) -> np.ndarray:
        values = numbers.split()
        try:
            if len(values) != self.width:
                raise ValueError
            with np.errstate(over="ignore"):
                return np.array([float(value) for value in values], dtype=np.float32)
        except ValueError:
            wrong = next((value for value in values if not _is_number(value)), b"  ")
            raise DataError(
                f"line {number} of {str(self.path)!r} has {_shown(wrong)} instead of a number: correct that line."
            ) from None

    def _check_lines(self, lines: int) -> None:
        """Raise [`DataError`] if the file has no vectors, or not as many as its header says."""
        if not lines:
            raise DataError(f"{str(self.path)!r} has no vectors: name another file.")
        if self.header and lines != self.header[0]:
            raise DataError(
                f"the first line of {str(self.path)!r} declares {self.header[0]:,} vectors, but the file has "
                f"{lines:,}: fetch the file again if it is truncated; if not, delete that line (sed -i 1d FILE)."
            )


class BinaryVectors(VectorReader):
    """Vectors in the binary format of word2vec.

    The first line has the number of words and the width. After it, each word is followed by a space and its numbers as
    little-endian float32.

    Args:
        path: File to read.
        header: Number of words and width of the vectors.
    """

    format = "word2vec binary"

    def __init__(self, path: Path, header: tuple[int, int]):
        super().__init__(path)
        self.count, self.width = header

    def read(self, words: Collection[str]) -> dict[str, np.ndarray]:
        wanted = set(words)
        found: dict[str, np.ndarray] = {}
        for word, numbers in self._entries():
            if not self.is_first(word, wanted, found):
                continue
            vector = np.frombuffer(numbers, dtype="<f4").astype(np.float32)
            if self.finite(vector):
                found[word] = vector
        return found

    def _words(self) -> Iterator[str]:
        return (word for word, _ in self._entries() if word)

    def _entries(self) -> Iterator[tuple[str | None, bytes]]:
        """Yield each word, None if it is not UTF-8, and the bytes of its numbers."""
        with reading(self.path), open_file(self.path) as stream:
            stream.readline()
            for raw, numbers in self._raw_entries(stream):
                yield self.word(raw), numbers

    def _raw_entries(self, stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
        size, at, buffer = 4 * self.width, 0, b""
        for _ in range(self.count):
            while (space := buffer.find(b" ", at)) < 0 or len(buffer) <= space + size:
                more = stream.read(_PART + size)
                if not more or (space < 0 and len(buffer) - at > _PART):
                    raise self._other_number("fewer")
                buffer, at = buffer[at:] + more, 0
            yield buffer[at:space].lstrip(b"\n"), buffer[space + 1 : space + 1 + size]
            at = space + 1 + size
        if (buffer[at:] + stream.read(8)).strip():
            raise self._other_number("more")

    def _other_number(self, there: str) -> DataError:
        return DataError(
            f"the first line of {str(self.path)!r} declares {self.count:,} vectors of width {self.width}, but the file "
            f"has {there}: fetch the file again."
        )


def header_of(line: bytes) -> tuple[int, int] | None:
    """Return the number of words and the width in a header line, or None if the line is not a header.

    Args:
        line: First line of the file.
    """
    fields = line.split()
    return (int(fields[0]), int(fields[1])) if len(fields) == 2 and all(f.isdigit() for f in fields) else None


def is_binary(rest: bytes, width: int) -> bool:
    """Return True if the bytes after a header are in the binary format of word2vec, not text.

    Args:
        rest: Bytes after the header line.
        width: Width of the vectors according to the header.
    """
    behind = re.split(rb"[ \t]", rest, maxsplit=1)[-1][: 4 * width].partition(b"\n")[0]
    is_text = set(behind) <= _PRINTABLE and any(map(_is_number, behind.split()))
    return bool(rest.strip()) and not is_text


def _numbers_at_end(fields: list[bytes]) -> int:
    """Return the number of numeric fields at the end of a line, the first field excluded."""
    count = 0
    for field in reversed(fields[1:]):
        if not _is_number(field):
            break
        count += 1
    return count


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _shown(raw: bytes) -> str:
    text = raw[:60].decode("utf-8", "replace")
    return repr(text + "…" * (len(raw) > 60))


__all__ = ["BinaryVectors", "TextVectors", "header_of", "is_binary"]
