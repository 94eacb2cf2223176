# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Base class of all tasks: selection of splits and columns, and truncation of tokens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from transformers import PreTrainedTokenizerBase

from ..runtime.tokens import TRUNCATIONS, cut, cut_rows
from ..text.arguments import VALIDATIONS, DataArguments
from ..text.columns import choose_text, column_for, text_of
from ..text.schema import Schema, fingerprint
from ..text.splits import SPLITS, choose_split, split_test, split_validation
from ..text.tokenization import pair_encodings, token_ids
from ..utils.errors import DataError, check_choice, nearest
from .task_facts import TaskFacts

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

logger = logging.getLogger(__name__)

EXAMPLE_LENGTH = 100
# Column that marks training rows, for tasks that encode training rows in a different way.
FOR_TRAINING = "for_training"


class TextTask(TaskFacts):
    """Shared implementation of [`~hf_rnn.tasks.base.Task`] for all tasks.

    Args:
        data: Columns, splits and maximum length of the data.

    Raises:
        DataError: `data.truncation` or `data.validation_from` has an unknown value, or `data.max_length` is below 1.
    """

    # Defaults of the members that `Task` describes.
    one_answer = False
    counts_tokens = False
    tagged = False
    tokenizer_kind = "bpe"
    has_schema = False
    fingerprint: str | None = None
    test_fingerprint: str | None = None
    problem_type: str | None
    label_names: list[str]

    def __init__(self, data: DataArguments):
        check_choice("data.truncation", data.truncation, TRUNCATIONS)
        check_choice("data.validation_from", data.validation_from, VALIDATIONS)
        if data.max_length is not None and data.max_length < 1:
            raise DataError(f"data.max_length={data.max_length} must be 1 or greater: leave it out for no limit.")
        self.data = data
        # Columns that were read, by the name of their setting, such as `text_column`.
        self.chosen: dict[str, Any] = {}
        # Origin of the rows of each split that was read: a split of the data set, and row indices into it.
        self.row_numbers: dict[str, tuple[str, np.ndarray]] = {}
        # Value of `row_numbers` directly after `hold_out_test` has made a test split.
        self.rows_after_test: dict[str, tuple[str, np.ndarray]] = {}

    def schema(self, splits: DatasetDict, prepared: DatasetDict) -> Schema:
        """Return the decisions about the data, which are printed and saved with the model.

        Args:
            splits: Splits of the data set as read.
            prepared: Splits as `prepare` returns them.
        """
        train, validation = self.chosen_splits(splits)
        uses = {"train": train, "validation": validation or f"{len(prepared['validation'])} rows held out of {train}"}
        if "test" in prepared:
            made = self.data.test_size is not None
            uses["test"] = f"{len(prepared['test'])} rows held out of {train}" if made else str(self.data.test_split)
        read = [name for value in self.chosen.values() for name in (value if isinstance(value, list) else [value])]
        return Schema(
            **self.chosen,
            group_column=self.data.group_column,
            problem_type=self.problem_type,
            labels=self.label_names,
            not_read=[name for name in splits[train].column_names if name not in (*read, self.data.group_column)],
            files={split: rows.info.description for split, rows in splits.items()},
            splits=uses,
            fingerprint=fingerprint(prepared, self.label_names),
            test_fingerprint=self.test_fingerprint,
        )

    # Splits ----------------------------------------------------------------------------------------------------------

    def train_split(self, splits: DatasetDict) -> str:
        """Return the name of the training split.

        Args:
            splits: Splits of the data set as read.

        Raises:
            DataError: The data set has no training split.
        """
        name = choose_split(splits, self.data.train_split)
        if name is None:
            given = self.data.train_split
            self._missing(splits, given if isinstance(given, str) else " or ".join(given), "data.train_split")
        return str(name)

    def chosen_splits(self, splits: DatasetDict) -> tuple[str, str | None]:
        """Return the names of the training and the validation split; None if validation rows must be held out.

        Args:
            splits: Splits of the data set as read.

        Raises:
            DataError: A split in the settings does not exist, or one split has two uses.
        """
        data, train = self.data, self.train_split(splits)
        validation = choose_split(splits, data.validation_split)
        for key, names in (("validation_split", data.validation_split), ("test_split", [data.test_split])):
            default = getattr(DataArguments(), key)
            if names in (default, [default], [None], []):
                continue
            if choose_split(splits, cast("list[str]", names)) is None:
                raise DataError(f"data.{key} {names!r} is not a split of {data.path!r}: {', '.join(splits)}.")
        named = [name for name in (train, validation, data.test_split) if name is not None]
        named += data.unlabelled_splits
        if len(set(named)) < len(named):
            unlabelled = f" and without labels ({', '.join(data.unlabelled_splits)})" if data.unlabelled_splits else ""
            raise DataError(
                f"the splits for training ({train}), validation ({validation}), test ({data.test_split}){unlabelled} "
                "must be different ones."
            )
        return train, validation

    def split_to_read(self, splits: DatasetDict, split: str | None) -> str:
        """Return the name of the split to evaluate on.

        Args:
            splits: Splits of the data set as read.
            split: Name of the split. None selects the only split, or the test split if there are several.

        Raises:
            DataError: The split does not exist, or there is no test split to fall back on.
        """
        split = split or (next(iter(splits)) if len(splits) == 1 else self.data.test_split)
        if split is None:
            raise DataError(
                f"the run had no test split, and {self.data.path!r} has {', '.join(splits)}: name one of them, "
                "split=NAME."
            )
        if split not in splits:
            self._missing(splits, repr(split), "split")
        logger.info(f"evaluating on the split {split} of {self.data.path}.")
        return str(split)

    def _missing(self, splits: DatasetDict, wanted: str, argument: str) -> None:
        raise DataError(
            f"the data set {self.data.path!r} has no split {wanted}, only {', '.join(splits)}: "
            f"write {argument}={next(iter(splits))!r}."
        )

    def text_column(self, rows: Dataset) -> str:
        """Return the name of the column of texts.

        Raises:
            DataError: Several columns, or none, could be the text.
        """
        return choose_text(rows, self.data)

    def column(self, rows: Dataset, key: str, names: Sequence[str], what: str, split: str = "") -> str:
        """Return the column that the settings name, or else the first column with a well-known name.

        Args:
            rows: Rows of a split.
            key: Name of the setting, such as `label_column`.
            names: Well-known column names, in order of preference.
            what: Content of the column, for errors.
            split: Name of the split, for errors.

        Raises:
            DataError: No column matches.
        """
        return column_for(rows, key, names, what, self.data, split)

    def as_splits(
        self,
        splits: DatasetDict,
        read: Callable[[DatasetDict, str], Dataset],
        prepare_train: Callable[[Dataset], Dataset],
    ) -> DatasetDict:
        """Return the splits train, validation and, if the data set has one, test; mark training rows (`FOR_TRAINING`).

        Args:
            splits: Splits of the data set as read.
            read: Function that returns the rows of a split.
            prepare_train: Function that selects the usable rows of the training split. It runs before other splits are
                read.
        """
        from datasets import DatasetDict

        train_name, validation_name = self.chosen_splits(splits)
        train = prepare_train(read(splits, train_name))
        if validation_name is not None:
            validation = read(splits, validation_name)
        else:
            train, validation = self.hold_out(train, train_name)
        prepared = DatasetDict(train=train.add_column(FOR_TRAINING, [True] * len(train)), validation=validation)
        test = self.data.test_split
        if test is not None and test in splits:
            prepared["test"] = read(splits, test)
        return prepared

    def texts_alone(self, splits: DatasetDict, names: Sequence[str]) -> Dataset:
        """Return the `text` column of some splits as one data set. A missing text becomes an empty text.

        Args:
            splits: Splits of the data set as read.
            names: Names of the splits to return.

        Raises:
            DataError: A split or its text column does not exist, or a split has no text.
        """
        from datasets import Dataset, Features, Value, concatenate_datasets

        texts: list[Dataset] = []
        for split in names:
            if split not in splits:
                apart = [name for name in splits if name not in SPLITS.values()]
                near = nearest(split, apart) or next(iter(apart), None)
                raise DataError(
                    f"the data set {self.data.path!r} has no split {split!r}, only {', '.join(splits)}: "
                    + (f"write data.unlabelled_splits={[near]}." if near else "leave data.unlabelled_splits out.")
                )
            column = choose_text(splits[split], self.data)
            self.chosen.setdefault("text_column", column)
            rows = [text_of(text, f"the column {column!r} of {self.data.path!r}") for text in splits[split][column]]
            if not any(text.strip() for text in rows):
                raise DataError(f"the column {column!r} of the split {split!r} of {self.data.path!r} has no text.")
            texts.append(Dataset.from_dict({"text": rows}, features=Features({"text": Value("string")})))
        return concatenate_datasets(texts)

    def hold_out_test(self, splits: DatasetDict) -> DatasetDict:
        """Return the splits, with a test split held out of the training split if `data.test_size` is set.

        Args:
            splits: Splits of the data set as read.

        Raises:
            DataError: The data set has a test split; a class would have no training row; or the rows differ from those
                that were held out when the model was trained.
        """
        from datasets import DatasetDict

        data = self.data
        if data.test_size is None:
            return splits
        train = self.train_split(splits)
        if data.test_split in splits:
            raise DataError(
                f"data.test_size={data.test_size} makes a test split, and {data.path!r} has one, {data.test_split!r}: "
                "leave data.test_size out, or write data.test_split=None to hold out training rows instead."
            )
        rows, test = splits[train], data.test_split or "test"
        kept, held_out = split_test(rows, data, *self.classes_of(rows))
        found = fingerprint({"test": rows.select(held_out)}, [])
        if self.test_fingerprint not in (None, found):
            raise DataError(
                f"the test split was held out of {data.path!r}, whose rows have changed since the training run: "
                "restore the data, or name other rows, data=PATH."
            )
        self.rows_after_test = {train: (train, kept), test: (train, held_out)}
        self.row_numbers = dict(self.rows_after_test)
        self.test_fingerprint, self.data = found, replace(data, test_split=test)
        logger.info(f"{len(held_out)} rows of {train} were set aside as the test split (data.test_size).")
        return DatasetDict({**splits, train: rows.select(kept), test: rows.select(held_out)})

    def classes_of(self, rows: Dataset) -> tuple[list[list[str] | None] | None, bool]:
        """Return the classes of each row, and True if each row has exactly one; None for tasks without classes.

        Args:
            rows: Rows of a split as read.
        """
        return None, False

    def hold_out(self, rows: Dataset, name: str, stratify_by: str | None = None) -> tuple[Dataset, Dataset]:
        """Split rows into training and validation rows, for a data set without a validation split.

        Args:
            rows: Rows of the training split.
            name: Name of the training split.
            stratify_by: Column whose values keep their proportions in both parts; None for no stratification.
        """
        from datasets import Dataset

        by = {} if stratify_by is None else {stratify_by: rows[stratify_by]}
        places = Dataset.from_dict({"place": range(len(rows)), **by})
        kept, held_out = (part["place"][:] for part in split_validation(places, self.data, stratify_by))
        source, numbers = self.row_numbers.get(name, (name, np.arange(len(rows))))
        self.row_numbers |= {name: (source, numbers[kept]), "validation": (source, numbers[held_out])}
        train, validation = rows.select(kept), rows.select(held_out)
        logger.info(
            f"{len(validation)} rows of {name} were set aside as the validation split "
            f"(data.validation_from={self.data.validation_from!r})."
        )
        return train, validation

    # Tokens ----------------------------------------------------------------------------------------------------------

    def fitted(self, tokenizer: PreTrainedTokenizerBase, resumed: bool = False) -> PreTrainedTokenizerBase:
        """Return the tokenizer as models of the task need it.

        Args:
            tokenizer: Tokenizer of the run.
            resumed: True if the run resumes from a checkpoint.
        """
        return tokenizer

    def tokens(self, tokenizer: PreTrainedTokenizerBase, batch: dict) -> dict[str, list]:
        """Return `input_ids` truncated to `data.max_length`, `length`, and `full_length` (before truncation)."""
        ids, kept = self.read_and_cut(tokenizer, batch["text"], batch.get("text_pair"))
        return {"input_ids": kept, "length": [len(row) for row in kept], "full_length": [len(row) for row in ids]}

    def read_and_cut(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], pairs: Sequence[str] | None = None
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Return all token ids of texts or pairs, and the truncated ids. The longer text of a pair is truncated first.

        Args:
            tokenizer: Tokenizer of the model.
            texts: Texts of a batch.
            pairs: Second texts, one for each of `texts`; None if rows are single texts.
        """
        ids = token_ids(tokenizer, texts, pairs)
        columns = [texts] if pairs is None else [texts, pairs]
        encodings_of = partial(pair_encodings, tokenizer)
        return ids, cut_rows(ids, columns, self.data.max_length, self.data.truncation, encodings_of)

    def cut(self, rows: list[list[int]]) -> list[list[int]]:
        """Return rows of token ids, truncated to `data.max_length`."""
        return [cut(row, self.data.max_length, self.data.truncation) for row in rows]

    def keep(self, task: Any) -> Any:
        """Copy the facts about training (schema, test fingerprint) to another task, and return that task.

        Args:
            task: Same task, over other data.
        """
        task.has_schema, task.fingerprint = self.has_schema, self.fingerprint
        task.test_fingerprint = self.test_fingerprint
        return task


def quotable(rows: list[dict[str, str]]) -> dict[str, str]:
    """Return the first row whose texts all have 20 to 100 characters, or else the shortest row, truncated.

    Args:
        rows: Texts of each row, by column name.
    """
    fitting = (row for row in rows if all(20 <= len(text) <= EXAMPLE_LENGTH for text in row.values()))
    texts = next(fitting, None) or min(rows, key=lambda row: sum(map(len, row.values())))
    return {k: t if len(t) <= EXAMPLE_LENGTH else t[: EXAMPLE_LENGTH - 1] + "…" for k, t in texts.items()}


__all__ = ["TextTask", "quotable"]
