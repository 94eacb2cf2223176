# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The base class of the vector readers, and functions that open their files."""

import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
import pyarrow as pa

from ..utils.errors import DataError, first_line
from .encodings import open_bytes

NOT_UTF8, DUPLICATES, NOT_FINITE = (
    "words that are not UTF-8",
    "vectors of words that had one",
    "vectors with NaN or infinity",
)
# Number of words of a file that an error quotes.
_QUOTED = 3


class VectorReader:
    """Base class of all vector readers.

    Args:
        path: File or folder to read.
    """

    format: ClassVar[str]
    # Width E of the vectors.
    width: int

    def __init__(self, path: Path):
        self.path = path
        # Number of skipped words or vectors for each reason.
        self.skipped: Counter[str] = Counter()
        # First words of the file, which errors quote.
        self.examples: list[str] = []

    def read(self, words: Collection[str]) -> dict[str, np.ndarray]:
        """Return the vector, shape [E], of each word that has one.

        Args:
            words: Words to look up, in exactly this spelling.

        Raises:
            DataError: The file breaks its format.
        """
        raise NotImplementedError

    def first_words(self, count: int) -> list[str]:
        """Return the first distinct words of the source, which are the most frequent ones in most sources.

        Args:
            count: Maximum number of words.

        Raises:
            DataError: The file breaks its format.
        """
        skipped = self.skipped.copy()
        words: dict[str, None] = {}
        for word in self._words():
            if len(words) == count:
                break
            words[word] = None
        # Reading the vectors will count what is skipped.
        self.skipped = skipped
        return list(words)

    def _words(self) -> Iterator[str]:
        """Yield the words of the source in its order."""
        raise NotImplementedError

    def is_first(self, word: str, wanted: Collection[str], found: Collection[str]) -> bool:
        """Return True for a wanted word that has no vector yet; count a word that already has one as a duplicate.

        Args:
            word: Word of an entry of the file.
            wanted: Words to look up.
            found: Words that already have a vector.
        """
        if word in found:
            self.skipped[DUPLICATES] += 1
        return word in wanted and word not in found

    def compose(self, words: Collection[str]) -> dict[str, np.ndarray]:
        """Return vectors, shape [E], that are composed of the vectors of parts of the words; none by default.

        Args:
            words: Words that [`read`] did not find.
        """
        return {}

    def rows(self, vocabulary: dict[str, int]) -> np.ndarray | None:
        """Return the vectors, shape [V, E], if the vocabulary is that of the source; otherwise None.

        Args:
            vocabulary: Token id of each token.
        """
        return None

    def finite(self, vector: np.ndarray) -> bool:
        """Return True if all numbers of a vector are finite; otherwise count the vector as skipped.

        Args:
            vector: Vector of shape [E].
        """
        whole = bool(np.isfinite(vector).all())
        self.skipped[NOT_FINITE] += not whole
        return whole

    def word(self, raw: bytes) -> str | None:
        """Return a word of the file, or None and count it as skipped if it is not UTF-8.

        Args:
            raw: Bytes of the word.
        """
        try:
            word = raw.decode("utf-8")
        except UnicodeDecodeError:
            self.skipped[NOT_UTF8] += 1
            return None
        if len(self.examples) < _QUOTED:
            self.examples.append(word)
        return word


def open_file(path: Path) -> BinaryIO:
    """Open a file or a member of a zip archive, and decompress it if its ending says that it is compressed.

    Args:
        path: File to open. A member of an archive is `ARCHIVE.zip/MEMBER`.

    Raises:
        DataError: The archive has several files and none is named, or it has no such member.
    """
    archive, member = split_archive(path)
    if archive is None:
        return open_bytes(path)
    with zipfile.ZipFile(archive) as opened:
        names = [name for name in opened.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
        if member is None and len(names) == 1:
            member = names[0]
        if member not in names:
            has = f"has {', '.join(sorted(names)) or 'no files'}"
            one = f"{archive.as_posix()}/{sorted(names)[0] if names else 'FILE'}"
            raise DataError(f"{str(archive)!r} {has}: name one, model.vectors={one!r}.")
        # The member keeps the archive open after this block.
        stream: Any = opened.open(str(member))
        return io.BufferedReader(stream)


def split_archive(path: Path) -> tuple[Path | None, str | None]:
    """Return the zip archive and the member that a path names; None for each that it does not name.

    Args:
        path: Path to split.
    """
    for part in (path, *path.parents):
        if part.suffix.lower() == ".zip" and part.is_file():
            return part, path.relative_to(part).as_posix() if part != path else None
    return None, None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Convert read and decompression errors inside the block to [`DataError`].

    Args:
        path: File that the block reads, for the message.
    """
    try:
        yield
    except (OSError, EOFError, RuntimeError, pa.ArrowException, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{str(path)!r} cannot be read: {first_line(error)}. Fetch it again, if it is truncated."
        ) from error


__all__ = ["VectorReader", "open_file", "reading", "split_archive"]
