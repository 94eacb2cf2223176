# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Learn the labels of texts from the training split, and encode labels as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..models.configuration_rnn import RNNConfig
from ..models.decisions import labels_of
from ..text.arguments import DataArguments
from ..text.columns import Columns
from ..text.labels import (
    MULTI,
    PROBLEM_TYPES,
    REGRESSION,
    SINGLE,
    find_form,
    in_order,
    warn_of_likeness,
)
from ..utils.errors import DataError, check_choice, nearest
from .kept_labels import KeptLabels
from .text_task import TextTask

if TYPE_CHECKING:
    from datasets import Dataset


class TaskWithLabels(TextTask):
    """Task whose rows have one label, several labels or a number.

    Args:
        data: Data settings, such as columns, splits and lengths.
        config: Configuration of a trained model, whose labels are used; None to learn them from the training split.

    Raises:
        DataError: The problem type is unknown, or a label is named twice.
    """

    # Columns of the split that was read last.
    columns: Columns

    def __init__(self, data: DataArguments, config: RNNConfig | None = None):
        super().__init__(data)
        if data.problem_type is not None:
            check_choice("data.problem_type", data.problem_type, PROBLEM_TYPES)
        self.problem_type = data.problem_type
        self.label_names = list(data.label_names or [])
        if len(set(self.label_names)) < len(self.label_names):
            raise DataError(f"data.label_names={self.label_names} names a label twice: give each class its own name.")
        if config is not None:
            self.problem_type = config.problem_type or (REGRESSION if config.num_labels == 1 else SINGLE)
            self.label_names = labels_of(config)
        self.trained = config is not None
        # Configuration of the trained model, which has the thresholds of the labels.
        self.config = config
        # Labels of the pretrained classifier whose head the model keeps; None for a new head.
        self.kept: KeptLabels | None = None
        # Origin of the old rows after the rows of `row_numbers`, in the same form.
        self.replayed_rows: dict[str, tuple[str, np.ndarray]] = {}
        # The `LabelForm` after labels have been read.
        self.form: Any = None
        # Mean and standard deviation of the training values of a regression.
        self.target = (0.0, 1.0)
        self._known: dict[str, int] = {}
        # True if numbers are indices into `data.label_names`; False if they are names.
        self.by_place = False

    def _label_columns(self) -> list[str]:
        label = self.columns.label
        return label if isinstance(label, list) else [str(label)]

    def _where(self, column: str | None = None) -> str:
        return f"the column {column or ', '.join(self._label_columns())!r} of {self.data.path!r}"

    def _data_of_labels(self) -> DataArguments:
        return replace(self.data, label_column=self.columns.label)

    def _learn_labels(self, values: list[Any], split: str, rows: int) -> list[Any]:
        """Find the problem type of the training labels, and the label names unless they are known.

        Args:
            values: Labels of the training rows, none of them missing.
            split: Name of the training split, for errors.
            rows: Number of rows of the split, with and without a label.

        Returns:
            The parsed labels.
        """
        where = self._where()
        find = find_form if self.kept is None else self.kept.find_form
        self.problem_type, self.form = find(values, rows, self._data_of_labels(), self.problem_type, where)
        values = self._parsed(values, split)
        if self.problem_type == REGRESSION:
            self.label_names = ["value"] if self.kept is None else list(self.kept.names)
            self._learn_scale(values)
            return values
        seen = list(self.form.classes) if self.form.classes else in_order(classes_in(values))
        if self.kept is not None:
            labels, insisted = self.label_names or seen, self.data.label_names or []
            self.label_names = self.kept.extended(labels, self._spellings, insisted, where)
        if len(seen) < 2 and len(self.label_names) < 2:
            labelled = sum(map(bool, values)) if self.problem_type == MULTI else 0
            if 0 < labelled < len(values):
                raise DataError(
                    f"{where} has only the label {seen[0]!r}, in {labelled} of {len(values)} rows: write one label in "
                    f"each row, such as {seen[0]!r} or 'other', for a classifier of two classes."
                )
            raise DataError(
                f"all rows of {self.data.path!r} have the label {seen[0] if seen else None!r}: a classifier needs two "
                "classes or more. Name the column of the labels, data.label_column=NAME."
            )
        if self.problem_type == SINGLE and len(seen) > 50 and len(seen) > len(values) / 2:
            raise DataError(
                f"{len(seen)} different labels in {len(values)} rows are values or texts, not classes: write "
                "data.label_column=NAME for another column, or data.problem_type='regression'."
            )
        if not self.label_names:
            self.label_names = [str(v) for v in seen]
        self.by_place = self._are_places(values)
        warn_of_likeness([str(v) for v in seen], where)
        return values

    def _learn_scale(self, values: list[float]) -> None:
        if self.kept is not None:  # The kept head gives values in the scale that it was trained on.
            self.target = self.kept.target
            return
        with np.errstate(over="ignore"):
            mean, std = float(np.mean(values)), float(np.std(values))
        if not np.isfinite([mean, std]).all():
            raise DataError(f"the values of {self._where()} are too large: divide them by a power of ten.")
        self.target = (mean, std if std > 0 else 1.0)

    def _parsed(self, values: Sequence[Any], split: str) -> list[Any]:
        """Parse labels, none of them missing, in the label form that was found."""
        parsed = []
        for value in values:
            try:
                parsed.append(self.form.parse(value))
            except (ValueError, TypeError):
                needs = (
                    "and regression needs numbers: write data.problem_type='single_label_classification'"
                    if self.problem_type == REGRESSION
                    else f"and the others are {self.form}: correct it, or leave it empty"
                )
                raise DataError(
                    f"the split {split!r} of {self.data.path!r} has the label {value!r}, {needs}."
                ) from None
        return parsed

    def _label_id(self, value: Any, split: str) -> int:
        """Return the index of a label. A number is an index into `data.label_names` if these are given."""
        value = _plain(value)
        number = value if type(value) is int else int(value) if _is_whole(value) else None
        given = self.data.label_names or []
        if number is not None and self.by_place and 0 <= number < len(given):
            value = given[number]
        for spelling in self._spellings(value):
            if spelling in self._places:
                return self._places[spelling]
        near = nearest(value, self.label_names)
        named = ", ".join(self.label_names[:20])
        if number is not None and given:
            raise DataError(
                f"the split {split!r} of {self.data.path!r} has the label {value!r}, and the numbers of "
                f"data.label_names ({', '.join(given[:20])}) are 0 to {len(given) - 1}: number the labels from 0 on, "
                "or name them in the rows."
            )
        if number is not None and not any(_is_whole(name) for name in self.label_names):
            raise DataError(
                f"the split {split!r} of {self.data.path!r} has the label {value!r}, which is not in id2label "
                f"({named}), and data.label_names does not say which number is which class: write data.label_names="
                f"{self.label_names[:20]} if 0 is {self.label_names[0]!r}, or the names in another order."
            )
        raise DataError(
            f"the split {split!r} of {self.data.path!r} has the label {value!r}, which is not in id2label "
            f"({named})"
            + (f"; the nearest is {near!r}" if near else "")
            + ": correct the rows, or "
            + (
                "name the column of the labels, data.label_column=NAME. A model learns new labels by training."
                if self.trained
                else "name all labels with data.label_names=[…]."
            )
        )

    @property
    def _old_spelling(self) -> bool:
        """True for a model of an older release, which read true as True and 01 as 1 from the same file."""
        return self.trained and not self.has_schema

    @property
    def _places(self) -> dict[str, int]:
        if len(self._known) != len(self.label_names):
            self._known = {name: place for place, name in enumerate(self.label_names)}
        return self._known

    def _spellings(self, value: Any) -> list[str]:
        """Return the spellings under which the name of a label is looked up; a boolean has several."""
        text = str(value)
        if isinstance(value, bool) or (self._old_spelling and text.lower() in ("true", "false")):
            return [text, text.lower(), text.capitalize(), text.upper()]
        return [text, str(int(text))] if self._old_spelling and _is_whole(text) else [text]

    def _are_places(self, values: list[Any]) -> bool:
        """Return True if numbers among the labels are indices into `data.label_names`.

        They are if all labels are possible indices, or if some label is not a name.
        """
        labels = set(map(str, classes_in(values)))
        count = len(self.data.label_names or [])
        all_count = not self.form.classes and all(_is_whole(label) and 0 <= int(label) < count for label in labels)
        return all_count or not labels <= set(self.label_names)

    def _encode_labels(self, texts: dict[str, list[str]], values: list[Any], split: str) -> Dataset:
        """Return a data set of texts with their labels as numbers.

        Args:
            texts: Columns of texts by name.
            values: Labels that `_parsed` returned.
            split: Name of the split, for errors.
        """
        from datasets import Dataset, Features, List, Value

        if self.problem_type == REGRESSION:
            encoded, feature = values, Value("float32")
        elif self.problem_type == MULTI:
            vectors = np.zeros((len(values), len(self.label_names)), dtype=np.float32)
            for row, labels in zip(vectors, values, strict=True):
                for label in labels:
                    row[self._label_id(label, split)] = 1
            encoded, feature = vectors.tolist(), List(Value("float32"))
        else:
            encoded, feature = [self._label_id(value, split) for value in values], Value("int64")
        features = Features({**{name: Value("string") for name in texts}, "labels": feature})
        return Dataset.from_dict({**texts, "labels": encoded}, features=features)


def classes_in(values: Iterable[Any]) -> list[Any]:
    """Return each class among some labels once, in the order of first occurrence.

    Args:
        values: One label, or a list of labels, for each row.
    """
    return list({_plain(one): None for value in values for one in (value if isinstance(value, list) else [value])})


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_whole(value: Any) -> bool:
    """Return True if a label is written as a whole number."""
    text = str(value)
    return (text[1:] if text[:1] in "+-" else text).isdecimal() and text.isascii()


__all__ = ["TaskWithLabels", "classes_in"]
