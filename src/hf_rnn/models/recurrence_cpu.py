# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Training of GRU and plain RNN on a CPU, where torch has a fused kernel for the LSTM only.

The backward pass is written by hand, since most of it does not depend on the previous step. The derivatives of the
gates are computed beforehand, so that each step backwards in time is only a few operations. Time is split into blocks
that fit into the processor's cache, so that each operation finds its inputs there.

Shapes: D directions, T time, B batch, F features, H hidden, G blocks of H rows in the weights. With one direction, the
axis D is left out.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

CACHE = 1 << 21  # most bytes of gates in a block; 1 to 4 MiB are equally fast, less and more are slower
# False selects torch's own slower kernels, whose gradients can be differentiated again.
ENABLED = True


def _product(added: Tensor, a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """Compute `out = added + a @ b`, for one direction or for all at once."""
    return (torch.addmm if out.dim() == 2 else torch.baddbmm)(added, a, b, out=out)


def _steps(start: int, size: int, *tensors: Tensor | None) -> list:
    """Return the steps `start` to `start + size - 1` of several tensors `[…, T, B, F]`; None stays None."""
    return [None if tensor is None else tensor.narrow(-3, start, size) for tensor in tensors]


def _flat(x: Tensor) -> Tensor:
    """Reshape `[…, T, B, F]` to `[…, T*B, F]`, so that the rows of all steps form one matrix."""
    return x.reshape(*x.shape[:-3], -1, x.shape[-1])


class CPUPass:
    """Cell-specific part of the forward and backward pass of a layer."""

    num_blocks: int  # G
    has_inner: bool  # True if the cell needs U h of its last gate apart from the gate's sum, as the GRU does

    @classmethod
    def input_bias(cls, b_ih: Tensor, b_hh: Tensor) -> Tensor:
        """Return the bias `[…, G*H]` that can be added to the input's part of all steps at once.

        Args:
            b_ih: Input bias, shape `[…, G*H]`.
            b_hh: Recurrent bias, shape `[…, G*H]`.
        """
        raise NotImplementedError

    @classmethod
    def steps(cls, h: Tensor, gates: Tensor, inner: Tensor | None, out: Tensor, w_hh: Tensor, b_hh: Tensor) -> Tensor:
        """Compute the forward steps of a block of time.

        Args:
            h: State before the first step, shape `[…, B, H]`.
            gates: Input's part of each gate, shape `[…, T, B, G*H]`; with `has_inner`, overwritten with the gates.
            inner: Buffer `[…, T, B, H]` for U h plus bias of the last gate; None without `has_inner`.
            out: Buffer `[…, T, B, H]` for the outputs.
            w_hh: Recurrent weights, shape `[…, G*H, H]`.
            b_hh: Recurrent bias, shape `[…, G*H]`.

        Returns:
            The state after the last step, `[…, B, H]`.
        """
        raise NotImplementedError

    @classmethod
    def factors(
        cls, gates: Tensor | None, inner: Tensor | None, before: Tensor, out: Tensor, factors: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        """Compute the factors by which the backward pass multiplies dL/dh' of each step.

        Args:
            gates: Gates as [`steps`] left them; None without `has_inner`.
            inner: Buffer as [`steps`] left it; None without `has_inner`.
            before: State before each step, shape `[…, T, B, H]`.
            out: Outputs of each step, shape `[…, T, B, H]`.
            factors: Buffer `[…, T, B, G*H]` for the factors that give the gradient of h's part of each gate.

        Returns:
            The factor of the direct path from h' to h, and the factor that [`to_input`] takes; None if there is none.
        """
        raise NotImplementedError

    @classmethod
    def to_input(cls, grad_gates: Tensor, grad_out: Tensor, to_n: Tensor | None) -> None:
        """Turn gradients of h's part of each gate into gradients of x's part, in place; by default they are equal.

        Args:
            grad_gates: Gradients of h's part of each gate, shape `[…, T, B, G*H]`; overwritten.
            grad_out: Gradient dL/dh' of each step, shape `[…, T, B, H]`.
            to_n: Second factor that [`factors`] returned.
        """


class GRUPass(CPUPass):
    """Pass of a GRU.

    n = tanh(W_n x + b_n + r ∘ (U_n h + c_n)), h' = (1 - z) ∘ n + z ∘ h; `inner` is U_n h + c_n.
    """

    num_blocks, has_inner = 3, True

    @classmethod
    def input_bias(cls, b_ih: Tensor, b_hh: Tensor) -> Tensor:
        H = b_ih.shape[-1] // 3
        bias = b_ih.clone()
        bias[..., : 2 * H] += b_hh[..., : 2 * H]
        return bias

    @classmethod
    def steps(cls, h: Tensor, gates: Tensor, inner: Tensor | None, out: Tensor, w_hh: Tensor, b_hh: Tensor) -> Tensor:
        assert inner is not None
        H = h.shape[-1]
        w_rz, w_n = w_hh[..., : 2 * H, :].mT, w_hh[..., 2 * H :, :].mT
        b_n = b_hh[..., None, 2 * H :]
        views = (part.unbind(-3) for part in (gates[..., : 2 * H], *gates.split(H, -1), inner, out))
        for rz, r, z, n, inner_t, out_t in zip(*views, strict=True):
            _product(rz, h, w_rz, rz).sigmoid_()
            _product(b_n, h, w_n, inner_t)
            n.addcmul_(r, inner_t).tanh_()
            h = torch.lerp(n, h, z, out=out_t)
        return h

    @classmethod
    def factors(
        cls, gates: Tensor | None, inner: Tensor | None, before: Tensor, out: Tensor, factors: Tensor
    ) -> tuple[Tensor, Tensor]:
        assert gates is not None
        assert inner is not None
        H = out.shape[-1]
        r, z, n = gates.split(H, -1)
        to_r, to_z, to_inner = factors.split(H, -1)
        to_n = (1 - z).mul_(1 - n * n)
        torch.mul(to_n, r, out=to_inner)
        torch.mul(to_inner, inner, out=to_r).mul_(1 - r)
        torch.sub(before, n, out=to_z).mul_(z).mul_(1 - z)
        return z, to_n

    @classmethod
    def to_input(cls, grad_gates: Tensor, grad_out: Tensor, to_n: Tensor | None) -> None:
        assert to_n is not None
        # The reset gate multiplies h's part only, so the gradients of the two parts of n differ.
        torch.mul(grad_out, to_n, out=grad_gates[..., -grad_out.shape[-1] :])


class _RNNPass(CPUPass):
    """Pass of a plain RNN: h' = f(W x + b + U h)."""

    num_blocks, has_inner = 1, False

    @staticmethod
    def activate(x: Tensor) -> Tensor:
        """Apply f to `x` in place."""
        raise NotImplementedError

    @staticmethod
    def derivative(out: Tensor, result: Tensor) -> None:
        """Compute f' from the output `out` of f, and write it into `result`."""
        raise NotImplementedError

    @classmethod
    def input_bias(cls, b_ih: Tensor, b_hh: Tensor) -> Tensor:
        return b_ih + b_hh

    @classmethod
    def steps(cls, h: Tensor, gates: Tensor, inner: Tensor | None, out: Tensor, w_hh: Tensor, b_hh: Tensor) -> Tensor:
        w = w_hh.mT
        for from_x, out_t in zip(gates.unbind(-3), out.unbind(-3), strict=True):
            h = cls.activate(_product(from_x, h, w, out_t))
        return h

    @classmethod
    def factors(
        cls, gates: Tensor | None, inner: Tensor | None, before: Tensor, out: Tensor, factors: Tensor
    ) -> tuple[None, None]:
        cls.derivative(out, factors)
        return None, None


class TanhRNNPass(_RNNPass):
    """Pass of a plain RNN whose activation is tanh."""

    @staticmethod
    def activate(x: Tensor) -> Tensor:
        return x.tanh_()

    @staticmethod
    def derivative(out: Tensor, result: Tensor) -> None:
        torch.mul(out, out, out=result).neg_().add_(1)


class ReluRNNPass(_RNNPass):
    """Pass of a plain RNN whose activation is a ReLU."""

    @staticmethod
    def activate(x: Tensor) -> Tensor:
        return x.relu_()

    @staticmethod
    def derivative(out: Tensor, result: Tensor) -> None:
        torch.gt(out, 0, out=result)


def is_enabled() -> bool:
    """Return whether this module trains layers on a CPU."""
    return ENABLED


class _ThroughTime(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        cell: type[CPUPass],
        x: Tensor,
        h0: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor,
        b_hh: Tensor,
    ) -> Tensor:
        *D, T, B, _ = x.shape
        H, G = h0.shape[-1], cell.num_blocks
        block = max(1, CACHE // max(1, G * h0.nbytes))
        gates = x.new_empty(*D, T, B, G * H)
        inner = x.new_empty(*D, T, B, H) if cell.has_inner else None
        out = x.new_empty(*D, T, B, H)
        w_x, bias, h = w_ih.mT, cell.input_bias(b_ih, b_hh).unsqueeze(-2), h0
        for start in range(0, T, block):
            x_now, gates_now, inner_now, out_now = _steps(start, min(block, T - start), x, gates, inner, out)
            _product(bias, _flat(x_now), w_x, gates_now.view(*D, -1, G * H))
            h = cell.steps(h, gates_now, inner_now, out_now, w_hh, b_hh)
        ctx.cell, ctx.block = cell, block
        # The derivative of a plain RNN is computed from its output alone.
        ctx.save_for_backward(x, h0, w_ih, w_hh, gates if cell.has_inner else None, inner, out)
        return out

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "the gradient of a GRU or plain RNN on a CPU cannot be differentiated again (create_graph=True): write "
                "hf_rnn.models.recurrence_cpu.ENABLED = False before the forward pass. All models of the process then "
                "use torch's own slower kernel, which supports it."
            )
        cell, block = ctx.cell, ctx.block
        x, h0, w_ih, w_hh, gates, inner, out = ctx.saved_tensors
        *D, T, B, F = x.shape
        H, G = h0.shape[-1], cell.num_blocks
        grad_x = x.new_empty(*D, T, B, F) if ctx.needs_input_grad[1] else None
        of_weights = any(ctx.needs_input_grad[3:])
        grad_w_ih, grad_w_hh = torch.zeros_like(w_ih), torch.zeros_like(w_hh)
        grad_b_ih, grad_b_hh = w_ih.new_zeros(*D, G * H), w_ih.new_zeros(*D, G * H)
        carry = torch.zeros_like(h0)
        buffer, grad_h = x.new_empty(*D, min(T, block), B, G * H), x.new_empty(*D, min(T, block), B, H)
        for start in reversed(range(0, T, block)):
            size = min(block, T - start)
            now = _steps(start, size, x, gates, inner, out, grad_out, grad_x)
            x_now, gates_now, inner_now, out_now, grad_out_now, grad_x_now = now
            if start:
                (before,) = _steps(start - 1, size, out)
            else:
                before = torch.cat([h0.unsqueeze(-3), *_steps(0, size - 1, out)], -3)
            grad_gates, grad_h_now = _steps(0, size, buffer, grad_h)
            direct, to_n = cell.factors(gates_now, inner_now, before, out_now, grad_gates)
            _back_through_block(grad_out_now, carry, grad_gates, grad_h_now, direct, w_hh)
            flat = _flat(grad_gates)
            if of_weights:
                _add_product(grad_w_hh, flat, _flat(before))
                grad_b_hh += flat.sum(-2)
            cell.to_input(grad_gates, grad_h_now, to_n)
            if of_weights:
                _add_product(grad_w_ih, flat, _flat(x_now))
                grad_b_ih += flat.sum(-2)
            if grad_x is not None:
                torch.matmul(flat, w_ih, out=grad_x_now.view(*D, -1, F))
        return None, grad_x, carry, grad_w_ih, grad_w_hh, grad_b_ih, grad_b_hh


def _back_through_block(
    grad_out: Tensor, carry: Tensor, grad_gates: Tensor, grad_h: Tensor, direct: Tensor | None, w_hh: Tensor
) -> None:
    """Run the backward steps of a block, from the last to the first, and turn factors into gradients in place.

    `carry` is dL/dh from the steps after the block. It is overwritten with dL/dh of the state before the block.
    """
    G, H = grad_gates.shape[-1] // grad_h.shape[-1], grad_h.shape[-1]
    by_gate = grad_gates.view(*grad_gates.shape[:-1], G, H)
    views = [part.unbind(-3) for part in (grad_out, grad_h, grad_gates)]
    directs: Sequence[Tensor | None] = [None] * len(views[0]) if direct is None else direct.unbind(-3)
    steps = list(zip(*views, by_gate.unbind(-4), directs, strict=True))
    for grad_out_t, grad_h_t, gates_t, by_gate_t, direct_t in reversed(steps):
        torch.add(grad_out_t, carry, out=grad_h_t)
        by_gate_t.mul_(grad_h_t.unsqueeze(-2))
        if direct_t is None:
            torch.matmul(gates_t, w_hh, out=carry)
        else:
            _product(grad_h_t * direct_t, gates_t, w_hh, carry)


def _add_product(total: Tensor, a: Tensor, b: Tensor) -> None:
    """Compute `total += aᵀ b`."""
    _product(total, a.mT, b, total)


def through_time(
    cell: type[CPUPass], x: Tensor, h0: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
) -> Tensor:
    """Run a layer in all its directions at once, each from left to right, with a hand-written backward pass.

    Args:
        cell: Cell-specific part of the pass.
        x: Inputs, shape `[D, T, B, F]`.
        h0: Initial states, shape `[D, B, H]`.
        w_ih: Input weights, shape `[D, G*H, F]`, with gates in torch's order.
        w_hh: Recurrent weights, shape `[D, G*H, H]`.
        b_ih: Input bias, shape `[D, G*H]`.
        b_hh: Recurrent bias, shape `[D, G*H]`.

    Returns:
        The outputs `[D, T, B, H]`.

    Raises:
        RuntimeError: The backward pass runs with `create_graph=True`, which asks for second derivatives.
    """
    inputs = [x, h0, w_ih, w_hh, b_ih, b_hh]
    if torch.is_autocast_enabled("cpu"):
        inputs = [part.to(torch.get_autocast_dtype("cpu")) for part in inputs]
    if len(x) == 1:
        inputs = [part.squeeze(0) for part in inputs]
    with torch.autocast("cpu", enabled=False):
        out = _ThroughTime.apply(cell, *inputs)
    return out.unsqueeze(0) if len(x) == 1 else out


__all__ = ["CPUPass", "GRUPass", "ReluRNNPass", "TanhRNNPass", "is_enabled", "through_time"]
