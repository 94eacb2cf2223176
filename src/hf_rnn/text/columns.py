# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Choose the text and label columns: as named in the settings, else by well-known names, else by content."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..utils.errors import DataError, nearest
from .arguments import DataArguments
from .dialects import UNSPACED

if TYPE_CHECKING:
    from datasets import Dataset

# The first name of a text, and the first two of a label, take precedence over the other names.
TEXT_NAMES = ("text", "sentence", "review", "content", "question", "comment", "document", "sentence1", "premise")
LABEL_NAMES = ("label", "labels", "coarse_label", "class", "category", "target", "sentiment", "score", "rating")
PAIRS = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"),
    ("question1", "question2"),
    ("question", "answer"),
    ("question", "passage"),
    ("question", "sentence"),
    ("query", "passage"),
    ("query", "document"),
    ("text1", "text2"),
    ("text_1", "text_2"),
    ("text_a", "text_b"),
    ("text", "text_pair"),
)
WORD_COLUMNS = ("tokens", "words", "text", "sentence")
TAG_COLUMNS = ("ner_tags", "tags", "labels", "ner", "label", "pos_tags")
SOURCE_COLUMNS = ("source", "src", "text", "input", "document", "article", "sentence")
TARGET_COLUMNS = ("target", "tgt", "translation", "summary", "output", "highlights", "labels")
KNOWN_NAMES = {
    *TEXT_NAMES, *LABEL_NAMES, *(name for pair in PAIRS for name in pair),
    *WORD_COLUMNS, *TAG_COLUMNS, *SOURCE_COLUMNS, *TARGET_COLUMNS, "id", "idx", "index",
}  # fmt: skip
# Number of rows that a column is chosen by.
SAMPLE = 1000
# A list of words in Python or JSON notation, and a string that is only a number or a date.
_WRITTEN_LIST = re.compile(r"\s*\[\s*(['\"]).*\1\s*\]\s*", re.DOTALL)
_NO_TEXT = re.compile(r"\s*([+-]?[\d.,]+([eE][+-]?\d+)?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T][\d:.]+\S*)?)\s*")


@dataclass(frozen=True)
class Columns:
    """Columns that a text classifier reads.

    Args:
        text: Column of the text.
        text_pair: Column of the second text; None for single texts.
        label: Column of the label, or a list with one column per class; None for no labels.
    """

    text: str
    text_pair: str | None
    label: str | list[str] | None


def named_columns(data: DataArguments) -> list[str]:
    """Return the columns that the settings name.

    Args:
        data: Settings with the columns.
    """
    label = data.label_column if isinstance(data.label_column, list) else [data.label_column]
    return [name for name in (data.text_column, data.text_pair_column, *label) if name is not None]


def check_column(rows: Dataset, key: str, data: DataArguments) -> None:
    """Check that the rows have the columns that a setting names.

    Args:
        rows: Rows of a split.
        key: Name of the setting, such as `label_column`.
        data: Settings with the columns.

    Raises:
        DataError: A column does not exist, or is named twice.
    """
    given = getattr(data, key)
    for name in given if isinstance(given, list) else [given]:
        if isinstance(given, list) and len(set(given)) < len(given):
            raise DataError(f"data.{key}={given} names a column twice: name each once.")
        if name is not None and name not in rows.column_names:
            near = nearest(name, rows.column_names)
            raise DataError(
                f"data.{key}={name!r} is not a column of {data.path!r}, which has {_listed(rows.column_names)}"
                + (f": did you mean {near!r}?" if near else f": write one of them, data.{key}=NAME.")
            )


def find_columns(rows: Dataset, data: DataArguments) -> Columns:
    """Choose the columns of the text, the second text and the label.

    Args:
        rows: Rows of a split.
        data: Settings with the columns; those that are None are chosen.

    Raises:
        DataError: A named column does not exist, or the choice is unclear.
    """
    check_column(rows, "label_column", data)
    text, pair = choose_texts(rows, data)
    return Columns(text, pair, data.label_column or _choose_label(rows, (text, pair), data))


def choose_text(rows: Dataset, data: DataArguments) -> str:
    """Choose the column of the text, for a task that reads single texts.

    Args:
        rows: Rows of a split.
        data: Settings with the columns; `text_column` is used if it is not None.

    Raises:
        DataError: As in [`choose_texts`], or the columns chosen by name are a pair of texts.
    """
    text, pair = choose_texts(rows, data)
    if pair is not None and data.text_pair_column is None:
        raise DataError(
            f"{data.path!r} has a pair of text columns, {text!r} and {pair!r}, but one is expected: write "
            f"data.text_column={text!r}, or data.text_column={pair!r}."
        )
    return text


def choose_texts(rows: Dataset, data: DataArguments) -> tuple[str, str | None]:
    """Choose the columns of the text and of the second text; None in place of the latter for single texts.

    Args:
        rows: Rows of a split.
        data: Settings with the columns; those that are None are chosen.

    Raises:
        DataError: A named column does not exist, or the choice is unclear.
    """
    for key in ("text_column", "text_pair_column"):
        check_column(rows, key, data)
    if data.text_column is not None:
        return data.text_column, data.text_pair_column
    others = [name for name in rows.column_names if name not in (data.text_pair_column, *_labels(data))]
    pair = _pair_in(others, data) if data.text_pair_column is None else None
    if pair is not None:
        return pair
    return _choose_text(rows, others, data), data.text_pair_column


def text_of(value: Any, where: str) -> str:
    """Return a value of a text column as a string.

    Args:
        value: String, number, list of words (joined by spaces), or None or NaN (an empty string).
        where: Column and data set of the value; used in errors.

    Raises:
        DataError: The value is another kind of list, a dict or bytes.
    """
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, (list, tuple)) and all(isinstance(word, str) for word in value):
        return " ".join(value)
    if isinstance(value, (list, tuple, dict, bytes)):
        raise DataError(f"{where} holds {str(value)[:60]!r}: write a text there, or a list of words.")
    return str(value)


def check_no_written_lists(texts: Sequence[str], where: str) -> None:
    """Check that texts are not lists of words written as strings.

    Args:
        texts: Texts of a column.
        where: Column and data set of the texts; used in errors.

    Raises:
        DataError: All texts that are not empty are such lists.
    """
    filled = [text for text in texts if text]
    if filled and all(_WRITTEN_LIST.fullmatch(text) for text in filled):
        raise DataError(
            f"{where} holds {filled[0][:60]!r}, a list that was written as a text, in all of its rows: write lists in "
            "JSON Lines or Parquet files; in other formats, write the words with spaces between them."
        )


def by_name(rows: Dataset, key: str, data: DataArguments) -> str | None:
    """Return the text or label column if it has a well-known name, or the text column if it is the only column.

    Args:
        rows: Rows of a split.
        key: Setting of the column: `text_column` or `label_column`.
        data: Settings; used in errors.

    Returns:
        The column name; None if there is no such column, or the columns are a pair of texts without a column `text`.

    Raises:
        DataError: Several columns have such a name.
    """
    if key == "label_column":
        return _one_called(rows.column_names, LABEL_NAMES, 2, key, "label column", data)
    pair = _pair_in(rows.column_names, data)
    if pair is not None and not _called(pair, TEXT_NAMES[:1]):
        # The first text of a pair is not the only text.
        return None
    found = _one_called(rows.column_names, TEXT_NAMES, 1, key, "text column", data)
    alone = found is None and len(rows.column_names) == 1 and not _called(rows.column_names, LABEL_NAMES)
    return rows.column_names[0] if alone else found


def pair_by_name(rows: Dataset, data: DataArguments) -> tuple[str, str] | None:
    """Return the columns of a pair of texts if they have well-known names; else None.

    Args:
        rows: Rows of a split.
        data: Settings; used in errors.

    Raises:
        DataError: There are several such pairs.
    """
    return _pair_in(rows.column_names, data)


def value_at(row: dict, column: str) -> Any:
    """Return the value of a column in a row; None if there is none.

    Args:
        row: Row of a data set.
        column: Name of the column, or the path of a nested one, such as `translation.en`.
    """
    for name in [column] if column in row else column.split("."):
        row = row.get(name) if isinstance(row, dict) else None  # type: ignore[assignment]
    return row


def _pair_in(columns: Sequence[str], data: DataArguments) -> tuple[str, str] | None:
    pairs = [[_called(columns, [name]) for name in pair] for pair in PAIRS]
    whole = [(first[0], second[0]) for first, second in pairs if len(first) == len(second) == 1]
    if _called(columns, TEXT_NAMES[:1]):
        # A column `text` is always the first text, so that only pairs with it count.
        whole = [pair for pair in whole if pair[0].strip().lower() == "text"]
    if len(whole) > 1:
        options = [(f"data.text_column={a!r} and data.text_pair_column={b!r}", f"{a!r} with {b!r}") for a, b in whole]
        raise _several("pair of texts", options, data)
    return whole[0] if whole else None


def _labels(data: DataArguments) -> list[str]:
    return data.label_column if isinstance(data.label_column, list) else [data.label_column or ""]


def _called(columns: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return the columns with these names in any case, in the order of the names."""
    columns = list(columns)
    return [column for name in names for column in columns if column.strip().lower() == name]


def _one_called(
    columns: Sequence[str], names: Sequence[str], first: int, key: str, what: str, data: DataArguments
) -> str | None:
    """Return the column that has one of the names; None if there is none.

    The first `first` names take precedence, in their order. Several columns with equal rights raise an error.
    """
    winning = next((found for name in names[:first] if (found := _called(columns, [name]))), None)
    found = winning or _called(columns, names)
    if len(found) > 1:
        raise _several(what, [(f"data.{key}={name!r}", repr(name)) for name in found], data)
    return found[0] if found else None


def _several(what: str, found: Sequence[tuple[str, str]], data: DataArguments) -> DataError:
    """Return the error for several possible columns. `found` holds the argument to write and the name of each."""
    return DataError(
        f"the {what} of {data.path!r} may be {' or '.join(name for _, name in found)}: write {found[0][0]}, or the "
        "other."
    )


def _choose_text(rows: Dataset, others: list[str], data: DataArguments) -> str:
    named = _one_called(others, TEXT_NAMES, 1, "text_column", "text column", data)
    if named is not None:
        return named
    # Groups of rows, such as their authors, may look like texts.
    sample = _filled(rows, [name for name in others if name != data.group_column])
    texts = [name for name, values in sample.items() if values and _is_text(values)]
    if len(texts) > 1:
        # Values of a label column repeat; texts do not.
        texts = [name for name in texts if not _comes_again(sample[name])] or texts
        # Addresses and keys are long, but have no words.
        texts = [name for name in texts if _has_words(sample[name])] or texts
    length = {name: np.mean([len(value) for value in sample[name]]) for name in texts}
    ranked = sorted(texts, key=lambda name: -length[name])
    if not ranked or (len(ranked) > 1 and length[ranked[0]] < 2 * length[ranked[1]]):
        raise DataError(
            f"the text column of {data.path!r} cannot be determined from the column names: it has "
            f"{_listed(rows.column_names)}. Write data.text_column={repr(ranked[0]) if ranked else 'NAME'}."
        )
    return ranked[0]


def _filled(rows: Dataset, names: Sequence[str]) -> dict[str, list]:
    """Return the first values of each column, without missing ones."""
    first = rows.select_columns(list(names))[:SAMPLE] if names else {}
    return {name: [value for value in values if value is not None and value != ""] for name, values in first.items()}


def _is_text(values: list) -> bool:
    """Return whether all values are strings, and not all of them numbers or dates."""
    return all(isinstance(value, str) for value in values) and not all(_NO_TEXT.fullmatch(value) for value in values)


def _has_words(values: list) -> bool:
    """Return whether more than half of the values have several words, or a character of a script without spaces."""
    return sum(len(value.split()) > 1 or bool(UNSPACED.search(value)) for value in values) > len(values) / 2


def _comes_again(values: list) -> bool:
    return 1 < len(set(map(str, values))) <= max(2, len(values) // 2)


def _choose_label(rows: Dataset, texts: tuple[str, str | None], data: DataArguments) -> str | list[str]:
    from datasets import ClassLabel

    others = [name for name in rows.column_names if name not in (*texts, data.group_column)]
    named = _one_called(others, LABEL_NAMES, 2, "label_column", "label column", data)
    if named is not None:
        return named
    classes = [name for name in others if isinstance(rows.features[name], ClassLabel)]
    if len(classes) == 1:
        return classes[0]
    sample = _filled(rows, others)
    repeated = [name for name in others if _comes_again(sample[name])]
    bits = [name for name in others if sample[name] and all(bit_of(value) is not None for value in sample[name])]
    copies = len({str(sample[name]) for name in bits}) < len(bits)
    if len(bits) > 1 and set(repeated) <= set(bits) and not copies:
        return bits
    if len(repeated) != 1:
        candidates = repeated or others
        raise DataError(
            f"the label column of {data.path!r} cannot be determined from the column names: it has "
            f"{_listed(rows.column_names)}. Write data.label_column={repr(candidates[0]) if candidates else 'NAME'}."
        )
    return repeated[0]


def bit_of(value: Any) -> int | None:
    """Return 0 or 1 for a value that means 0 or 1; None for any other value.

    Args:
        value: Number, boolean, or one of these written as a string, such as `"1.0"` or `"false"`.
    """
    text = str(value).strip().lower()
    return {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}.get(text)


def column_for(rows: Dataset, key: str, names: Sequence[str], what: str, data: DataArguments, split: str = "") -> str:
    """Return the column that the settings name, else the first one that has a well-known name.

    Args:
        rows: Rows of a split.
        key: Setting of the column, such as `label_column`.
        names: Well-known names, in order of precedence.
        what: Content of the column; used in errors.
        data: Settings with the columns.
        split: Name of the split; used in errors. Empty for none.

    Raises:
        DataError: The named column does not exist, or no column has a well-known name.
    """
    check_column(rows, key, data)
    given = getattr(data, key)
    found = [given] if given else _called(rows.column_names, names)
    if not found:
        raise DataError(
            f"the column of the {what} of {data.path!r}{f', split {split!r},' if split else ''} cannot be determined "
            f"from the column names: it has {_listed(rows.column_names)}. Write data.{key}=NAME."
        )
    return found[0]


def _listed(names: Iterable[str] | Mapping) -> str:
    return ", ".join(map(repr, names))


__all__ = ["Columns", "bit_of", "by_name", "check_column", "choose_text", "choose_texts", "column_for", "find_columns"]
