# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The data section of a run: location of the rows, file format, columns and splits."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..utils.errors import ConfigError, check_choice

BUILT_IN = "made_up_messages"
# Name of the built-in rows of older releases. Saved runs may still contain it.
FORMER_BUILT_IN = "made_up_reviews"
# Value of `path` for rows that were passed in Python.
IN_MEMORY = "(rows handed over in Python)"
# Settings that name columns.
COLUMN_SETTINGS = ("text_column", "text_pair_column", "label_column")
VALIDATIONS = ("random", "end")
ON_BAD_ROWS = ("error", "skip")
# Names for characters that are hard to write in a shell or in YAML.
_NAMED_CHARACTERS = {"tab": "\t", "\\t": "\t", "none": "", "comma": ",", "semicolon": ";", "pipe": "|"}


@dataclass
class DataArguments:
    """Data of a run: location, file format, columns and splits.

    Args:
        path: Data set to read. It is the id of a data set on the Hub, a file, a folder, or made_up_messages (built-in
            synthetic messages to customer support). Files are CSV, TSV, JSON, JSON Lines, Parquet, Excel, CoNLL or .txt
            with one row per line. A folder holds one such file per split (train.csv, test.csv, …), one subfolder of
            .txt files per class, .txt files with one text each, or parallel files (train.en, train.de, …). Files except
            Parquet and Excel may be compressed (.gz, .bz2, .zst, .lz4).
        name: Configuration of a Hub data set, or sheet of an Excel file; needed if there are several.
        revision: Branch, tag or commit of a Hub data set; null for the default branch.
        text_column: Column of the text (token classification: the words; translation: the source text). null to find it
            by its name or, for text classification and language models, by its content.
        text_pair_column: Column of the second text of a pair; text classification only. If this and text_column are
            null, a well-known pair of columns is used, such as premise and hypothesis.
        label_column: Column of the label (token classification: the tags; translation: the target text). For text
            classification it may be a list of columns with 0 or 1, one per class. null to find it by its name or, for
            text classification, by its content. Language models do not read it.
        group_column: Column whose rows with the same value stay in one fold of a cross-validation, such as the author
            of the text. null for folds of single rows. Read with cross_validate only.
        label_names: Names of the labels 0, 1, …, if the column holds their numbers, or lists with a 0 or 1 per class.
            null to take the names from the data. Text and token classification only.
        label_separator: Separator of several labels in one field, such as | or ;; text classification only. null to
            detect it.
        problem_type: Problem of a text classifier: single_label_classification, multi_label_classification or
            regression. null to infer it from the label column.
        train_split: Split to train on. If several names are given, the first one that the data set has is used.
        validation_split: Split to choose the best checkpoint by. If several names are given, the first one that the
            data set has is used. Without such a split, validation_size takes rows from the training split.
        unlabelled_splits: Splits of which only the texts are read. A language model trains on them as on train_split.
            A text classifier uses them in objectives without labels, such as training.virtual_adversarial. Other tasks
            do not read them.
        test_split: Split for the evaluation after training; null for none.
        test_size: Share of the training rows, between 0 and 1, that becomes the test split of a data set without one.
            null to make no test split.
        validation_size: Share of the training rows, between 0 and 1, that becomes the validation split of a data set
            without one. It is taken after test_size. Rare classes can make it up to twice as large.
        validation_from: Training rows that validation_size and test_size take: random, or end for the last rows. Use
            end if rows depend on those before them, such as the lines of one text.
        max_length: Maximum number of tokens of a text (of both texts of a pair together); null for no limit. Text
            classification truncates longer texts. Translation leaves longer training pairs out. Language models and
            token classification do not accept it.
        truncation: Part that text classification keeps of a text longer than max_length: head, tail or head_tail (half
            of each).
        normalize_digits: Read every digit as 0. The tokenizer that the run trains does this and keeps the setting. Not
            possible with an existing tokenizer.
        encoding: Encoding of CSV, TSV, JSON, CoNLL and .txt files. null to detect it: UTF-8, UTF-16, UTF-32 or, if the
            bytes allow it, Western European (cp1252).
        delimiter: Delimiter of the fields of a CSV or TSV file: one character, or its name (tab, comma, semicolon,
            pipe). null to detect it.
        quotechar: Character around fields of a CSV or TSV file that hold a delimiter or a line end: one character, or
            none. null for ", or, if the delimiter is a tab, for none or ", whichever fits the file.
        escapechar: Character before a quote inside quotes in a CSV or TSV file: one character, or none. null to
            detect it.
        header: True if the first row of a CSV, TSV or Excel file holds the column names. False names the columns
            column_1, column_2, …. null to detect it.
        on_bad_rows: Treatment of rows that cannot be read, such as rows with broken quotes or with more or fewer fields
            than the first row: error, or skip to leave them out with a warning.
        replay: Old rows for a text classifier that goes on from a pretrained one (model.keep_head): a file, a folder or
            a data set on the Hub. They are read as the data of the pretrained classifier. A sample of them is added to
            the training and to the validation rows, so that the model does not forget them. null for none.
        replay_rows: Number of rows of replay that are added to the training rows or, as a number with a decimal point
            up to 1.0, their share. null for at most four times as many as there are training rows. Each class keeps
            its share. The validation rows grow by the same factor.
        seed: Seed of the random rows that validation_size, test_size and replay_rows take.
        streaming: Read the training split row by row and repeatedly, without loading it. This is for data that fits
            neither on disk nor in memory. training.max_steps must set the end of training. Text classification and
            language models only.
        streaming_sample: Number of first rows of a streamed training split that are used to choose the columns and
            labels, train the tokenizer and describe the data. It is also the maximum number of rows read from each
            other split. Read with streaming only.

    Raises:
        ConfigError: A delimiter, quote or escape is not one ASCII character, two of them are the same, label_separator
            is empty, on_bad_rows is not a valid choice, or replay_rows is not above 0 or has no replay.
    """

    path: str = BUILT_IN
    name: str | None = None
    revision: str | None = None
    text_column: str | None = None
    text_pair_column: str | None = None
    label_column: str | list[str] | None = None
    group_column: str | None = None
    label_names: list[str] | None = None
    label_separator: str | None = None
    problem_type: str | None = None
    train_split: list[str] | str = field(default_factory=lambda: ["train"])
    validation_split: list[str] | str = field(default_factory=lambda: ["validation"])
    unlabelled_splits: list[str] = field(default_factory=list)
    test_split: str | None = "test"
    test_size: float | None = None
    validation_size: float = 0.1
    validation_from: str = "random"
    max_length: int | None = None
    truncation: str = "head_tail"
    normalize_digits: bool = False
    encoding: str | None = None
    delimiter: str | None = None
    quotechar: str | None = None
    escapechar: str | None = None
    header: bool | None = None
    on_bad_rows: str = "error"
    replay: str | None = None
    replay_rows: int | float | None = None
    seed: int = 0
    streaming: bool = False
    streaming_sample: int = 50_000

    def __post_init__(self) -> None:
        check_choice("data.on_bad_rows", self.on_bad_rows, ON_BAD_ROWS)
        for name in ("delimiter", "quotechar", "escapechar"):
            given = getattr(self, name)
            if given is not None:
                setattr(self, name, _character(name, given))
        given = [c for c in (self.delimiter, self.quotechar, self.escapechar) if c]
        if len(set(given)) < len(given):
            raise ConfigError(
                f"data.delimiter={self.delimiter!r}, data.quotechar={self.quotechar!r} and data.escapechar="
                f"{self.escapechar!r} must be different characters (doubled quotes need no escapechar): leave one out."
            )
        if self.label_separator == "":
            raise ConfigError("data.label_separator is empty: write a character, such as | or ;.")
        self._check_replay()

    def _check_replay(self) -> None:
        rows = self.replay_rows
        if rows is None:
            return
        if isinstance(rows, bool) or not rows > 0 or (isinstance(rows, float) and rows > 1):
            raise ConfigError(
                f"data.replay_rows={rows} must be a whole number of rows from 1 on, such as 1000, or a share above 0 "
                "and at most 1.0, such as 0.5."
            )
        if self.replay is None:
            raise ConfigError(
                f"data.replay_rows={rows} is the size of a sample of data.replay, which is not set: leave it out, or "
                "name the old rows, data.replay=PATH."
            )

    def reads(self, path: str) -> bool:
        """Return True if a path names the data of these arguments.

        Args:
            path: Path of a file or folder.
        """
        return bool(self.path) and Path(path).absolute() == Path(self.path).absolute()

    def elsewhere(self, path: str) -> "DataArguments":
        """Return the arguments to read other data with a trained model.

        Columns and splits stay the same. Settings of the file format and of the source are reset to their defaults.

        Args:
            path: Path of the other data.
        """
        as_written: dict[str, Any] = dict.fromkeys(("encoding", "delimiter", "quotechar", "escapechar", "header"))
        return replace(
            self,
            path=path,
            name=None,
            revision=None,
            test_size=None,
            group_column=None,
            streaming=False,
            on_bad_rows="error",
            replay=None,
            replay_rows=None,
            **as_written,
        )


def _character(name: str, given: str) -> str:
    """Return the ASCII character of a setting, given as itself or by its name; an empty string for none."""
    character = _NAMED_CHARACTERS.get(given, given)
    if len(character) > 1 or not character.isascii() or character in ("\r", "\n"):
        raise ConfigError(f"data.{name}={given!r} must be one ASCII character, such as ';', or its name, such as tab.")
    if name == "delimiter" and not character:
        raise ConfigError(f"data.delimiter={given!r}: a file without delimiters has one text a line: name it .txt.")
    return character


__all__ = ["BUILT_IN", "COLUMN_SETTINGS", "FORMER_BUILT_IN", "IN_MEMORY", "VALIDATIONS", "DataArguments"]
