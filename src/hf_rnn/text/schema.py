# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Decisions about the data of a run: printed before training, saved with the model, and applied in evaluation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..utils.errors import DataError, first_line
from .arguments import DataArguments

if TYPE_CHECKING:
    from datasets import Dataset

SCHEMA_FILE = "schema.json"
# Maximum number of labels that are printed, and number of rows that are hashed at a time.
SHOWN, ROWS = 20, 1000


@dataclass
class Schema:
    """Decisions about the data of a run: columns, labels and splits.

    Args:
        text_column: Column of the text.
        text_pair_column: Column of the second text; None for single texts.
        label_column: Column of the label, or a list with one column per class; None without labels.
        group_column: Column whose rows with the same value stay in one fold of the cross-validation; None for none.
        label_separator: Separator of several labels in one field; None for none.
        problem_type: Problem type of the task, such as `single_label_classification`.
        label_form: Description of the format of the labels.
        labels: Names of the labels.
        not_read: Columns that are not read.
        files: Description of the file format of each split, by its name.
        splits: Split, or rows held out of a split, by its use (train, validation, test).
        fingerprint: Hash of all rows that are read and of the label names; independent of the file names.
        test_fingerprint: Hash of the rows that `data.test_size` held out of the training split; None for none.
        replay_fingerprint: Hash of the rows of `data.replay` that were added; None for none.
        lesson_fingerprint: Hash of the training rows of a student with the answers of its teachers; None for none.
    """

    text_column: str
    text_pair_column: str | None = None
    label_column: str | list[str] | None = None
    group_column: str | None = None
    label_separator: str | None = None
    problem_type: str | None = None
    label_form: str | None = None
    labels: list[str] = field(default_factory=list)
    not_read: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    fingerprint: str | None = None
    test_fingerprint: str | None = None
    replay_fingerprint: str | None = None
    lesson_fingerprint: str | None = None

    def table(self, path: str) -> str:
        """Return the decisions as a few lines of text.

        Args:
            path: Path of the data set, which the first line shows.
        """
        written = list(dict.fromkeys(how for how in self.files.values() if how))
        text = f"{self.text_column!r}" + (f" with {self.text_pair_column!r}" if self.text_pair_column else "")
        lines = [("data", path), *[("written", how) for how in written], ("text", text)]
        if self.label_column is not None:
            names = [self.label_column] if isinstance(self.label_column, str) else self.label_column
            form = f": {self.label_form}" if self.label_form else ""
            lines.append(("label", ", ".join(map(repr, names)) + form))
        if self.labels:
            more = f" and {len(self.labels) - SHOWN} more" if len(self.labels) > SHOWN else ""
            lines.append(("classes", ", ".join(map(repr, self.labels[:SHOWN])) + more))
        if self.group_column is not None:
            lines.append(("groups", repr(self.group_column)))
        if self.not_read:
            lines.append(("not read", ", ".join(map(repr, self.not_read))))
        lines += [("splits", " · ".join(f"{use}: {split}" for use, split in self.splits.items()))]
        return "\n".join(f"{name:<11}{value}" for name, value in lines)

    def applied(self, data: DataArguments) -> DataArguments:
        """Return the data section with the columns of this schema where it names none.

        Args:
            data: Data section to complete.
        """
        names = ("text_column", "text_pair_column", "label_column", "label_separator")
        return replace(data, **{n: getattr(self, n) for n in names if getattr(data, n) is None})

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, folder: Path) -> Schema | None:
        """Read the schema in the folder of a model; return None if it has none, as after a run of an older release.

        Args:
            folder: Folder of the model.

        Raises:
            DataError: The file cannot be read.
        """
        file = folder / SCHEMA_FILE
        if not file.is_file():
            return None
        known = {each.name for each in fields(cls)}
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            return cls(**{name: value for name, value in found.items() if name in known})
        except (ValueError, TypeError, AttributeError) as error:
            raise DataError(
                f"{str(file)!r} is not the {SCHEMA_FILE} of a training run ({first_line(error)}): put it back as it "
                "was, or delete it and name the columns, data.text_column=NAME."
            ) from error


def fingerprint(splits: Mapping[str, Dataset], labels: list[str]) -> str:
    """Return a SHA-256 hash of rows and label names.

    Args:
        splits: Rows of each split, by its name.
        labels: Names of the labels.
    """
    digest = hashlib.sha256(json.dumps(labels).encode())
    for split, rows in splits.items():
        digest.update(f"{split} {rows.column_names} {len(rows)}".encode())
        for start in range(0, len(rows), ROWS):
            digest.update(_bytes(rows[start : start + ROWS]))
    return digest.hexdigest()


def _bytes(batch: Any) -> bytes:
    return repr(batch).encode("utf-8", "replace")


__all__ = ["SCHEMA_FILE", "Schema", "fingerprint"]
