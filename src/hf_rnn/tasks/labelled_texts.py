# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Read texts, or pairs of texts, with their labels from the splits of a data set."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..text.columns import check_no_written_lists, find_columns, text_of
from ..text.labels import REGRESSION, SINGLE, find_form, without_missing
from ..text.schema import Schema
from ..utils.errors import DataError
from .labels_of_rows import TaskWithLabels, classes_in

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict, Features

logger = logging.getLogger(__name__)

# Number that data sets write for a row without a label.
UNLABELLED = -1


class LabelledTexts(TaskWithLabels):
    """Task whose rows are texts, or pairs of texts, with labels.

    Args:
        data: Data settings, such as columns, splits and lengths.
        config: Configuration of a trained model, whose labels are used; None to learn them from the training split.
    """

    def prepare(self, splits: DatasetDict) -> DatasetDict:
        """Return rows of `text`, of `text_pair` if there are pairs, and of `labels`.

        Args:
            splits: Splits of the data set, as they were read.

        Returns:
            The splits train, validation and, if the data set has one with labels, test. With `data.unlabelled_splits`
            there is also the split unlabelled, which has texts only.

        Raises:
            DataError: A split or column does not exist, or the labels cannot be learnt or are unknown to the model.
        """
        from datasets import ClassLabel, DatasetDict

        # Row numbers of an earlier call are discarded.
        self.row_numbers = dict(self.rows_after_test)
        train_name, validation_name = self.chosen_splits(splits)
        self.columns = find_columns(splits[train_name], self.data)
        texts, values = self._labelled(splits[train_name], train_name)
        feature = splits[train_name].features[self._label_columns()[0]]
        feature = getattr(feature, "feature", feature)
        if isinstance(feature, ClassLabel):
            self.label_names = list(feature.names)
        values = self._learn_labels(values, train_name, len(splits[train_name]))
        train = self._encode_labels(texts, values, train_name)
        if validation_name is not None:
            validation = self._read(splits, validation_name)
        else:
            by = "labels" if self.problem_type == SINGLE else None
            train, validation = self.hold_out(train, train_name, by)
        prepared = DatasetDict(train=train, validation=validation)
        if self.data.unlabelled_splits:
            prepared["unlabelled"] = self.texts_alone(splits, self.data.unlabelled_splits)
        test_name = self.data.test_split
        if test_name is not None and test_name in splits:
            if self._is_unlabelled(splits[test_name]):
                logger.warning(f"the split {test_name} has no labels and is left out.")
            else:
                prepared["test"] = self._read(splits, test_name)
        names = {"train": train_name, "validation": validation_name or "validation", "test": str(test_name)}
        self.row_numbers = {split: self.row_numbers[name] for split, name in names.items() if split in prepared}
        return prepared

    def prepare_split(self, splits: DatasetDict, split: str | None) -> Dataset:
        """Return the labelled rows of one split, to evaluate a trained model.

        Args:
            splits: Splits of the data set, as they were read.
            split: Name of the split; None for the only one, or the test split.

        Raises:
            DataError: The split or a column does not exist, the split has no labels, or the model lacks one of them.
        """
        split = self.split_to_read(splits, split)
        self.columns = find_columns(splits[split], self.data)
        if self._is_unlabelled(splits[split]):
            raise DataError(f"the split {split!r} of {self.data.path!r} has no labels to compare with.")
        return self._read(splits, split)

    def read_rows(self, rows: list[dict], features: Features | None) -> Dataset:
        """Return the training rows that have a label.

        Args:
            rows: Rows of the training split, as they were read.
            features: Types of their columns; None if they are unknown.
        """
        from datasets import Dataset, Features

        names = [name for name in (self.columns.text, self.columns.text_pair, *self._label_columns()) if name]
        columns: dict[str, list] = {name: [row.get(name) for row in rows] for name in names}
        features = Features({name: features[name] for name in names}) if features else None
        read = Dataset.from_dict(columns, features=features) if features else _Columns(columns)
        values = self._values(read)
        kept = [place for place, value in enumerate(values) if value is not None]
        texts = {
            new: [text_of(columns[old][place], self._where(old)) for place in kept]
            for new, old in self._text_columns().items()
        }
        parsed = self._parsed([values[place] for place in kept], "train")
        return self._encode_labels(texts, parsed, "train")

    def schema(self, splits: DatasetDict, prepared: DatasetDict) -> Schema:
        """Return the columns that were found and the form of the labels.

        Args:
            splits: Splits of the data set, as they were read.
            prepared: Splits that `prepare` returned.
        """
        columns = self.columns
        self.chosen = {
            "text_column": columns.text,
            "text_pair_column": columns.text_pair,
            "label_column": columns.label,
        }
        labels = [] if self.problem_type == REGRESSION else self.label_names
        separator = self.form.separator if self.form.kind == "joined" else None
        schema = super().schema(splits, prepared)
        return replace(schema, labels=labels, label_form=str(self.form), label_separator=separator)

    def classes_of(self, rows: Dataset) -> tuple[list[list[str] | None] | None, bool]:
        """Return the classes of each row, and True if each row has exactly one.

        The classes of a row without a label are None; without any label, None replaces the whole list. A row of a
        regression has no classes.

        Args:
            rows: Rows of a split, as they were read.
        """
        self.columns = find_columns(rows, self.data)
        values = self._values(rows)
        present = [value for value in values if value is not None]
        if not present:
            return None, False
        problem_type, self.form = find_form(
            present, len(values), self._data_of_labels(), self.problem_type, self._where()
        )
        if problem_type == REGRESSION:
            return [None if value is None else [] for value in values], False
        parsed = iter(self._parsed(present, "train"))
        names = [None if value is None else list(map(str, classes_in([next(parsed)]))) for value in values]
        return names, problem_type == SINGLE

    def _text_columns(self) -> dict[str, str]:
        """Return the column name in the data set of each text: `text` and, for pairs, `text_pair`."""
        found = {"text": self.columns.text, "text_pair": self.columns.text_pair}
        return {new: old for new, old in found.items() if old is not None}

    def _read(self, splits: DatasetDict, split: str) -> Dataset:
        """Return the rows of a split that is used for evaluation."""
        texts, values = self._labelled(splits[split], split)
        if self.form is None:
            _, self.form = find_form(values, len(values), self._data_of_labels(), self.problem_type, self._where())
        parsed = self._parsed(values, split)
        if self.trained:
            self.by_place = self._are_places(parsed)
        return self._encode_labels(texts, parsed, split)

    def _values(self, rows: Any) -> list[Any]:
        """Return the label of each row, with classes as names; None if it is missing."""
        columns = [without_missing(_by_names(rows, name)) for name in self._label_columns()]
        if not isinstance(self.columns.label, list):
            return columns[0]
        return [None if None in row else list(row) for row in zip(*columns, strict=True)]

    def _is_unlabelled(self, rows: Dataset) -> bool:
        if not set(self._label_columns()) <= set(rows.column_names):
            # A split that also lacks the text column has other columns than training; `_labelled` raises an error.
            return set(self._text_columns().values()) <= set(rows.column_names)
        return set(map(str, self._values(rows))) <= {str(UNLABELLED), "None"}

    def _labelled(self, rows: Dataset, split: str) -> tuple[dict[str, list[str]], list[Any]]:
        """Return the texts and the labels of the rows that have a label. A missing text becomes an empty one."""
        wanted = [*self._text_columns().values(), *self._label_columns()]
        missing = [name for name in wanted if name not in rows.column_names]
        if missing:
            raise DataError(
                f"the split {split!r} has no column {missing[0]!r}, only {', '.join(rows.column_names)}. Give all "
                "splits the same columns, or leave this one out, data.test_split=None."
            )
        values = self._values(rows)
        kept = [place for place, value in enumerate(values) if value is not None]
        if not kept:
            raise DataError(
                f"the split {split!r} of {self.data.path!r} has no row with a label in column "
                f"{', '.join(self._label_columns())!r}."
            )
        if len(kept) < len(rows):
            logger.warning(f"{split}: {len(rows) - len(kept)} rows without a label were left out.")
            rows, values = rows.select(kept), [values[place] for place in kept]
        source, numbers = self.row_numbers.get(split, (split, np.arange(kept[-1] + 1)))
        self.row_numbers[split] = (source, numbers[kept])
        texts = {
            new: [text_of(value, self._where(old)) for value in rows[old]] for new, old in self._text_columns().items()
        }
        for new, old in self._text_columns().items():
            check_no_written_lists(texts[new], self._where(old))
        return texts, values


class _Columns(dict):
    """Columns of rows whose types are unknown."""

    features: dict = {}


def _by_names(rows: Any, column: str) -> list[Any]:
    """Return the labels of a column. Numbers of a `ClassLabel` become names, and -1 becomes None."""
    from datasets import ClassLabel

    feature = rows.features.get(column)
    inner = getattr(feature, "feature", feature)
    if not isinstance(inner, ClassLabel):
        return list(rows[column])

    def named(value: Any) -> Any:
        if isinstance(value, list):
            return [inner.int2str(one) for one in value]
        return None if value in (None, UNLABELLED) else inner.int2str(value)

    return [named(value) for value in rows[column]]


__all__ = ["LabelledTexts"]
