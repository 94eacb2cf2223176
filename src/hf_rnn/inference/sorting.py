# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Answers with their uncertainty, and the rows of a file sorted by it."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from ..runtime.answers import MULTI, abstaining
from ..runtime.batching import TEXTS_AT_ONCE
from ..utils.errors import HfRnnError, check_choice
from .predictor import Predictor
from .uncertainty import DISAGREEMENT, SORTS, uncertainty


def check_sort(predictor: Predictor, sort: str) -> None:
    """Raise [`HfRnnError`] if the answers of a model cannot be sorted.

    Args:
        predictor: Trained model.
        sort: Measure of uncertainty.
    """
    check_choice("sort", sort, SORTS)
    if not predictor.has_scores:
        raise HfRnnError(
            f"sort={sort!r} needs probabilities of labels, which only a text classifier gives, and this model is for "
            f"{predictor.task.problem_type}: leave it out."
        )
    if sort == DISAGREEMENT and not predictor.others:
        raise HfRnnError(
            f"sort={sort!r} compares several models: name the others too, such as others=['MODEL'], trained on the "
            "same rows with another training.seed; or write sort='margin'."
        )


def numbered_answers(
    predictor: Predictor,
    texts: list,
    sort: str,
    first: int,
    *,
    top_k: int | None,
    min_score: float,
    batch_tokens: int,
) -> Iterator[dict]:
    """Yield the answer to each text, with its `uncertainty` and the number of its `row`.

    Args:
        predictor: Trained model.
        texts: Texts, or pairs of texts.
        sort: Measure of uncertainty.
        first: Number of the first row.
        top_k: Number of labels in an answer; None or 0 for all.
        min_score: Least score of a label in an answer.
        batch_tokens: Maximum number of tokens in a batch, padding included.
    """
    task: Any = predictor.task
    members = [predictor]
    if sort == DISAGREEMENT:
        members = [replace(predictor, model=model, others=()) for model in (predictor.model, *predictor.others)]
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        columns = predictor.columns(texts[start : start + TEXTS_AT_ONCE])
        _, ids = task.read_and_cut(predictor.tokenizer, *columns)
        logits = [each.logits(ids, batch_tokens) for each in members]
        scores = np.stack([task.scores(of_model) for of_model in logits])
        values = uncertainty(scores if sort == DISAGREEMENT else scores[0], sort, task.problem_type == MULTI)
        answers = task.answers(np.mean(logits, 0), top_k or None)
        for row, (answer, value) in enumerate(zip(answers, values.tolist(), strict=True), first + start):
            yield {**abstaining(answer, min_score), "uncertainty": value, "row": row}


def sort_parts(parts: Sequence[Path], file: Path) -> Path:
    """Write the rows of all parts into one file, the least certain first, and return its path.

    Memory holds the uncertainty and the place of each row, about 30 bytes, and one row at a time. Rows of the same
    uncertainty keep their order.

    Args:
        parts: JSON Lines files, in the order of their rows.
        file: JSON Lines file to write.
    """
    values, starts = array("d"), array("q")
    with TemporaryFile(dir=file.parent) as lines, file.open("wb") as sorted_lines:
        for part in parts:
            with part.open("rb") as rows:
                for row in rows:
                    values.append(json.loads(row)["prediction"]["uncertainty"])
                    starts.append(lines.tell())
                    lines.write(row)
        for place in np.argsort(-np.array(values), kind="stable"):
            lines.seek(starts[place])
            sorted_lines.write(lines.readline())
    return file


__all__ = ["check_sort", "numbered_answers", "sort_parts"]
