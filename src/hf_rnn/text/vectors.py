# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Find pretrained vectors for the vocabulary of a tokenizer.

If the source has the same vocabulary, each token has its own row of the source. Otherwise a token of a word-level
tokenizer has the vector of its word. A subword has the mean of the vectors of the training split's words that contain
it, weighted by their counts. A subword without such words has the vector of its own text, if the source has one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import models
from transformers import PreTrainedTokenizerBase

from ..utils.errors import DataError
from .vector_reader import VectorReader

# Spellings under which a word is looked up, in this order.
TRIES: dict[str, Callable[[str], str]] = {
    "as written": str,
    "in lower case": str.lower,
    "capitalized": str.capitalize,
    "with digits as 0": lambda word: re.sub(r"\d", "0", word.lower()),
    "with digits as #": lambda word: re.sub(r"\d", "#", word.lower()),
}
# Largest accepted standard deviation, in units of the median absolute value of all nonzero numbers. One huge number
# would make all others 0 once the vectors are scaled.
MOST_SPREAD = 10_000
# Share of words with a capital letter up to which vectors count as those of lower-case words.
CASED = 0.01
COMPOSED, OF_WORDS, OWN_ROW = "composed of parts", "mean of its words", "own row"
# Limits for the vectors of subwords: characters read of the training split, and distinct words used.
MOST_CHARACTERS, MOST_WORDS = 50_000_000, 200_000


@dataclass
class FoundVectors:
    """Pretrained vectors of a vocabulary.

    Args:
        matrix: Vectors, shape [V, E], float32.
        report: Statistics of the search, for `metrics.json` and the model card.
    """

    matrix: np.ndarray
    report: dict[str, Any]

    def scaled_to(self, spread: float) -> FoundVectors:
        """Return all vectors multiplied by one number, so that the vectors found have a given standard deviation.

        Args:
            spread: Standard deviation over all numbers of the vectors found.
        """
        scale = spread / self.report["spread"] if self.report["spread"] else 1.0
        return FoundVectors(self.matrix * np.float32(scale), {**self.report, "scale": scale})

    def reduced_to(self, width: int) -> FoundVectors:
        """Return the vectors projected on their principal components, the first of which have the largest variance.

        Args:
            width: Number of components; vectors of this width or less stay as they are.
        """
        if width >= self.matrix.shape[1]:
            return self
        mean = self.matrix.mean(0)
        _, directions = np.linalg.eigh(np.cov(self.matrix, rowvar=False))
        matrix = ((self.matrix - mean) @ directions[:, : -width - 1 : -1]).astype(np.float32)
        return FoundVectors(matrix, {**self.report, "width": width, "spread": float(matrix.std())})

    def summary(self) -> str:
        """Return the report as one line."""
        report = self.report
        line = (
            f"vectors    {report['source']} ({report['format']}, width {report['width']}): found for "
            f"{report['types']:.1%} of {report['entries']:,} entries of the vocabulary, {report['tokens']:.1%} of the "
            "running tokens of the training split"
        )
        ways = [f"{count:,} {way}" for way, count in report["ways"].items()]
        skipped = [f"{count:,} {what}" for what, count in report["skipped"].items()]
        line += f" ({', '.join(ways)}); the others are drawn with the mean and standard deviation of those found"
        if "scale" in report:
            line += f" · all multiplied by {report['scale']:.3g}"
        return line + (f" · skipped: {', '.join(skipped)}" if skipped else "")


def find_vectors(
    source: VectorReader,
    name: str,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[str],
    counts: np.ndarray,
    seed: int,
    V: int | None = None,
    words: Collection[str] = (),
) -> FoundVectors:
    """Find the vectors of a tokenizer's vocabulary.

    A token without a vector gets random numbers from a normal distribution. Its mean and standard deviation are those
    of the vectors found, column by column. The padding token gets zeros.

    Args:
        source: Reader that [`~hf_rnn.text.vector_sources.open_vectors`] returned.
        name: Name of the source, for the report and for errors.
        tokenizer: Tokenizer of the model.
        texts: Texts of the training split. They are read only if the tokens are subwords.
        counts: Count of each token in the training split, shape [len(tokenizer)].
        seed: Seed of the random numbers.
        V: Number of tokens with an embedding, which are the first ones; None for all. The rare tokens of a wide path
            come after them.
        words: Words that became entries of the vocabulary: each has its own vector, and not that of the words that
            contain it.

    Raises:
        DataError: No token has a vector, the vectors found are all 0 or have a huge number, or the source breaks its
            format.
    """
    V = len(tokenizer) if V is None else V
    special = set(tokenizer.all_special_ids)
    without = special | set(range(V, len(tokenizer)))
    vectors, ways = _of_vocabulary(source, tokenizer, texts, without, frozenset(words))
    if not vectors:
        raise _nothing_found(source, name, tokenizer, without)
    spread = _spread(vectors, name)
    matrix = _filled(vectors, V, source.width, seed)
    if tokenizer.pad_token_id is not None:
        matrix[tokenizer.pad_token_id] = 0
    # Unknown tokens count as running tokens without a vector. Other special tokens do not occur in texts.
    special.discard(tokenizer.unk_token_id)
    running = int(np.delete(counts, list(special)).sum())
    entries = V - len(tokenizer.all_special_ids)
    report = {
        "source": name,
        "format": source.format,
        "width": source.width,
        "spread": spread,
        "entries": entries,
        "found": len(vectors),
        "types": len(vectors) / max(1, entries),
        "tokens": int(counts[list(vectors)].sum()) / max(1, running),
        "ways": {way: count for way, count in sorted(ways.items()) if count},
        "skipped": {what: count for what, count in source.skipped.items() if count},
    }
    return FoundVectors(matrix, report)


def _of_vocabulary(
    source: VectorReader,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[str],
    special: set[int],
    entries: Collection[str],
) -> tuple[dict[int, np.ndarray], Counter[str]]:
    """Return the vector of each token that has one, and the number of tokens found in each way."""
    rows = source.rows(tokenizer.get_vocab())
    if rows is not None:
        own = {token: row for token, row in enumerate(rows) if token not in special and source.finite(row)}
        return own, Counter({OWN_ROW: len(own)})
    words = _own_words(tokenizer, special)
    parts = [] if _is_of_words(tokenizer) else list(_words_of(tokenizer, texts))
    found = look_up(source, {*words.values(), *(word for word, _, _ in parts)})
    whole = {token for token, word in words.items() if word in entries and word in found}
    vectors = _of_parts(parts, found, special | whole)
    ways = Counter({OF_WORDS: len(vectors)})
    for token, word in words.items():
        if token not in vectors and word in found:
            vectors[token], way = found[word]
            ways[way] += 1
    return vectors, ways


def look_up(source: VectorReader, words: Collection[str]) -> dict[str, tuple[np.ndarray, str]]:
    """Return the vector of each word that has one, `[E]`, and the way in which it was found.

    Args:
        source: Reader that [`~hf_rnn.text.vector_sources.open_vectors`] returned.
        words: Words to look up, each in the spellings of `TRIES`.

    Raises:
        DataError: The source breaks its format.
    """
    forms = {word: {way: change(word) for way, change in TRIES.items()} for word in words if word}
    known = source.read({form for of_word in forms.values() for form in of_word.values()})
    found = {}
    for word, of_word in forms.items():
        way = next((way for way, form in of_word.items() if form in known), None)
        if way is not None:
            found[word] = known[of_word[way]], way
    composed = source.compose([word for word in forms if word not in found])
    return found | {word: (vector, COMPOSED) for word, vector in composed.items()}


def words_of(source: VectorReader, most: int, lowercase: bool) -> tuple[list[str], bool]:
    """Return the first words of a source, for the vocabulary of a tokenizer, and whether other forms are among them.

    If the source has next to no words with a capital letter, the capitalized and upper-case forms of its words are
    added, unless the tokenizer converts the text to lower case.

    Args:
        source: Reader that [`~hf_rnn.text.vector_sources.open_vectors`] returned.
        most: Maximum number of words of the source, at least 1.
        lowercase: True if the tokenizer converts the text to lower case.

    Raises:
        DataError: The source breaks its format, or it has no words.
    """
    words = source.first_words(most)
    if not words:
        raise DataError(
            f"{str(source.path)!r} has no vectors of whole words, and tokenizer.vector_words={most} takes such words: "
            "name other vectors, or write tokenizer.vector_words=0."
        )
    # Marks such as <UNK> have capital letters in vectors of lower-case words too.
    if lowercase or sum(word != word.lower() for word in words) > CASED * len(words):
        return words, False
    return list(dict.fromkeys(form for word in words for form in (word, word.capitalize(), word.upper()))), True


def _is_of_words(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return True if each token is a whole word."""
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    return backend is None or isinstance(backend.model, models.WordLevel)


def _own_words(tokenizer: PreTrainedTokenizerBase, special: set[int]) -> dict[int, str]:
    """Return the text of each token that is not special, to look it up as a word."""
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    plain = backend is None or isinstance(backend.model, models.WordLevel) or backend.decoder is None
    words = {}
    for token, id_ in tokenizer.get_vocab().items():
        if id_ not in special:
            # BERT's decoder keeps the prefix ## of the first subword.
            words[id_] = token if plain else backend.decoder.decode([token]).strip().removeprefix("##")
    return words


def _words_of(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> Iterator[tuple[str, int, list[int]]]:
    """Yield the most frequent words of the texts, each with its count and its token ids."""
    backend: Any = tokenizer.backend_tokenizer  # type: ignore[attr-defined]
    between_spaces: Counter[str] = Counter()
    left = MOST_CHARACTERS
    for text in texts:
        between_spaces.update(text[:left].split())
        left -= len(text)
        if left <= 0:
            break
    counts: Counter[str] = Counter()
    # Each distinct string between spaces is split into words once, since splitting whole texts took 2.5 times as long.
    for part, count in between_spaces.items():
        part = part if backend.pre_tokenizer is None else f" {part}"
        part = part if backend.normalizer is None else backend.normalizer.normalize_str(part)
        # Tokenizers without a pre-tokenizer write a space as ▁, which is a part of the next word.
        words = (
            [part] if backend.pre_tokenizer is None else [w for w, _ in backend.pre_tokenizer.pre_tokenize_str(part)]
        )
        for word in words:
            counts[word] += count
    for raw, count in counts.most_common(MOST_WORDS):
        word = raw if backend.decoder is None else backend.decoder.decode([raw])
        yield word.strip(), count, [token.id for token in backend.model.tokenize(raw)]


def _of_parts(
    parts: Iterable[tuple[str, int, list[int]]], found: dict[str, tuple[np.ndarray, str]], special: set[int]
) -> dict[int, np.ndarray]:
    """Return the vector of each subword: the mean over the words that contain it, weighted by their counts."""
    sums: dict[int, np.ndarray] = {}
    weights: Counter[int] = Counter()
    for word, count, pieces in parts:
        if word not in found:
            continue
        vector = found[word][0] * np.float32(count)
        for piece in set(pieces) - special:
            sums[piece] = sums[piece] + vector if piece in sums else vector
            weights[piece] += count
    return {piece: total / np.float32(weights[piece]) for piece, total in sums.items()}


def _filled(vectors: dict[int, np.ndarray], V: int, E: int, seed: int) -> np.ndarray:
    """Return the vectors of all tokens, shape [V, E]: those found, and random ones with the same mean and spread."""
    known = np.stack(list(vectors.values()))
    mean, spread = known.mean(0, dtype=np.float64), known.std(0, dtype=np.float64)
    matrix = np.random.default_rng(seed).normal(mean, spread, (V, E)).astype(np.float32)
    matrix[list(vectors)] = known
    return matrix


def _spread(vectors: dict[int, np.ndarray], name: str) -> float:
    """Return the standard deviation of all numbers; raise [`DataError`] if all are 0 or one is far too large."""
    numbers = np.stack(list(vectors.values())).astype(np.float64)
    sizes = np.abs(numbers[numbers != 0])
    # The last digits of a sum depend on where the numbers are in memory, and processes have to agree.
    spread = float(f"{numbers.std():.9g}")
    if not len(sizes) or spread > MOST_SPREAD * np.median(sizes):
        largest = sizes.max() if len(sizes) else 0.0
        raise DataError(
            f"the {len(vectors):,} vectors that model.vectors={name!r} has for the vocabulary have numbers up to "
            f"{largest:g}: all are 0, or one is far too large. Name other vectors, or fetch the file again."
        )
    return spread


def _nothing_found(source: VectorReader, name: str, tokenizer: PreTrainedTokenizerBase, special: set[int]) -> DataError:
    ours = [word for word in list(_own_words(tokenizer, special).values())[-3:] if word]
    passed = "".join(f", {count:,} {what} skipped" for what, count in source.skipped.items())
    return DataError(
        f"model.vectors={name!r} has none of the {len(tokenizer) - len(special):,} entries of the vocabulary: it has "
        f"words such as {', '.join(map(repr, source.examples)) or '(none)'}{passed}, and the vocabulary has words "
        f"such as {', '.join(map(repr, ours))}. Name vectors of the language of the texts, written in UTF-8."
    )


__all__ = ["FoundVectors", "find_vectors", "look_up", "words_of"]
