# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Token ids of texts of any length, and their truncation.

The functions change nothing in a tokenizer, so several threads can share one. Its padding and truncation have to be
switched off.
"""

from collections.abc import Callable, Sequence

from tokenizers import Tokenizer

from .errors import DataError

# Characters at the end of an incomplete text whose tokens may still change (more than the longest HTML tag that
# `strip_html` removes), and number of tokens before them at which a cut is tried.
MARGIN, TRIES = 256, 8
# Characters per piece of a long text. A text is long if it has more than twice as many characters.
LONG = 1 << 17
TRUNCATIONS = ("head", "tail", "head_tail")


def settled_ids(tokenizer: Tokenizer, text: str) -> tuple[list[int], str]:
    """Return the ids of the leading tokens that later text cannot change, and the rest of the text.

    Args:
        tokenizer: Tokenizer without padding and truncation.
        text: Beginning of a text that may continue. If it cannot be cut, there are no ids and the rest is all of it.
    """
    encoded = tokenizer.encode(text)
    before = [start for start, _ in encoded.offsets if 0 < start <= len(text) - MARGIN]
    # The space before a word may belong to the token of the word.
    places = [place for start in before[: -TRIES - 1 : -1] for place in (len(text[:start].rstrip()), start)]
    for place in dict.fromkeys(places):
        head, tail = (part.ids for part in tokenizer.encode_batch_fast([text[:place], text[place:]]))
        if head + tail == encoded.ids:
            return head, text[place:]
    return [], text


def _ids_of_long(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return the token ids of a long text, encoded in pieces, because the tokenizer needs many times their memory."""
    ids: list[int] = []
    waiting = ""
    for start in range(0, len(text), LONG):
        settled, waiting = settled_ids(tokenizer, waiting + text[start : start + LONG])
        ids += settled
        if not settled:
            waiting += text[start + LONG :]
            break
    return ids + tokenizer.encode(waiting).ids


def token_ids(tokenizer: Tokenizer, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[list[int]]:
    """Return the token ids of texts, or of pairs of texts, without padding and truncation.

    The attention masks and offsets are not computed, because they take longer than the ids.

    Args:
        tokenizer: Tokenizer without padding and truncation.
        texts: Texts, or the first texts of pairs.
        pairs: Second text of each pair; None for single texts.
    """
    rows: list = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
    if pairs is None and any(len(text) > 2 * LONG for text in rows):
        return [_ids_of_long(tokenizer, text) if len(text) > 2 * LONG else tokenizer.encode(text).ids for text in rows]
    if len(rows) == 1:
        return [tokenizer.encode(*(rows if pairs is None else rows[0])).ids]
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(rows)]


def pair_encodings(tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]]) -> list[list[int | None]]:
    """Return the text of a pair that each token belongs to: 0, 1 or, for tokens between the texts, None.

    Args:
        tokenizer: Tokenizer without padding and truncation.
        pairs: Pairs of texts. Tokens have the same order as in [`token_ids`].
    """
    return [encoding.sequence_ids for encoding in tokenizer.encode_batch(list(pairs))] if pairs else []


def cut(ids: list[int], max_length: int | None, truncation: str) -> list[int]:
    """Return token ids, truncated to `max_length`.

    Args:
        ids: Token ids of a text.
        max_length: Largest number of tokens; None for no limit.
        truncation: Part of a longer text to keep: `head`, `tail`, or `head_tail` for half of each.
    """
    if max_length is None or len(ids) <= max_length:
        return ids
    head = {"head": max_length, "tail": 0, "head_tail": (max_length + 1) // 2}[truncation]
    return ids[:head] + ids[len(ids) - (max_length - head) :]


def cut_pair(ids: list[int], texts: Sequence[int | None], max_length: int | None, truncation: str) -> list[int]:
    """Return the token ids of a pair of texts, truncated to `max_length`.

    The longer text is truncated first, and then both equally. The special tokens around and between them are kept.

    Args:
        ids: Token ids of the pair.
        texts: Text of each token: 0 for the first, 1 for the second, None for a special token.
        max_length: Largest number of tokens of the pair; None for no limit.
        truncation: Part of each longer text to keep, same as in [`cut`].

    Raises:
        DataError: `max_length` has no room for one token of each text.
    """
    if max_length is None or len(ids) <= max_length:
        return ids
    first, second = ([place for place, text in enumerate(texts) if text == which] for which in (0, 1))
    room = max_length - (len(ids) - len(first) - len(second))
    if room < 2:
        raise DataError(
            f"data.max_length={max_length} is too small for two texts and their special tokens: write "
            f"{max_length - room + 2} or more."
        )
    # The longer text gets the room that the shorter one leaves.
    of_second = min(len(second), max(room // 2, room - len(first)))
    kept = {*cut(first, room - of_second, truncation), *cut(second, of_second, truncation)}
    return [token for place, token in enumerate(ids) if texts[place] is None or place in kept]


def cut_rows(
    ids: list[list[int]],
    columns: Sequence[Sequence[str]],
    max_length: int | None,
    truncation: str,
    encodings_of: Callable[[list[tuple[str, str]]], list[list[int | None]]],
) -> list[list[int]]:
    """Return the token ids of texts or pairs of texts, each truncated to `max_length`.

    Args:
        ids: Token ids of each row.
        columns: Texts of all rows and, for pairs, the second texts.
        max_length: Largest number of tokens of a row; None for no limit.
        truncation: Part of a longer text to keep, same as in [`cut`].
        encodings_of: Function that returns the text of each token of pairs, as [`pair_encodings`] does. It is called
            with the pairs to truncate.

    Raises:
        DataError: `max_length` has no room for one token of each text of a pair.
    """
    if len(columns) == 1:
        return [cut(row, max_length, truncation) for row in ids]
    kept, (texts, pairs) = list(ids), columns
    long = [place for place, row in enumerate(ids) if max_length is not None and len(row) > max_length]
    of_texts = encodings_of([(texts[place], pairs[place]) for place in long])
    for place, which in zip(long, of_texts, strict=True):
        kept[place] = cut_pair(ids[place], which, max_length, truncation)
    return kept


__all__ = ["cut", "cut_pair", "cut_rows", "pair_encodings", "settled_ids", "token_ids"]
