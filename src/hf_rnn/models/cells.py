# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Recurrent cells: the equation and the properties of each.

A new cell is one more entry in [`CELLS`]. All other parts read the entry: configuration, recurrence, decoder, windows,
initialization, gradient flow and model card.

Shapes: B batch, T time, F features, H hidden, G blocks of H rows in the weights. Weights have torch's names, shapes and
order of blocks: `weight_ih` `[G*H, F]`, `weight_hh` `[G*H, H]`, `bias_ih` and `bias_hh` `[G*H]`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .choices import check_choice
from .recurrence_cpu import CPUPass, GRUPass, ReluRNNPass, TanhRNNPass

# A step maps `(from_x, h, c, w_hh, b_hh)` to the new h and c. `from_x = W x + b_ih`, `[B, G*H]`, is the input's part of
# all blocks; h and c are `[B, H]`, and c is None for a cell without cell state.
Step = Callable[[Tensor, Tensor, Any, Tensor, Tensor], tuple[Tensor, Any]]


@dataclass(frozen=True, eq=False)
class Cell:
    """Recurrent cell.

    Args:
        name: Name of the cell, the `cell_type` in a configuration.
        display_name: Name of the cell in a model card.
        step: Equation of the cell.
        blocks: Names of the G blocks in the weights, in their order.
        gates: Names of the blocks that are gates, σ(W x + U h + b): 0 is closed, 1 is open.
        bias_fields: Block names, each with the field of `RNNConfig` that gives its initial input bias. All other biases
            start at 0.
        has_cell_state: True if the cell has a second state, c.
        is_bounded: True if h stays between -1 and 1.
        mode: Name of torch's kernel for the cell; None: the cell runs in a loop over `step`.
        cpu_pass: Hand-written pass for training on a CPU; None if torch has a fused CPU kernel or there is no pass.
    """

    name: str
    display_name: str
    step: Step
    blocks: tuple[str, ...]
    gates: tuple[str, ...] = ()
    bias_fields: dict[str, str] = field(default_factory=dict)
    has_cell_state: bool = False
    is_bounded: bool = True
    mode: str | None = None
    cpu_pass: type[CPUPass] | None = None

    @property
    def family(self) -> str:
        """Name without the activation, such as `rnn` for `rnn_tanh`; cells of a family share it."""
        return self.name.partition("_")[0]

    def run(
        self, x: Tensor, h: Tensor, c: Tensor | None, weights: list[Tensor], valid: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Run the equation over a right-padded batch, in a loop over time.

        Args:
            x: Inputs, shape `[B, T, F]`.
            h: Initial hidden state, shape `[1, B, H]`.
            c: Initial cell state, shape `[1, B, H]`; None for a cell without cell state.
            weights: List of `weight_ih`, `weight_hh`, `bias_ih` and `bias_hh`.
            valid: Mask, shape `[B, T]`, bool, True on tokens; None: no padding.

        Returns:
            Outputs `[B, T, H]`, and h and c of each row after its own last token, `[1, B, H]`.
        """
        w_ih, w_hh, b_ih, b_hh = weights
        steps = [h[:0]]
        for t, from_x in enumerate(F.linear(x, w_ih, b_ih).unbind(1)):
            new_h, new_c = self.step(from_x, h, c, w_hh, b_hh)
            if valid is not None:
                new_h = torch.where(valid[:, t, None], new_h, h)
                new_c = None if c is None else torch.where(valid[:, t, None], new_c, c)
            h, c = new_h, new_c
            steps.append(h)
        return torch.cat(steps).transpose(0, 1), h, c


def lstm_step(from_x: Tensor, h: Tensor, c: Tensor, w_hh: Tensor, b_hh: Tensor) -> tuple[Tensor, Tensor]:
    """Compute one step of the LSTM (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000)."""
    i, f, g, o = (from_x + F.linear(h, w_hh, b_hh)).chunk(4, dim=-1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_step(from_x: Tensor, h: Tensor, c: None, w_hh: Tensor, b_hh: Tensor) -> tuple[Tensor, None]:
    """Compute one step of the GRU (Cho et al. 2014), with the reset gate after the matrix product as in cuDNN."""
    x_r, x_z, x_n = from_x.chunk(3, dim=-1)
    h_r, h_z, h_n = F.linear(h, w_hh, b_hh).chunk(3, dim=-1)
    r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
    n = (x_n + r * h_n).tanh()
    return torch.lerp(n, h, z), None  # (1 - z) ∘ n + z ∘ h


def tanh_rnn_step(from_x: Tensor, h: Tensor, c: None, w_hh: Tensor, b_hh: Tensor) -> tuple[Tensor, None]:
    """Compute one step of the plain RNN (Elman 1990), h_t = tanh(W x_t + U h_{t-1} + b)."""
    return torch.tanh(from_x + F.linear(h, w_hh, b_hh)), None


def relu_rnn_step(from_x: Tensor, h: Tensor, c: None, w_hh: Tensor, b_hh: Tensor) -> tuple[Tensor, None]:
    """Compute one step of the plain RNN with a ReLU, h_t = max(0, W x_t + U h_{t-1} + b)."""
    return torch.relu(from_x + F.linear(h, w_hh, b_hh)), None


CELLS = {
    cell.name: cell
    for cell in (
        Cell(
            "lstm",
            "LSTM",
            lstm_step,
            blocks=("input", "forget", "cell", "output"),
            gates=("input", "forget", "output"),
            bias_fields={"forget": "forget_gate_bias"},
            has_cell_state=True,
            mode="LSTM",
        ),
        Cell(
            "gru",
            "GRU",
            gru_step,
            blocks=("reset", "update", "new"),
            gates=("reset", "update"),
            mode="GRU",
            cpu_pass=GRUPass,
        ),
        Cell(
            "rnn_tanh",
            "plain RNN (tanh)",
            tanh_rnn_step,
            blocks=("state",),
            mode="RNN_TANH",
            cpu_pass=TanhRNNPass,
        ),
        Cell(
            "rnn_relu",
            "plain RNN (ReLU)",
            relu_rnn_step,
            blocks=("state",),
            is_bounded=False,
            mode="RNN_RELU",
            cpu_pass=ReluRNNPass,
        ),
    )
}


def find_cell(name: str) -> Cell:
    """Return the cell with a name.

    Args:
        name: Name of the cell, as in a configuration.

    Raises:
        ValueError: An unknown name; the message lists the known ones.
    """
    check_choice("cell_type", name, CELLS)
    return CELLS[name]


__all__ = ["CELLS", "Cell", "find_cell"]
