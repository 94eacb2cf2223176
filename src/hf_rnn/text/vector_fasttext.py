# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Read word vectors from fastText models, which compose vectors of unseen words from character n-grams."""

import mmap
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..utils.errors import DataError, HfRnnError
from .encodings import COMPRESSIONS
from .vector_reader import VectorReader, split_archive

# First bytes of a fastText model.
MAGIC = struct.pack("<i", 793712314)
# Position of the first entry of the dictionary.
_DICTIONARY = 92


class FastTextVectors(VectorReader):
    """Vectors of a fastText model, version 11 or 12 of its format.

    The file has settings, a dictionary, and a matrix with rows of words and of hashed character n-grams. The n-grams
    give vectors to words that the dictionary lacks (Bojanowski et al. 2017). The vector of a word in the dictionary is
    the mean of its own row and the rows of its n-grams, as in fastText's `get_word_vector`.

    Args:
        path: File to read.

    Raises:
        DataError: The file is compressed or truncated, or its version is not 11 or 12.
    """

    format = "fastText binary"
    # Value of the setting `model` for supervised models.
    _SUPERVISED = 3

    def __init__(self, path: Path):
        super().__init__(path)
        if path.suffix.lower() in COMPRESSIONS or split_archive(path)[0]:
            raise DataError(
                f"{str(self.path)!r} is a compressed model of fastText, which cannot be read at random positions: "
                "decompress it (gunzip), and name the .bin file."
            )
        with path.open("rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with self._whole():
            _, version, self.width, *more = struct.unpack_from("<14i", self.data)
            model, self.bucket, self.least, self.most = more[6:10]
            self.nwords = 0
            self.matrix = np.zeros((0, self.width), dtype=np.float32)
        if version not in (11, 12):
            raise DataError(
                f"{str(path)!r} has version {version} of fastText's format, but only 11 and 12 can be read: save the "
                "model with fastText 0.9."
            )
        if version == 11 and model == self._SUPERVISED:
            self.most = 0
        # New row of each n-gram that a pruned model kept, by its old row; None if the model was not pruned.
        self.pruned: dict[int, int] | None = None

    @contextmanager
    def _whole(self) -> Iterator[None]:
        try:
            yield
        except HfRnnError:
            raise
        except (struct.error, ValueError, IndexError) as error:
            raise DataError(
                f"{str(self.path)!r} is a truncated or damaged model of fastText: fetch the file again."
            ) from error

    def read(self, words: Collection[str]) -> dict[str, np.ndarray]:
        wanted, ids, at = set(words), {}, _DICTIONARY
        with self._whole():
            # The sizes of the dictionary follow 14 integers and a double of settings.
            _, self.nwords = struct.unpack_from("<2i", self.data, 64)
            (pruned,) = struct.unpack_from("<q", self.data, 84)
            for place, (word, end) in enumerate(self._dictionary()):
                at = end
                if word in wanted:
                    ids[word] = place
            if pruned >= 0:
                pairs = np.frombuffer(self.data, dtype="<i4", count=2 * pruned, offset=at).reshape(-1, 2)
                self.pruned = dict(pairs.tolist())
                at += 8 * pruned
            if self.data[at]:
                raise DataError(
                    f"{str(self.path)!r} is a quantized model of fastText: name the .bin file that it was made from."
                )
            rows, columns = struct.unpack_from("<2q", self.data, at + 1)
            ngrams = self.bucket if self.pruned is None else 1 + max(self.pruned.values(), default=-1)
            needed = self.nwords + (ngrams if self.most > 0 else 0)
            if columns != self.width or rows < needed:
                raise DataError(
                    f"{str(self.path)!r} declares width {self.width} and {needed:,} words and n-grams, but its matrix "
                    f"has {rows:,} rows of {columns}: fetch the file again."
                )
            numbers = np.frombuffer(self.data, dtype="<f4", count=rows * columns, offset=at + 17)
        self.matrix = numbers.reshape(rows, columns)
        return self._means({word: [place, *self._ngrams(word)] for word, place in ids.items()})

    def _words(self) -> Iterator[str]:
        with self._whole():
            yield from (word for word, _ in self._dictionary() if word)

    def _dictionary(self) -> Iterator[tuple[str | None, int]]:
        """Yield each entry of the dictionary, None for a label or bytes that are not UTF-8, and the position after it.

        Both are in the order of the rows of the matrix.
        """
        (size,) = struct.unpack_from("<i", self.data, 64)
        at = _DICTIONARY
        for _ in range(size):
            end = self.data.find(b"\0", at)
            if end < 0:
                raise ValueError
            word = self.word(self.data[at:end])
            # After a word come a zero byte, its count (8 bytes), and 0 for a word or 1 for a label.
            is_label = bool(self.data[end + 9])
            at = end + 10
            yield None if is_label else word, at

    def compose(self, words: Collection[str]) -> dict[str, np.ndarray]:
        return self._means({word: self._ngrams(word) for word in words})

    def _means(self, places: dict[str, list[int]]) -> dict[str, np.ndarray]:
        means = {word: self.matrix[rows].mean(0, dtype=np.float32) for word, rows in places.items() if rows}
        return {word: vector for word, vector in means.items() if self.finite(vector)}

    def _ngrams(self, word: str) -> list[int]:
        """Return the matrix rows of a word's n-grams, whose lengths include the word boundaries `<` and `>`."""
        rows: list[int] = []
        marked = f"<{word}>"
        if self.most <= 0 or self.bucket <= 0 or word == "</s>":
            return rows
        for start in range(len(marked)):
            for end in range(start + max(1, self.least), min(start + self.most, len(marked)) + 1):
                if end == start + 1 and (start == 0 or end == len(marked)):
                    continue
                row = _hash(marked[start:end]) % self.bucket
                if self.pruned is not None:
                    row = self.pruned.get(row, -1)
                if row >= 0:
                    rows.append(self.nwords + row)
        return rows


def _hash(text: str) -> int:
    """Return the 32-bit FNV-1a hash of a text in UTF-8, with each byte sign-extended as in fastText."""
    value = 2166136261
    for byte in text.encode("utf-8"):
        value = ((value ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * 16777619) & 0xFFFFFFFF
    return value


__all__ = ["MAGIC", "FastTextVectors"]
