# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Recurrent layers as ONNX's own operators, which read both directions and end each row at its length.

A trace of the model's layers would contain an operator for each direction, and gathers that reverse the rows. They took
half of the time of a graph.

Shapes: B batch, T time, F width of a layer's input, H hidden, D directions, L layers, G blocks of H rows.
"""

from typing import Any

import torch
from torch import Tensor, nn

from ..models.modeling_rnn import RNNModel
from ..models.recurrence import Recurrence, RecurrentState

# Operator of each kind of cell, and the order of its blocks as indices into torch's blocks.
OPERATORS = {
    "lstm": ("LSTM", (0, 3, 1, 2)),
    "gru": ("GRU", (1, 0, 2)),
    "rnn_tanh": ("RNN", (0,)),
    "rnn_relu": ("RNN", (0,)),
}
DIRECTIONS = {(0,): "forward", (1,): "reverse", (0, 1): "bidirectional"}


class _Operator(torch.autograd.Function):
    """Recurrent operator of ONNX. Only its shapes are computed here, since it is traced and never run."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, recurrent: Tensor, bias: Tensor, lengths: Tensor, name: str, options: dict
    ) -> tuple[Tensor, Tensor]:
        (T, B, _), (D, _, H) = x.shape, recurrent.shape
        return x.new_zeros(T, D, B, H), x.new_zeros(D, B, H)

    @staticmethod
    def symbolic(
        g: Any, x: Any, weight: Any, recurrent: Any, bias: Any, lengths: Any, name: str, options: dict
    ) -> tuple[Any, Any]:
        return g.op(name, x, weight, recurrent, bias, lengths, outputs=2, **options)


class OperatorLayer(nn.Module):
    """One recurrent layer, as one operator.

    Args:
        stack: Recurrent layers of a model.
        layer: Index of the layer.
        directions: Directions in which the layer reads: 0 is left to right, 1 is right to left.
    """

    weight: Tensor
    recurrent: Tensor
    bias: Tensor

    def __init__(self, stack: Recurrence, layer: int, directions: tuple[int, ...]):
        super().__init__()
        self.operator, order = OPERATORS[stack.cell_type]
        H, D = stack.hidden_size, len(directions)
        self.options: dict[str, Any] = {"hidden_size_i": H, "direction_s": DIRECTIONS[directions]}
        if self.operator == "GRU":
            # The reset gate acts after the matrix product, as in torch and cuDNN.
            self.options["linear_before_reset_i"] = 1
        if self.operator == "RNN":
            self.options["activations_s"] = ["Relu" if stack.cell_type == "rnn_relu" else "Tanh"] * D

        def ordered(part: Tensor) -> Tensor:
            blocks = part.detach().split(H)
            return torch.cat([blocks[place] for place in order])

        weights = [[ordered(part) for part in of_direction] for of_direction in stack.weights(layer)]
        self.register_buffer("weight", torch.stack([w_ih for w_ih, *_ in weights]))
        self.register_buffer("recurrent", torch.stack([w_hh for _, w_hh, *_ in weights]))
        self.register_buffer("bias", torch.stack([torch.cat(biases) for _, _, *biases in weights]))

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs, `[T, B, D*H]`, zeros on padding, and the final hidden states, `[D, B, H]`.

        Args:
            x: Inputs, `[T, B, F]`, right-padded.
            lengths: Number of tokens of each row, `[B]`, int32.
        """
        arguments = (x, self.weight, self.recurrent, self.bias, lengths, self.operator, self.options)
        outputs, final = _Operator.apply(*arguments)
        return outputs.transpose(1, 2).flatten(2), final


class OperatorReader(nn.Module):
    """Recurrent layers of an encoder, as operators.

    Args:
        encoder: Encoder of a model.
    """

    def __init__(self, encoder: RNNModel):
        super().__init__()
        self.stacks = nn.ModuleList(
            nn.ModuleList(OperatorLayer(stack, layer, directions) for layer in range(stack.num_layers))
            for stack, directions in encoder.stacks
        )

    def forward(self, x: Tensor, attention_mask: Tensor, *_: Any) -> tuple[tuple[Tensor, ...], RecurrentState]:
        """Return the outputs of each layer, `[B, T, D*H]`, and the final hidden states, `[L*D, B, H]`.

        Args:
            x: Embedded tokens, `[B, T, E]`.
            attention_mask: Mask, `[B, T]`, with the tokens of each row first.
            *_: Further arguments of the encoder's own function, which the graphs do not need.
        """
        lengths = attention_mask.bool().sum(1).int()
        outputs, states = [], []
        for stack in self.stacks:
            read = x.transpose(0, 1)
            of_stack = []
            for layer in stack:  # type: ignore[attr-defined]
                read, final = layer(read, lengths)
                of_stack.append((read.transpose(0, 1), final))
            outputs.append([out for out, _ in of_stack])
            states.append([final for _, final in of_stack])
        layers = tuple(torch.cat(parts, dim=-1) for parts in zip(*outputs, strict=True))
        return layers, RecurrentState(torch.cat([part for parts in zip(*states, strict=True) for part in parts]))


__all__ = ["OPERATORS", "OperatorReader"]
