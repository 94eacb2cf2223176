# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Join words to a normally written text."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from .dialects import UNSPACED

# No space precedes these: punctuation, closing brackets and quotes, and the endings of English contractions.
_CLOSES = re.compile(r"[.,;:!?%…)\]}”’»]+|''|(['’](s|re|ve|ll|d|m)|n['’]t)", re.IGNORECASE)
# No space follows these.
_OPENS = re.compile(r"[(\[{“‘«¿¡$£€]+|``")
# No space stands beside these Chinese and Japanese punctuation marks.
_WIDE = re.compile(r"[\u3001-\u3003\u3008-\u301f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]")
_QUOTES = ("'", '"')

Places = list[tuple[int, int]]


def as_written(words: Sequence[str]) -> tuple[str, Places]:
    """Return words as one normally written text, and the start and end character of each word.

    Only spaces are chosen; the characters of the words stay the same. No space precedes `. , ; : ! ? % … ) ] }`,
    closing quotes, and endings such as `n't` and `'s`. No space follows `( [ { $ £ €` and opening quotes. Every second
    `"` closes a quote, and so does every second `'`. There is no space between words of scripts without spaces, and
    none beside their punctuation.

    ```python
    >>> as_written(["Kiel", "(", "Ulm", "too", ")", "is", "n't", "far", "."])[0]
    "Kiel (Ulm too) isn't far."
    ```

    Args:
        words: Words of a row. A blank word adds nothing to the text.
    """
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
        if not (glued or closes or unspaced(text[-1:], word[:1])):
            text += " "
        places.append((len(text), len(text) + len(word)))
        text += word
        glued = opens
    return text, places


def usual_mark(rows: Iterable[Sequence[str]]) -> list[tuple[list[str], str]]:
    """Return the most frequent pair of a word and a mark that are written without a space, and how they are written.

    The list is empty if there is no such pair.

    Args:
        rows: Words of each row.
    """
    pairs = Counter(pair for words in rows for pair in pairwise(words) if pair[0].isalnum())
    for pair, _ in pairs.most_common():
        text, _ = as_written(pair)
        if text == "".join(pair) and not any(map(str.isalnum, pair[1])):
            return [(list(pair), text)]
    return []


def unspaced(before: str, after: str) -> bool:
    """Return True if no space stands between two characters: of scripts without spaces, or beside their punctuation.

    Args:
        before: Last character of a word.
        after: First character of the next word.
    """
    wide = [bool(_WIDE.match(character)) for character in (before, after)]
    return any(wide) or bool(UNSPACED.match(before) and UNSPACED.match(after))


__all__ = ["as_written", "usual_mark"]
