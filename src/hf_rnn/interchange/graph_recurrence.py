# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Recurrent layers as ONNX's own operators, which read both directions and end each row at its length.

A trace of the model's layers would contain an operator for each direction, and gathers that reverse the rows. They took
half of the time of a graph.

Shapes: B batch, T time, F width of a layer's input, H hidden, D directions, L layers, G blocks of H rows.
"""

from collections.abc import Sequence
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
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        recurrent: Tensor,
        bias: Tensor,
        lengths: Tensor | None,
        h: Tensor | None,
        c: Tensor | None,
        name: str,
        options: dict,
    ) -> tuple[Tensor, ...]:
        (T, B, _), (D, _, H) = x.shape, recurrent.shape
        return x.new_zeros(T, D, B, H), *(x.new_zeros(D, B, H) for _ in range(_states(name)))

    @staticmethod
    def symbolic(g: Any, *arguments: Any) -> Any:
        *inputs, name, options = arguments
        while _is_missing(inputs[-1]):
            inputs.pop()
        inputs = [_missing(g) if _is_missing(value) else value for value in inputs]
        return g.op(name, *inputs, outputs=1 + _states(name), **options)


def _is_missing(value: Any) -> bool:
    return value is None or value.node().mustBeNone()


def _missing(g: Any) -> Any:
    """Return an input that is left out, in front of others."""
    value = g.op("prim::Constant")
    value.setType(torch._C.OptionalType.ofTensor())
    return value


def _states(operator: str) -> int:
    """Return the number of states that an operator returns: that of the LSTM has a cell state."""
    return 2 if operator == "LSTM" else 1


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

    def forward(self, x: Tensor, lengths: Tensor | None, state: RecurrentState | None) -> tuple[Tensor, RecurrentState]:
        """Return the outputs, `[T, B, D*H]`, zeros on padding, and the final states, each `[D, B, H]`.

        Args:
            x: Inputs, `[T, B, F]`, right-padded.
            lengths: Number of tokens of each row, `[B]`, int32; None for T.
            state: Initial states, each `[D, B, H]`; None for zeros.
        """
        h, c = (None, None) if state is None else state
        weights = (self.weight, self.recurrent, self.bias)
        outputs, *final = _Operator.apply(x, *weights, lengths, h, c, self.operator, self.options)
        if lengths is not None and state is not None:
            # The operator returns zeros for a row without tokens.
            is_text = lengths[:, None] > 0
            final = [torch.where(is_text, *parts) for parts in zip(final, (h, c), strict=False)]
        return outputs.transpose(1, 2).flatten(2), RecurrentState(*final)


class OperatorStack(nn.Module):
    """Recurrent layers on top of each other, as operators.

    Args:
        stack: Recurrent layers of a model.
        directions: Directions in which each layer reads: 0 is left to right, 1 is right to left.
    """

    def __init__(self, stack: Recurrence, directions: tuple[int, ...] = (0,)):
        super().__init__()
        self.directions = len(directions)
        self.layers = nn.ModuleList(OperatorLayer(stack, layer, directions) for layer in range(stack.num_layers))

    def forward(
        self, x: Tensor, lengths: Tensor | None, state: RecurrentState | None = None
    ) -> tuple[list[Tensor], list[RecurrentState]]:
        """Return the outputs of each layer, `[T, B, D*H]`, and its final states, each `[D, B, H]`.

        Args:
            x: Inputs, `[T, B, F]`, right-padded.
            lengths: Number of tokens of each row, `[B]`, int32; None for T.
            state: Initial states of all layers, each `[L*D, B, H]`; None for zeros.
        """
        outputs, finals = [], []
        for place, layer in enumerate(self.layers):
            rows = slice(place * self.directions, (place + 1) * self.directions)
            of_layer = None
            if state is not None:
                of_layer = RecurrentState(*(None if part is None else part[rows] for part in state))
            x, final = layer(x, lengths, of_layer)
            outputs.append(x)
            finals.append(final)
        return outputs, finals


class OperatorReader(nn.Module):
    """Recurrent layers of an encoder, as operators.

    Args:
        encoder: Encoder of a model.
    """

    def __init__(self, encoder: RNNModel):
        super().__init__()
        self.stacks = nn.ModuleList(OperatorStack(stack, directions) for stack, directions in encoder.stacks)

    def forward(self, x: Tensor, attention_mask: Tensor, *_: Any) -> tuple[tuple[Tensor, ...], RecurrentState]:
        """Return the outputs of each layer, `[B, T, D*H]`, and the final states, each `[L*D, B, H]`.

        Args:
            x: Embedded tokens, `[B, T, E]`.
            attention_mask: Mask, `[B, T]`, with the tokens of each row first.
            *_: Further arguments of the encoder's own function, which the graphs do not need.
        """
        lengths = attention_mask.bool().sum(1).int()
        outputs, finals = zip(*(stack(x.transpose(0, 1), lengths) for stack in self.stacks), strict=True)
        layers = tuple(torch.cat(parts, dim=-1).transpose(0, 1) for parts in zip(*outputs, strict=True))
        return layers, joined([final for parts in zip(*finals, strict=True) for final in parts])


def joined(states: Sequence[RecurrentState]) -> RecurrentState:
    """Return the states of layers, each `[D, B, H]`, as those of a stack, each `[L*D, B, H]`.

    Args:
        states: States of the layers, from the bottom one to the top one.
    """
    return RecurrentState(*(torch.cat(parts) for parts in zip(*states, strict=True) if parts[0] is not None))


__all__ = ["OPERATORS", "OperatorReader", "OperatorStack", "joined"]
