# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Texts as a caller passes them: checks, missing values, and pairs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .errors import ConfigError, HfRnnError


def as_text(value: Any) -> str:
    """Return a string or a number as text, and None as an empty string.

    Args:
        value: String, number or None. Unpaired surrogates in a string become question marks.

    Raises:
        ConfigError: The value has another type.
    """
    if value is None or value != value:  # NaN is a missing value.
        return ""
    if not isinstance(value, (str, int, float)):
        raise ConfigError(f"{str(value)[:60]!r} is of type {type(value).__name__}: pass texts, as strings.")
    text = str(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def rows_of(texts: Sequence[Any]) -> list[Sequence[Any]]:
    """Return each text as a row of one, and each pair as a row of two.

    Args:
        texts: Texts, or pairs of texts.

    Raises:
        HfRnnError: Rows have different numbers of texts, or more than two.
    """
    rows: list[Sequence[Any]] = [row if isinstance(row, (tuple, list)) else (row,) for row in texts]
    wrong = next((row for row in rows if len(row) != len(rows[0]) or len(row) not in (1, 2)), None)
    if wrong is not None:
        raise HfRnnError(
            f"a row of {len(wrong)} texts, {str(wrong)[:60]}, cannot be read (the first has {len(rows[0])}): "
            "pass one text a row, or a pair (text, second text) in each."
        )
    return rows


def columns_of(rows: Sequence[Sequence[Any]]) -> list[list[str]]:
    """Return rows as one or two columns of texts.

    Args:
        rows: Rows as [`rows_of`] returns them.

    Raises:
        ConfigError: A value is not a text; see [`as_text`].
    """
    return [[as_text(text) for text in column] for column in zip(*rows, strict=True)]


def check_options(texts: Any, top_k: int | None, batch_tokens: int) -> int | None:
    """Check the arguments of a prediction, and return the number of labels in an answer; None for all.

    Args:
        texts: Texts, or pairs of texts.
        top_k: Number of labels in an answer; None or 0 for all.
        batch_tokens: Maximum number of tokens in a batch, padding included.

    Raises:
        HfRnnError: `texts` is a single string or a table, `batch_tokens` is under 1, or `top_k` is under 0.
    """
    check_is_list(texts)
    top_k = 0 if top_k is None else top_k
    for name, value, least in (("batch_tokens", batch_tokens, 1), ("top_k", top_k, 0)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            other = "" if least else ", or 0 for all labels"
            raise HfRnnError(f"{name}={value!r} must be a whole number, 1 or greater{other}.")
    return top_k or None


def check_is_list(texts: Any, name: str = "texts") -> None:
    """Raise [`HfRnnError`] for a single string or a table: its characters or its column names would be read as texts.

    Args:
        texts: Texts, or pairs of texts.
        name: Name of the argument.
    """
    if isinstance(texts, bytes):
        raise HfRnnError(f"{name} is of type bytes: pass a list of texts as strings, [{name}.decode()].")
    if isinstance(texts, str):
        raise HfRnnError(f"{name} is one string: pass a list of texts, [text].")
    if isinstance(texts, Mapping) or hasattr(texts, "columns"):
        raise HfRnnError(
            f"{name} is a table of type {type(texts).__name__}: pass the texts of a column, df['text'].tolist()."
        )
    if not isinstance(texts, Iterable):
        raise HfRnnError(f"{name}={texts!r} is of type {type(texts).__name__}: pass a list of texts, [text].")


def joined_with(texts: Any, pairs: Any) -> Any:
    """Return texts; with second texts, a pair of each text and its second text.

    Args:
        texts: Texts, or pairs of texts.
        pairs: Second text of each row; None for none.

    Raises:
        HfRnnError: An argument is a single string or a table, or there are fewer or more second texts than texts.
    """
    check_is_list(texts)
    if pairs is None:
        return texts
    check_is_list(pairs, "pairs")
    first, second = list(texts), list(pairs)
    if len(first) != len(second):
        raise HfRnnError(f"texts has {len(first)} texts and pairs has {len(second)}: pass a second text for each text.")
    return list(zip(first, second, strict=True))


__all__ = ["as_text", "check_is_list", "check_options", "columns_of", "joined_with", "rows_of"]
