# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Split a text into words or sentences, each with the tokens that it consists of."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from transformers import PreTrainedTokenizerBase

from ..utils.errors import HfRnnError

# The offsets of a token that the tokenizer added to the text.
NOWHERE = (-1, -1)


@dataclass
class Span:
    """A word or a sentence of a text.

    Args:
        word: Text of the word or the sentence.
        start: Position of its first character in the text.
        end: Position after its last character in the text.
        score: Attribution score for the label; a negative score counts against the label.
        tokens: Indices of its tokens among the token ids that the model read.
    """

    word: str
    start: int
    end: int
    score: float = 0.0
    tokens: list[int] = field(default_factory=list, repr=False)


def tokens_of(
    tokenizer: PreTrainedTokenizerBase, text: str, cut: Callable[[list], list] | None = None
) -> tuple[list[int], list[tuple[int, int]]]:
    """Tokenize a text, and return its token ids with their offsets.

    Args:
        tokenizer: Fast tokenizer.
        text: Text to tokenize.
        cut: Function that truncates rows of token ids, such as `task.cut`; None for no truncation.

    Returns:
        Token ids, and the (start, end) offsets of each token in characters; [`NOWHERE`] for added special tokens.

    Raises:
        HfRnnError: The text has no tokens, or the tokenizer has no offsets.
    """
    if not tokenizer.is_fast:
        raise HfRnnError(f"a {type(tokenizer).__name__} has no offsets: load a fast tokenizer, AutoTokenizer.")
    encoding = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False)
    places = list(range(len(encoding["input_ids"])))
    if cut is not None:
        (places,) = cut([places])
    special = encoding["special_tokens_mask"]
    offsets = [NOWHERE if special[place] else encoding["offset_mapping"][place] for place in places]
    if not any(text[start:end].strip() for start, end in offsets):
        raise HfRnnError(f"{text[:60]!r} has no words to explain: pass a text with at least one token.")
    return [encoding["input_ids"][place] for place in places], offsets


# Scripts without spaces between words, such as Chinese, Japanese and Thai. Each of their tokens counts as a word.
_UNPARTED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


def _in_words(character: str) -> bool:
    # The categories L, M and N are letters, combining marks and digits.
    spelled = unicodedata.category(character)[0] in "LMN" or character in "'’_"
    return spelled and not _UNPARTED.match(character)


def words_of(text: str, offsets: Sequence[tuple[int, int]]) -> list[Span]:
    """Join tokens to words: adjacent tokens of letters and digits, and tokens that are parts of one character.

    Args:
        text: Text that was tokenized.
        offsets: Offsets of its tokens, as [`tokens_of`] returns them.

    Returns:
        Words in the order of the text. A token of white space belongs to the word after it, or to the last word.
    """
    words: list[Span] = []
    spaces: list[int] = []
    for place, (start, end) in enumerate(offsets):
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
        if start == end:
            if (start, end) != NOWHERE:
                spaces.append(place)
            continue
        last = words[-1] if words else None
        touches = last is not None and last.end == start and _in_words(text[start - 1]) and _in_words(text[start])
        if last is not None and (touches or last.start <= start < last.end):
            last.end = max(last.end, end)
            last.word = text[last.start : last.end]
            last.tokens.append(place)
        else:
            words.append(Span(text[start:end], start, end, tokens=[*spaces, place]))
            spaces = []
    if words:
        words[-1].tokens += spaces
    return words


_SENTENCE_END = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s|$)|[。！？]+[”’」』）]*|\n+|<br\s*/?>", re.IGNORECASE)


def sentences_of(text: str, offsets: Sequence[tuple[int, int]]) -> list[Span]:
    """Join the words of a text to sentences, which end at punctuation or line breaks.

    Args:
        text: Text that was tokenized.
        offsets: Offsets of its tokens, as [`tokens_of`] returns them.

    Returns:
        Sentences in the order of the text.
    """
    ends = np.array([match.end() for match in _SENTENCE_END.finditer(text)])
    sentences: dict[int, Span] = {}
    for word in words_of(text, offsets):
        number = int(np.searchsorted(ends, word.start, side="right"))
        sentence = sentences.setdefault(number, Span("", word.start, word.end))
        sentence.end = word.end
        sentence.tokens += word.tokens
    for sentence in sentences.values():
        sentence.word = text[sentence.start : sentence.end]
    return list(sentences.values())


__all__ = ["NOWHERE", "Span", "sentences_of", "tokens_of", "words_of"]
