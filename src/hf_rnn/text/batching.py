# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Which rows are read together: those of similar length, so that little of a batch is padding."""

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import LengthGroupedSampler

# The share of a bucket's longest row that the first row of each of its batches has at least, in training.
SIMILAR = 0.9
# Tokens that are read at once where nothing else is said, in prediction.
BATCH_TOKENS = 16384


def by_tokens(lengths: Sequence[int] | np.ndarray, tokens: int) -> Iterator[np.ndarray]:
    """Batches of rows of similar length for prediction, longest first, so that memory is asked for once.

    Args:
        lengths: of the rows, in tokens.
        tokens: places that a batch may have, padding among them; a longer row is a batch of its own.

    Yields:
        Indices of rows; each row stands in one batch.
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    start = 0
    while start < len(order):
        size = max(1, tokens // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size


class TokenBatchSampler(Sampler[list[int]]):
    """Batches for training: of similar length, with a budget of tokens instead of a number of rows.

    Rows are put into buckets by length; each epoch shuffles the rows within their buckets and then the batches. The
    number of batches and of rows in each is the same in every epoch, so that a schedule of learning rates fits.

    Args:
        lengths: of the rows, in tokens.
        tokens: places that a batch may have, padding among them; a longer row is a batch of its own.
        seed: of the order, with the epoch.
    """

    def __init__(self, lengths: Sequence[int] | np.ndarray, tokens: int, seed: int = 0):
        self.seed = seed
        self.epoch = 0
        at_least_one = np.maximum(np.asarray(lengths), 1)
        self.order = np.argsort(-at_least_one, kind="stable")
        ordered = at_least_one[self.order]
        # Where each bucket and each batch begins in the order. All batches of a bucket are filled by its longest row,
        # since shuffling may bring that row into any of them.
        self.buckets, self.batches = [0], [0]
        longest = int(ordered[0]) if len(ordered) else 0
        while self.batches[-1] < len(ordered):
            start = self.batches[-1]
            if ordered[start] < SIMILAR * longest:
                longest = int(ordered[start])
                self.buckets.append(start)
            self.batches.append(min(start + max(1, tokens // longest), len(ordered)))
        self.buckets.append(len(ordered))

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.batches) - 1

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = self.order.copy()
        for start, end in zip(self.buckets, self.buckets[1:], strict=False):
            order[start:end] = order[start:end][torch.randperm(end - start, generator=generator).numpy()]
        for batch in torch.randperm(len(self), generator=generator).tolist():
            yield order[self.batches[batch] : self.batches[batch + 1]].tolist()


class EpochLengthSampler(LengthGroupedSampler):
    """transformers' own, whose order follows from the seed and the epoch alone, so that a run that goes on within an
    epoch reads the rest of it."""

    def __init__(self, lengths: list[int], batch_size: int, seed: int = 0):
        super().__init__(batch_size, lengths=lengths)
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        self.generator = torch.Generator().manual_seed(self.seed + self.epoch)
        return super().__iter__()


class ShardedBatches(Sampler[list[int]]):
    """The batches of one of several processes: each step reads as many batches of a sampler as there are processes, and
    divides their rows. No row is left out or doubled.

    Args:
        batches: yields the same batches in all processes.
        rank, world_size: of the process, and how many there are.
        dealt: whether the rows of a step are dealt out one by one, so that all processes have rows of like lengths and
            none waits for another; or each process has a batch as it is, within its budget of tokens.
    """

    def __init__(self, batches: Sampler[list[int]], rank: int, world_size: int, dealt: bool):
        self.batches, self.rank, self.world_size, self.dealt = batches, rank, world_size, dealt

    def __len__(self) -> int:
        return math.ceil(len(self.batches) / self.world_size)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[list[int]]:
        batches = iter(self.batches)
        while group := list(islice(batches, self.world_size)):
            yield self._divided(group)[self.rank]

    def _divided(self, batches: list[list[int]]) -> list[list[int]]:
        """As many batches as processes. Where there are fewer rows, each is all of them, which leaves their mean as it
        is."""
        parts = self.world_size
        rows = [row for batch in batches for row in batch]
        if len(rows) < parts:
            return [rows] * parts
        if self.dealt:
            return [rows[rank::parts] for rank in range(parts)]
        while len(batches) < parts:
            largest = max(range(len(batches)), key=lambda place: len(batches[place]))
            batch = batches[largest]
            middle = (len(batch) + 1) // 2
            batches[largest : largest + 1] = [batch[:middle], batch[middle:]]
        return batches


__all__ = ["EpochLengthSampler", "ShardedBatches", "TokenBatchSampler", "by_tokens"]
