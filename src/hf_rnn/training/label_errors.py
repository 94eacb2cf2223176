# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Rows whose labels are suspected to be wrong, found by cleanlab from the answers of a cross-validation."""

from __future__ import annotations

import csv
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ..text.labels import MULTI
from ..utils.errors import HfRnnError
from .folds import FoldRows
from .rows import label_name, short

# Number of rows that the terminal and the model card show.
SHOWN = 3


def find_label_issues(multi_label: bool) -> Callable[..., Any]:
    """Return the function of cleanlab that finds label errors.

    Args:
        multi_label: True if a text can have several labels.

    Raises:
        HfRnnError: cleanlab is not installed.
    """
    try:
        part = ".multilabel_classification" if multi_label else ""
        return import_module(f"cleanlab{part}.filter").find_label_issues
    except ImportError as error:
        raise HfRnnError(
            'report.label_errors=True needs cleanlab: pip install "hf-rnn[cleanlab]", or leave it out.'
        ) from error


class LabelErrors:
    """Rows with suspected label errors.

    Args:
        header: Names of the columns.
        rows: Fields of each suspected row, the most suspicious first.
    """

    def __init__(self, header: list[str], rows: list[list[str]]):
        self.header, self.rows = header, rows

    @classmethod
    def found(cls, rows: FoldRows, scores: np.ndarray, predicted: np.ndarray, examples: bool) -> LabelErrors:
        """Find the suspected label errors by confident learning (Northcutt et al. 2021).

        Args:
            rows: Rows of the cross-validation.
            scores: Probabilities of the labels of each row, by a model that has not read the row, `[N, C]`.
            predicted: Answers to the rows: class indices `[N]`, or 0 and 1 `[N, C]`.
            examples: True if the texts may be quoted.
        """
        labels, several = rows.labels, rows.task.problem_type == MULTI
        given: Any = labels
        judged = scores
        if several:
            # cleanlab compares each label with its absence, which a label of all rows or of none does not have.
            varies = labels.any(0) & ~labels.all(0)
            given, judged = [np.flatnonzero(row).tolist() for row in labels[:, varies]], scores[:, varies]
        # More processes would import torch again, which takes longer than the search.
        find = find_label_issues(several)
        suspected = find(given, judged, return_indices_ranked_by="self_confidence", n_jobs=1)
        texts = rows.texts() if examples else {}
        found = []
        for place in map(int, suspected):
            # cleanlab does not know thresholds, by which a model may choose a class that is not the most probable one.
            suggested = predicted[place] if several else scores[place].argmax()
            # With several labels, the label that the given ones and the model disagree on most.
            doubt = np.abs(scores[place] - labels[place]).max() if several else scores[place].max()
            names = [label_name(rows.task, label) for label in (labels[place], suggested)]
            found.append([rows.names[place], *(column[place] for column in texts.values()), *names, f"{doubt:.4f}"])
        return cls(["row", *texts, "label", "suggested", "confidence"], found)

    def facts(self) -> dict[str, Any]:
        """Return the number of suspected rows and the first of them, for metrics.json."""
        rows = [dict(zip(self.header, row, strict=True)) for row in self.rows[:SHOWN]]
        return {"rows": len(self.rows), "first": [{name: short(value) for name, value in row.items()} for row in rows]}

    def write(self, file: Path) -> None:
        """Write all suspected rows into a CSV file.

        Args:
            file: File to write.
        """
        with open(file, "w", encoding="utf-8", errors="backslashreplace", newline="") as out:
            csv.writer(out).writerows([self.header, *self.rows])


__all__ = ["LabelErrors", "find_label_issues"]
