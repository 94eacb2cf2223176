# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Read the texts and the targets that scikit-learn hands over, without guessing their types."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import column_or_1d

from ..hub.folder import CLASSES_FILE
from ..text.labels import MULTI, REGRESSION, SINGLE
from ..utils.errors import DataError, first_line

# Names of the columns that a run reads: those of the texts, and that of the labels.
TEXTS, LABEL = ("text", "text_pair"), "label"


@dataclass
class Targets:
    """Targets of all rows, as a run reads them.

    Args:
        problem_type: Problem type of the run, such as `single_label_classification`.
        values: Index of the class of each row, lists with a 0 or 1 for each label, or numbers.
        classes: Classes as scikit-learn names them, `[C]`; None for regression.
    """

    problem_type: str
    values: list[Any]
    classes: np.ndarray | None = None

    @property
    def label_names(self) -> list[str] | None:
        """Names of the labels in the saved model; None for regression."""
        return None if self.classes is None else names_of(self.classes)


def names_of(classes: np.ndarray) -> list[str]:
    """Return different names for classes: their spellings or, if two are spelled alike, their indices.

    Args:
        classes: Classes of any type, `[C]`.
    """
    names = [str(each) for each in classes.tolist()]
    return names if len(set(names)) == len(names) else [str(place) for place in range(len(names))]


def texts_in(X: Any) -> list[list[str]]:
    """Return texts as one column, or pairs of texts as two columns.

    Args:
        X: List, array or Series of texts; or a table of two columns, or a list of pairs.

    Raises:
        DataError: `X` is one string, a value in it is not a text, or its rows have more than two texts.
    """
    if isinstance(X, (str, bytes)):
        raise DataError("X is one string: pass a list of texts, [text].")
    if issparse(X):
        raise DataError("X is a sparse matrix of numbers, and texts are read: leave the vectorizer before it out.")
    rows = _rows(X)
    if not rows:
        return [[]]
    widths = {len(row) for row in rows}
    if len(widths) > 1 or not widths <= {1, 2}:
        raise DataError(
            f"the rows of X have {' or '.join(map(str, sorted(widths)))} values: pass one text a row, or a pair of "
            "texts in each."
        )
    return [[_text(value, place) for place, value in enumerate(column)] for column in zip(*rows, strict=True)]


def _rows(X: Any) -> list[Any]:
    """Return each row of `X` as a sequence of values."""
    if hasattr(X, "to_numpy") or hasattr(X, "__array__"):
        X = X.to_numpy() if hasattr(X, "to_numpy") else np.asarray(X)
        X = X.tolist()
    try:
        return [row if isinstance(row, (list, tuple, np.ndarray)) else (row,) for row in X]
    except TypeError:
        raise DataError(f"X is {X!r}: pass a list of texts.") from None


def _text(value: Any, place: int) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        raise DataError(f"X[{place}] is {value[:60]!r}, bytes: decode them, value.decode('utf-8').")
    if _is_missing(value):
        raise DataError(f"X[{place}] is {value!r}, no text: leave the row out, or write '' for an empty text.")
    raise DataError(
        f"X[{place}] is {str(value)[:60]}, a value of type {type(value).__name__}, and texts are expected: pass the "
        "column of the texts, or str(value) if the number is a text."
    )


def _is_missing(value: Any) -> bool:
    """Return True for None, NaN, an infinity and the missing values of pandas."""
    not_finite = isinstance(value, (float, np.floating)) and not math.isfinite(value)
    return value is None or not_finite or type(value).__name__ in ("NAType", "NaTType")


def _values(y: Any, rows: int, name: str) -> Any:
    """Return targets as an array `[N]` or `[N, C]`, after checks that concern all problem types."""
    if y is None:
        raise DataError(f"{name} requires y to be passed, but the target y is None: write fit(X, y).")
    if isinstance(y, (str, bytes)):
        raise DataError(f"y is one string, {str(y)[:60]!r}: pass a list with the target of each row.")
    values = y.toarray() if issparse(y) else np.asarray(y) if hasattr(y, "__array__") else _array_of(y)
    if values.ndim == 0 or len(values) != rows:
        raise DataError(
            f"X has {rows} rows, and y has {len(values) if values.ndim else 1}: pass a target for each row."
        )
    if values.ndim == 2 and values.shape[1] == 1:
        values = column_or_1d(values, warn=True)
    if values.dtype.kind == "c":
        raise DataError("Complex data not supported: y has complex numbers.")
    flat = values.reshape(len(values), -1)
    missing = next((place for place, row in enumerate(flat.tolist()) if any(map(_is_missing, row))), None)
    if missing is not None:
        raise DataError(f"y[{missing}] is {values[missing]}, no target: leave the row out of X and y.")
    return values


def _array_of(y: Any) -> np.ndarray:
    """Return a list of targets as an array; numpy would turn a list of 1 and "1" into strings."""
    try:
        values = list(y)
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise DataError(f"y is no array ({first_line(error)}): pass one label a row, or a table of 0 and 1.") from None
    lacks = next((place for place, value in enumerate(values) if _is_missing(value)), None)
    if lacks is not None:
        raise DataError(f"y[{lacks}] is {values[lacks]}, no target: leave the row out of X and y.")
    other = next((value for value in values if not isinstance(value, str)), None)
    if any(isinstance(value, str) for value in values) and not all(isinstance(value, str) for value in values):
        kind = type(other).__name__
        raise DataError(f"y has both strings and {other!r}, a value of type {kind}: write all labels alike.")
    return array


def labels_in(y: Any, rows: int, name: str) -> Targets:
    """Return the labels of a classifier: one class for each row, or a 0 or 1 for each label.

    Args:
        y: Labels of any one type, `[N]`; or 0 and 1, `[N, C]`, a column for each label.
        rows: Number of rows of `X`.
        name: Name of the estimator, for errors.

    Raises:
        DataError: A label is missing, all rows have one class, or the labels are numbers with fractions.
    """
    values = _values(y, rows, name)
    try:
        kind = type_of_target(values, input_name="y")
    except (ValueError, TypeError) as error:
        raise DataError(f"Unknown label type: {first_line(error)}.") from None
    if kind == "multilabel-indicator":
        columns = getattr(y, "columns", None)
        classes = np.arange(values.shape[1]) if columns is None else np.asarray(columns)
        return Targets(MULTI, values.astype(int).tolist(), classes)
    if kind not in ("binary", "multiclass"):
        advice = (
            "use RNNRegressor for numbers" if kind == "continuous" else "pass one label a row, or a table of 0 and 1"
        )
        raise DataError(f"Unknown label type: y is {kind}, which are no classes: {advice}.")
    classes, places = np.unique(values, return_inverse=True)
    if len(classes) < 2:
        raise DataError(
            f"y has one class only, {classes.tolist()[0]!r}: a classifier needs rows of two classes or more."
        )
    return Targets(SINGLE, places.tolist(), classes)


def numbers_in(y: Any, rows: int, name: str) -> Targets:
    """Return the numbers of a regressor.

    Args:
        y: Numbers, `[N]`.
        rows: Number of rows of `X`.
        name: Name of the estimator, for errors.

    Raises:
        DataError: A value is missing or is not a number, or a row has several numbers.
    """
    values = _values(y, rows, name)
    if values.ndim > 1:
        raise DataError(f"y has {values.shape[1]} numbers a row, and {name} predicts one: fit an estimator for each.")
    wrong = next((value for value in values.tolist() if not isinstance(value, Real)), None)
    if wrong is not None:
        raise DataError(f"y has {wrong!r}, which is not a number: use RNNClassifier for classes.")
    return Targets(REGRESSION, values.astype(float).tolist())


def write_classes(classes: np.ndarray, folder: Path) -> None:
    """Write classes with their type into the folder of a model.

    Args:
        classes: Classes, `[C]`.
        folder: Folder of the model.
    """
    found = {"dtype": classes.dtype.str, "classes": classes.tolist()}
    (folder / CLASSES_FILE).write_text(json.dumps(found, ensure_ascii=False) + "\n", encoding="utf-8")


def read_classes(folder: Path, names: list[str]) -> np.ndarray:
    """Return the classes of a model with the type that they had in `y`, or else the names of its labels.

    Args:
        folder: Folder of the model.
        names: Names of its labels.

    Raises:
        DataError: The file of the classes is damaged, or belongs to another model.
    """
    file = folder / CLASSES_FILE
    if not file.is_file():
        return np.asarray(names)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        classes = np.asarray(found["classes"], dtype=found["dtype"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{str(file)!r} cannot be read ({first_line(error)}): put it back, or delete it.") from error
    if names_of(classes) != names:
        raise DataError(f"{str(file)!r} does not belong to the model, whose labels are {names[:20]}: delete it.")
    return classes


__all__ = [
    "LABEL",
    "TEXTS",
    "Targets",
    "labels_in",
    "numbers_in",
    "read_classes",
    "texts_in",
    "write_classes",
]
