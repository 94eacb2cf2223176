# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Labels in the answers of a chat model: by the probabilities of its tokens, or by its words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..text.dialects import UNSPACED

# Characters before a label that do not belong to it: spaces, quotes, brackets and Markdown.
_BEFORE = " \t\r\n\"'`*_([{“”„‘’«「"


def from_logprobs(tokens: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> np.ndarray | None:
    """Return the probabilities of the labels, `[C]`, from those of the tokens of an answer.

    The tokens are read up to the first one after which only one label is possible. The answer's own probability counts
    for this label. At each of these tokens, the probability of another token counts for the labels that it begins, in
    equal parts. The sum is scaled to 1.

    Args:
        tokens: Tokens of the answer in the form of the chat API, `choices[0].logprobs.content`.
        labels: C labels.

    Returns:
        The probabilities; None if the answer does not begin with a label.
    """
    names, scores = [label.casefold() for label in labels], np.zeros(len(labels))
    mass, written = 1.0, b""
    for token in tokens:
        chosen = _bytes(token)
        for other in token.get("top_logprobs") or []:
            begun = _begun(written + _bytes(other), names)
            # A token before the label, such as a space, says nothing about it.
            if _bytes(other) != chosen and 0 < len(begun) < len(names):
                scores[begun] += mass * math.exp(other["logprob"]) / len(begun)
        mass, written = mass * math.exp(token["logprob"]), written + chosen
        begun = _begun(written, names)
        if len(begun) > 1:
            # The answer may end with one of these, if another label continues it.
            begun = [place for place in begun if names[place] == _text(written)] if token is tokens[-1] else begun
        if len(begun) == 1:
            scores[begun] += mass
            return scores / scores.sum() if scores.sum() else None
        if not begun:
            return None
    return None


def _bytes(token: Mapping[str, Any]) -> bytes:
    """Return the bytes of a token; its text may be only a part of a character."""
    return bytes(token["bytes"]) if token.get("bytes") else str(token["token"]).encode()


def _text(written: bytes) -> str:
    return written.decode("utf-8", "ignore").casefold().lstrip(_BEFORE)


def _begun(written: bytes, names: Sequence[str]) -> list[int]:
    """Return the labels that an answer begins with, or is the beginning of."""
    text = _text(written)
    return [
        place
        for place, name in enumerate(names)
        if name.startswith(text) or (text.startswith(name) and not text[len(name)].isalnum())
    ]


def named_in(text: str, labels: Sequence[str]) -> int | None:
    """Return the index of the only label that occurs in an answer; None if there is none, or more than one.

    A label inside a longer label, such as "positive" in "very positive", does not count.

    Args:
        text: Answer of a chat model.
        labels: C labels.
    """
    rest, found = text.casefold(), []
    for place in sorted(range(len(labels)), key=lambda place: -len(labels[place])):
        name = labels[place].casefold()
        pattern = re.escape(name) if UNSPACED.search(name) else rf"(?<!\w){re.escape(name)}(?!\w)"
        rest, times = re.subn(pattern, "\n", rest)
        found += [place] if times else []
    return found[0] if len(found) == 1 else None


__all__ = ["from_logprobs", "named_in"]
