# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Prediction for a whole file, by one or several processes; an interrupted prediction can be continued."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from ..runtime.answers import check_min_score
from ..runtime.batching import TEXTS_AT_ONCE
from ..text.arguments import DataArguments
from ..text.batching import BATCH_TOKENS
from ..text.columns import SAMPLE, text_of, value_at
from ..text.formats import looks_tagged
from ..text.loading import open_alone
from ..text.sources import reading
from ..text.tables import collect, tables_of
from ..utils.errors import HfRnnError
from ..utils.processes import is_one_of_several, join_after_restart
from .answer_files import check_format, write_answers
from .columns import own_columns, text_columns
from .onnx_model import OnnxModel
from .predictor import Predictor
from .sorting import check_sort, numbered_answers, sort_parts

logger = logging.getLogger(__name__)

# The number of rows that are answered and written together. A process that dies loses at most these.
PART = 16384
JOB = "job.json"
COLUMNS = ("text_column", "text_pair_column")


@dataclass
class OpenFile:
    """A file whose rows a model answers.

    Args:
        predictor: Trained model, with the columns of the file.
        rows: Rows of the file, which are read one after the other.
        columns: Names of the columns of texts.
        all_columns: Names of the columns of the first rows.
    """

    predictor: Predictor
    rows: Any
    columns: list[str]
    all_columns: list[str]

    @classmethod
    def of(cls, predictor: Predictor, data: DataArguments, given: Collection[str]) -> OpenFile:
        """Open a file, and find its columns.

        Args:
            predictor: Trained model.
            data: Same as in [`predict_file`].
            given: Same as in [`predict_file`].

        Raises:
            HfRnnError: The file has several splits, no rows or no such column.
        """
        data = replace(data, streaming=False)
        tagged = predictor.task.tagged and Path(data.path).is_file() and looks_tagged(Path(data.path), data.encoding)
        found = open_alone(data, tagged)
        if found.described():
            logger.info(f"{data.path}: {found.described()}.")
        with reading(data):
            sample = collect(tables_of(islice(found.rows(), SAMPLE)))
        if not len(sample):
            raise HfRnnError(f"the data set {data.path!r} has no rows.")
        names, sample = sample.column_names, sample.flatten()
        of_training, task = predictor.task.data, predictor.task.with_data(data)
        named = {*given, *(key for key in COLUMNS if getattr(data, key) != getattr(of_training, key))}
        task = task.with_data(own_columns(task, sample, named))
        columns = text_columns(task, sample)
        logger.info(f"{data.path}: the text is read from {' and '.join(map(repr, columns))}.")
        return cls(replace(predictor, task=task), found, columns, names)

    def texts(self, rows: list[dict]) -> list[Any]:
        """Return the texts of some rows, or pairs of texts.

        Args:
            rows: Rows of the file.

        Raises:
            HfRnnError: A row has no text in a column of texts.
        """
        path = self.predictor.task.data.path
        return [
            tuple(text_of(value_at(row, name), f"the column {name!r} of {path!r}") for name in self.columns)
            for row in rows
        ]


def answers_of_file(
    predictor: Predictor,
    data: DataArguments,
    batch_tokens: int = BATCH_TOKENS,
    top_k: int | None = 1,
    given: Collection[str] = (),
    min_score: float = 0.0,
) -> Iterator[tuple[str, dict]]:
    """Yield the text and the answer of each row of a file, in bounded memory.

    Args:
        predictor: Trained model.
        data: Same as in [`predict_file`].
        batch_tokens: Same as in [`predict_file`].
        top_k: Same as in [`predict_file`].
        given: Same as in [`predict_file`].
        min_score: Same as in [`predict_file`].

    Raises:
        HfRnnError: The file has several splits, no rows or no such column; or the least score does not fit the model.
    """
    file = OpenFile.of(predictor, data, given)
    with reading(data):
        rows = file.rows.rows()
        while part := list(islice(rows, TEXTS_AT_ONCE)):
            texts = file.texts(part)
            answers = file.predictor.stream(texts, top_k=top_k, min_score=min_score, batch_tokens=batch_tokens)
            yield from zip((" / ".join(row) for row in texts), answers, strict=True)


def predict_file(
    predictor: Predictor,
    data: DataArguments,
    output: Path,
    batch_tokens: int = BATCH_TOKENS,
    top_k: int | None = 1,
    given: Collection[str] = (),
    overwrite: bool = False,
    part_rows: int = PART,
    min_score: float = 0.0,
    sort: str | None = None,
) -> int:
    """Answer all rows of a file, and write a row for each: its columns, and the answer as `prediction`.

    The rows are answered in parts, which are files in the folder `OUTPUT.parts`. When all parts are there, they are
    joined into the output in the order of the rows, and the folder is deleted. The same call after an interruption
    skips the parts that exist. Several processes (torchrun or accelerate launch) share the work; all of them must see
    the same file system.

    Args:
        predictor: Trained model.
        data: Path, file format and columns of the rows.
        output: File to write: .jsonl, .csv, .tsv or .parquet. In CSV and TSV, the fields of an answer are columns such
            as `prediction.label`.
        batch_tokens: Maximum number of tokens in a batch, padding included.
        top_k: Number of labels in an answer; None for all.
        given: Keys of column settings that were given for this file, such as `text_column`. Their columns must exist.
        overwrite: True to delete the parts of another prediction; False to raise an error.
        part_rows: Number of rows in a part.
        min_score: Least score of a label in an answer of a text classifier; see [`Predictor.__call__`].
        sort: Measure of [`~hf_rnn.inference.uncertainty.uncertainty`] by which the rows are sorted, the least certain
            first, so that people label those. An answer then has its `uncertainty` too, and the number of its `row` in
            the file, from 1. `disagreement` is that of the models of an ensemble. None for the order of the file.

    Returns:
        Number of rows.

    Raises:
        HfRnnError: The file has several splits, no rows, no such column or a column `prediction`; the output has
            another ending; the model has no such measure of uncertainty; or `OUTPUT.parts` holds parts of another
            prediction and `overwrite` is False.
    """
    check_format(output)
    check_min_score(min_score, predictor.has_scores)
    if sort is not None:
        check_sort(predictor, sort)
    file = OpenFile.of(predictor, data, given)
    _check_no_answers(file.all_columns, data.path)
    job = {"rows": file.rows.fingerprint(), "model": _weights(predictor), "columns": file.columns, "top_k": top_k}
    # A job of an older release lacks the last two keys.
    newer = {key: value for key, value in {"min_score": min_score, "sort": sort}.items() if value}
    job |= {"max_length": data.max_length, "part_rows": part_rows, **newer}
    processes = _processes()
    rank, world_size = (processes.process_index, processes.num_processes) if processes else (0, 1)
    parts = output.with_name(output.name + ".parts")
    if rank == 0:
        _claim(parts, job, overwrite)
    if processes:
        processes.wait_for_everyone()
    count, names = 0, []
    with reading(data):
        rows = file.rows.rows()
        while part := list(islice(rows, part_rows)):
            start, count = count, count + len(part)
            names.append(parts / f"{start:012}.jsonl")
            if len(names) % world_size == rank and not names[-1].exists():
                # Rows of JSON may have columns that earlier ones lack.
                _check_no_answers([name for row in part for name in row], data.path)
                how: Any = {"top_k": top_k, "min_score": min_score, "batch_tokens": batch_tokens}
                texts = file.texts(part)
                if sort is None:
                    answers = file.predictor.stream(texts, **how)
                else:
                    answers = numbered_answers(file.predictor, texts, sort, start + 1, **how)
                lines = (_json({**row, "prediction": answer}) for row, answer in zip(part, answers, strict=True))
                _write(names[-1], "".join(f"{line}\n" for line in lines))
    if processes:
        processes.wait_for_everyone()
    if rank == 0:
        write_answers(names if sort is None else [sort_parts(names, parts / "sorted")], output)
        shutil.rmtree(parts)
    return count


def _processes() -> PartialState | None:
    """Return the group of processes if a launcher has started several, else None."""
    if not is_one_of_several():
        return None
    cpu = not torch.accelerator.is_available()
    # A process may have to wait until another one has answered its last part.
    patience = timedelta(days=1)
    join_after_restart("gloo" if cpu else "nccl", patience)
    return PartialState(cpu=cpu, timeout=patience)


def _claim(parts: Path, job: dict, overwrite: bool) -> None:
    """Create the folder of the parts for a job, or check that an existing folder belongs to the same job."""
    file = parts / JOB
    same = file.exists() and json.loads(file.read_text(encoding="utf-8")) == job
    if overwrite and not same:
        shutil.rmtree(parts, ignore_errors=True)
    if file.exists():
        if not same:
            raise HfRnnError(
                f"{str(parts)!r} holds parts of a prediction of other rows, or by another model or with other "
                "options: finish that one first, or write overwrite=True to delete them."
            )
        done = len(list(parts.glob("*.jsonl")))
        logger.info(f"{done} parts of {job['part_rows']:,} rows were answered before; resuming after them.")
        return
    parts.mkdir(parents=True, exist_ok=True)
    _write(file, json.dumps(job))


def _check_no_answers(columns: list[str], path: str) -> None:
    taken = next((name for name in columns if name.partition(".")[0] == "prediction"), None)
    if taken is not None:
        raise HfRnnError(f"{path!r} has a column {taken!r}, which the answers would replace: give it another name.")


def _json(row: dict) -> str:
    """Return a row as JSON, with null for NaN and infinity, which JSON does not have."""
    try:
        return json.dumps(row, ensure_ascii=False, default=str, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(row), ensure_ascii=False, default=str, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write(file: Path, text: str) -> None:
    """Write a file under a temporary name and rename it, so that the file is never incomplete."""
    unfinished = file.with_name(file.name + ".part")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, file)


def _weights(predictor: Predictor) -> str:
    """Return a hash of the tokenizer, the configurations and the weights of all models of a predictor."""
    digest = hashlib.sha256(predictor.tokenizer.backend_tokenizer.to_str().encode())
    models: Any = (predictor.model, *predictor.others)
    for model in models:
        digest.update(model.config.to_json_string().encode())
        if isinstance(model, OnnxModel):
            digest.update(model.fingerprint().encode())
            continue
        if getattr(model, "generation_config", None) is not None:
            digest.update(model.generation_config.to_json_string().encode())
        for tensor in model.state_dict().values():
            digest.update(tensor.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()


__all__ = ["OpenFile", "answers_of_file", "predict_file"]
