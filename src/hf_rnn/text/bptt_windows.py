# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Contiguous text as parallel streams, which a language model reads window by window."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from ..models.label_checks import IGNORED
from ..utils.errors import DataError
from ..utils.machine import on_device

# Variation of window lengths (Merity et al. 2018, section 5): the share of windows of half length, the standard
# deviation of the normal noise that is added to all lengths, and the shortest length. Afterwards all lengths are scaled
# by one factor so that the last window ends with the text.
HALVED, DEVIATION, SHORTEST = 0.05, 5.0, 5
BPTT_WINDOW = 70
# A stream starts without context, which raises the loss of its first words. The number of streams therefore changes a
# figure a little. A text is evaluated as one stream per READ tokens, and at most STREAMS streams.
READ, STREAMS = 1000, 64


class BPTTWindows(Dataset):
    """Dataset of batches for truncated BPTT: concatenated documents as B parallel streams, cut into windows.

    In each stream, window k+1 continues window k, so a model can carry its state from batch to batch. Item k is one
    batch:

    - `input_ids` and `shift_labels`, shape [B, T_k]. The labels are one token ahead.
    - `reversed_input_ids` and `reversed_shift_labels`, only with `both_ways`: windows over the same text from its end.
    - `starts`, True in the first window of an epoch, where the state must be reset.

    Every token except the first is predicted once. Labels are -100 where the text does not fill the last stream.

    Args:
        documents: Token ids of each document.
        batch_size: Number B of streams of this process.
        window: Number T of tokens in a window.
        separator: Token id that is appended to each document.
        shuffle: True to shuffle the documents in each epoch (see [`set_epoch`]).
        vary: True to vary the lengths of the windows around `window`. The number of windows stays the same.
        both_ways: True to add the windows of a second model that reads from right to left.
        seed: Seed of the order and of the lengths, combined with the epoch.
        rank: Index of this process among those that share the text.
        world_size: Number of processes that share the text.
        words: Number of words of the text, for a perplexity per word, which compares between tokenizers; None without.
            The attribute of this name counts only the words that are predicted.

    Raises:
        DataError: The text is shorter than one window of all streams, `batch_size` or `window` is below 1, or `window`
            is too short to vary.
    """

    def __init__(
        self,
        documents: Iterable[Sequence[int]],
        batch_size: int,
        window: int,
        separator: int,
        shuffle: bool = False,
        vary: bool = False,
        both_ways: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        words: int | None = None,
    ):
        for name, value in (("batch_size", batch_size), ("window", window)):
            if value < 1:
                raise DataError(f"{name}={value} of TextStreams must be 1 or greater.")
        if vary:
            check_window(window)
        self.documents = [np.append(np.asarray(ids, dtype=np.int32), np.int32(separator)) for ids in documents]
        self.batch_size, self.window, self.separator = batch_size, window, separator
        self.shuffle, self.vary, self.both_ways, self.seed = shuffle, vary, both_ways, seed
        self.world_size = world_size
        self.streams = np.arange(rank * batch_size, (rank + 1) * batch_size)
        self.num_tokens = sum(map(len, self.documents)) - 1
        # The first token is never predicted, so its share of the words is left out.
        self.words = None if words is None else words * self.num_tokens / (self.num_tokens + 1)
        of_all = batch_size * world_size
        if self.num_tokens < of_all * window:
            raise DataError(
                f"the text has {self.num_tokens + 1} tokens, too few for {of_all} streams with one window of "
                f"{window} tokens each: write a smaller training.per_device_train_batch_size, or a smaller "
                "training.window."
            )
        self.length = -(-self.num_tokens // of_all)
        self.epoch: int | None = None
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Lay out the streams of an epoch; the same seed and epoch give the same streams.

        Args:
            epoch: Index of the epoch, from 0.
        """
        if epoch == self.epoch:
            return
        self.epoch = epoch
        order = np.arange(len(self.documents))
        if self.shuffle:
            np.random.default_rng([self.seed, epoch]).shuffle(order)
        self.text = np.concatenate([self.documents[i] for i in order])
        count = -(-self.length // self.window)
        random = np.random.default_rng([self.seed, epoch, 1])
        lengths = window_lengths(count, self.window, random) if self.vary else np.full(count, float(self.window))
        ends = np.cumsum(lengths)
        # Varied lengths are scaled so that the last window ends with the text.
        ends = ends * self.length / ends[-1] if self.vary else np.minimum(ends, self.length)
        self.ends = np.concatenate([[0], ends.round()]).astype(int)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, index: int) -> dict:
        if not 0 <= index < len(self):
            raise IndexError(index)
        window = np.arange(self.ends[index], self.ends[index + 1])
        inputs, labels = self._window(self.text, window)
        item = {"starts": index == 0, "input_ids": inputs, "shift_labels": labels}
        if self.both_ways:
            item["reversed_input_ids"], item["reversed_shift_labels"] = self._window(self.text[::-1], window)
        return item

    def _window(self, text: np.ndarray, window: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return inputs and labels at some positions of each of this process's streams, both [B, T]."""
        places = self.streams[:, None] * self.length + window
        predicted = places < self.num_tokens
        places = np.minimum(places, self.num_tokens - 1)
        inputs = np.where(predicted, text[places], self.separator)
        labels = np.where(predicted, text[places + 1], IGNORED)
        return torch.from_numpy(inputs.astype(np.int64)), torch.from_numpy(labels.astype(np.int64))


def check_window(window: int) -> None:
    """Raise [`DataError`] for windows that are too short to vary.

    Args:
        window: Number of tokens in a window.
    """
    if window < SHORTEST:
        raise DataError(
            f"window={window} is too short to vary: write {SHORTEST} or greater, such as training.window=70."
        )


def window_lengths(count: int, window: int, random: np.random.Generator) -> np.ndarray:
    """Return the lengths of windows that vary around one length, shape [count], not yet rounded.

    Args:
        count: Number of windows.
        window: Number of tokens in a window without variation.
        random: Random number generator.
    """
    lengths = np.full(count, float(window))
    lengths[random.random(count) < HALVED] /= 2
    return np.maximum(lengths + DEVIATION * random.standard_normal(count), SHORTEST)


def streams_to_read(
    rows: Any,
    separator: int,
    both_ways: bool = False,
    at_once: int = STREAMS * BPTT_WINDOW,
    rank: int = 0,
    world_size: int = 1,
) -> BPTTWindows:
    """Return the rows of a split as streams, in their order, to evaluate a model on them.

    Args:
        rows: Rows that [`LanguageModeling.encode`] returned.
        separator: Token id that is appended to each document.
        both_ways: True to add the windows of a second model that reads from right to left.
        at_once: Largest number of tokens that a process reads at once. It affects memory, and no figure.
        rank: Index of this process among those that share the text.
        world_size: Number of processes that share the text.
    """
    tokens = sum(rows["length"]) + len(rows) - 1
    count = max(1, min(STREAMS, tokens // READ))
    # The number of streams changes the figures, so it must not depend on `world_size`. A process may have no stream.
    mine = np.array_split(np.arange(count), world_size)[rank]
    window = max(1, min(at_once // max(1, len(mine)), tokens // count))
    streams = BPTTWindows(rows["input_ids"], count, window, separator, both_ways=both_ways, words=sum(rows["words"]))
    streams.streams = mine
    return streams


@torch.no_grad()
def read_streams(model: Any, batches: Iterable[dict]) -> tuple[float, int]:
    """Return the sum of the negative log-likelihoods of all predicted tokens, in nats, and the number of these tokens.

    Args:
        model: An [`RNNForCausalLM`]; it is set to eval mode.
        batches: Items of [`BPTTWindows`], on any device.
    """
    model.eval()
    state, losses, predicted = None, [], []
    for batch in batches:
        tokens = int((batch["shift_labels"] != IGNORED).sum())
        if not tokens:
            continue
        inputs = on_device({name: value for name, value in batch.items() if name != "starts"}, model.device)
        outputs = model(**inputs, past_key_values=state, return_dict=True)
        state = outputs.past_key_values
        losses.append(outputs.loss)
        predicted.append(tokens)
    # `float` waits for the GPU to finish a window, so the losses are read after all windows.
    return sum((float(loss) * tokens for loss, tokens in zip(losses, predicted, strict=True)), 0.0), sum(predicted)


def perplexities(nats: float, tokens: float, words: float | None) -> dict[str, float]:
    """Return the loss in nats per token, the perplexity per token and, with `words`, the perplexity per word.

    Args:
        nats: Sum of the negative log-likelihoods of all predicted tokens.
        tokens: Number of predicted tokens.
        words: Number of predicted words; None to leave out `word_perplexity`.
    """
    metrics = {"loss": nats / tokens, "perplexity": _exp(nats / tokens)}
    return metrics if not words else {**metrics, "word_perplexity": _exp(nats / words)}


def _exp(x: float) -> float:
    # The perplexity per word of an untrained model can exceed the range of a float.
    return float(np.exp(min(x, 700.0)))


__all__ = ["BPTTWindows", "check_window", "perplexities", "read_streams", "streams_to_read", "window_lengths"]
