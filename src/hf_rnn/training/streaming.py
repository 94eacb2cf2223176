# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Training on a stream of rows that fits neither memory nor disk: rows are read and tokenized one after another."""

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

from ..runtime.batching import by_tokens
from ..tasks import TaskData
from ..text.arguments import DataArguments
from ..text.bptt_windows import check_window, window_lengths
from ..text.columns import choose_text, find_columns, named_columns
from ..text.files import Files
from ..text.loading import read_first
from ..text.sources import open_splits, reading
from ..utils.errors import DataError
from .arguments import RNNTrainingArguments

logger = logging.getLogger(__name__)

# Number of rows in the shuffle buffer, and number of rows that are tokenized at once.
SHUFFLED, TOKENIZED = 10_000, 1000
# Number of batches whose rows are sorted by length together, as `group_by_length` of transformers does.
SORTED = 50


def load_streaming(task: TaskData, args: RNNTrainingArguments) -> tuple[DatasetDict, Rows, DataArguments]:
    """Open the training split as a stream, and read the first rows of all splits that training needs.

    Args:
        task: Task whose `data` settings are read.
        args: Training arguments, which must set `max_steps`.

    Returns:
        The first `data.streaming_sample` rows of each split that training needs; the training split as a stream; and
        the `data` settings of the task, completed with the columns found in the first training rows.

    Raises:
        DataError: The data cannot be streamed; the training or validation split does not exist; a setting is not
            supported with a stream; or `max_steps` is not set.
    """
    data = task.data
    _check(data, args)
    found = open_splits(data, tagged=task.tagged)
    if any(isinstance(rows, Dataset) for rows in found.values()):
        raise DataError(f"{data.path!r} cannot be streamed: leave data.streaming out.")
    train, validation = task.chosen_splits(found)
    if validation is None:
        raise DataError(
            "validation rows cannot be split from a stream without end: name another split of "
            f"{', '.join(map(repr, found))} with data.validation_split, or put a file validation.* beside train.*."
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
        raise DataError(
            "a stream has no end, so data.streaming needs training.max_steps: write "
            "training.max_steps=10000 (and training.eval_strategy='steps' and training.eval_steps=1000 to evaluate "
            "during training)."
        )
    if data.streaming_sample < 1:
        raise DataError(f"data.streaming_sample={data.streaming_sample} must be 1 or greater, such as 50000.")
    useless = {
        f"data.unlabelled_splits={data.unlabelled_splits}": bool(data.unlabelled_splits),
        f"data.test_size={data.test_size}": data.test_size is not None,
        "training.gradual_unfreezing=True": args.gradual_unfreezing,
        "training.train_sampling_strategy='batch_rebalance'": args.train_sampling_strategy == "batch_rebalance",
    }
    for setting, given in useless.items():
        if given:
            raise DataError(f"{setting} has no use where data.streaming reads one split without end: leave it out.")


def _check_kind(labels: Iterable, data: DataArguments) -> None:
    """Raise [`DataError`] if all labels are floats with whole values, which may be classes or regression values.

    Readers turn an integer column with missing values into floats, and the missing value may stand after the sample.
    """
    if data.problem_type is None and all(isinstance(label, float) and label.is_integer() for label in labels):
        raise DataError(
            f"the labels in the column {data.label_column!r} of {data.path!r} may be classes or values: write "
            "data.problem_type='single_label_classification', or data.problem_type='regression'."
        )


class EncodedStream:
    """Endless iterable of the encoded rows of a stream; each pass has a new order.

    With several processes, each process reads files of its own if the number of files is a multiple of the number of
    processes. Otherwise it reads every n-th row of all files.

    Args:
        rows: Stream of the training split.
        task: Task that has learnt its labels from a sample of the rows, and whose `data` names their columns.
        tokenizer: Tokenizer of the model.
        shuffle: True to shuffle the files, and the rows in a buffer of 10,000 rows; False to keep the order.
        seed: Seed of the order.
        rank: Index of this process.
        world_size: Number of processes.
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
            # The shard is the same in all passes, so no process reads files of another.
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
                raise DataError(
                    f"a process, or a worker that loads its data, found no row of {self.task.data.path!r} to train on: "
                    "there are fewer files or rows than processes and workers. Write "
                    "training.dataloader_num_workers=0, or start fewer processes."
                )

    def _rows(self, time: int) -> Rows:
        # The workers of a DataLoader share `set_epoch`, so the pass number changes the seed instead.
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
                raise DataError(
                    f"a file of {data.path!r} has no column {name!r}, only {', '.join(lacking)}: give all files of a "
                    "split the same columns."
                )
        read = self.task.read_rows(rows, self.rows.features)[:]
        columns = self.task.tokens(self.tokenizer, read)
        if "labels" in read:
            columns["labels"] = read["labels"]
        return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


class StreamedBatches(IterableDataset):
    """Endless iterable of batches of encoded rows.

    Args:
        rows: Endless iterable of encoded rows.
        batch_size: Number of rows in a batch; not read if `tokens` is set.
        tokens: Maximum number of tokens in a batch, padding included; None for batches of `batch_size` rows.
        by_length: True to put rows of similar length into one batch, within groups of 50 batches.
        seed: Seed of the order of the batches.
    """

    def __init__(self, rows: Iterable[dict], batch_size: int, tokens: int | None, by_length: bool, seed: int):
        self.rows, self.batch_size, self.tokens, self.by_length, self.seed = rows, batch_size, tokens, by_length, seed

    def __iter__(self) -> Iterator[list[dict]]:
        rows = iter(self.rows)
        for number in count():
            chunk = list(self._chunk(rows))
            yield from ([chunk[place] for place in batch] for batch in self._batches(chunk, number))

    def _chunk(self, rows: Iterator[dict]) -> Iterator[dict]:
        """Yield the next rows, enough for about 50 batches."""
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
    """Endless iterable of windows of text for truncated backpropagation through time.

    The windows have the form of those of [`~hf_rnn.text.bptt_windows.BPTTWindows`]. Each stream takes the next document
    when its own ends.

    Args:
        documents: Endless iterable of rows with `input_ids`.
        batch_size: Number of parallel streams in this process.
        window: Mean number of tokens in a window.
        separator: Id of the token after each document.
        seed: Seed of the lengths of the windows.
        world_size: Number of processes.

    Raises:
        DataError: `window` is too short for window lengths to vary.
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
