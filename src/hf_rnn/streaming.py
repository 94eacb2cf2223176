# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Training on rows that fit neither memory nor disk: read one after the other, tokenized as they come, without end."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, count, islice
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict, disable_progress_bars
from datasets import IterableDataset as Rows
from datasets.distributed import split_dataset_by_node
from torch.utils.data import IterableDataset
from transformers import PreTrainedTokenizerBase

from .batching import by_tokens
from .data import DataArguments, choose_columns, choose_split, choose_text, open_splits, read_first
from .errors import UserError
from .streams import check_window, window_lengths
from .tasks import Task

logger = logging.getLogger(__name__)

# Rows among which the next one is drawn, and that are tokenized at once.
SHUFFLED, TOKENIZED = 10_000, 1000
# Batches whose rows are sorted by length together, as transformers' `group_by_length` does.
SORTED = 50


def load_streaming(data: DataArguments, max_steps: int, labelled: bool) -> tuple[DatasetDict, Rows, DataArguments]:
    """Opens the training split as a stream, and reads the beginnings of all that are needed.

    Args:
        max_steps: of the training.
        labelled: whether the rows have labels that are to be read.

    Returns:
        The first `data.streaming_sample` rows of each split that training needs; the training split; and `data`, with
        the columns that were chosen by its first rows.

    Raises:
        UserError: nothing there can be streamed, there is no validation split, it is asked for more than one training
            split, or nothing says when the training ends.
    """
    if max_steps <= 0:
        raise UserError(
            "data.streaming has no end, and training.max_steps says when training ends: write --training.max_steps "
            "10000 (and --training.eval_strategy steps --training.eval_steps 1000 to evaluate on the way)."
        )
    if data.unlabelled_splits:
        raise UserError(
            f"data.unlabelled_splits={data.unlabelled_splits} are read whole, and data.streaming reads one split: "
            "leave one of them out."
        )
    if data.streaming_sample < 1:
        raise UserError(f"data.streaming_sample={data.streaming_sample} must be 1 or greater, such as 50000.")
    found = open_splits(data)
    if any(isinstance(rows, Dataset) for rows in found.values()):
        raise UserError(f"{data.path!r} is read at once: leave data.streaming out.")
    train, validation = (choose_split(found, names) for names in (data.train_split, data.validation_split))
    if train is None:
        raise UserError(f"{data.path!r} has no split {data.train_split}, only {', '.join(found)}.")
    if validation is None or validation == train:
        raise UserError(
            "a stream has no end of which validation rows could be taken: name another split of "
            f"{', '.join(map(repr, found))} with --data.validation_split, or put a file validation.* beside train.*."
        )
    stream: Any = found[train]
    wanted = [name for name in (validation, data.test_split) if name in found]
    read = {name: read_first(found[name], data) for name in wanted}
    read[train] = sample = read_first(stream, data)
    if labelled:
        text, label = choose_columns(sample, data)
        data = replace(data, text_column=text, label_column=label)
    else:
        data = replace(data, text_column=choose_text(sample, data))
    return DatasetDict(read), stream, data


class EncodedStream:
    """The rows of a stream as a task encodes them, without end: each time through in another order.

    Args:
        rows: of the training split.
        task: that has learnt its labels from a sample of them.
        shuffle: by a buffer of 10,000 rows, and by file; or as they stand.
        seed: of the order.
        rank, world_size: of the process; each reads its own files where these can be shared out evenly, else its own
            rows.
    """

    def __init__(
        self,
        rows: Rows,
        task: Task,
        tokenizer: PreTrainedTokenizerBase,
        shuffle: bool,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ):
        # The workers of a loader would each begin a bar for each batch.
        disable_progress_bars()
        shuffled = rows.shuffle(seed=seed, buffer_size=SHUFFLED) if shuffle else rows
        self.rows = split_dataset_by_node(shuffled, rank, world_size)
        self.task, self.tokenizer = task, tokenizer

    def __iter__(self) -> Iterator[dict]:
        for epoch in count():
            self.rows.set_epoch(epoch)
            empty = True
            for batch in self.rows.iter(TOKENIZED):
                empty = False
                yield from self._encoded(batch)
            if empty:
                raise UserError(
                    f"a process, or a worker that loads its data, found no row of {self.task.data.path!r} to read: the "
                    "split has fewer files or rows than there are of them. Write --training.dataloader_num_workers 0."
                )

    def _encoded(self, batch: dict[str, list]) -> Iterator[dict]:
        rows = Dataset.from_dict(batch, features=self.rows.features)
        read = self.task.read_rows(rows)[:]
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
            chunk = list(islice(rows, SORTED * self.batch_size))
            yield from ([chunk[place] for place in batch] for batch in self._batches(chunk, number))

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
    """Windows of text for truncated back-propagation through time, as [`~hf_rnn.streams.TextStreams`] gives them, of
    documents without end: each of the streams takes the next document when its own is read.

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
