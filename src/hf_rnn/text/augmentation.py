# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Make new texts from those of a corpus, as transfer text for a teacher to label.

The procedure is that of Tang et al. 2019 (arXiv 1903.12136): one pass over the words of a text changes each of them
with a probability of 0.1 for each method of words, and at most once; then the text is cut with a probability of 0.25.
A pair has its first text, its second or both of them changed. A copy of a known text is discarded.

A word is a run of letters with inner apostrophes and hyphens, a run of punctuation marks or symbols, or one character
of a script without spaces. Each word keeps the white space before it, so a text with the same words stays the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random
from typing import Any, Protocol

import numpy as np

from ..utils.errors import ConfigError, DataError, check_choice
from .dialects import MARKS, UNSPACED
from .vector_sources import open_vectors
from .vectors import look_up
from .written_text import unspaced

Text = tuple[str, ...]
# The words of a text, each with the white space before it.
Words = list[tuple[str, str]]

# Probability that a method changes a word, that a text is cut, and the words of the longest n-gram (Tang et al. 2019).
OF_A_WORD, OF_A_CUT, LONGEST_NGRAM = 0.1, 0.25, 5
# Neighbours of a word among which a draw chooses, as in Jiao et al. 2020 (arXiv 1909.10351).
NEIGHBOURS = 15
# Most frequent words that have neighbours, and the rows of the block in which their similarities are computed.
MOST_WORDS, BLOCK = 20_000, 256
# Limit of the characters that are read to count words and their contexts.
MOST_CHARACTERS = 50_000_000
# Draws without a new text, one after the other, after which the corpus counts as exhausted.
PATIENCE = 1000
# A context is one integer of 63 bits: the numbers of the left, the right and the middle word.
_BITS = 21
_RUN = rf"(?:(?!{UNSPACED.pattern})[\w{MARKS}])+"
_WORD = re.compile(rf"(\s*)({UNSPACED.pattern}[{MARKS}]*|{_RUN}(?:['’-]{_RUN})*|[^\w\s]+)")


def words_of(text: str) -> Words:
    """Return the words of a text, each with the white space before it.

    Args:
        text: Text of any language. White space at its end is left out.
    """
    return _WORD.findall(text.strip())


def _below(n: int, random: Random) -> int:
    # Unlike `random`, the methods `randrange` and `shuffle` may draw other numbers in another version of Python.
    return int(random.random() * n)


@dataclass
class Corpus:
    """Corpus and settings that the methods of words are built from.

    Args:
        texts: Texts, or pairs of texts.
        mask: Word that the method `mask` writes; None to drop the word.
        vectors: File, folder or Hub id of pretrained vectors; None if there are none.
    """

    texts: Sequence[Text]
    mask: str | None = None
    vectors: str | None = None

    def words(self) -> Iterator[list[str]]:
        """Yield the words of each text, up to a limit of characters in total."""
        left = MOST_CHARACTERS
        for text in self.texts:
            for part in text:
                yield [word for _, word in words_of(part[:left])]
                left -= len(part)
                if left <= 0:
                    return


class OfWord(Protocol):
    """Method that changes one word of a text."""

    def __call__(self, words: Words, place: int, random: Random) -> str | None:
        """Return the word to write in a place, or None to drop it.

        Args:
            words: Words of the text, as it is in the corpus.
            place: Index of the word.
            random: Generator of the random numbers.
        """


class Mask:
    """Replace a word by the mask, or drop it if there is none.

    Args:
        corpus: Corpus with the mask.
    """

    def __init__(self, corpus: Corpus):
        self.mask = corpus.mask

    def __call__(self, words: Words, place: int, random: Random) -> str | None:
        return self.mask


class Replace:
    """Replace a word by another one that occurs in the corpus between the same two words.

    Tang et al. draw a word of the same part of speech. There is no tagger for every language, and words that stand
    between the same neighbours mostly have the same part of speech. The word is drawn by its count in that context. A
    word that is alone in its context stays.

    Args:
        corpus: Corpus whose contexts are counted.
    """

    def __init__(self, corpus: Corpus):
        # 0 is the border of a text.
        self.ids = {"": 0}
        rows = []
        for words in corpus.words():
            if len(self.ids) + len(words) >= 1 << _BITS:
                break
            row = np.array([0, *(self.ids.setdefault(word, len(self.ids)) for word in words), 0], dtype=np.int64)
            rows.append(self._context(row[:-2], row[2:]) + row[1:-1])
        self.words = list(self.ids)
        self.occurrences = np.sort(np.concatenate([np.empty(0, dtype=np.int64), *rows]))

    @staticmethod
    def _context(left: Any, right: Any) -> Any:
        return left << 2 * _BITS | right << _BITS

    def __call__(self, words: Words, place: int, random: Random) -> str | None:
        left, word, right = (
            self.ids.get(words[near][1], -1) if 0 <= near < len(words) else 0 for near in (place - 1, place, place + 1)
        )
        if min(left, word, right) < 0:
            return words[place][1]
        # The occurrences of a context are one range, and those of each word are a range inside it.
        first = self._context(left, right)
        limits = np.array([first, first + word, first + word + 1, first + (1 << _BITS)])
        start, own, after, end = self.occurrences.searchsorted(limits).tolist()
        others = (own - start) + (end - after)
        if not others:
            return words[place][1]
        drawn = start + _below(others, random)
        if drawn >= own:
            drawn += after - own
        return self.words[int(self.occurrences[drawn]) & (1 << _BITS) - 1]


class Vectors:
    """Replace a word by one of its nearest neighbours in pretrained vectors.

    Both are among the most frequent words of the corpus. The neighbours are those with the largest cosine, other
    spellings of the same letters left out. A word without a vector stays.

    Args:
        corpus: Corpus with the path of the vectors.

    Raises:
        ConfigError: No vectors are named.
        DataError: The vectors cannot be read, or have fewer than two words of the corpus.
    """

    def __init__(self, corpus: Corpus):
        if corpus.vectors is None:
            raise ConfigError(
                "distil.augment has the method 'vectors', and no pretrained vectors are named: write "
                "model.vectors=FILE, or leave the method out."
            )
        counts: Counter[str] = Counter()
        for words in corpus.words():
            counts.update(words)
        frequent = [word for word, _ in counts.most_common(MOST_WORDS)]
        found = look_up(open_vectors(str(corpus.vectors)), frequent)
        self.words = [word for word in frequent if word in found and found[word][0].any()]
        if frequent and len(self.words) < 2:
            raise DataError(
                f"model.vectors={str(corpus.vectors)!r} has vectors for {len(self.words)} of the {len(frequent):,} "
                "most frequent words of the transfer text, and the method 'vectors' needs 2: name vectors of its "
                "language."
            )
        self.ids = {word: row for row, word in enumerate(self.words)}
        self.near = _neighbours(np.stack([found[word][0] for word in self.words]), self.words) if self.words else []

    def __call__(self, words: Words, place: int, random: Random) -> str | None:
        word = words[place][1]
        row = self.ids.get(word)
        if row is None or not self.near[row]:
            return word
        return self.words[self.near[row][_below(len(self.near[row]), random)]]


def _neighbours(vectors: np.ndarray, words: Sequence[str]) -> list[list[int]]:
    """Return the rows of the nearest neighbours of each vector.

    Args:
        vectors: Vectors, `[V, E]`.
        words: Word of each vector.
    """
    V = len(vectors)
    exact = vectors.astype(np.float64)
    exact /= np.sqrt((exact**2).sum(1, keepdims=True))
    # Products of these integers have sums below 2**24, which are exact in float32 in any order. So all machines choose
    # the same neighbours.
    whole = np.rint(exact * 2000).astype(np.float32)
    same = [word.casefold() for word in words]
    # Spellings in lower case, capitalised and in capitals, and the word itself, are left out below.
    most = min(V, NEIGHBOURS + 3)
    near = []
    for start in range(0, V, BLOCK):
        # Ties are decided by the frequency of the word.
        ranks = (whole[start : start + BLOCK] @ whole.T).astype(np.int64) * -V + np.arange(V)
        best = np.sort(np.partition(ranks, most - 1, axis=1)[:, :most], axis=1) % V
        for row, columns in enumerate(best.tolist(), start):
            near.append([column for column in columns if same[column] != same[row]][:NEIGHBOURS])
    return near


def ngram(words: Words, other: Callable[[], Words], random: Random) -> Words:
    """Return an n-gram of a text, of 1 to 5 words.

    Args:
        words: Words of the text.
        other: Function that returns the words of another text; not used.
        random: Generator of the random numbers.
    """
    return _span(words, min(len(words), 1 + _below(LONGEST_NGRAM, random)), random)


def span(words: Words, other: Callable[[], Words], random: Random) -> Words:
    """Return a span of a text: at least a third of it and two words, at most all of it.

    Args:
        words: Words of the text.
        other: Function that returns the words of another text; not used.
        random: Generator of the random numbers.
    """
    least = min(len(words), max(2, -(-len(words) // 3)))
    return _span(words, least + _below(len(words) - least + 1, random), random)


def _span(words: Words, length: int, random: Random) -> Words:
    start = _below(len(words) - length + 1, random)
    return words[start : start + length]


def join(words: Words, other: Callable[[], Words], random: Random) -> Words:
    """Return a span of a text, followed by a span of another text.

    Args:
        words: Words of the text.
        other: Function that returns the words of another text.
        random: Generator of the random numbers.
    """
    first, second = (span(each, other, random) for each in (words, other()))
    space = "" if unspaced(first[-1][1][-1], second[0][1][0]) else " "
    return [*first, (space, second[0][1]), *second[1:]]


OF_WORDS: dict[str, Callable[[Corpus], OfWord]] = {"mask": Mask, "replace": Replace, "vectors": Vectors}
CUTS: dict[str, Callable[[Words, Callable[[], Words], Random], Words]] = {"ngram": ngram, "span": span, "join": join}
METHODS = (*OF_WORDS, *CUTS)


class Augmenter:
    """Generator of new texts from the texts of a corpus.

    The texts are visited in random order, round after round. The result depends only on the arguments, not on the
    process or the machine.

    Args:
        texts: Texts of the corpus as `(text,)`, or pairs of texts as `(text, second text)`.
        methods: Names of methods, in any order: `mask`, `replace` and `vectors` change words; `ngram`, `span` and
            `join` cut texts. Without a method of words, each text is cut.
        seed: Seed of the random numbers.
        mask: Word that the method `mask` writes, such as the teacher's mask token; None to drop the word.
        vectors: File, folder or Hub id of pretrained vectors, for the method `vectors`.

    Raises:
        ConfigError: A method is unknown, there is none, or `vectors` has no file.
        DataError: The vectors cannot be read, or have hardly any word of the corpus.
    """

    def __init__(
        self,
        texts: Sequence[Text],
        methods: Sequence[str],
        seed: int,
        *,
        mask: str | None = None,
        vectors: str | None = None,
    ):
        for method in methods:
            check_choice("distil.augment", method, METHODS)
        if not methods:
            raise ConfigError(f"distil.augment=[] names no method: write one or more of {', '.join(METHODS)}.")
        self.texts, self.seed = texts, seed
        corpus = Corpus(texts, mask, vectors)
        self.of_words = [build(corpus) for name, build in OF_WORDS.items() if name in methods]
        self.cuts = [cut for name, cut in CUTS.items() if name in methods]
        self.sources = [text for text in texts if all(map(str.strip, text))]

    def draw(self, count: int, known: Collection[Text] = ()) -> list[Text]:
        """Return new texts that differ from each other and from those of the corpus.

        A longer draw begins with the texts of a shorter one. The list is shorter than `count` if 1,000 draws in
        sequence bring no new text.

        Args:
            count: Number of texts.
            known: Further texts that are not returned.
        """
        return list(islice(self._new(known), count))

    def _new(self, known: Collection[Text]) -> Iterator[Text]:
        seen = {tuple(map(str.strip, text)) for each in (self.texts, known) for text in each}
        failed = 0
        for text in self._changed():
            if text in seen or not all(text):
                failed += 1
                if failed == PATIENCE:
                    return
                continue
            failed = 0
            seen.add(text)
            yield text

    def _changed(self) -> Iterator[Text]:
        """Yield the texts of the corpus in random order, changed at random, without end."""
        random = Random(self.seed)
        order = sorted(range(len(self.sources)), key=lambda _: random.random())
        for source in cycle(order):
            text = self.sources[source]
            # Bit i is set if text i of the pair is changed.
            chosen = 1 + _below(2 ** len(text) - 1, random)
            yield tuple(
                self._changed_part(each, part, random) if chosen >> part & 1 else each.strip()
                for part, each in enumerate(text)
            )

    def _changed_part(self, text: str, part: int, random: Random) -> str:
        words = words_of(text)
        if self.of_words:
            words = self._other_words(words, random)
        if words and self.cuts and (not self.of_words or random.random() < OF_A_CUT):
            cut = self.cuts[_below(len(self.cuts), random)]
            words = cut(words, lambda: words_of(self.sources[_below(len(self.sources), random)][part]), random)
        return "".join(space + word for space, word in words).strip()

    def _other_words(self, words: Words, random: Random) -> Words:
        changed = []
        for place, (space, word) in enumerate(words):
            method = int(random.random() / OF_A_WORD)
            new = self.of_words[method](words, place, random) if method < len(self.of_words) else word
            if new is not None:
                changed.append((space, new))
        return changed


__all__ = ["METHODS", "Augmenter"]
