# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Read tagged words from the splits of a data set, and convert their tags to BIO."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..models.configuration_rnn import RNNConfig
from ..models.decisions import labels_of
from ..text.arguments import DataArguments
from ..text.bio import check_tags, is_bio, scheme
from ..text.columns import TAG_COLUMNS, WORD_COLUMNS
from ..text.schema import Schema
from ..text.tag_schemes import converted, find_scheme
from ..text.written_text import usual_mark
from ..utils.errors import DataError, HfRnnError
from .text_task import TextTask

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

logger = logging.getLogger(__name__)

# Words and the same words as text. A tokenizer must give both the same tokens.
TOKENIZER_CHECKS = ((["a", "b"], "a b"), (["a", "."], "a."), (["a", "b"], "a\t\n b"))


class TaggedWords(TextTask):
    """Task whose rows are words, each with a tag.

    Args:
        data: Data settings, such as columns and splits.
        config: Configuration of a trained model, whose tags are used; None to learn them from the training split.

    Raises:
        DataError: `data.max_length` is set, which would leave truncated words without a tag.
    """

    def __init__(self, data: DataArguments, config: RNNConfig | None = None):
        super().__init__(data)
        if data.max_length is not None:
            raise DataError(
                f"max_length={data.max_length} would cut off words, which then get no tag: leave it out (a text may "
                "have any length)."
            )
        self.label_names = list(data.label_names or [])
        # True once the labels are final: for a trained model, or after the training split has been read.
        self.learnt = config is not None
        self.tag_scheme: str | None = None
        self.examples = list(TOKENIZER_CHECKS)
        if config is not None:
            self.label_names = labels_of(config)

    @property
    def bio(self) -> bool:
        """True if the labels are the beginning and inside of spans; False if each tag stands for itself."""
        return is_bio(self.label_names)

    def prepare(self, splits: DatasetDict) -> DatasetDict:
        """Return rows of `words` and `tags` in the splits train, validation and, if the data set has one, test.

        Tags of another scheme are converted to BIO (see `tag_schemes.py`).

        Args:
            splits: Splits of the data set, as they were read.

        Raises:
            DataError: A split or column does not exist, a row has different numbers of words and tags, or the tags mix
                schemes or are unknown to the model.
        """
        return self.as_splits(splits, self._tagged, self._learn_tags)

    def _learn_tags(self, train: Dataset) -> Dataset:
        if not self.label_names or self.converts:
            self.label_names = scheme({tag for row in train["tags"] for tag in row}, self.data.path)
        check_tags(train["tags"], self.label_names, "train")
        self.learnt = True
        self.examples += usual_mark(train["words"])
        if self.bio:
            # A missing library raises here, before training starts.
            from .metrics import needed

            needed("seqeval.metrics", "tagging")
        return train

    def schema(self, splits: DatasetDict, prepared: DatasetDict) -> Schema:
        """Return the columns that were found and the scheme of the tags.

        Args:
            splits: Splits of the data set, as they were read.
            prepared: Splits that `prepare` returned.
        """
        return replace(super().schema(splits, prepared), label_form=self.label_form)

    def prepare_split(self, splits: DatasetDict, split: str | None) -> Dataset:
        """Return the rows of one split, to evaluate a trained model.

        Args:
            splits: Splits of the data set, as they were read.
            split: Name of the split; None for the only one, or the test split.

        Raises:
            DataError: Same as in `prepare`.
        """
        return self._tagged(splits, self.split_to_read(splits, split))

    def _tagged(self, splits: DatasetDict, split: str) -> Dataset:
        from datasets import ClassLabel, Dataset

        rows, data = splits[split], self.data
        words_of = self.text_column(rows)
        tags_of = self.column(rows, "label_column", TAG_COLUMNS, "tags")
        names = getattr(rows.features[tags_of], "feature", None)
        names = names.names if isinstance(names, ClassLabel) else data.label_names
        words, tags = [], []
        for number, (of_row, tags_of_row) in enumerate(zip(rows[words_of], rows[tags_of], strict=True)):
            where = f"row {number} of the split {split!r}"
            words.append([str(word) for word in parted(of_row, where)])
            tags.append([_name(tag, names, where) for tag in parted(tags_of_row, where)])
            if len(words[-1]) != len(tags[-1]):
                raise DataError(
                    f"{where} has {len(words[-1])} words and {len(tags[-1])} tags "
                    f"({' '.join(words[-1])[:60]!r}): give each word one tag, in the columns {words_of!r} and "
                    f"{tags_of!r}."
                )
        if not any(words):
            raise DataError(
                f"the column {words_of!r} of the split {split!r} of {data.path!r} has no words: name the column "
                "of the words, data.text_column=NAME."
            )
        if len(words) > 1 and max(map(len, words)) == 1:
            logger.warning(
                f"each row of the split {split} is one word without its context: write one sentence per row."
            )
        self.chosen = {"text_column": words_of, "label_column": tags_of}
        try:
            in_bio = self._in_bio(tags, split)
            if self.learnt:
                check_tags(in_bio, self.label_names, split)
        except HfRnnError as error:
            self._check_other_scheme(tags, split, error)
            raise
        return Dataset.from_dict({"words": words, "tags": in_bio})

    def _check_other_scheme(self, tags: list[list[str]], split: str, error: HfRnnError) -> None:
        """Raise [`DataError`] if the whole split is written in another scheme than the training split."""
        if not self.learnt or self.tag_scheme is None:
            return
        try:
            other = find_scheme(tags, self.data.path, split)
        except HfRnnError:
            return
        if other not in (None, self.tag_scheme):
            raise DataError(
                f"{error} The split {split!r} seems to be written in the scheme {other}, and the training split is in "
                f"{self.tag_scheme}: write both in the same scheme."
            ) from error

    def _in_bio(self, tags: list[list[str]], split: str) -> list[list[str]]:
        """Return the tags of a split in BIO. The first split that is read sets the scheme of all splits."""
        if self.learnt and not self.bio:
            return tags
        if self.tag_scheme is None:
            self.tag_scheme = find_scheme(tags, self.data.path, split)
            if self.learnt and self.converts:
                logger.info(f"the tags of the split {split} of {self.data.path} are {self.label_form}.")
        tags, inside = converted(tags, self.tag_scheme, split)
        if inside:
            logger.warning(
                f"{inside} rows of the split {split} begin inside a span, as parts of longer texts do: the span is "
                "read as beginning there."
            )
        return tags

    @property
    def converts(self) -> bool:
        """True for tags of another scheme than BIO."""
        return self.tag_scheme not in (None, "BIO")

    @property
    def label_form(self) -> str | None:
        """The scheme of the tags, as the schema saves it."""
        return f"{self.tag_scheme}, read as BIO" if self.converts else self.tag_scheme

    @staticmethod
    def texts(rows: Dataset) -> Iterator[str]:
        """Yield all texts of a split, to train a tokenizer on them.

        Args:
            rows: Rows of a prepared split.
        """
        return map(" ".join, rows["words"])

    def text_column(self, rows: Dataset) -> str:
        """Return the name of the column of words.

        Args:
            rows: Rows of a split, as they were read.
        """
        return self.column(rows, "text_column", WORD_COLUMNS, "words")


def parted(value: Any, where: str) -> list:
    """Return the words or tags of a row: the items of a list, or the parts of a text between white space.

    Args:
        value: Value of the column of words or of tags.
        where: Place of the row, for errors.

    Raises:
        DataError: The value is a list that was written as a text.
    """
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        raise DataError(
            f"{where} has {value[:60]!r}, a list that was written as a text: write lists in JSON Lines or Parquet "
            "files, and words separated by spaces in other files."
        )
    if isinstance(value, (bool, int, float)) and value == value:
        # In a column of numbers, each number is one word or one tag.
        return [value]
    return value.split() if isinstance(value, str) else list(value) if isinstance(value, (list, tuple)) else []


def _name(tag: Any, names: list[str] | None, where: str) -> str:
    """Return the name of a tag. A number is an index into `names`."""
    number = tag if isinstance(tag, int) else int(tag) if isinstance(tag, str) and tag.isdigit() else None
    if isinstance(tag, str) and number is None:
        return tag
    if number is None:
        raise DataError(f"{where} has {tag!r} for a tag: write its name, such as 'B-PER' or 'O'.")
    if names is None or not 0 <= number < len(names):
        given = f"data.label_names has {len(names)} names" if names else "there are no names"
        raise DataError(
            f"{where} has the tag {number}, and {given}: write data.label_names=['O', 'B-PER', …], the names of "
            "the tags 0, 1, … in this order."
        )
    return names[number]


__all__ = ["TaggedWords", "parted"]
