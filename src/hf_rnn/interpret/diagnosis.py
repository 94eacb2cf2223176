# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Diagnosis of a saved model: the gradient flow on texts of a data set."""

from collections.abc import Collection

import numpy as np
import torch
from datasets import Dataset

from ..inference.evaluation import labelled_rows
from ..inference.predictor import Predictor
from ..text.arguments import DataArguments
from ..utils.errors import HfRnnError
from .gradient_flow import GradientFlow, check_measurable, measure_gradient_flow

# The maximum numbers of texts in a measurement, of tokens per text, and of rows that the texts are chosen from.
ROWS, STEPS, SAMPLE = 32, 200, 1000


def diagnose(
    predictor: Predictor,
    data: DataArguments,
    split: str | None = None,
    rows: int = ROWS,
    steps: int = STEPS,
    given: Collection[str] | None = None,
) -> GradientFlow:
    """Measure the [`GradientFlow`] of a saved model on texts of a labelled data set.

    Args:
        predictor: Predictor with a text classifier or a language model.
        data: Data section with the path and the columns of the data set.
        split: Name of the split. None selects the only split; or else the test split, the validation split, or the
            first split, whichever exists first.
        rows: Maximum number of texts.
        steps: Maximum number of tokens of each text.
        given: Keys of column settings whose columns must exist, as in [`~hf_rnn.inference.evaluation.evaluate`].

    Raises:
        HfRnnError: The model is of another class, no text has a token, or the data cannot be read (see
            [`~hf_rnn.inference.evaluation.evaluate`]).
    """
    check_measurable(predictor.model)
    splits, task = labelled_rows(predictor, data, split, given)
    if split is None and len(splits) > 1:
        wanted = (data.test_split, data.validation_split)
        split = next((name for name in (*wanted, *splits) if name in splits), None)
    encoded = task.encode(_sample(task.prepare_split(splits, split)), predictor.tokenizer)
    batch = flow_batch(encoded, task.problem_type == "language_modeling", rows, steps)
    device = predictor.model.device
    ids, labels = (torch.tensor(batch[name], device=device) for name in ("input_ids", "labels"))
    return measure_gradient_flow(predictor.model, ids, labels)


def flow_batch(rows: Dataset, language_model: bool, count: int = ROWS, steps: int = STEPS) -> dict[str, list]:
    """Return the last T tokens of some of the longest texts: `input_ids` `[B, T]` and `labels` `[B]`.

    Args:
        rows: Encoded rows, as `task.encode` returns them.
        language_model: True if the last token of each text is its label; False if the rows have `labels`.
        count: Maximum number of texts, B.
        steps: Maximum number of tokens of each text, T.

    Raises:
        HfRnnError: No text has a token.
    """
    rows = _sample(rows)
    texts = [list(ids) for ids in rows["input_ids"]]
    order = sorted(range(len(texts)), key=lambda n: -len(texts[n]))[:count]
    more = 1 if language_model else 0
    T = min(steps, max((len(texts[n]) - more for n in order), default=0))
    if T < 1:
        raise HfRnnError(f"none of {len(texts)} texts has a token to follow a gradient through: name other data.")
    # T is at most the length of the eighth longest text: long texts show more, but one text is not enough for a mean.
    T = min(T, max(1, len(texts[order[min(len(order), 8) - 1]]) - more))
    order = [n for n in order if len(texts[n]) >= T + more]
    if language_model:
        return {"input_ids": [texts[n][-T - 1 : -1] for n in order], "labels": [texts[n][-1] for n in order]}
    labels = rows["labels"]
    return {"input_ids": [texts[n][-T:] for n in order], "labels": [labels[n] for n in order]}


def _sample(rows: Dataset) -> Dataset:
    return rows.select(np.linspace(0, len(rows) - 1, min(len(rows), SAMPLE)).astype(int))


__all__ = ["ROWS", "STEPS", "diagnose", "flow_batch"]
