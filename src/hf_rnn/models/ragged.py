# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Batches of texts of different lengths: the positions of their tokens, and the order in which they are read.

Shapes: B batch, T time, F features.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Ragged(NamedTuple):
    """Positions of the tokens in a padded batch, and the indices that reorder them."""

    valid: Tensor  # [B, T] bool: True in the first `length` positions of each row
    lengths: Tensor  # [B]
    to_front: Tensor | None  # [B, T] index that moves a row's tokens to its front; None if they are there
    to_place: Tensor | None  # [B, T] its inverse
    reverse: Tensor  # [B, T] index that reverses each row within its length; its own inverse

    @classmethod
    def from_mask(cls, attention_mask: Tensor) -> "Ragged | None":
        """Compute the positions from an attention mask; return None if there is no padding.

        Args:
            attention_mask: Mask of the tokens, `[B, T]`, non-zero at a token; padding may be anywhere.
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
            # A stable counting sort, because exporters support its operations.
            tokens_before = mask.long().cumsum(1) - 1
            to_place = torch.where(mask, tokens_before, lengths[:, None] + time - tokens_before - 1)
            to_front = torch.empty_like(to_place).scatter(1, to_place, time.expand_as(to_place))
        return cls(valid, lengths, to_front, to_place, cls._reverse(valid, lengths))

    @classmethod
    def right_padded(cls, valid: Tensor) -> "Ragged | None":
        """Compute the positions from a mask whose padding is known to be on the right; return None without padding.

        Args:
            valid: Mask of the tokens, `[B, T]` bool.
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
    """Return whether a compiler, a tracer, an exporter or `torch.func` records the graph.

    The graph must then not depend on the values of the current tensors.
    """
    return torch.compiler.is_compiling() or torch.jit.is_tracing() or torch._C._are_functorch_transforms_active()


def may_ask(x: Tensor) -> bool:
    """Return whether the host may read the values of a tensor without waiting for a GPU.

    Args:
        x: Tensor on any device.
    """
    return x.device.type == "cpu" and can_ask(x)


def can_ask(x: Tensor) -> bool:
    """Return whether the host can read the values of a tensor at all, even if it waits for a GPU.

    It cannot for a meta tensor, or while a graph is recorded.

    Args:
        x: Tensor on any device.
    """
    return x.device.type != "meta" and not is_traced()


def _gather(x: Tensor, index: Tensor) -> Tensor:
    """Return `x[b, index[b, t]]`, `[B, T, F]`."""
    # T comes from the index: an exporter that unrolls a kernel may treat the T of its outputs as a constant.
    return x.gather(1, index.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


class _Permute(torch.autograd.Function):
    """[`_gather`] by an index that is a permutation of each row.

    Its gradient gathers by the inverse permutation. The gradient of `torch.gather` would add into a tensor of zeros.
    """

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
        x: Values, `[B, T, F]`.
        index: Permutation of the positions of each row, `[B, T]`.
        inverse: Inverse permutation, `[B, T]`.
    """
    # Dynamo does not trace functions that have a `jvp` (torch 2.13).
    return _gather(x, index) if torch.compiler.is_compiling() else _Permute.apply(x, index, inverse)


def reversed_rows(x: Tensor, ragged: Ragged | None) -> Tensor:
    """Reverse the tokens of each row of a right-padded batch; padding stays on the right.

    Args:
        x: Values, `[B, T, F]`.
        ragged: Positions of the tokens; None for a batch without padding.
    """
    return x.flip(1) if ragged is None else permuted(x, ragged.reverse, ragged.reverse)


__all__ = ["Ragged", "can_ask", "is_traced", "may_ask", "permuted", "reversed_rows"]
