# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Training batches of rows of similar length, so that little of a batch is padding."""

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import LengthGroupedSampler

# Least length of the first row of a training batch, as a share of the longest row of its bucket.
SIMILAR = 0.9
# Default number of tokens in a batch for prediction.
BATCH_TOKENS = 16384


class TokenBatchSampler(Sampler[list[int]]):
    """Sampler of training batches of similar length, with a budget of tokens instead of a number of rows.

    Rows are put into buckets by length. Each epoch shuffles the rows within their buckets, and then the batches. The
    number of batches and the number of rows in each are the same in every epoch, so a learning rate schedule fits.

    Args:
        lengths: Lengths of the rows in tokens.
        tokens: Largest number of tokens in a batch, padding included. A longer row is a batch of its own.
        seed: Seed of the order; the epoch is added to it.
    """

    def __init__(self, lengths: Sequence[int] | np.ndarray, tokens: int, seed: int = 0):
        self.seed = seed
        self.epoch = 0
        at_least_one = np.maximum(np.asarray(lengths), 1)
        self.order = np.argsort(-at_least_one, kind="stable")
        ordered = at_least_one[self.order]
        # Start of each bucket and of each batch in the order. The longest row of a bucket sets the size of all its
        # batches, since shuffling may put that row into any of them.
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
        """Set the epoch, which changes the order of rows and batches.

        Args:
            epoch: Index of the epoch, from 0.
        """
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
    """The length-grouped sampler of transformers, with an order that depends only on the seed and the epoch.

    A run that resumes within an epoch therefore reads the rest of that epoch.

    Args:
        lengths: Lengths of the rows in tokens.
        batch_size: Number of rows in a batch.
        seed: Seed of the order; the epoch is added to it.
    """

    def __init__(self, lengths: list[int], batch_size: int, seed: int = 0):
        super().__init__(batch_size, lengths=lengths)
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which changes the order of the rows.

        Args:
            epoch: Index of the epoch, from 0.
        """
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        self.generator = torch.Generator().manual_seed(self.seed + self.epoch)
        return super().__iter__()


class ShardedBatches(Sampler[list[int]]):
    """Sampler of the batches of one of several processes.

    Each step takes one batch per process from a sampler and divides the rows of these batches among the processes. No
    row is left out. A row is repeated only in a last step that has fewer rows than processes.

    Args:
        batches: Sampler that yields the same batches in all processes.
        rank: Index of this process.
        world_size: Number of processes.
        dealt: True to deal out the rows of a step one by one, so that all processes have rows of similar lengths and
            none waits for another. False to give each process a batch unchanged, within its budget of tokens.
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
        """Return as many batches as there are processes.

        If there are fewer rows than processes, each process gets all rows. Their mean over the processes is unchanged.
        """
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


__all__ = ["EpochLengthSampler", "ShardedBatches", "TokenBatchSampler"]
