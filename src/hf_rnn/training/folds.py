# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Rows of a cross-validation, and their division into folds."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..tasks import task_class
from ..text.columns import check_column
from ..text.labels import MULTI, SINGLE
from ..text.loading import load
from ..text.schema import fingerprint
from ..utils.errors import DataError
from ..utils.output import hushed
from .rows import row_name
from .run_config import RunConfig

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

logger = logging.getLogger(__name__)

# Keys of the data section that the rows of all folds share.
_DECIDED = ("text_column", "text_pair_column", "label_column", "label_separator")
# Maximum number of classes that a warning names.
_NAMED = 5


@dataclass
class FoldRows:
    """Labelled rows that a cross-validation divides: all rows of the data set except those of the test split.

    Args:
        task: Task of the run, which has learnt the labels.
        raw: Rows as read, one after the other: those of the training split, then those of the validation split.
        places: Indices in `raw` of the rows that have a label, ascending, `[N]`.
        labelled: The N rows with a label, as the task prepares them.
        names: Names of the N rows.
        unlabelled: Splits of which only the texts are read.
        splits: Names of the splits that the rows come from.
        has_test: True if the data set has a test split, or `data.test_size` makes one.
        groups: Group of each of the N rows; None for folds of single rows.
        values: Values of the data section, by key, that apply to each fold.
    """

    task: Any
    raw: Dataset
    places: np.ndarray
    labelled: Dataset
    names: list[str]
    unlabelled: dict[str, Dataset]
    splits: list[str]
    has_test: bool
    groups: np.ndarray | None
    values: dict[str, Any]

    @classmethod
    def read(cls, run: RunConfig, source: Any) -> FoldRows:
        """Read the rows of a run.

        Args:
            run: Configuration of the run.
            source: Rows in memory that replace `data.path`; None to read `data.path`.

        Raises:
            DataError: The rows, their labels or their groups cannot be read.
        """
        from datasets import DatasetDict, concatenate_datasets

        whole: Any = task_class(run.task)(run.data)
        splits = whole.hold_out_test(load(run.data, source=source, tagged=whole.tagged))
        used = [name for name in whole.chosen_splits(splits) if name is not None]
        raw = _joined(splits, used, run.data.path)
        raw.info.description = splits[used[0]].info.description
        values: dict[str, Any] = {"train_split": "train", "validation_split": [], "test_split": None, "test_size": None}
        task: Any = task_class(run.task)(replace(run.data, **values, unlabelled_splits=[]))
        alone = DatasetDict(train=raw)
        with hushed():  # Each fold holds its own validation rows out.
            prepared = task.prepare(alone)
        places = np.concatenate([task.row_numbers[split][1] for split in ("train", "validation")])
        order = np.argsort(places)
        schema = task.schema(alone, prepared)
        decided = schema.applied(run.data)
        values |= {key: getattr(decided, key) for key in _DECIDED} | {"problem_type": schema.problem_type}
        numbers = [(name, number) for name in used for number in _numbers(whole, splits, name)]
        return cls(
            task=task,
            raw=raw,
            places=places[order],
            labelled=concatenate_datasets([prepared["train"], prepared["validation"]]).select(order),
            names=[row_name(*numbers[place]) for place in places[order]],
            unlabelled={name: splits[name] for name in run.data.unlabelled_splits if name in splits},
            splits=used,
            has_test=whole.data.test_split in splits,
            groups=_groups(raw, places[order], run, [row_name(*each) for each in numbers]),
            values=values | {"group_column": None},
        )

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def labels(self) -> np.ndarray:
        """The labels of the rows: class indices `[N]`, 0 and 1 `[N, C]`, or values `[N]`."""
        return np.asarray(self.labelled["labels"])

    def texts(self) -> dict[str, list[str]]:
        """Return the columns of texts by name: `text` and, for pairs, `text_pair`."""
        return {name: list(self.labelled[name]) for name in ("text", "text_pair") if name in self.labelled.features}

    def training_rows(self, which: np.ndarray) -> dict[str, Dataset]:
        """Return the splits that the run of a fold reads.

        Args:
            which: True for each of the N rows that the run trains on.
        """
        return {"train": self.raw.select(self.places[which]), **self.unlabelled}

    def fingerprint(self) -> str:
        """Return a hash of the rows, of their labels and of their groups."""
        columns: Any = {"rows": self.labelled}
        names = [*self.task.label_names, *([] if self.groups is None else map(str, self.groups))]
        return fingerprint(columns, names)


def _joined(splits: DatasetDict, names: list[str], path: str) -> Dataset:
    """Return the rows of some splits as one data set."""
    from datasets import concatenate_datasets

    try:
        return concatenate_datasets([splits[name] for name in names])
    except (ValueError, TypeError) as error:
        raise DataError(
            f"the splits {' and '.join(names)} of {path!r} have columns of different types, and a cross-validation "
            "divides the rows of both: give them the same columns, or leave one out, data.validation_split=[]."
        ) from error


def _numbers(task: Any, splits: DatasetDict, name: str) -> list[int]:
    """Return the number in the data set of each row of a split, of which the test split may have taken some."""
    _, numbers = task.row_numbers.get(name, (name, np.arange(len(splits[name]))))
    return numbers.tolist()


def _groups(raw: Dataset, places: np.ndarray, run: RunConfig, names: list[str]) -> np.ndarray | None:
    """Return the group of each row with a label; None if the run names no column of groups."""
    column = run.data.group_column
    if column is None:
        return None
    check_column(raw, "group_column", run.data)
    values = raw[column][:]
    missing = next(
        (place for place in places.tolist() if values[place] is None or not str(values[place]).strip()), None
    )
    if missing is not None:
        raise DataError(
            f"data.group_column={column!r} of {run.data.path!r} is empty in {names[missing]}: give each row with a "
            "label a group, such as a number of its own."
        )
    return np.asarray([str(values[place]).strip() for place in places.tolist()])


def splitter_of(rows: FoldRows, run: RunConfig) -> Any:
    """Return the splitter of scikit-learn that divides the rows.

    Classes keep their proportions if each row has one class. With `data.validation_from='end'`, folds are not
    shuffled.

    Args:
        rows: Rows to divide.
        run: Configuration of the run.
    """
    from sklearn import model_selection

    drawn = run.data.validation_from == "random"
    shuffled: dict[str, Any] = {"shuffle": True, "random_state": run.data.seed} if drawn else {}
    single = rows.task.problem_type == SINGLE
    if rows.groups is None:
        splitter = model_selection.StratifiedKFold if single else model_selection.KFold
        return splitter(run.cross_validate, **shuffled)
    if single:
        return model_selection.StratifiedGroupKFold(run.cross_validate, **shuffled)
    # GroupKFold balances the sizes of the folds. Before scikit-learn 1.6 it cannot shuffle.
    return model_selection.GroupKFold(run.cross_validate)


def assign_folds(rows: FoldRows, run: RunConfig) -> np.ndarray:
    """Return the fold of each row, from 0, `[N]`.

    Args:
        rows: Rows to divide.
        run: Configuration of the run.

    Raises:
        DataError: There are more folds than rows, than rows of a class or than groups; or all rows of a class are in
            one fold.
    """
    _check_sizes(rows, run)
    labels = rows.labels
    fold_of = np.empty(len(rows), dtype=int)
    of_class = labels if rows.task.problem_type == SINGLE else None
    for fold, (_, held_out) in enumerate(splitter_of(rows, run).split(np.zeros(len(rows)), of_class, rows.groups)):
        fold_of[held_out] = fold
    _check_classes(rows, run, fold_of)
    return fold_of


def _check_sizes(rows: FoldRows, run: RunConfig) -> None:
    """Raise [`DataError`] for more folds than rows, than groups, or than rows of a class."""
    folds, path = run.cross_validate, run.data.path
    if len(rows) < folds:
        raise DataError(
            f"cross_validate={folds} needs {folds} rows or more, and {path!r} has {len(rows)}: write fewer folds."
        )
    if rows.groups is not None and (count := len(set(rows.groups))) < folds:
        advice = f"write cross_validate={count}" if count > 1 else "name another column"
        raise DataError(
            f"cross_validate={folds} needs {folds} groups or more, and the column {run.data.group_column!r} of "
            f"{path!r} has {count}: {advice}."
        )
    if rows.task.problem_type == SINGLE:
        label, count = min(Counter(rows.labels.tolist()).items(), key=lambda item: item[1])
        if count < folds:
            remedy = f"write cross_validate={count}, or " if count > 1 else ""
            raise DataError(
                f"cross_validate={folds} needs {folds} rows or more of each class, and the class "
                f"{rows.task.label_names[label]!r} of {path!r} has {count}: {remedy}give it more rows or leave it out."
            )


def _check_classes(rows: FoldRows, run: RunConfig, fold_of: np.ndarray) -> None:
    """Raise [`DataError`] for an empty fold, or a class in one fold only; warn of folds without a row of a class."""
    what = "folds" if rows.groups is None else "folds or groups"
    for fold in range(run.cross_validate):
        if not (fold_of == fold).any():
            raise DataError(
                f"cross_validate={run.cross_validate} leaves fold {fold + 1} without rows: write fewer folds."
            )
    counts = _counts(rows, fold_of, run.cross_validate)
    for name, of_class in zip(rows.task.label_names, counts.T, strict=True) if counts.size else ():
        if np.count_nonzero(of_class) == 1:
            raise DataError(
                f"all {of_class.sum()} rows of the class {name!r} of {run.data.path!r} are in fold "
                f"{of_class.argmax() + 1}, whose model would not know it: give the class rows in other {what}, leave "
                "it out, or write another data.seed."
            )
    for fold, of_fold in enumerate(counts):
        of_class = zip(rows.task.label_names, of_fold, counts.sum(0), strict=True) if counts.size else ()
        if missing := [name for name, here, in_all in of_class if in_all and not here]:
            more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
            logger.warning(
                f"fold {fold + 1} has no row of the class {', '.join(map(repr, missing[:_NAMED]))}{more}, "
                "which counts as 0 in the macro F1 of this fold."
            )


def _counts(rows: FoldRows, fold_of: np.ndarray, folds: int) -> np.ndarray:
    """Return the number of rows of each class in each fold, `[folds, C]`; an empty array for a regression."""
    labels = rows.labels
    if rows.task.problem_type == SINGLE:
        labels = np.eye(len(rows.task.label_names))[labels]
    elif rows.task.problem_type != MULTI:
        return np.empty((folds, 0))
    return np.stack([labels[fold_of == fold].sum(0) for fold in range(folds)]).astype(int)


__all__ = ["FoldRows", "assign_folds", "splitter_of"]
