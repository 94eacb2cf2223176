# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Training on rows that fit neither memory nor disk: read one after the other, tokenized as they come, without end."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, count, islice
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from datasets import IterableDataset as Rows
from datasets.distributed import split_dataset_by_node
from torch.utils.data import IterableDataset
from transformers import PreTrainedTokenizerBase

from ..tasks import TaskData
from ..text.arguments import DataArguments
from ..text.batching import by_tokens
from ..text.bptt_windows import check_window, window_lengths
from ..text.columns import choose_text, find_columns, named_columns
from ..text.files import Files
from ..text.loading import read_first
from ..text.sources import open_splits, reading
from ..utils.errors import UserError
from .arguments import RNNTrainingArguments

logger = logging.getLogger(__name__)

# Rows among which the next one is drawn, and that are tokenized at once.
SHUFFLED, TOKENIZED = 10_000, 1000
# Batches whose rows are sorted by length together, as transformers' `group_by_length` does.
SORTED = 50


def load_streaming(task: TaskData, args: RNNTrainingArguments) -> tuple[DatasetDict, Rows, DataArguments]:
    """Opens the training split as a stream, and reads the beginnings of all that are needed.

    Returns:
        The first `data.streaming_sample` rows of each split that training needs; the training split; and the task's
        `data`, with the columns that were chosen by its first rows.

    Raises:
        UserError: nothing there can be streamed, there is no such split or none for validation, a setting has no use
            for a stream, or nothing says when the training ends.
    """
    data = task.data
    _check(data, args)
    found = open_splits(data, tagged=task.tagged)
    if any(isinstance(rows, Dataset) for rows in found.values()):
        raise UserError(f"{data.path!r} is read at once: leave data.streaming out.")
    train, validation = task.chosen_splits(found)
    if validation is None:
        raise UserError(
            "a stream has no end of which validation rows could be taken: name another split of "
            f"{', '.join(map(repr, found))} with --data.validation_split, or put a file validation.* beside train.*."
        )
    names = [train, validation, *([data.test_split] if data.test_split in found else [])]
    read = DatasetDict({name: read_first(found[name], data) for name in names})
    if task.problem_type == "language_modeling":
        data = replace(data, text_column=choose_text(read[train], data), label_column=None)
    else:
        columns = find_columns(read[train], data)
        data = replace(data, text_column=columns.text, text_pair_column=columns.text_pair, label_column=columns.label)
        if isinstance(columns.label, str):
            _check_kind(read[train][columns.label], data)
    rows = found[train]
    stream: Any = rows.stream() if isinstance(rows, Files) else rows
    return read, stream, data


def _check(data: DataArguments, args: RNNTrainingArguments) -> None:
    if args.max_steps <= 0:
        raise UserError(
            "data.streaming has no end, and training.max_steps says when training ends: write --training.max_steps "
            "10000 (and --training.eval_strategy steps --training.eval_steps 1000 to evaluate on the way)."
        )
    if data.streaming_sample < 1:
        raise UserError(f"data.streaming_sample={data.streaming_sample} must be 1 or greater, such as 50000.")
    useless = {
        f"data.unlabelled_splits={data.unlabelled_splits}": bool(data.unlabelled_splits),
        f"data.test_size={data.test_size}": data.test_size is not None,
        "training.gradual_unfreezing=True": args.gradual_unfreezing,
        "training.train_sampling_strategy=batch_rebalance": args.train_sampling_strategy == "batch_rebalance",
    }
    for setting, given in useless.items():
        if given:
            raise UserError(f"{setting} has no use where data.streaming reads one split without end: leave it out.")


def _check_kind(labels: Iterable, data: DataArguments) -> None:
    """Of whole numbers with a gap between them a reader makes others, and the gap may be further on."""
    if data.problem_type is None and all(isinstance(label, float) and label.is_integer() for label in labels):
        raise UserError(
            f"the labels in the column {data.label_column!r} of {data.path!r} may be classes or values: write "
            "--data.problem_type single_label_classification, or regression."
        )


class EncodedStream:
    """The rows of a stream as a task encodes them, without end: each time through in another order.

    Args:
        rows: of the training split.
        task: that has learnt its labels from a sample of them, and whose `data` names their columns.
        shuffle: by a buffer of 10,000 rows, and by file; or as they stand.
        seed: of the order.
        rank, world_size: of the process. Each has files of its own where their number can be divided by the processes,
            else every so many rows of all files.
    """

    def __init__(
        self,
        rows: Rows,
        task: TaskData,
        tokenizer: PreTrainedTokenizerBase,
        shuffle: bool,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ):
        self.rows, self.by_file = rows, rows.num_shards % world_size == 0
        if self.by_file:
            # Once for all times through: no process takes up another's files when its own are read.
            self.rows = rows.shard(world_size, rank)
        self.task, self.tokenizer, self.shuffle, self.seed = task, tokenizer, shuffle, seed
        self.rank, self.world_size = rank, world_size

    def __iter__(self) -> Iterator[dict]:
        for time in count():
            empty = True
            rows = iter(self._rows(time))
            while chunk := self._next(rows):
                for row in self._encoded(chunk):
                    empty = False
                    yield row
            if empty:
                raise UserError(
                    f"a process, or a worker that loads its data, found no row of {self.task.data.path!r} to train on: "
                    "there are fewer files or rows than processes and workers. Write --training.dataloader_num_workers "
                    "0, or start fewer processes."
                )

    def _rows(self, time: int) -> Rows:
        # Not by `set_epoch`, which the workers of a loader share.
        rows = self.rows.shuffle(seed=self.seed + time, buffer_size=SHUFFLED) if self.shuffle else self.rows
        return rows if self.by_file else split_dataset_by_node(rows, self.rank, self.world_size)

    def _next(self, rows: Iterator[dict]) -> list[dict]:
        with reading(self.task.data):
            return list(islice(rows, TOKENIZED))

    def _encoded(self, rows: list[dict]) -> Iterator[dict]:
        data = self.task.data
        for name in named_columns(data):
            lacking = next((row for row in rows if name not in row), None)
            if lacking is not None:
                raise UserError(
                    f"a file of {data.path!r} has no column {name!r}, only {', '.join(lacking)}: give all files of a "
                    "split the same columns."
                )
        read = self.task.read_rows(rows, self.rows.features)[:]
        columns = self.task.tokens(self.tokenizer, read)
        if "labels" in read:
            columns["labels"] = read["labels"]
        return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


class StreamedBatches(IterableDataset):
    """Batches of the rows of an endless stream.

    Args:
        rows: encoded.
        batch_size: rows of a batch.
        tokens: places that a batch may have, padding among them, in the place of a number of rows.
        by_length: whether rows of similar length are put together, among those of fifty batches.
        seed: of the order of the batches.
    """

    def __init__(self, rows: Iterable[dict], batch_size: int, tokens: int | None, by_length: bool, seed: int):
        self.rows, self.batch_size, self.tokens, self.by_length, self.seed = rows, batch_size, tokens, by_length, seed

    def __iter__(self) -> Iterator[list[dict]]:
        rows = iter(self.rows)
        for number in count():
            chunk = list(self._chunk(rows))
            yield from ([chunk[place] for place in batch] for batch in self._batches(chunk, number))

    def _chunk(self, rows: Iterator[dict]) -> Iterator[dict]:
        """The next rows, enough for some fifty batches."""
        if self.tokens is None:
            yield from islice(rows, SORTED * self.batch_size)
            return
        tokens = 0
        while tokens < SORTED * self.tokens:
            row = next(rows)
            tokens += max(1, len(row["input_ids"]))
            yield row

    def _batches(self, rows: list[dict], number: int) -> list[np.ndarray]:
        lengths = np.array([len(row["input_ids"]) for row in rows])
        if self.tokens is not None:
            batches = list(by_tokens(lengths, self.tokens))
        else:
            order = np.argsort(-lengths, kind="stable") if self.by_length else np.arange(len(rows))
            batches = np.split(order, range(self.batch_size, len(rows), self.batch_size))
        if self.tokens is not None or self.by_length:
            np.random.default_rng([self.seed, number]).shuffle(batches)
        return batches


class StreamedText(IterableDataset):
    """Windows of text for truncated back-propagation through time, as
    [`~hf_rnn.text.bptt_windows.BPTTWindows`] gives them, of documents without end: each of
    the streams takes the next document when its own is read.

    Args:
        documents: rows with `input_ids`.
        batch_size: how many streams are read side by side, in this process.
        window: tokens of each stream that are read at once, in the mean.
        separator: token that ends each document.
        seed: of the lengths of the windows.
        world_size: the number of processes.

    Raises:
        UserError: the windows are too short to vary.
    """

    def __init__(
        self, documents: Iterable[dict], batch_size: int, window: int, separator: int, seed: int, world_size: int = 1
    ):
        check_window(window)
        self.documents, self.separator, self.seed = documents, separator, seed
        self.batch_size, self.window, self.world_size = batch_size, window, world_size

    def __iter__(self) -> Iterator[dict]:
        documents = iter(self.documents)

        def stream() -> Iterator[int]:
            for document in documents:
                yield from chain(document["input_ids"], (self.separator,))

        streams = [stream() for _ in range(self.batch_size)]
        last = [[next(tokens)] for tokens in streams]
        for number in count():
            length = int(window_lengths(1, self.window, np.random.default_rng([self.seed, number]))[0].round())
            read = torch.tensor(
                [before + list(islice(tokens, length)) for before, tokens in zip(last, streams, strict=True)]
            )
            yield {"starts": number == 0, "input_ids": read[:, :-1], "shift_labels": read[:, 1:]}
            last = read[:, -1:].tolist()


__all__ = ["EncodedStream", "StreamedBatches", "StreamedText", "load_streaming"]
