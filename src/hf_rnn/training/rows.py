# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Names of rows and of their labels, as the tables of a run write them."""

from __future__ import annotations

from typing import Any

from ..tasks.text_task import EXAMPLE_LENGTH
from ..text.labels import MULTI, REGRESSION


def row_name(split: str, number: int) -> str:
    """Return the name of a row: its number, from 1, and the split of the data set that it was read from.

    Args:
        split: Split of the data set.
        number: Index of the row in the split, from 0.
    """
    return f"row {number + 1} of {split}"


def label_name(task: Any, label: Any) -> str:
    """Return the label of a row as text: its name, its names with | between them, or its value.

    Args:
        task: Task of a text classifier.
        label: Class index, 0 and 1 for each label, or a value.
    """
    if task.problem_type == REGRESSION:
        return f"{label:.6g}"
    if task.problem_type == MULTI:
        return "|".join(name for name, holds in zip(task.label_names, label, strict=True) if holds)
    return task.label_names[int(label)]


def short(text: str) -> str:
    """Return a text, truncated to twice the length of an example.

    Args:
        text: Text of a row.
    """
    return text if len(text) <= 2 * EXAMPLE_LENGTH else text[: 2 * EXAMPLE_LENGTH - 1] + "…"


__all__ = ["label_name", "row_name", "short"]
