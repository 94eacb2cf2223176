# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Contiguous text as parallel streams, which a language model reads window by window."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from ..models.label_checks import IGNORED
from ..utils.errors import UserError
from ..utils.machine import on_device

# How the lengths of windows vary (Merity et al. 2018, section 5): a twentieth have half the length, and all of them a
# normal distribution of this standard deviation; none is shorter than this, before all are stretched or shrunk to end
# with the text.
HALVED, DEVIATION, SHORTEST = 0.05, 5.0, 5
BPTT_WINDOW = 70
# A stream starts without context, which costs its first words: how many there are decides a figure a little. A text
# that is measured has one for so many tokens, and no more than so many.
READ, STREAMS = 1000, 64


class BPTTWindows(Dataset):
    """Documents one after the other, laid into B streams side by side, and cut into windows from left to right.

    Window k+1 goes on where window k ended, in each of the streams: that is what lets a model carry its state. Item k
    is one batch, `input_ids` and `shift_labels` `[B, T_k]`, the latter one token further on; with `both_ways` also
    `reversed_input_ids` and `reversed_shift_labels`, windows over the same text from its end. Every token but the very
    first is predicted once; where the text does not fill the last stream, labels are -100. `starts` is whether the
    state has to be forgotten: in the first window of an epoch.

    Args:
        documents: token ids of each document.
        batch_size: B, the streams of this process.
        window: tokens T of a window.
        separator: an id put after each document.
        shuffle: whether each epoch has the documents in another order ([`set_epoch`]).
        vary: whether the windows of an epoch vary in length, around `window`; their number stays the same.
        both_ways: whether to give the windows of a second model that reads from right to left.
        seed: of the order and the lengths, with the epoch.
        rank, world_size: of this process among those that share the text.
        words: how many words the text has, so that perplexities compare between tokenizers; the attribute is how many
            of them are predicted.

    Raises:
        UserError: the text is shorter than one window of all streams, there are none of either, or the windows are too
            short to vary.
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
                raise UserError(f"{name}={value} of TextStreams must be 1 or greater.")
        if vary:
            check_window(window)
        self.documents = [np.append(np.asarray(ids, dtype=np.int32), np.int32(separator)) for ids in documents]
        self.batch_size, self.window, self.separator = batch_size, window, separator
        self.shuffle, self.vary, self.both_ways, self.seed = shuffle, vary, both_ways, seed
        self.world_size = world_size
        self.streams = np.arange(rank * batch_size, (rank + 1) * batch_size)
        self.num_tokens = sum(map(len, self.documents)) - 1
        # The first token is never predicted: its share of the words is not either.
        self.words = None if words is None else words * self.num_tokens / (self.num_tokens + 1)
        of_all = batch_size * world_size
        if self.num_tokens < of_all * window:
            raise UserError(
                f"the text has {self.num_tokens + 1} tokens, fewer than {of_all} streams of one window of "
                f"{window} each: write a smaller --training.per_device_train_batch_size, or a smaller "
                "--training.window."
            )
        self.length = -(-self.num_tokens // of_all)
        self.epoch: int | None = None
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Lays out the streams of an epoch; the same for the same seed and epoch."""
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
        # Where lengths vary, all are stretched a little so that the last window ends with the text.
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
        """Inputs and labels at some places of each of this process' streams, `[B, T]` both."""
        places = self.streams[:, None] * self.length + window
        predicted = places < self.num_tokens
        places = np.minimum(places, self.num_tokens - 1)
        inputs = np.where(predicted, text[places], self.separator)
        labels = np.where(predicted, text[places + 1], IGNORED)
        return torch.from_numpy(inputs.astype(np.int64)), torch.from_numpy(labels.astype(np.int64))


def check_window(window: int) -> None:
    """Raises [`UserError`] for windows that are too short to vary."""
    if window < SHORTEST:
        raise UserError(f"window={window} cannot vary: write {SHORTEST} or greater, such as --training.window 70.")


def window_lengths(count: int, window: int, random: np.random.Generator) -> np.ndarray:
    """Lengths of so many windows, `[count]`, not yet whole numbers, that vary around one."""
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
    """Rows of a split in the order in which they stand, for measuring a model on them.

    Args:
        rows: as [`LanguageModeling.encode`] gives them.
        at_once: the most tokens that each process reads at once, which costs memory and changes no figure.
    """
    tokens = sum(rows["length"]) + len(rows) - 1
    count = max(1, min(STREAMS, tokens // READ))
    # How many there are changes the figures, and so does not depend on who reads them; a process may have none.
    mine = np.array_split(np.arange(count), world_size)[rank]
    window = max(1, min(at_once // max(1, len(mine)), tokens // count))
    streams = BPTTWindows(rows["input_ids"], count, window, separator, both_ways=both_ways, words=sum(rows["words"]))
    streams.streams = mine
    return streams


@torch.no_grad()
def read_streams(model: Any, batches: Iterable[dict]) -> tuple[float, int]:
    """Sum of the negative log-likelihoods of all tokens of some streams, in nats, and how many there are.

    Args:
        model: an [`RNNForCausalLM`]; it is set to eval mode.
        batches: what [`BPTTWindows`] holds, on any device.
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
    # Read at the end, since a GPU has to finish a window before it can be read.
    return sum((float(loss) * tokens for loss, tokens in zip(losses, predicted, strict=True)), 0.0), sum(predicted)


def perplexities(nats: float, tokens: float, words: float | None) -> dict[str, float]:
    """`loss` in nats per token, and its exponential per token and per word.

    Args:
        nats: sum of the negative log-likelihoods of all tokens.
        tokens, words: how many of them were predicted.
    """
    metrics = {"loss": nats / tokens, "perplexity": _exp(nats / tokens)}
    return metrics if not words else {**metrics, "word_perplexity": _exp(nats / words)}


def _exp(x: float) -> float:
    # A model that has learnt nothing of long words may go beyond what a float holds.
    return float(np.exp(min(x, 700.0)))


__all__ = ["BPTTWindows", "check_window", "perplexities", "read_streams", "streams_to_read", "window_lengths"]
