# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Answers of a saved model: for texts, for a file, and against the labels of a data set."""

import json
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .data import DataArguments, check_column, choose_text, load
from .errors import UserError, looks_local
from .hub import download
from .model_folder import check_model
from .run_config import read_run
from .tasks import Task, task_class
from .tokenization import load_tokenizer

CHUNK = 4096


@dataclass
class Predictor:
    """A trained model with its tokenizer and its task: texts in, answers out.

    ```python
    >>> predictor = Predictor.from_pretrained("runs/imdb")
    >>> predictor(["What a film!"])
    [{'label': 'pos', 'score': 0.98}]
    ```
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    task: Task

    @classmethod
    def from_pretrained(cls, path: str | Path, device: str | None = None, **kwargs) -> "Predictor":
        """Loads a model folder, or a model from the Hub.

        Args:
            path: folder or Hub id.
            device: such as `"cuda"`; a GPU where there is one if None.
            kwargs: of `from_pretrained`, such as `revision`.

        Raises:
            UserError: it is not there, not a model of ours, or its files do not fit one another.
        """
        path, folder = str(path), Path(path)
        where = {
            name: kwargs.pop(name) for name in ("revision", "token", "cache_dir", "local_files_only") if name in kwargs
        }
        if not folder.is_dir():
            if looks_local(path):
                raise UserError(f"there is no folder {path!r}: name the output_dir of a training run that ended.")
            folder = download(path, **where)
        config = check_model(folder, path)
        task_name, data = read_run(folder)
        task = task_class(task_name)(data, config)
        model: Any = task.model_class.from_pretrained(folder, config=config, **kwargs)
        tokenizer = load_tokenizer(str(folder))
        model.eval().to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        return cls(model, tokenizer, task)

    def __call__(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, batch_size: int = 64, top_k: int | None = 1
    ) -> list[dict]:
        """
        Args:
            texts: strings, of any length.
            pairs: as many second texts, for a model of pairs.
            batch_size: texts that are read at once.
            top_k: as in the task's `answers`.

        Returns:
            For each text, in order, what the task's `answers` gives.
        """
        if isinstance(texts, str):
            raise UserError("texts is one string: pass a list of texts, predictor([text]).")
        if not len(texts):
            return []
        columns = {"text": texts} if pairs is None else {"text": texts, "text_pair": pairs}
        rows = Dataset.from_dict(
            {name: ["" if text is None else str(text) for text in column] for name, column in columns.items()}
        )
        return self.task.answers(self.logits(self.task.encode(rows, self.tokenizer), batch_size), top_k)

    @torch.inference_mode()
    def logits(self, rows: Dataset, batch_size: int = 64) -> np.ndarray:
        """Logits `[N, C]` of encoded rows, in their order; rows of similar length are read together."""
        rows = rows.remove_columns([c for c in rows.column_names if c not in ("input_ids", "length")])
        collate = self.task.collator(self.tokenizer)
        order = np.argsort(rows["length"], kind="stable")
        logits = np.empty((len(rows), self.model.config.num_labels), dtype=np.float32)
        for start in range(0, len(rows), batch_size):
            places = order[start : start + batch_size]
            batch = collate([rows[int(place)] for place in places])
            batch = {name: tensor.to(self.model.device) for name, tensor in batch.items()}
            logits[places] = self.model(**batch).logits.float().cpu().numpy()
        return logits


def _own_columns(data: DataArguments, rows: Dataset, given: Collection[str]) -> DataArguments:
    """Columns that were named in training are looked for in other data too, but need not be called so there."""
    missing = [
        key
        for key in ("text_column", "label_column")
        if key not in given and getattr(data, key) not in (None, *rows.column_names)
    ]
    return replace(data, **dict.fromkeys(missing))


def evaluate(
    predictor: Predictor,
    data: DataArguments,
    split: str | None = None,
    batch_size: int = 64,
    given: Collection[str] = ("text_column", "label_column"),
) -> dict:
    """Metrics of a model on a labelled data set.

    Args:
        predictor: the model.
        data: where the rows are.
        given: columns in `data` that must be there; others are found anew where they are not.
        split: of the data set; its only one, or the test split, if None.
        batch_size: rows that are read at once.

    Raises:
        UserError: see `data.load` and the task's `prepare_split`.
    """
    splits = load(data)
    task = predictor.task.with_data(_own_columns(data, next(iter(splits.values())), given))
    rows = task.encode(task.prepare_split(splits, split), predictor.tokenizer)
    logits = predictor.logits(rows, batch_size)
    return {"rows": len(rows), **task.metrics(logits, np.asarray(rows["labels"]))}


def predict_file(
    predictor: Predictor,
    data: DataArguments,
    output: Path,
    batch_size: int = 64,
    top_k: int | None = 1,
    given: Collection[str] = ("text_column",),
) -> int:
    """Writes one JSON line per row of a file: its columns, and the answer as `prediction`. The output appears when it
    is whole.

    Returns:
        The number of rows.
    """
    splits = load(data)
    if len(splits) > 1:
        raise UserError(f"{data.path!r} has the splits {', '.join(splits)}: name one file.")
    rows = splits[next(iter(splits))]
    data = _own_columns(data, rows, given)
    predictor = replace(predictor, task=predictor.task.with_data(data))
    text, pair = choose_text(rows, data), data.text_pair_column
    check_column(rows, "text_pair_column", data)
    writing = output.with_name(output.name + ".part")
    with writing.open("w", encoding="utf-8") as lines:
        for row, answer in zip(rows, _answers(predictor, rows, text, pair, batch_size, top_k), strict=True):
            lines.write(json.dumps({**row, "prediction": answer}, ensure_ascii=False, default=str) + "\n")
    os.replace(writing, output)
    return len(rows)


def _answers(
    predictor: Predictor, rows: Dataset, text: str, pair: str | None, batch_size: int, top_k: int | None
) -> Iterator[dict]:
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        yield from predictor(chunk[text], chunk[pair] if pair else None, batch_size, top_k)


__all__ = ["Predictor", "evaluate", "predict_file"]
