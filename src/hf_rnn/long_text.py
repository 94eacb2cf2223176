# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""A text of any length, read in the memory of one window."""

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from .environment import give_back_freed_memory
from .incremental import TextStream
from .recurrence import Recurrence

# Tokens of a window, and windows after which memory is given back.
WINDOW, TIDIED = 4096, 16


@torch.inference_mode()
def logits_of(model: Any, ids: Sequence[int], window: int = WINDOW) -> Tensor:
    """What a classifier answers for one text, `[1, C]`, as for the whole at once.

    A model that reads from left to right alone carries its state from window to window. One that reads from right to
    left too is gone through layer by layer: both directions leave the states in which they enter each window, from
    which the outputs of any window can be computed again for the layer above.

    Args:
        model: in eval mode.
        ids: of the tokens.
        window: tokens that are in memory at once.
    """
    if not model.config.bidirectional:
        stream = TextStream(model)
        for start in range(0, len(ids), window):
            stream.feed_ids([ids[start : start + window]])
        return stream.logits()
    text = torch.as_tensor(ids, dtype=torch.long)[None]
    windows = [slice(start, start + window) for start in range(0, len(ids), window)]
    encoder = model.model

    def embedded(place: int) -> Tensor:
        return encoder.embed_tokens(text[:, windows[place]].to(model.device))

    stacks = [_Stack(encoder.recurrence, (0, 1))]
    if encoder.backward_recurrence is not None:
        stacks = [_Stack(encoder.recurrence, (0,)), _Stack(encoder.backward_recurrence, (1,))]
    for stack in stacks:
        stack.read(embedded, len(windows))
    last = torch.cat([stack.last() for stack in stacks], dim=-1)[:, None]
    pooled = None
    for place in range(len(windows)):
        x = embedded(place)
        outputs = torch.cat([stack.outputs(x, place, stack.depth) for stack in stacks], dim=-1)
        read = SimpleNamespace(last_hidden_state=outputs, final_hidden_state=last)
        pooled, _ = model.pooling.add(pooled, read, None)
        _tidy(place)
    return model.classifier(model.pooling.pooled(pooled))


def _tidy(place: int) -> None:
    if place % TIDIED == 0:
        give_back_freed_memory()


class _Stack:
    """The layers of a [`Recurrence`] over windows, and the states in which each direction enters each window.

    Args:
        directions: of its layers; 0 reads from left to right, 1 from right to left.
    """

    def __init__(self, recurrence: Recurrence, directions: tuple[int, ...]):
        self.recurrence, self.directions, self.depth = recurrence, directions, recurrence.num_layers
        # By layer and direction: (h, c) before each window, and after the last.
        self.entered: dict[tuple[int, int], dict[int, tuple[Tensor, Tensor | None]]] = {}

    def read(self, embedded, windows: int) -> None:
        for layer in range(self.depth):
            for direction in self.directions:
                self._read_through(embedded, windows, layer, direction)

    def _read_through(self, embedded, windows: int, layer: int, direction: int) -> None:
        """One direction of one layer, over all windows in the order in which it reads them."""
        order: Iterable[int] = reversed(range(windows)) if direction else range(windows)
        states: dict[int, tuple[Tensor, Tensor | None]] = {}
        self.entered[layer, direction] = states
        step, place = (-1 if direction else 1), (windows - 1 if direction else 0)
        zeros = next(self.recurrence.parameters()).new_zeros(1, 1, self.recurrence.hidden_size)
        states[place] = (zeros, zeros if self.recurrence.cell_type == "lstm" else None)
        for place in order:
            x = self.outputs(embedded(place), place, layer)
            _, h, c = self._run(x, place, layer, direction)
            states[place + step] = (h, c)
            _tidy(place)

    def _run(self, x: Tensor, place: int, layer: int, direction: int) -> tuple[Tensor, Tensor, Tensor | None]:
        h, c = self.entered[layer, direction][place]
        weights = self.recurrence.weights(layer)[self.directions.index(direction)]
        x = x.flip(1) if direction else x
        out, h, c = self.recurrence.layers[layer](x, h, c, [weights], None, True)
        return (out.flip(1) if direction else out), h, c

    def outputs(self, x: Tensor, place: int, depth: int) -> Tensor:
        """Of the lowest layers, `[1, T, D*H]`, in one window of embedded tokens."""
        for layer in range(depth):
            x = torch.cat([self._run(x, place, layer, direction)[0] for direction in self.directions], dim=-1)
        return x

    def last(self) -> Tensor:
        """h of the top layer after the last token that each direction reads, `[1, D*H]`."""
        top = [self.entered[self.depth - 1, direction] for direction in self.directions]
        ends = [
            states[min(states) if direction else max(states)]
            for states, direction in zip(top, self.directions, strict=True)
        ]
        return torch.cat([h[0] for h, _ in ends], dim=-1)


__all__ = ["logits_of"]
