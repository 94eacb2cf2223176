# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Reading of texts window by window, with exact outputs and gradients.

Memory holds one window and the states between windows. Each window is computed again when the backward pass needs its
activations (gradient checkpointing, Chen et al. 2016, along time instead of depth).

A sweep over the windows can read a layer in one direction once all layers below it have been read. In the backward
pass, it first needs the gradients of all layers above. A bidirectional layer therefore takes one sweep per direction in
each pass. Between sweeps, the states at the start of each window and their gradients are kept.
"""

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .pooling import Pooling
from .ragged import Ragged, reversed_rows
from .recurrence import Recurrence

# (stack, layer, direction): one direction of one layer.
Unit = tuple[int, int, int]
# (h, c), or (h,) for cells without c, each `[1, B, H]`.
State = tuple[Tensor, ...]


class Stage(NamedTuple):
    """Layers `first` to `stop - 1` of a stack in one direction, which one sweep over the windows can compute."""

    stack: int
    first: int
    stop: int
    direction: int

    def units(self) -> list[Unit]:
        return [(self.stack, layer, self.direction) for layer in range(self.first, self.stop)]


class WindowedText:
    """Batch of texts that an encoder reads in windows.

    An encoder's dropout masks are the same at each time step. They are drawn once, here, in the same order as in a pass
    over the whole text. Each pass over a window uses them again.

    Args:
        encoder: Encoder, an [`RNNModel`].
        pooling: Pooling of the encoder's outputs.
        source: Token ids `[B, T]`, or embedded tokens `[B, T, E]`.
        valid: Mask of the tokens, shape `[B, T]`, bool, right-padded; None if there is no padding.
        window: Window size in tokens.
        after_window: Function to call after each window.
    """

    def __init__(
        self,
        encoder: Any,
        pooling: Pooling,
        source: Tensor,
        valid: Tensor | None,
        window: int,
        after_window: Callable[[], None],
    ):
        config = encoder.config
        self.encoder, self.pooling, self.source, self.valid = encoder, pooling, source, valid
        self.truncated, self.after_window = config.truncate_backprop, after_window
        self.places = [slice(start, start + window) for start in range(0, source.shape[1], window)]
        self.stacks: list[tuple[Recurrence, tuple[int, ...]]] = encoder.stacks
        self.stages: list[Stage] = []
        for number, (stack, directions) in enumerate(self.stacks):
            if len(directions) == 1:
                self.stages.append(Stage(number, 0, stack.num_layers, directions[0]))
            else:
                self.stages += [Stage(number, n, n + 1, d) for n in range(stack.num_layers) for d in directions]
        # Names of the tensors in a window's summary; "last" is left out, since it belongs to the whole text.
        self.names: list[str] = []
        # State of each unit at the start of each window; the entry after the last window is the final state.
        self.entered: dict[Unit, dict[int, State]] = {}
        table = encoder.embed_tokens.weight
        drawn = encoder.training
        self.words = self.inputs = None
        if drawn and source.dim() == 2 and config.embedding_dropout > 0:
            self.words = F.dropout(table.new_ones(len(table), 1), config.embedding_dropout)
        if drawn and config.input_dropout > 0:
            self.inputs = F.dropout(table.new_ones(len(source), 1, config.embedding_size), config.input_dropout)
        self.weights: dict[Unit, list[Tensor]] = {}
        # Dropout masks `[B, 1, D*H]` on the outputs of a layer that the next layer reads, by stack and layer.
        self.between: dict[tuple[int, int], Tensor] = {}
        for number, (stack, directions) in enumerate(self.stacks):
            for layer in range(stack.num_layers):
                for direction, weights in zip(directions, stack.dropped_weights(layer), strict=True):
                    self.weights[number, layer, direction] = weights
                if drawn and stack.hidden_dropout > 0 and layer + 1 < stack.num_layers:
                    ones = table.new_ones(len(source), 1, len(directions) * stack.hidden_size)
                    self.between[number, layer] = F.dropout(ones, stack.hidden_dropout)

    def order(self, stage: Stage) -> Sequence[int]:
        """Return the window indices in the order in which a stage reads them."""
        places = range(len(self.places))
        return places[::-1] if stage.direction else places

    @staticmethod
    def after(unit: Unit, k: int) -> int:
        """Return the index of the window that a unit reads after window `k`."""
        return k - 1 if unit[2] else k + 1

    def end(self, unit: Unit) -> int:
        """Return the index after the last window that a unit reads, under which its final state is kept."""
        return -1 if unit[2] else len(self.places)

    def embedded(self, k: int) -> Tensor:
        """Return the embedded tokens of window `k`, `[B, T, E]`, without dropout."""
        part = self.source[:, self.places[k]]
        return self.encoder.lookup(part) if part.dim() == 2 else part

    def add_embedded(self, total: Tensor, k: int, grad: Tensor) -> None:
        """Add the gradient of [`embedded`] to the gradient of the embedding matrix or of the embedded tokens."""
        part = self.source[:, self.places[k]]
        if part.dim() == 3:
            total[:, self.places[k]] = grad
            return
        padding = self.encoder.embed_tokens.padding_idx
        if padding is not None:
            grad = grad.masked_fill((part == padding).unsqueeze(-1), 0)
        total.index_add_(0, part.flatten(), grad.flatten(0, 1))

    def read_window(
        self, k: int, x: Tensor, weights: dict[Unit, list[Tensor]], states: dict[Unit, State], only: Stage | None = None
    ) -> tuple[Tensor, dict[Unit, State]]:
        """Read one window.

        Args:
            k: Index of the window.
            x: Embedded tokens of the window, shape `[B, T, E]`.
            weights: Weights of each unit.
            states: State of each unit before the window.
            only: Stage to compute, with the layers below it; None for all units.

        Returns:
            The outputs of the top computed layers, `[B, T, D*H]`, and the state of each unit after the window.
        """
        if self.words is not None:
            x = x * F.embedding(self.source[:, self.places[k]], self.words)
        x = x if self.inputs is None else x * self.inputs
        ragged = None if self.valid is None else Ragged.right_padded(self.valid[:, self.places[k]])
        if ragged is not None:
            x = x.masked_fill(~ragged.valid.unsqueeze(-1), 0)
        outputs, left = [], {}
        for number, (stack, directions) in enumerate(self.stacks):
            if only is not None and only.stack != number:
                continue
            out, depth = x, stack.num_layers if only is None else only.stop
            for layer in range(depth):
                each = []
                for direction in directions if only is None or layer < only.first else (only.direction,):
                    unit = (number, layer, direction)
                    part, left[unit] = self._read(unit, out, ragged, weights[unit], states[unit])
                    each.append(part)
                out = torch.cat(each, dim=-1)
                if layer + 1 < depth and (number, layer) in self.between:
                    out = out * self.between[number, layer]
            outputs.append(out if ragged is None else out.masked_fill(~ragged.valid.unsqueeze(-1), 0))
        return torch.cat(outputs, dim=-1), left

    def _read(
        self, unit: Unit, x: Tensor, ragged: Ragged | None, weights: list[Tensor], state: State
    ) -> tuple[Tensor, State]:
        number, layer, direction = unit
        x = reversed_rows(x, ragged) if direction else x
        h, c = state if len(state) == 2 else (state[0], None)
        reader: Any = self.stacks[number][0].layers[layer]
        out, h, c = reader.read(x, h, c, [weights], ragged, True)
        return reversed_rows(out, ragged) if direction else out, (h,) if c is None else (h, c)

    def summary(self, k: int, outputs: Tensor, weights: list[Tensor]) -> tuple[dict[str, Tensor], Tensor | None]:
        """Return the pooling's summary of a window, without the last states, and its attention weights or None."""
        valid = None if self.valid is None else self.valid[:, self.places[k]]
        read = SimpleNamespace(last_hidden_state=outputs, final_hidden_state=outputs.new_zeros(len(outputs), 1, 0))
        part, shares = self.pooling.add(None, read, valid, weights)
        part.pop("last", None)
        return part, shares

    def top(self) -> list[Unit]:
        """Return the unit of the top layer of each direction, whose final h is the text's."""
        return [
            (number, stack.num_layers - 1, direction)
            for number, (stack, directions) in enumerate(self.stacks)
            for direction in directions
        ]

    def read(
        self, weights: dict[Unit, list[Tensor]], of_pooling: list[Tensor]
    ) -> tuple[Tensor, list[dict[str, Tensor]], list[Tensor]]:
        """Read all windows; return the final h `[B, D*H]` and each window's summary and attention weights."""
        B = len(self.source)
        summaries: dict[int, dict[str, Tensor]] = {}
        attention: dict[int, Tensor] = {}
        for stage in self.stages:
            recurrence = self.stacks[stage.stack][0]
            zeros = weights[stage.units()[0]][0].new_zeros(1, B, recurrence.hidden_size)
            for unit in stage.units():
                self.entered[unit] = {
                    self.order(stage)[0]: (zeros, zeros) if recurrence.cell.has_cell_state else (zeros,)
                }
            last = stage is self.stages[-1]
            for k in self.order(stage):
                states = {unit: entered[k] for unit, entered in self.entered.items()}
                outputs, left = self.read_window(k, self.embedded(k), weights, states, None if last else stage)
                for unit in stage.units():
                    self.entered[unit][self.after(unit, k)] = left[unit]
                if last:
                    summaries[k], shares = self.summary(k, outputs, of_pooling)
                    if shares is not None:
                        attention[k] = shares
                self.after_window()
        ends = [self.entered[unit][self.end(unit)][0].squeeze(0) for unit in self.top()]
        order = range(len(self.places))
        return torch.cat(ends, dim=-1), [summaries[k] for k in order], [attention[k] for k in sorted(attention)]


class _Read(torch.autograd.Function):
    """`WindowedText.read` that keeps only states and computes each window again in the backward pass."""

    @staticmethod
    def forward(ctx: Any, text: WindowedText, embedding: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        weights = {unit: list(parameters[4 * n : 4 * n + 4]) for n, unit in enumerate(text.weights)}
        final, summaries, attention = text.read(weights, list(parameters[4 * len(weights) :]))
        ctx.text, text.names = text, list(summaries[0])
        ctx.save_for_backward(embedding, *parameters)
        device = embedding.device.type
        ctx.autocast = {
            "device_type": device,
            "dtype": torch.get_autocast_dtype(device),
            "enabled": torch.is_autocast_enabled(device),
        }
        stacked = [torch.stack([summary[name] for summary in summaries]) for name in text.names]
        shares = torch.cat(attention, dim=1) if attention else final.new_zeros(0)
        ctx.mark_non_differentiable(shares, *(part for part in stacked if not part.is_floating_point()))
        return final, shares, *stacked

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_final: Tensor, _: Any, *grads: Tensor) -> tuple[Any, ...]:
        text = ctx.text
        gradients = _Gradients(text, ctx.saved_tensors, ctx.needs_input_grad[1:])
        for unit, grad in zip(text.top(), grad_final.chunk(len(text.top()), dim=-1), strict=True):
            gradients.of_states[unit][text.end(unit)] = (grad.unsqueeze(0),)
        # Without gradients between windows, one sweep computes the gradients of all stages.
        for stage in text.stages[:1] if text.truncated else reversed(text.stages):
            for k in reversed(text.order(stage)):
                of_summary = {name: grad[k] for name, grad in zip(text.names, grads, strict=True)}
                gradients.add_window(stage, k, of_summary, ctx.autocast)
                text.after_window()
        return None, gradients.of_embedding, *gradients.of_parameters


class _Gradients:
    """Gradients of [`WindowedText.read`], summed over the windows.

    Args:
        text: Text that has been read.
        saved: Embedding matrix or embedded tokens, then the parameters of all units, then those of the pooling.
        needed: Flag for each tensor of `saved`, True if its gradient is needed.
    """

    def __init__(self, text: WindowedText, saved: Sequence[Tensor], needed: Sequence[bool]):
        (embedding, *parameters), (needs_embedding, *needs) = saved, needed
        self.text = text
        self.leaves = [p.detach().requires_grad_(n) for p, n in zip(parameters, needs, strict=True)]
        self.weights = {unit: self.leaves[4 * n : 4 * n + 4] for n, unit in enumerate(text.weights)}
        self.fixed = {unit: [weight.detach() for weight in group] for unit, group in self.weights.items()}
        self.of_pooling = self.leaves[4 * len(self.weights) :]
        self.of_embedding = torch.zeros_like(embedding) if needs_embedding else None
        self.of_parameters = [torch.zeros_like(p) if n else None for p, n in zip(parameters, needs, strict=True)]
        # Gradients of the state of each unit at the start of each window.
        self.of_states: dict[Unit, dict[int, tuple]] = {unit: {} for unit in text.weights}

    def add_window(self, stage: Stage, k: int, of_summary: dict[str, Tensor], autocast: dict[str, Any]) -> None:
        """Compute one window again and add its gradients.

        Args:
            stage: Stage whose units are followed back in time; the lowest one also gives all parameters' gradients.
            k: Index of the window.
            of_summary: Gradients of the window's summary.
            autocast: Autocast settings of the first pass over the window.
        """
        text, lowest = self.text, stage is self.text.stages[0]
        entering = [] if text.truncated else stage.units()
        with torch.enable_grad(), torch.autocast(**autocast):
            states = {unit: entered[k] for unit, entered in text.entered.items()}
            for unit in entering:
                states[unit] = tuple(part.detach().requires_grad_() for part in states[unit])
            x = text.embedded(k).detach().requires_grad_(lowest and self.of_embedding is not None)
            outputs, left = text.read_window(k, x, self.weights if lowest else self.fixed, states)
            summary, _ = text.summary(k, outputs, self.of_pooling)
        given: list[tuple[Tensor, Tensor | None]] = [(part, of_summary[name]) for name, part in summary.items()]
        for unit, parts in left.items():
            given += zip(parts, self.of_states[unit].get(text.after(unit, k), ()), strict=False)
        learned = [(p, total) for p, total in zip(self.leaves, self.of_parameters, strict=True) if total is not None]
        wanted = [[part for unit in entering for part in states[unit]], [x] if x.requires_grad else []]
        of_states, of_x, of_learned = _gradients(given, [*wanted, [p for p, _ in learned] if lowest else []])
        for unit in entering:
            self.of_states[unit][k] = tuple(of_states.pop(0) for _ in states[unit])
        if self.of_embedding is not None and of_x and of_x[0] is not None:
            text.add_embedded(self.of_embedding, k, of_x[0])
        for grad, (_, total) in zip(of_learned, learned, strict=False):
            if grad is not None:
                total += grad


def _gradients(given: list[tuple[Tensor, Tensor | None]], wanted: list[list[Tensor]]) -> list[list[Tensor | None]]:
    """Return the gradients of several groups of tensors; None for a tensor on which no result depends.

    Args:
        given: Results and their gradients; those without gradients are left out.
        wanted: Groups of tensors whose gradients are computed.
    """
    given = [(part, grad) for part, grad in given if part.requires_grad and grad is not None]
    flat = [part for group in wanted for part in group]
    found: list[Tensor | None] = [None] * len(flat)
    if given and flat:
        outputs, grads = zip(*given, strict=True)
        found = list(torch.autograd.grad(outputs, flat, grads, allow_unused=True))
    return [[found.pop(0) for _ in group] for group in wanted]


def read_in_windows(
    encoder: Any,
    pooling: Pooling,
    source: Tensor,
    attention_mask: Tensor | None,
    window: int,
    after_window: Callable[[], None] = lambda: None,
) -> tuple[Tensor, Tensor | None]:
    """Compute `pooling(encoder(…))` and its gradients with the activations of one window in memory.

    A window has at least √T tokens, so that memory grows with the square root of the text length T.

    Args:
        encoder: Encoder, an [`RNNModel`]. In training mode, dropout is the same as in a pass over the whole text.
        pooling: Pooling of the encoder's outputs.
        source: Token ids `[B, T]` or embedded tokens `[B, T, E]`.
        attention_mask: Mask, shape `[B, T]`, non-zero on tokens; None: no padding.
        window: Window size in tokens.
        after_window: Function to call after each window.

    Returns:
        The pooled texts, and the attention weights `[B, T]` or None, as [`Pooling.forward`] returns them.
    """
    if source.dim() == 2 and not isinstance(encoder.embed_tokens, nn.Embedding):
        # An adapter around the embedding gets its gradients from torch, since embedding happens before the windows.
        source = encoder.embed(source)
    elif source.dim() == 2:
        source = encoder.without_rare(source)
    ragged = None if attention_mask is None else Ragged.from_mask(attention_mask)
    if ragged is not None and ragged.to_front is not None:
        index = ragged.to_front if source.dim() == 2 else ragged.to_front.unsqueeze(-1).expand_as(source)
        source = source.gather(1, index)
    valid = None if ragged is None else ragged.valid
    window = max(window, math.isqrt(source.shape[1]))
    text = WindowedText(encoder, pooling, source, valid, window, after_window)
    embedding = encoder.embed_tokens.weight if source.dim() == 2 else source
    weights = [weight for group in text.weights.values() for weight in group]
    final, shares, *stacked = _Read.apply(text, embedding, *weights, *pooling.weights)
    parts = [dict(zip(text.names, values, strict=True)) for values in zip(*stacked, strict=True)]
    so_far: dict[str, Tensor] = {}
    for part in parts:
        so_far = pooling.joined(so_far, part) if so_far else part
    pooled = pooling.pooled({**so_far, "last": final})
    if not shares.numel():
        return pooled, None
    # The weights of each window sum to 1; scale them by the window's part of the softmax over the whole text.
    scores = torch.stack([part["score"] for part in parts], dim=1).detach().softmax(1)
    shares = shares * scores.repeat_interleave(window, dim=1)[:, : shares.shape[1]]
    if ragged is not None and ragged.to_place is not None:
        shares = shares.gather(1, ragged.to_place)
    return pooled, shares


__all__ = ["read_in_windows"]
