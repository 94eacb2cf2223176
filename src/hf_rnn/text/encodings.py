# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Detect the encoding of a text file, and read the file as a stream of UTF-8 bytes."""

import codecs
import io
import logging
import re
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from ..utils.errors import DataError

logger = logging.getLogger(__name__)

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
# Bytes in which zeros are counted, bytes per read, and maximum number of bytes that are examined.
SAMPLE, PART, MOST = 1 << 12, 1 << 18, 1 << 24
# Longer marks come first, because one of UTF-32 begins with one of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# First bytes of files that are not text.
_NO_TEXT = {
    b"PK\x03\x04": "a workbook or archive, such as .xlsx",
    b"\x1f\x8b": "a compressed file, .gz",
    b"\x28\xb5\x2f\xfd": "a compressed file, .zst",
    b"BZh": "a compressed file, .bz2",
    b"PAR1": "a table, .parquet",
}
# Characters of Western European text outside ASCII. Some letters of cp1252 are left out, because their bytes are
# frequent in files in cp1250 (Czech: š, ž, ý) or cp1254 (Turkish: þ, ð, ý).
_LETTERS = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŒŸßàáâãäåæçèéêëìíîïñòóôõöøùúûüœÿ"
_SIGNS = "€£¥§©®°±²³µ·¼½¾×÷ªº«»‹›“”„‘’‚–—…•™¡¿´¨¢¬¦\xa0\xad"
_RUN = re.compile(rf"[{_LETTERS}]{{3,}}")
# A sign inside a word. The signs that are frequent there are excluded.
_SIGN_IN_WORD = re.compile(rf"[^\W\d_](?![’‘·\xad\xa0´–—…])[{re.escape(_SIGNS)}][^\W\d_]")


def ending_of(path: Path | str) -> str:
    """Return the file extension that gives the format, in lower case, such as `.csv` for `a.CSV.gz`.

    Args:
        path: Path or name of the file.
    """
    path = Path(path)
    inner = path.with_suffix("").suffix.lower() if path.suffix.lower() in COMPRESSIONS else ""
    # Parquet and Excel files cannot be read as streams, and are compressed by their format.
    return inner if inner and inner not in (".parquet", ".xlsx") else path.suffix.lower()


def stem_of(path: Path) -> str:
    """Return the name of a file without the extensions of its format and its compression.

    Args:
        path: Path of the file.
    """
    return (path.with_suffix("") if path.suffix.lower() in COMPRESSIONS else path).stem


def open_bytes(file: Path) -> BinaryIO:
    """Open a file to read its bytes, decompressed if its extension is .gz, .bz2, .zst or .lz4.

    Args:
        file: Path of the file.
    """
    kind = COMPRESSIONS.get(file.suffix.lower())
    plain = file.open("rb")
    if kind is None:
        return plain
    return io.BufferedReader(_Closing(pa.CompressedInputStream(pa.PythonFile(plain, "r"), kind), plain))  # type: ignore[arg-type]


class _Closing(io.RawIOBase):
    """Python stream over an Arrow stream that also closes the underlying file."""

    def __init__(self, stream: Any, file: BinaryIO):
        self.stream, self.file = stream, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        read = self.stream.read(len(buffer))
        buffer[: len(read)] = read
        return len(read)

    def close(self) -> None:
        if not self.closed:
            self.stream.close()
            self.file.close()
        super().close()


def encoding_name(encoding: str) -> str:
    """Return the name of an encoding without the suffix `-sig`, which stands for a byte order mark.

    Args:
        encoding: Encoding as [`find_encoding`] returns it.
    """
    return encoding.removesuffix("-sig")


def wrong_encoding(file: Path, encoding: str, byte: int) -> DataError:
    """Return the error for a byte that is invalid in an encoding.

    Args:
        file: Path of the file.
        encoding: Encoding that the file was read with.
        byte: Value of the invalid byte.
    """
    return DataError(
        f"{str(file)!r} is not {encoding} (byte {byte:#04x}): name its encoding, "
        "for example data.encoding='gb18030' (Chinese) or data.encoding='cp1252' (Western European). Others are cp1250 "
        "(Central European), cp1251 (Cyrillic), cp1254 (Turkish) and shift_jis (Japanese)."
    )


def find_encoding(file: Path, given: str | None = None) -> str:
    """Return the encoding of a file: the given one, or one detected by a byte order mark or the first 16 MB.

    Args:
        file: Path of the file.
        given: Setting `data.encoding`; None to detect UTF-8, UTF-16, UTF-32 or cp1252.

    Raises:
        DataError: Python does not know the given encoding. Or none is given, and the file is not text, or is neither
            Unicode nor clearly cp1252.
    """
    if given is not None:
        try:
            name = codecs.lookup(given).name
            "a".encode(name)
        except (LookupError, ValueError, TypeError) as error:
            raise DataError(f"data.encoding={given!r} is not an encoding that Python supports: write utf-8.") from error
        # The codec utf-8-sig removes a byte order mark, which is not part of the text.
        return "utf-8-sig" if name == "utf-8" else name
    with open_bytes(file) as stream:
        part = stream.read(PART)
        for start, what in _NO_TEXT.items():
            if part.startswith(start):
                raise DataError(f"{str(file)!r} is not text, but {what}: give it the ending {what.split()[-1]}.")
        for mark, encoding in _MARKS.items():
            if part.startswith(mark):
                return encoding
        zeros = [part[start:SAMPLE:2].count(0) / max(1, len(part[:SAMPLE]) // 2) for start in (0, 1)]
        if len(part) >= 4 and max(zeros) > 0.4 and min(zeros) < 0.1:
            return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
        decoder, read, plain = codecs.getincrementaldecoder("utf-8")(), 0, True
        while part and read < MOST:
            read += len(part)
            following = stream.read(PART)
            try:
                if decoder.getstate()[0] or not part.isascii():
                    plain = decoder.decode(part, final=not following).isascii() and plain
            except UnicodeDecodeError as error:
                # A file with more valid than invalid UTF-8 characters is UTF-8 with a mistake.
                read_on = error.object.decode("utf-8", "replace")
                wrong, high = read_on.count("\ufffd"), sum(not character.isascii() for character in read_on)
                plain = plain and high <= 2 * wrong
                text = _western(error.object) if plain else None
                if text is None:
                    raise wrong_encoding(file, "utf-8", error.object[error.start]) from error
                example = re.search(rf"\w*[{_LETTERS}]\w*", text) or re.search(r"[^\x00-\x7f]", text)
                logger.warning(
                    f"{file.name} is not UTF-8 and is read as cp1252 (Western European); it contains "
                    f"{example[0] if example else ''!r}. If that is wrong, write data.encoding=NAME."
                )
                return "cp1252"
            part = following
    return "utf-8"


def _western(sample: bytes) -> str | None:
    """Return the sample decoded as cp1252 if the result looks like Western European text; else None."""
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return None
    high = re.findall(r"[^\x00-\x7f]", text)
    strange = sum(character not in _LETTERS + _SIGNS for character in high)
    strange += sum(len(run) for run in _RUN.findall(text)) + len(_SIGN_IN_WORD.findall(text))
    return text if strange <= len(high) // 100 else None


class Utf8Stream:
    """Stream of the bytes of a text file, converted to UTF-8 and without a byte order mark.

    Args:
        file: Path of the file.
        encoding: Encoding as [`find_encoding`] returns it.
    """

    def __init__(self, file: Path, encoding: str):
        self.file, self.encoding = file, encoding
        self.stream = open_bytes(file)
        self.decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)()
        if encoding == "utf-8-sig":
            # Skip the mark only. Decoding bytes that are UTF-8 already would take time.
            mark = self.stream.read(len(codecs.BOM_UTF8))
            self.waiting, self.decoder = b"" if mark == codecs.BOM_UTF8 else mark, None
        else:
            self.waiting = b""
        self.started = False

    def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end of the file.

        Args:
            size: Number of bytes to read from the file. Fewer or more may be returned.

        Raises:
            DataError: A byte is invalid in the encoding. UTF-8 is not checked here.
        """
        if self.waiting or self.decoder is None:
            read, self.waiting = self.waiting or self.stream.read(size), b""
            return read
        while True:
            raw = self.stream.read(size)
            try:
                text = self.decoder.decode(raw, final=not raw)
            except UnicodeDecodeError as error:
                raise wrong_encoding(self.file, self.encoding, error.object[error.start]) from error
            if text and not self.started:
                text, self.started = text.removeprefix("\ufeff"), True
            if text or not raw:
                return text.encode("utf-8", "replace")

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer with the next bytes, and return their number, which is smaller only at the end of the file.

        Args:
            buffer: Buffer to fill.
        """
        filled = 0
        while filled < len(buffer):
            if self.decoder is None and not self.waiting:
                more = self.stream.readinto(buffer[filled:])  # type: ignore[attr-defined]
            else:
                read = self.waiting or self.read(len(buffer) - filled)
                more = min(len(read), len(buffer) - filled)
                buffer[filled : filled + more] = read[:more]
                self.waiting = read[more:]
            if not more:
                break
            filled += more
        return filled

    def close(self) -> None:
        self.stream.close()

    def __enter__(self) -> "Utf8Stream":
        return self

    def __exit__(self, *exception) -> None:
        self.close()


def contains(file: Path, pattern: bytes, most: int) -> bool:
    """Return whether the first bytes of a file contain a pattern.

    Args:
        file: Path of the file.
        pattern: Bytes to search for.
        most: Number of bytes to search, rounded up to whole reads.
    """
    with open_bytes(file) as stream:
        before, read = b"", 0
        while read < most and (part := stream.read(PART)):
            # One byte is found many times faster than two.
            if (pattern[:1] in part and pattern in before + part) or pattern in before + part[: len(pattern)]:
                return True
            before, read = part[1 - len(pattern) :], read + len(part)
    return False


def open_utf8(file: Path, given: str | None) -> Utf8Stream:
    """Open a text file as a stream of UTF-8 bytes.

    Args:
        file: Path of the file.
        given: Setting `data.encoding`; None to detect the encoding.

    Raises:
        DataError: As in [`find_encoding`].
    """
    return Utf8Stream(file, find_encoding(file, given))


def lines_of(file: Path, given: str | None):
    """Yield the lines of a text file without their line ends (line feed, carriage return, or both).

    Args:
        file: Path of the file.
        given: Setting `data.encoding`; None to detect the encoding.

    Raises:
        DataError: As in [`find_encoding`], or a byte is invalid in the encoding.
    """
    with open_utf8(file, given) as stream:
        text = io.TextIOWrapper(io.BufferedReader(_Raw(stream)), encoding="utf-8", newline=None)  # type: ignore[arg-type]
        try:
            for line in text:
                yield line.removesuffix("\n")
        except UnicodeDecodeError as error:
            raise wrong_encoding(file, "utf-8", error.object[error.start]) from error


class _Raw(io.RawIOBase):
    def __init__(self, stream: Utf8Stream):
        self.stream, self.rest = stream, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        read = self.rest or self.stream.read(len(buffer))
        # The stream may return more bytes than requested.
        buffer[: len(read[: len(buffer)])] = read[: len(buffer)]
        self.rest = read[len(buffer) :]
        return len(read[: len(buffer)])


__all__ = [
    "COMPRESSIONS",
    "Utf8Stream",
    "encoding_name",
    "find_encoding",
    "lines_of",
    "open_bytes",
    "open_utf8",
    "wrong_encoding",
]
