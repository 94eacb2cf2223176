"""Inputs for recurrences, and comparisons of their outputs and gradients."""

import torch

from hf_rnn.models.recurrence import Recurrence, RecurrentState

EXACT = 1e-10


def make_mask(kind: str, B: int, T: int) -> torch.Tensor | None:
    if kind == "none":
        return None
    if kind == "scattered":
        return torch.rand(B, T) < 0.6
    lengths = torch.randint(0, T + 1, (B,))
    lengths[0], lengths[-1] = T, 0
    mask = torch.arange(T) < lengths[:, None]
    return mask.flip(1) if kind == "left" else mask


def make_state(recurrence: Recurrence, B: int) -> RecurrentState:
    shape = (recurrence.num_layers * recurrence.num_directions, B, recurrence.hidden_size)
    c = torch.randn(shape, dtype=torch.float64, requires_grad=True) if recurrence.cell.has_cell_state else None
    return RecurrentState(torch.randn(shape, dtype=torch.float64, requires_grad=True), c)


def outputs_and_gradients(run, recurrence, inputs, mask, state):
    """Return all outputs and final states, and the gradients of a random weighted sum of them."""
    outputs, final = run(inputs, mask, state)
    results = [*outputs, *(part for part in final if part is not None)]
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(r.shape, generator=generator, dtype=r.dtype) for r in results]
    loss = sum((result * weight.to(result.device)).sum() for result, weight in zip(results, weights, strict=True))
    leaves = [inputs, *recurrence.parameters()]
    leaves += [part for part in state or () if part is not None]
    return results, torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)


def assert_close(actual, expected, tolerance=EXACT):
    for a, e in zip(actual, expected, strict=True):
        assert a.shape == e.shape
        # Sums over a thousand steps need a relative tolerance, and values below one need an absolute one.
        torch.testing.assert_close(a, e, rtol=tolerance, atol=tolerance)
