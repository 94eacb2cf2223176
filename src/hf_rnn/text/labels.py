# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Detect how labels are written: one label, a number, or several labels per text.

Rules for a column whose values all have the same type: A list holds several labels. Strings hold several labels if all
of them are written as lists, such as ['a', 'b'], or if their parts between |, ; or , occur in other values too. Numbers
with a decimal point are values for regression. Whole numbers and all other strings are classes.
"""

import ast
import logging
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..runtime.answers import MULTI, PROBLEM_TYPES, REGRESSION, SINGLE
from ..utils.errors import DataError
from .arguments import DataArguments
from .columns import bit_of

logger = logging.getLogger(__name__)

SEPARATORS = ("|", ";", ",")
# Maximum number of different decimal numbers that may be read as class names.
FEW = 20
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+(,\d+)?\s*")
_WRITTEN_LIST = re.compile(r"\s*[\[({].*[\])}]\s*", re.DOTALL)


def is_regression(config: Any) -> bool:
    """Return whether a model predicts a number (regression) and not labels.

    Args:
        config: Model configuration with `problem_type` and `num_labels`.
    """
    return config.problem_type == REGRESSION or (config.problem_type is None and config.num_labels == 1)


@dataclass(frozen=True)
class LabelForm:
    """Format of the labels in a column.

    Args:
        kind: One of word, number, list, written list (a list as a string), joined, bits (a list with a 0 or 1 per
            class) and columns (one column of 0 and 1 per class).
        separator: Separator of joined labels, or the decimal comma of numbers; None for none.
        classes: Class names for bits and columns, in their order.
    """

    kind: str
    separator: str | None = None
    classes: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind == "joined":
            return f"labels joined by {self.separator}"
        if self.kind == "columns":
            return f"one column of 0 and 1 a class: {', '.join(self.classes)}"
        return {
            "word": "one label",
            "number": "a number" + (" with a decimal comma" if self.separator else ""),
            "list": "a list of labels",
            "written list": "a list of labels, written as text",
            "bits": "a list of 0 and 1, one a class",
        }[self.kind]

    def parse(self, value: Any) -> Any:
        """Parse a value into a label, a number or a list of labels.

        Args:
            value: Value of the label column that is not missing; for several columns, the list of their values.

        Raises:
            ValueError: The value does not have this format.
        """
        if self.kind == "number":
            text = str(value).replace(",", ".") if self.separator else value
            number = float(text) if not isinstance(value, (list, dict)) else math.nan
            return number if math.isfinite(number) else _refuse(value)
        if self.kind == "word":
            return _refuse(value) if isinstance(value, (list, dict)) else value
        if self.kind == "written list" and isinstance(value, str):
            return _read_list(value)
        if self.kind == "joined" and isinstance(value, str):
            return list(dict.fromkeys(part for each in value.split(self.separator) if (part := each.strip())))
        if self.kind in ("bits", "columns"):
            bits = [bit_of(each) for each in (_read_list(value) if isinstance(value, str) else value)]
            if None in bits or len(bits) != len(self.classes):
                _refuse(value)
            return [name for name, bit in zip(self.classes, bits, strict=True) if bit]
        return list(value) if isinstance(value, (list, tuple)) else [value]


def _refuse(value: Any) -> Any:
    raise ValueError(f"{value!r}")


def _read_list(text: str) -> list:
    if re.search(r"(['\"])\s+\1|\d\s+\d", text):
        # numpy prints arrays without commas, and Python would join two adjacent strings.
        text = re.sub(r"(?<=['\"\d])\s+(?=['\"\d-])", ", ", text)
    try:
        read = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(text) from error
    if not isinstance(read, (list, tuple, set)) or not all(isinstance(each, (str, int)) for each in read):
        raise ValueError(text)
    return sorted(read, key=str) if isinstance(read, set) else list(read)


def without_missing(values: Sequence[Any]) -> list[Any]:
    """Return the values with None for each missing one: None, an empty string, NaN or an infinity.

    Args:
        values: Values of a label column.
    """

    def present(value: Any) -> Any:
        is_number = isinstance(value, (float, Decimal))
        missing = value == "" if isinstance(value, str) else is_number and not math.isfinite(value)
        return None if missing else value

    return [present(value) for value in values]


def find_form(
    present: Sequence[Any], rows: int, data: DataArguments, problem_type: str | None, where: str
) -> tuple[str, LabelForm]:
    """Detect the problem type and the format of the labels.

    Args:
        present: Values of a label column that are not missing; for several columns, one list per row.
        rows: Number of rows, including those without a label.
        data: Settings; `label_column`, `label_names` and `label_separator` are read.
        problem_type: Problem type if it is known; None to detect it.
        where: Column and data set of the labels; used in errors.

    Returns:
        The problem type, and the format.

    Raises:
        DataError: The values are ambiguous, or do not fit the problem type.
    """
    if isinstance(data.label_column, list):
        form = LabelForm("columns", classes=tuple(data.label_column))
        return _fitting(MULTI, problem_type, form, where), form
    lists = [value for value in present if isinstance(value, (list, tuple))]
    if lists:
        form = _of_lists(lists, data, where)
        return _fitting(MULTI, problem_type, form, where), form
    texts = [value for value in present if isinstance(value, str)]
    if problem_type == REGRESSION:
        return REGRESSION, LabelForm("number", _decimal_comma(texts, where))
    if len(texts) == len(present) and problem_type != SINGLE:
        return _of_texts(texts, rows, data, problem_type, where)
    if problem_type == MULTI:
        return MULTI, LabelForm("list")
    found = problem_type or _of_numbers(present, rows)
    return found, LabelForm("number" if found == REGRESSION else "word")


def _decimal_comma(texts: list[str], where: str) -> str | None:
    """Return the decimal comma of numbers such as 3,5; None if they have none.

    Raises:
        DataError: Each comma stands before three digits at the end, and may separate thousands.
    """
    commas = [text for text in texts if "," in text and _DECIMAL_COMMA.fullmatch(text)]
    if commas and all(re.search(r",\d{3}\s*$", text) for text in commas):
        raise DataError(
            f"{where} has the value {commas[0]!r}, which may be {commas[0].replace(',', '.')} or "
            f"{commas[0].replace(',', '')}: write numbers with a point for decimals and no thousands separator."
        )
    return "," if commas else None


def _fitting(found: str, problem_type: str | None, form: LabelForm, where: str) -> str:
    if problem_type not in (None, found):
        raise DataError(
            f"the labels of {where} are {form}, and data.problem_type={problem_type!r} needs one per row: write "
            f"data.problem_type={found!r}, or data.label_column=NAME for another column."
        )
    return found


def _of_numbers(present: Sequence[Any], rows: int) -> str:
    """Return the problem type of numbers and booleans. Whole floats in a column with missing values are classes."""
    floats = [value for value in present if isinstance(value, float) or _has_point(value)]
    whole = len(present) < rows and all(float(value).is_integer() for value in floats)
    return REGRESSION if floats and len(floats) == len(present) and not whole else SINGLE


def _has_point(value: Any) -> bool:
    return isinstance(value, Decimal) and int(value.as_tuple().exponent) < 0


def _of_lists(lists: list, data: DataArguments, where: str) -> LabelForm:
    lengths = {len(value) for value in lists}
    bits = (
        len(lengths) == 1
        and min(lengths) > 1
        and all(type(b) in (int, bool, float) and b in (0, 1) for v in lists for b in v)
    )
    if bits and data.label_names and len(data.label_names) in lengths:
        return LabelForm("bits", classes=tuple(data.label_names))
    wrong = next((each for value in lists for each in value if not isinstance(each, (str, int, float))), None)
    if wrong is not None:
        raise DataError(f"{where} has {wrong!r} inside a list of labels: write lists of words or whole numbers.")
    twice = next((value for value in lists if len(set(map(str, value))) < len(value)), None)
    if bits or twice is not None:
        shown = lists[0] if twice is None else twice
        what = "one of them twice" if twice is not None else "and all rows contain only 0 and 1"
        raise DataError(
            f"{where} has the labels {list(shown)}, {what}: write lists of the labels of the row, such as "
            "[0, 2]; for lists with a 0 or 1 for each class, write data.label_names=[…] with the class names."
        )
    return LabelForm("list")


def _of_texts(
    texts: list[str], rows: int, data: DataArguments, problem_type: str | None, where: str
) -> tuple[str, LabelForm]:
    counts = Counter(texts)
    if all(_WRITTEN_LIST.fullmatch(text) for text in counts) and counts:
        try:
            lists = [_read_list(text) for text in counts]
        except ValueError:
            # The strings are words in brackets and not lists.
            pass
        else:
            form = _of_lists(lists, data, where)
            return MULTI, LabelForm("written list") if form.kind == "list" else form
    if problem_type is None and all(_NUMBER.fullmatch(text) for text in counts) and counts:
        if not any(set(text) & set(".eE") for text in counts):
            return SINGLE, LabelForm("word")
        return _of_decimals(counts, rows, where)
    if problem_type is None and any("," in t for t in counts) and all(_DECIMAL_COMMA.fullmatch(t) for t in counts):
        example = next(text for text in counts if "," in text)
        raise DataError(
            f"{where} has the label {example!r}, which may be a number with a decimal comma or several labels: write "
            "data.problem_type='regression', or data.problem_type='multi_label_classification'."
        )
    separator = data.label_separator or _separator(counts, problem_type, where)
    if separator is not None:
        return MULTI, LabelForm("joined", separator)
    return (MULTI, LabelForm("list")) if problem_type == MULTI else (SINGLE, LabelForm("word"))


def _of_decimals(counts: Counter, rows: int, where: str) -> tuple[str, LabelForm]:
    """Return the problem type and the format of numbers with a decimal point, which are written as strings.

    They are values for regression. They are classes if two of them are the same number in two spellings, such as the
    versions 3.1 and 3.10, there are few different ones, and each of these occurs more than once.

    Raises:
        DataError: All are whole numbers and some rows have no label. A program may have added the point to classes.
    """
    spellings = Counter(map(float, counts))
    twice = next((number for number, count in spellings.items() if count > 1), None)
    if twice is not None and len(counts) <= FEW and min(counts.values()) > 1:
        same = " and ".join(sorted(text for text in counts if float(text) == twice))
        logger.warning(
            f"{where} has the labels {same}, one number in two spellings: they are read as words. For numbers write "
            "data.problem_type='regression'."
        )
        return SINGLE, LabelForm("word")
    if counts.total() < rows and all(number.is_integer() for number in spellings):
        raise DataError(
            f"{where} has whole numbers with a point, such as {next(iter(counts))!r}, and rows without one: they may "
            "be classes or values. Write data.problem_type='single_label_classification', or "
            "data.problem_type='regression'."
        )
    return REGRESSION, LabelForm("number")


def _separator(counts: Counter, problem_type: str | None, where: str) -> str | None:
    """Return the separator of joined labels; None if there is none.

    More than half of the joined parts must occur in other values too, unless the problem type is known to be MULTI.

    Raises:
        DataError: Several separators are possible, or fewer of the parts occur in other values.
    """
    meant = {}
    for separator in SEPARATORS:
        parted = {text: {part.strip() for part in text.split(separator)} - {""} for text in counts}
        joined = [parts for text, parts in parted.items() if separator in text]
        if not any(joined):
            continue
        number = Counter(part for parts in parted.values() for part in parts)
        again = [number[part] > 1 for parts in joined for part in parts]
        meant[separator] = sum(again) / len(again)
    if problem_type == MULTI:
        chosen = list(meant)
    else:
        chosen = [separator for separator, share in meant.items() if share > 0.5]
        unsure = next((s for s, share in meant.items() if 0 < share <= 0.5), None)
        if not chosen and unsure is not None:
            example = next(text for text in counts if unsure in text)
            raise DataError(
                f"{where} has the label {example!r}, which may be one label or several joined by {unsure!r}: write "
                f"data.problem_type='single_label_classification', or data.label_separator={unsure!r}."
            )
    if len(chosen) > 1:
        raise DataError(
            f"the labels of {where} may be joined by {' or '.join(map(repr, chosen))}: write "
            f"data.label_separator={chosen[0]!r}, or the other."
        )
    return chosen[0] if chosen else None


def warn_of_likeness(names: Sequence[str], where: str) -> None:
    """Log a warning for labels that differ only in case or in surrounding spaces.

    Args:
        names: Names of the labels.
        where: Column and data set of the labels; used in the warning.
    """
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(str(name).strip().casefold(), []).append(str(name))
    for same in alike.values():
        if len(same) > 1:
            logger.warning(
                f"{where}: {' and '.join(map(repr, same))} are different labels; if they are meant to be one, write "
                "them alike."
            )


def in_order(names: Sequence[Any]) -> list:
    """Return the labels sorted: numbers by value, and before words.

    Args:
        names: Labels. If all are whole numbers, they are sorted by value even if some are strings.
    """
    whole = all(re.fullmatch(r"[+-]?\d+", str(name)) for name in names)

    def place(name: Any) -> tuple:
        if whole:
            return (0, int(name), str(name))
        return (1, 0, name) if isinstance(name, str) else (0, name, "")

    return sorted(names, key=place)


__all__ = [
    "MULTI",
    "PROBLEM_TYPES",
    "REGRESSION",
    "SINGLE",
    "LabelForm",
    "find_form",
    "in_order",
    "is_regression",
    "without_missing",
]
