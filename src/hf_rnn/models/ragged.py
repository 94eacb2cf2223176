# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Batches of texts that differ in length: where their tokens stand, and in which order they are read.

Shapes: B batch, T time, F features.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Ragged(NamedTuple):
    """Hold the places of the tokens in a padded batch, and the two orders in which they are read."""

    valid: Tensor  # [B, T] bool: True in the first `length` places of each row
    lengths: Tensor  # [B]
    to_front: Tensor | None  # [B, T] index that brings a row's tokens to its front; None where they are there already
    to_place: Tensor | None  # [B, T] its inverse
    reverse: Tensor  # [B, T] index that reverses each row within its length; its own inverse

    @classmethod
    def from_mask(cls, attention_mask: Tensor) -> "Ragged | None":
        """Read a mask; None where there is no padding at all.

        Args:
            attention_mask: `[B, T]`, non-zero where there is a token; padding may stand anywhere.
        """
        mask = attention_mask.bool()
        asks = may_ask(mask)
        if asks and mask.all():
            return None
        lengths = mask.sum(1)
        time = torch.arange(mask.shape[1], device=mask.device)
        valid = time < lengths[:, None]
        to_front = to_place = None
        if not asks or not torch.equal(mask, valid):
            # A stable sort by counting, which exporters know.
            tokens_before = mask.long().cumsum(1) - 1
            to_place = torch.where(mask, tokens_before, lengths[:, None] + time - tokens_before - 1)
            to_front = torch.empty_like(to_place).scatter(1, to_place, time.expand_as(to_place))
        return cls(valid, lengths, to_front, to_place, cls._reverse(valid, lengths))

    @classmethod
    def right_padded(cls, valid: Tensor) -> "Ragged | None":
        """Read a mask, as [`from_mask`], whose tokens are known to stand in front.

        Args:
            valid: `[B, T]` bool.
        """
        if may_ask(valid) and valid.all():
            return None
        lengths = valid.sum(1)
        return cls(valid, lengths, None, None, cls._reverse(valid, lengths))

    @staticmethod
    def _reverse(valid: Tensor, lengths: Tensor) -> Tensor:
        time = torch.arange(valid.shape[1], device=valid.device)
        return torch.where(valid, lengths[:, None] - 1 - time, time)


def is_traced() -> bool:
    """Return whether a compiler, a tracer, an exporter or `torch.func` looks at the graph itself: it must not depend on
    the data of the moment."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing() or torch._C._are_functorch_transforms_active()


def may_ask(x: Tensor) -> bool:
    """Return whether the host may ask for the values of a tensor: a GPU would make it wait."""
    return x.device.type == "cpu" and can_ask(x)


def can_ask(x: Tensor) -> bool:
    """Return whether the host can ask for the values of a tensor at all, even if it has to wait for a GPU."""
    return x.device.type != "meta" and not is_traced()


def _gather(x: Tensor, index: Tensor) -> Tensor:
    """Return `x[b, index[b, t]]`, `[B, T, F]`."""
    # T is the index's: an exporter that unrolls a kernel may take that of its outputs for a constant.
    return x.gather(1, index.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


class _Permute(torch.autograd.Function):
    """[`_gather`] for an index that is a permutation of each row. The gradient is a gather too, by the inverse; torch's
    own would add up into zeros."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
        return _gather(x, index)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        _, index, inverse = inputs
        ctx.save_for_backward(index, inverse)
        ctx.save_for_forward(index)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: Any) -> Tensor:
        (index,) = ctx.saved_tensors
        return _gather(tangent, index)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        index, inverse = ctx.saved_tensors
        return _Permute.apply(grad, inverse, index), None, None


def permuted(x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
    """Return `x[b, index[b, t]]`.

    Args:
        x: `[B, T, F]`.
        index: `[B, T]`, a permutation of each row.
        inverse: `[B, T]`, the inverse permutation.
    """
    # Dynamo does not look into functions that have a `jvp` (torch 2.13).
    return _gather(x, index) if torch.compiler.is_compiling() else _Permute.apply(x, index, inverse)


def reversed_rows(x: Tensor, ragged: Ragged | None) -> Tensor:
    """Return each row `[T, F]` of a right-padded batch in reverse, with its padding still on the right.

    Args:
        x: `[B, T, F]`.
        ragged: where the tokens stand; None if everywhere.
    """
    return x.flip(1) if ragged is None else permuted(x, ragged.reverse, ragged.reverse)


__all__ = ["Ragged", "can_ask", "is_traced", "may_ask", "permuted", "reversed_rows"]
