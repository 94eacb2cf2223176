# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The data section of a run: where the rows are, how their files are written, and which columns are read."""

from dataclasses import dataclass, field, replace
from typing import Any

from ..utils.errors import UserError, check_choice

BUILT_IN = "made_up_messages"
# The built-in rows of older releases, which runs that were saved then may name.
FORMER_BUILT_IN = "made_up_reviews"
# The path of rows that were handed over in Python.
IN_MEMORY = "(rows handed over in Python)"
VALIDATIONS = ("random", "end")
ON_BAD_ROWS = ("error", "skip")
# Names for characters that are hard to write in a shell or in YAML.
_NAMED_CHARACTERS = {"tab": "\t", "\\t": "\t", "none": "", "comma": ",", "semicolon": ";", "pipe": "|"}


@dataclass
class DataArguments:
    """The data.

    Args:
        path: a data set on the Hub; a CSV, TSV, JSON, JSON Lines, Parquet, Excel or CoNLL file, or a .txt file, whose
            lines are its rows; a folder with one such file per split (train.csv, test.csv, …), or one subfolder of .txt
            files per class, or .txt files that are a text each, or parallel files (train.en, train.de, …); or
            made_up_messages, messages to customer support that hf_rnn makes up. Files may be compressed (.gz, .bz2,
            .zst).
        name: configuration of a data set on the Hub that has several, or sheet of an Excel file that has several.
        revision: branch, tag or commit of a data set on the Hub.
        text_column: column of the text; found by its name or content if None.
        text_pair_column: column of a second text, for pairs; found by well-known names of pairs if None.
        label_column: column of the label, or a list of columns that hold 0 or 1 each; found by its name or content if
            None.
        label_names: names of the labels 0, 1, … where the column holds numbers without names.
        label_separator: what stands between several labels in one field, such as | or ;; found if None.
        problem_type: single_label_classification, multi_label_classification or regression; read off the column if
            None.
        train_split: split to train on; of several names, the first that the data set has.
        validation_split: split to choose the best model by; made out of the training split where there is none.
        unlabelled_splits: splits whose texts alone are read: a language model trains on them as on train_split, a
            classifier by objectives that need no label, such as training.virtual_adversarial.
        test_split: split for the last evaluation; null for none.
        test_size: share of the training rows that become the test split of a data set that has none; null for no such
            split.
        validation_size: share of the training rows, after those of test_size, that become the validation split where
            there is none.
        validation_from: which rows both are: random, or the end of the training split, where rows follow from those
            before them, such as the lines of one text.
        max_length: tokens that are kept of a longer text; null for all.
        truncation: what is kept of a longer text, head, tail or head_tail (half of each).
        normalize_digits: whether all digits are read as 0, by the tokenizer that is trained and so wherever it is used.
        encoding: of CSV, TSV, JSON and text files; if None, UTF-8, or UTF-16 where a byte order mark says so, or
            Western European (cp1252) where nothing speaks against it.
        delimiter: between the fields of a CSV or TSV file: one character, or its name (tab, comma, semicolon, pipe);
            found if None.
        quotechar: around fields that hold a delimiter or a line end: one character, or none; " for CSV and none for TSV
            if None.
        escapechar: before a quote inside quotes: one character, or none; found if None.
        header: whether the first row of a CSV or TSV file holds the names of the columns; found if None. Without, they
            are called column_1, column_2, ….
        on_bad_rows: what happens to rows with more or fewer fields than the first one, or broken quotes: error, or
            skip, which leaves them out and counts them.
        seed: of the validation split, and of the test split that test_size makes.
        streaming: read the training split row by row, without end, for one that fits neither disk nor memory;
            training.max_steps says when training ends.
        streaming_sample: its first rows by which columns and labels are chosen, the tokenizer is trained, and the
            data described; and the most rows that are read of other splits.

    Raises:
        UserError: a delimiter, quote or escape that is not one character, or an unknown choice for on_bad_rows.
    """

    path: str = BUILT_IN
    name: str | None = None
    revision: str | None = None
    text_column: str | None = None
    text_pair_column: str | None = None
    label_column: str | list[str] | None = None
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
            raise UserError(
                f"data.delimiter={self.delimiter!r}, data.quotechar={self.quotechar!r} and data.escapechar="
                f"{self.escapechar!r} must be different characters (doubled quotes need no escapechar): leave one out."
            )
        if self.label_separator == "":
            raise UserError("data.label_separator is empty: write a character, such as | or ;.")

    def elsewhere(self, path: str) -> "DataArguments":
        """Return the arguments for other data that a trained model reads in the same way."""
        as_written: dict[str, Any] = dict.fromkeys(("encoding", "delimiter", "quotechar", "escapechar", "header"))
        return replace(
            self,
            path=path,
            name=None,
            revision=None,
            test_size=None,
            streaming=False,
            on_bad_rows="error",
            **as_written,
        )


def _character(name: str, given: str) -> str:
    """One ASCII character by itself or its name; nothing for none."""
    character = _NAMED_CHARACTERS.get(given, given)
    if len(character) > 1 or not character.isascii() or character in ("\r", "\n"):
        raise UserError(f"data.{name}={given!r} must be one ASCII character, such as ';', or its name, such as tab.")
    if name == "delimiter" and not character:
        raise UserError(f"data.delimiter={given!r}: a file without delimiters has one text a line: name it .txt.")
    return character


__all__ = ["BUILT_IN", "FORMER_BUILT_IN", "IN_MEMORY", "VALIDATIONS", "DataArguments"]
