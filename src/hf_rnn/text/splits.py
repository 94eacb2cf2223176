# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The names of splits, and the rows that are held out for validation."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..utils.errors import UserError
from .arguments import DataArguments
from .encodings import stem_of

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)

# Names of splits in files, folders and tables, and the names that they get.
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "eval", "evaluation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def split_of(path: Path) -> str:
    """Return the split of a file: `train-00000-of-00002.csv` is a piece of `train`, and `dev.csv.gz` of `validation`.

    Args:
        path: of the file.
    """
    stem = re.sub(r"-\d{5}-of-\d{5}$", "", stem_of(path))
    return SPLITS.get(stem.lower(), stem)


def choose_split(splits: Mapping[str, Any], names: Sequence[str] | str) -> str | None:
    """Return the first of the names that the data set has, or None.

    Args:
        splits: of the data set.
        names: one, or several.
    """
    names = [names] if isinstance(names, str) else names
    return next((name for name in names if name in splits), None)


def split_validation(rows: Dataset, data: DataArguments, stratify_by: str | None) -> tuple[Dataset, Dataset]:
    """Divide rows into training and validation rows, each class in its proportion if it has rows enough.

    Args:
        rows: the training split.
        data: its `validation_size`, `validation_from` and `seed`.
        stratify_by: column of integers, or None for a plain random split.
    """
    from sklearn.model_selection import train_test_split

    share = data.validation_size
    if not 0 < share < 1:
        raise UserError(f"data.validation_size={share} must be a share between 0 and 1, such as 0.1.")
    groups = None if stratify_by is None else np.asarray(rows[stratify_by])
    held_out = max(2, round(share * len(rows)))
    if groups is not None:
        classes, counts = np.unique(groups, return_counts=True)
        held_out = max(held_out, len(classes))
        if counts.min() < 2 or held_out > len(rows) - len(classes):
            logger.warning("a class has too few rows to stand in both splits: the validation split is plain random.")
            groups = None
    if held_out >= len(rows):
        raise UserError(
            f"{len(rows)} training rows are too few to hold {held_out} out for validation: name a data set of more "
            "rows (a .txt file has one for each line), or one with a validation split, --data.validation_split NAME."
        )
    if data.validation_from == "end":
        return rows.select(range(len(rows) - held_out)), rows.select(range(len(rows) - held_out, len(rows)))
    train, validation = train_test_split(
        np.arange(len(rows)), test_size=held_out, random_state=data.seed, stratify=groups, shuffle=True
    )
    return rows.select(np.sort(train)), rows.select(np.sort(validation))


__all__ = ["SPLITS", "choose_split", "split_of", "split_validation"]
