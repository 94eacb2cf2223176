# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Answers of a tagger: the entities of texts, with their characters."""

import re
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
from tokenizers import Encoding, Tokenizer

from .answers import softmax
from .bio import spans_of

_BETWEEN_SPACES = re.compile(r"\S+")


def is_seen(text: str) -> bool:
    """Return True if a text has a visible character.

    White space, control characters and characters of no width, such as U+200B, are not visible.

    Args:
        text: Text to check.
    """
    return any(not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf") for c in text)


def evenly_spaced(text: str) -> tuple[str, list[int]]:
    """Return a text with one space between its words, and the position of each character in the original text.

    Args:
        text: Text with any white space.
    """
    words = list(_BETWEEN_SPACES.finditer(text))
    places = [place for word in words for place in range(word.start(), word.end() + 1)]
    return " ".join(word[0] for word in words), places


def tag_answers(
    texts: Sequence[str],
    tokenizer: Tokenizer,
    logits_of: Callable[[list[list[int]]], list[np.ndarray]],
    label_names: Sequence[str],
) -> list[dict]:
    """Return the `entities` of each text, each with `label`, `text`, `score`, and its characters `start` to `end`.

    Without BIO tags, each word of the tokenizer is an entity.

    Args:
        texts: Texts with any white space.
        tokenizer: Tokenizer without padding and truncation.
        logits_of: Function that returns the logits `[T, C]` of each row of token ids.
        label_names: Names of the tags.
    """
    spaced = list(map(evenly_spaced, texts))
    encodings = tokenizer.encode_batch([text for text, _ in spaced])
    answers = []
    for text, (even, places), encoding, logits in zip(
        texts, spaced, encodings, logits_of([encoding.ids for encoding in encodings]), strict=True
    ):
        entities = _entities(even, logits, encoding, label_names)
        for entity in entities:
            start, end = places[entity["start"]], places[entity["end"] - 1] + 1
            entity |= {"text": text[start:end], "start": start, "end": end}
        answers.append({"entities": entities})
    return answers


def _entities(text: str, logits: np.ndarray, encoding: Encoding, label_names: Sequence[str]) -> list[dict]:
    # Indices of the tokens of each word.
    tokens: dict[int, list[int]] = {}
    for place, word in enumerate(encoding.word_ids):
        if word is not None:
            tokens.setdefault(word, []).append(place)
    offsets = encoding.offsets
    words = [(places[0], offsets[places[0]][0], offsets[places[-1]][1]) for places in tokens.values()]
    words = [word for word in words if is_seen(text[word[1] : word[2]])]
    firsts = [first for first, *_ in words]
    scores = softmax(logits).max(-1)
    tags = [label_names[i] for i in logits[firsts].argmax(-1)]
    entities = []
    for kind, first, last in spans_of(tags):
        start, end = words[first][1], words[last][2]
        # The offsets of byte-level tokenizers include the space before a word.
        start += len(text[start:end]) - len(text[start:end].lstrip())
        score = float(scores[firsts[first : last + 1]].mean())
        entities.append({"label": kind, "text": text[start:end], "score": score, "start": start, "end": end})
    return entities


__all__ = ["evenly_spaced", "is_seen", "tag_answers"]
