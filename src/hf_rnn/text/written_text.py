# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Words as a text that is written normally, and a text whatever its white space."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from .dialects import UNSPACED

# No space stands before these: marks, closing brackets and quotes, and what English contractions end with.
_CLOSES = re.compile(r"[.,;:!?%…)\]}”’»]+|''|(['’](s|re|ve|ll|d|m)|n['’]t)", re.IGNORECASE)
# No space stands after these.
_OPENS = re.compile(r"[(\[{“‘«¿¡$£€]+|``")
# On either side of these marks of Chinese and Japanese no space stands.
_WIDE = re.compile(r"[\u3001-\u3003\u3008-\u301f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]")
_QUOTES = ("'", '"')
_BETWEEN_SPACES = re.compile(r"\S+")

Places = list[tuple[int, int]]


def as_written(words: Sequence[str]) -> tuple[str, Places]:
    """Return words as they are written in a text, and the characters of each, from start to end.

    Only spaces are decided; the characters of words stay. No space stands before `. , ; : ! ? % … ) ] }`, closing
    quotes, `n't`, `'s` and the like, nor after `( [ { $ £ €` and opening quotes; of `"` and `'` alone, every second one
    closes; between words of scripts without spaces, and beside their marks, none stands either.

    ```python
    >>> as_written(["Kiel", "(", "Ulm", "too", ")", "is", "n't", "far", "."])[0]
    "Kiel (Ulm too) isn't far."
    ```"""
    text, places = "", []
    is_open = dict.fromkeys(_QUOTES, False)
    glued = True
    for word in words:
        if not word.strip():
            places.append((len(text), len(text)))
            continue
        closes, opens = bool(_CLOSES.fullmatch(word)), bool(_OPENS.fullmatch(word))
        if word in is_open:
            closes, opens = is_open[word], not is_open[word]
            is_open[word] = opens
        if not (glued or closes or _unspaced(text[-1:], word[:1])):
            text += " "
        places.append((len(text), len(text) + len(word)))
        text += word
        glued = opens
    return text, places


def usual_mark(rows: Iterable[Sequence[str]]) -> list[tuple[list[str], str]]:
    """Return the word and the mark after it that most often stand together in some rows, and how they are written;
    nothing where there is no mark."""
    pairs = Counter(pair for words in rows for pair in pairwise(words) if pair[0].isalnum())
    for pair, _ in pairs.most_common():
        text, _ = as_written(pair)
        if text == "".join(pair) and not any(map(str.isalnum, pair[1])):
            return [(list(pair), text)]
    return []


def _unspaced(before: str, after: str) -> bool:
    wide = [bool(_WIDE.match(character)) for character in (before, after)]
    return any(wide) or bool(UNSPACED.match(before) and UNSPACED.match(after))


def is_seen(text: str) -> bool:
    """Return whether a text has a character other than spaces and characters of no width, such as U+200B."""
    return any(not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf") for c in text)


def evenly_spaced(text: str) -> tuple[str, list[int]]:
    """Return a text with one space for all white space between its words, and of each character its place in the text
    as it was."""
    words = list(_BETWEEN_SPACES.finditer(text))
    places = [place for word in words for place in range(word.start(), word.end() + 1)]
    return " ".join(word[0] for word in words), places


__all__ = ["as_written", "evenly_spaced", "is_seen", "usual_mark"]
