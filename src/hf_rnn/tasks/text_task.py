# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The base class of all tasks: splits by name, and truncation of tokens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from transformers import PreTrainedTokenizerBase

from ..text.arguments import VALIDATIONS, DataArguments
from ..text.collation import cut, cut_pair
from ..text.columns import choose_text, column_for, text_of
from ..text.schema import Schema, fingerprint
from ..text.splits import SPLITS, choose_split, split_test, split_validation
from ..text.tokenization import pair_encodings, token_ids
from ..utils.errors import UserError, check_choice, nearest
from .task_facts import TaskFacts

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

logger = logging.getLogger(__name__)

EXAMPLE_LENGTH = 100
# A column that marks the training rows, for tasks that encode them otherwise than rows for evaluation.
FOR_TRAINING = "for_training"
TRUNCATIONS = ("head", "tail", "head_tail")


class TextTask(TaskFacts):
    """Implement the parts of [`~hf_rnn.tasks.base.Task`] that all tasks share.

    Args:
        data: columns, splits and lengths.

    Raises:
        UserError: no such truncation or choice of validation rows, or a length under 1.
    """

    # The defaults of the members that `Task` describes.
    one_answer = False
    counts_tokens = False
    tagged = False
    tokenizer_kind = "bpe"
    has_schema = False
    # The fingerprint of the rows that `data.test_size` held out of the training split, once they are known.
    test_fingerprint: str | None = None
    problem_type: str | None
    label_names: list[str]

    def __init__(self, data: DataArguments):
        check_choice("data.truncation", data.truncation, TRUNCATIONS)
        check_choice("data.validation_from", data.validation_from, VALIDATIONS)
        if data.max_length is not None and data.max_length < 1:
            raise UserError(f"data.max_length={data.max_length} must be 1 or greater, or null for no limit.")
        self.data = data
        # The columns that were read, by their settings, such as `text_column`.
        self.chosen: dict[str, Any] = {}
        # Each split that was read has rows of a split of the data set: its name, and their places in it.
        self.row_numbers: dict[str, tuple[str, np.ndarray]] = {}
        # The same, as they are when `hold_out_test` has made a test split.
        self.rows_after_test: dict[str, tuple[str, np.ndarray]] = {}

    # Schema ----------------------------------------------------------------------------------------------------------

    def schema(self, splits: DatasetDict, prepared: DatasetDict) -> Schema:
        """Return the decisions about the data, which are printed and saved.

        Args:
            splits: the splits, as they were read.
            prepared: the splits, as `prepare` returns them.
        """
        train, validation = self.chosen_splits(splits)
        uses = {"train": train, "validation": validation or f"{len(prepared['validation'])} rows held out of {train}"}
        if "test" in prepared:
            made = self.data.test_size is not None
            uses["test"] = f"{len(prepared['test'])} rows held out of {train}" if made else str(self.data.test_split)
        read = [name for value in self.chosen.values() for name in (value if isinstance(value, list) else [value])]
        return Schema(
            **self.chosen,
            problem_type=self.problem_type,
            labels=self.label_names,
            not_read=[name for name in splits[train].column_names if name not in read],
            files={split: rows.info.description for split, rows in splits.items()},
            splits=uses,
            fingerprint=fingerprint(prepared, self.label_names),
            test_fingerprint=self.test_fingerprint,
        )

    # Splits ----------------------------------------------------------------------------------------------------------

    def train_split(self, splits: DatasetDict) -> str:
        """Return the name of the training split.

        Args:
            splits: the splits, as they were read.

        Raises:
            UserError: there is none.
        """
        name = choose_split(splits, self.data.train_split)
        if name is None:
            given = self.data.train_split
            self._missing(splits, given if isinstance(given, str) else " or ".join(given), "--data.train_split")
        return str(name)

    def chosen_splits(self, splits: DatasetDict) -> tuple[str, str | None]:
        """Return the names of the training and the validation split; None where validation rows must be held out.

        Raises:
            UserError: a named split does not exist, or is named for two uses.
        """
        data, train = self.data, self.train_split(splits)
        validation = choose_split(splits, data.validation_split)
        for key, names in (("validation_split", data.validation_split), ("test_split", [data.test_split])):
            default = getattr(DataArguments(), key)
            if names in (default, [default], [None], []):
                continue
            if choose_split(splits, cast("list[str]", names)) is None:
                raise UserError(f"data.{key} {names!r} is not a split of {data.path!r}: {', '.join(splits)}.")
        named = [name for name in (train, validation, data.test_split) if name is not None]
        named += data.unlabelled_splits
        if len(set(named)) < len(named):
            unlabelled = f" and without labels ({', '.join(data.unlabelled_splits)})" if data.unlabelled_splits else ""
            raise UserError(
                f"the splits for training ({train}), validation ({validation}), test ({data.test_split}){unlabelled} "
                "must be different ones."
            )
        return train, validation

    def split_to_read(self, splits: DatasetDict, split: str | None) -> str:
        """Return the name of the split to evaluate on: the one named, the only one, or the test split.

        Args:
            splits: the splits, as they were read.
            split: its name; None for the only one, or the test split.

        Raises:
            UserError: there is none.
        """
        split = split or (next(iter(splits)) if len(splits) == 1 else self.data.test_split)
        if split is None:
            raise UserError(
                f"the run had no test split, and {self.data.path!r} has {', '.join(splits)}: write --split with one of "
                "them."
            )
        if split not in splits:
            self._missing(splits, repr(split), "--split")
        logger.info(f"evaluating on the split {split} of {self.data.path}.")
        return str(split)

    def _missing(self, splits: DatasetDict, wanted: str, option: str) -> None:
        raise UserError(
            f"the data set {self.data.path!r} has no split {wanted}, only {', '.join(splits)}: "
            f"write {option} {next(iter(splits))}."
        )

    @staticmethod
    def one_answer_of(columns: Sequence[list[str]], top_k: int | None, what: str) -> Sequence[list[str]]:
        """Return the columns of texts, after a check that there is one.

        Args:
            columns: the texts of all rows, and second texts if there are any.
            top_k: the number of labels that were asked for.
            what: the answer of the task, for errors.

        Raises:
            UserError: pairs of texts, or `top_k` other than 1.
        """
        if top_k != 1:
            raise UserError(f"top_k={top_k}: {what}: leave top_k out.")
        if len(columns) > 1:
            raise UserError(f"a row has {len(columns)} texts, {columns[1][0][:60]!r} the second: pass one text a row.")
        return columns

    def text_column(self, rows: Dataset) -> str:
        """Return the name of the column of texts.

        Raises:
            UserError: the choice is not clear.
        """
        return choose_text(rows, self.data)

    def column(self, rows: Dataset, key: str, names: Sequence[str], what: str, split: str = "") -> str:
        """Return the column that the settings name, else one with a well-known name.

        Args:
            rows: the rows of a split.
            key: the setting, such as `label_column`.
            names: the well-known names, in order of preference.
            what: the content of the column, for errors.
            split: the name of the split, for errors.

        Raises:
            UserError: there is no such column.
        """
        return column_for(rows, key, names, what, self.data, split)

    def as_splits(
        self,
        splits: DatasetDict,
        read: Callable[[DatasetDict, str], Dataset],
        prepare_train: Callable[[Dataset], Dataset],
    ) -> DatasetDict:
        """Return the splits train, validation and, if the data set has one, test. Training rows are marked
        (`FOR_TRAINING`).

        Args:
            splits: the splits, as they were read.
            read: returns the rows of a split.
            prepare_train: takes the rows of the training split and returns those that can be trained on. It is called
                before the other splits are read.
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
        """Return the `text` of some splits as one data set. A missing text is an empty one.

        Args:
            splits: the splits, as they were read.
            names: of the splits to return.

        Raises:
            UserError: no such split or column, or no text in one of them.
        """
        from datasets import Dataset, Features, Value, concatenate_datasets

        texts: list[Dataset] = []
        for split in names:
            if split not in splits:
                apart = [name for name in splits if name not in SPLITS.values()]
                near = nearest(split, apart) or next(iter(apart), None)
                raise UserError(
                    f"the data set {self.data.path!r} has no split {split!r}, only {', '.join(splits)}: "
                    + (f"write --data.unlabelled_splits '[{near}]'." if near else "leave data.unlabelled_splits out.")
                )
            column = choose_text(splits[split], self.data)
            self.chosen.setdefault("text_column", column)
            rows = [text_of(text, f"the column {column!r} of {self.data.path!r}") for text in splits[split][column]]
            if not any(text.strip() for text in rows):
                raise UserError(f"the column {column!r} of the split {split!r} of {self.data.path!r} has no text.")
            texts.append(Dataset.from_dict({"text": rows}, features=Features({"text": Value("string")})))
        return concatenate_datasets(texts)

    def hold_out_test(self, splits: DatasetDict) -> DatasetDict:
        """Return the splits, with a test split of training rows where `data.test_size` asks for one.

        Args:
            splits: the splits, as they were read.

        Raises:
            UserError: the data set has a test split; the share leaves no row of a class; or the rows are not those that
                were held out when the model was trained.
        """
        from datasets import DatasetDict

        data = self.data
        if data.test_size is None:
            return splits
        train = self.train_split(splits)
        if data.test_split in splits:
            raise UserError(
                f"data.test_size={data.test_size} makes a test split, and {data.path!r} has one, {data.test_split!r}: "
                "leave data.test_size out; or write --data.test_split null to test on training rows instead."
            )
        rows, test = splits[train], data.test_split or "test"
        kept, held_out = split_test(rows, data, *self.classes_of(rows))
        found = fingerprint({"test": rows.select(held_out)}, [])
        if self.test_fingerprint not in (None, found):
            raise UserError(
                f"the test split was held out of {data.path!r}, whose rows are not those of the training run any more: "
                "put the data back as they were, or name other rows, --data PATH."
            )
        self.rows_after_test = {train: (train, kept), test: (train, held_out)}
        self.row_numbers = dict(self.rows_after_test)
        self.test_fingerprint, self.data = found, replace(data, test_split=test)
        logger.info(f"{len(held_out)} rows of {train} were set aside as the test split (data.test_size).")
        return DatasetDict({**splits, train: rows.select(kept), test: rows.select(held_out)})

    def classes_of(self, rows: Dataset) -> tuple[list[list[str] | None] | None, bool]:
        """Return the classes of each row, None for a task without; and True if each row has one.

        Args:
            rows: of a split, as they were read.
        """
        return None, False

    def hold_out(self, rows: Dataset, name: str, stratify_by: str | None = None) -> tuple[Dataset, Dataset]:
        """Split rows into training and validation rows, for a data set without a validation split.

        Args:
            rows: of the training split.
            name: of the training split.
            stratify_by: the column whose values both parts have in equal shares; None for any rows.
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
            f"(data.validation_from={self.data.validation_from})."
        )
        return train, validation

    # Tokens ----------------------------------------------------------------------------------------------------------

    def fitted(self, tokenizer: PreTrainedTokenizerBase, resumed: bool = False) -> PreTrainedTokenizerBase:
        """Return the tokenizer as models of the task need it.

        Args:
            tokenizer: the tokenizer of the run.
            resumed: True if the run continues a checkpoint.
        """
        return tokenizer

    def tokens(self, tokenizer: PreTrainedTokenizerBase, batch: dict) -> dict[str, list]:
        """Return the `input_ids` of a batch of texts or pairs, truncated to `max_length`, their `length`, and the
        `full_length` before."""
        ids, kept = self.read_and_cut(tokenizer, batch["text"], batch.get("text_pair"))
        return {"input_ids": kept, "length": [len(row) for row in kept], "full_length": [len(row) for row in ids]}

    def read_and_cut(
        self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], pairs: Sequence[str] | None = None
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Return all token ids of texts or pairs, and the truncated ones. The longer text of a pair is cut first.

        Args:
            tokenizer: the tokenizer of the model.
            texts: of a batch.
            pairs: as many second texts; None for texts alone.
        """
        ids = token_ids(tokenizer, texts, pairs)
        if pairs is None:
            return ids, self.cut(ids)
        most, kept = self.data.max_length, list(ids)
        long = [place for place, row in enumerate(ids) if most is not None and len(row) > most]
        of_texts = pair_encodings(tokenizer, [(texts[place], pairs[place]) for place in long])
        for place, which in zip(long, of_texts, strict=True):
            kept[place] = cut_pair(ids[place], which, most, self.data.truncation)
        return ids, kept

    def cut(self, rows: list[list[int]]) -> list[list[int]]:
        """Return rows of token ids, truncated to `max_length`."""
        return [cut(row, self.data.max_length, self.data.truncation) for row in rows]

    def keep(self, task: Any) -> Any:
        """Pass on to another task what this one knows of training, and return it.

        Args:
            task: the same task, over other data.
        """
        task.has_schema, task.test_fingerprint = self.has_schema, self.test_fingerprint
        return task


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of logits.

    Args:
        logits: of any shape; the last axis is that of the classes.
    """
    # Answers must not load scipy, so scipy.special.softmax is not used.
    scores = np.exp(logits - logits.max(-1, keepdims=True))
    return scores / scores.sum(-1, keepdims=True)


def quotable(rows: list[dict[str, str]]) -> dict[str, str]:
    """Return the first text, or pair of texts, of 20 to 100 characters; without one, the shortest, truncated.

    Args:
        rows: the texts of each row, by the names of their columns.
    """
    fitting = (row for row in rows if all(20 <= len(text) <= EXAMPLE_LENGTH for text in row.values()))
    texts = next(fitting, None) or min(rows, key=lambda row: sum(map(len, row.values())))
    return {k: t if len(t) <= EXAMPLE_LENGTH else t[: EXAMPLE_LENGTH - 1] + "…" for k, t in texts.items()}


__all__ = ["TextTask", "quotable", "softmax"]
