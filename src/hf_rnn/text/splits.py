# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Names of splits, and the choice of training rows for a validation split and a test split."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..utils.errors import DataError
from .arguments import DataArguments
from .encodings import stem_of

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)

# Standard name of a split by its name in files, folders and tables.
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "eval", "evaluation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def split_of(path: Path) -> str:
    """Return the split of a file: `train` for `train-00000-of-00002.csv`, and `validation` for `dev.csv.gz`.

    Args:
        path: Path of the file.
    """
    stem = re.sub(r"-\d{5}-of-\d{5}$", "", stem_of(path))
    return SPLITS.get(stem.lower(), stem)


def choose_split(splits: Mapping[str, Any], names: Sequence[str] | str) -> str | None:
    """Return the first of the names that the data set has, or None.

    Args:
        splits: Splits of the data set by their names.
        names: One name or several.
    """
    names = [names] if isinstance(names, str) else names
    return next((name for name in names if name in splits), None)


def split_validation(rows: Dataset, data: DataArguments, stratify_by: str | None) -> tuple[Dataset, Dataset]:
    """Split rows into training and validation rows, with the same share of each class if it has enough rows.

    Args:
        rows: Rows of the training split.
        data: Settings; `validation_size`, `validation_from` and `seed` are read.
        stratify_by: Column of class indices; None for a random split without classes. Not read if the validation rows
            are the last ones.

    Returns:
        The training rows and the validation rows, each in the order of `rows`.

    Raises:
        DataError: `validation_size` is not between 0 and 1, or there are too few rows.
    """
    from sklearn.model_selection import train_test_split

    share = data.validation_size
    if not 0 < share < 1:
        raise DataError(f"data.validation_size={share} must be a share between 0 and 1, such as 0.1.")
    groups = None if stratify_by is None else np.asarray(rows[stratify_by])
    held_out = max(2, round(share * len(rows)))
    if held_out >= len(rows):
        raise DataError(
            f"{len(rows)} training rows are too few to hold {held_out} out for validation: name a data set of more "
            "rows (a .txt file has one for each line), or one with a validation split, data.validation_split=NAME."
        )
    if data.validation_from == "end":
        return rows.select(range(len(rows) - held_out)), rows.select(range(len(rows) - held_out, len(rows)))
    if groups is None:
        _, validation = train_test_split(np.arange(len(rows)), test_size=held_out, random_state=data.seed, shuffle=True)
    else:
        validation = _validation_of_classes(groups, held_out, data.seed)
    return rows.select(np.setdiff1d(np.arange(len(rows)), validation)), rows.select(np.sort(validation))


def _validation_of_classes(groups: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return the indices of validation rows, with the same share of each class if it has enough rows.

    Args:
        groups: Class of each row, shape [N].
        count: Number of validation rows. There may be up to twice as many, so that each class has one.
        seed: Seed of the random choice.
    """
    from sklearn.model_selection import train_test_split

    _, groups, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    can_be_in_both = sizes >= 2
    several, rows = int(can_be_in_both.sum()), np.flatnonzero(can_be_in_both[groups])
    of_all = max(count, several)
    # With many small classes, a row of each would leave too few rows to train on.
    if several and of_all <= min(2 * count, len(rows) - several):
        _, places = train_test_split(rows, test_size=of_all, random_state=seed, stratify=groups[rows], shuffle=True)
    else:
        logger.warning(
            f"{several} of {len(sizes)} classes have two rows or more: {count} validation rows cannot keep the "
            "proportions of the classes; they are drawn at random, and each class keeps a training row."
        )
        places = _without_last_of_a_class(groups, count, seed)
    single = len(sizes) - several
    if single:
        logger.warning(f"{single} of {len(sizes)} classes have a single row, which stays in the training split.")
    # Rounding may leave a small class without a validation row.
    lacking = np.setdiff1d(np.flatnonzero(can_be_in_both), groups[places])
    if len(places) + len(lacking) > 2 * count:
        return places
    order = np.random.RandomState(seed).permutation(len(groups))
    return np.concatenate([places, *(order[groups[order] == each][:1] for each in lacking)]).astype(int)


def _without_last_of_a_class(groups: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return the indices of random rows. The last row of each class is taken only if no other rows are left.

    Args:
        groups: Class index of each row, shape [N].
        count: Number of rows to choose.
        seed: Seed of the random choice.
    """
    order = np.random.RandomState(seed).permutation(len(groups))
    is_last = np.zeros(len(groups), bool)
    is_last[np.unique(groups[order], return_index=True)[1]] = True
    return np.concatenate([order[~is_last], order[is_last]])[:count]


def split_test(
    rows: Dataset, data: DataArguments, classes: Sequence[Collection[str] | None] | None, single: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the training rows and of the test rows, in ascending order.

    If each row has one class, the random test rows contain the same share of each class, and at least one row of it.

    Args:
        rows: Rows of the training split.
        data: Settings; `test_size`, `validation_from` and `seed` are read.
        classes: Classes of each row; None in place of them for a row without a label, which stays in training. None
            for rows without classes.
        single: True if each row has one class.

    Raises:
        DataError: `test_size` is not between 0 and 1, or leaves no training row, or no training row of a class.
    """
    share = data.test_size
    if share is None or not 0 < share < 1:
        raise DataError(f"data.test_size={share} must be a share between 0 and 1, such as 0.1.")
    labelled = [place for place in range(len(rows)) if classes is None or classes[place] is not None]
    count = max(1, round(share * len(labelled)))
    if len(labelled) - count < 1:
        raise DataError(
            f"data.test_size={share} leaves no training row of the {len(labelled)} rows of {data.path!r}: write a "
            "smaller one, such as data.test_size=0.1, or use a data set of more rows."
        )
    # `hf-rnn evaluate` draws the same rows again, and RandomState gives the same numbers in all releases of numpy.
    order = np.asarray(labelled)
    if data.validation_from == "random":
        order = np.random.RandomState(data.seed).permutation(order)
    if classes is not None and single and data.validation_from == "random":
        test = of_each_class(order, [next(iter(classes[place] or ())) for place in order], share, count)
    else:
        test = order[-count:]
    if classes is not None:
        _check_classes(classes, test, data)
    return np.setdiff1d(np.arange(len(rows)), test), np.sort(test)


def of_each_class(order: np.ndarray, classes: Sequence[str], share: float, count: int) -> np.ndarray:
    """Return the first rows of each class in `order`: its share, and at least one; `count` rows in all if possible.

    Args:
        order: Indices of the rows in the order of preference.
        classes: Class of each row of `order`.
        share: Share of the rows of each class.
        count: Number of rows in all. There are more if each class would have none.
    """
    names, which, sizes = np.unique(np.asarray(classes), return_inverse=True, return_counts=True)
    taken = np.maximum(1, np.floor(share * sizes)).astype(int)
    more = max(0, count - int(taken.sum()))
    taken[np.argsort(taken - share * sizes, kind="stable")[:more]] += 1
    return np.concatenate([order[which == each][: taken[each]] for each in range(len(names))])


def _check_classes(classes: Sequence[Collection[str] | None], test: np.ndarray, data: DataArguments) -> None:
    """Raise [`DataError`] for a class without a training row; log a warning for classes without a test row."""
    rows = Counter(name for of_row in classes for name in of_row or ())
    tested = Counter(name for place in test.tolist() for name in classes[place] or ())
    for name, count in rows.items():
        if tested[name] < count:
            continue
        if count == 1:
            raise DataError(
                f"the class {name!r} of {data.path!r} has 1 row, which cannot be both in the training split and in "
                f"the test split of data.test_size={data.test_size}: give the class more rows, take the row out, or "
                "write data.test_size=None."
            )
        less = "data.test_size=0.1" if (data.test_size or 0) > 0.1 else "another data.seed"
        if data.validation_from == "end":
            less = "data.validation_from='random'"
        raise DataError(
            f"data.test_size={data.test_size} leaves no training row of the class {name!r} of {data.path!r}, which "
            f"has {count} rows: write {less}."
        )
    missing = [name for name in rows if name not in tested]
    if missing:
        logger.warning(f"the test split has no row of the class {', '.join(map(repr, missing[:10]))}.")


__all__ = ["SPLITS", "choose_split", "of_each_class", "split_of", "split_test", "split_validation"]
