# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The interface of all readers of vectors, and the opening of their files."""

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

from ..utils.errors import UserError, first_line
from .encodings import open_bytes

NOT_UTF8, DUPLICATES, NOT_FINITE = (
    "words that are not UTF-8",
    "vectors of words that had one",
    "vectors with NaN or infinity",
)
# Words of a file that an error quotes.
_QUOTED = 3


class VectorReader:
    """The interface of all readers of vectors.

    Args:
        path: the file or folder.
    """

    format: ClassVar[str]
    # Width E of the vectors.
    width: int

    def __init__(self, path: Path):
        self.path = path
        # The number of words or vectors that were passed over, by the reason.
        self.skipped: Counter[str] = Counter()
        # The first words.
        self.examples: list[str] = []

    def read(self, words: Collection[str]) -> dict[str, np.ndarray]:
        """Return the vectors `[E]` of those words that have one.

        Args:
            words: to look for, as they are written.

        Raises:
            UserError: the file breaks its format.
        """
        raise NotImplementedError

    def is_first(self, word: str, wanted: Collection[str], found: Collection[str]) -> bool:
        """Return True for a word that is wanted and was not found before; count one that was.

        Args:
            word: of an entry of the file.
            wanted: the words that are looked for.
            found: those of them that have a vector.
        """
        if word in found:
            self.skipped[DUPLICATES] += 1
        return word in wanted and word not in found

    def compose(self, words: Collection[str]) -> dict[str, np.ndarray]:
        """Return vectors `[E]` of words that have none, made of those of their parts; none where there are no parts.

        Args:
            words: that [`read`] did not find.
        """
        return {}

    def rows(self, vocabulary: dict[str, int]) -> np.ndarray | None:
        """Return the vectors `[V, E]` of a vocabulary that is that of the source itself, else None.

        Args:
            vocabulary: tokens and their ids.
        """
        return None

    def finite(self, vector: np.ndarray) -> bool:
        """Return whether all numbers of a vector are finite; count it where they are not.

        Args:
            vector: `[E]`.
        """
        whole = bool(np.isfinite(vector).all())
        self.skipped[NOT_FINITE] += not whole
        return whole

    def word(self, raw: bytes) -> str | None:
        """Return a word of the file, or None where it is not UTF-8; then it is counted.

        Args:
            raw: the bytes of the word.
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
    """Open a file, decompressed where its name says that it is compressed, or a member of a zip archive.

    Args:
        path: of the file; a member of an archive is `ARCHIVE.zip/MEMBER`.

    Raises:
        UserError: an archive has several files, or no such member.
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
            one = sorted(names)[0] if names else "FILE"
            raise UserError(f"{str(archive)!r} {has}: name one, --model.vectors {archive.as_posix()}/{one}.")
        # The archive stays open as long as its member is.
        stream: Any = opened.open(str(member))
        return io.BufferedReader(stream)


def split_archive(path: Path) -> tuple[Path | None, str | None]:
    """Return the archive and the member that a path names: none and none where it names no archive.

    Args:
        path: to be read.
    """
    for part in (path, *path.parents):
        if part.suffix.lower() == ".zip" and part.is_file():
            return part, path.relative_to(part).as_posix() if part != path else None
    return None, None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn errors of reading and of decompressing inside the block into a [`UserError`].

    Args:
        path: that is read.
    """
    try:
        yield
    except (OSError, EOFError, RuntimeError, pa.ArrowException, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{str(path)!r} cannot be read: {first_line(error)}. Fetch it again, if it was cut.") from error


__all__ = ["VectorReader", "open_file", "reading", "split_archive"]
