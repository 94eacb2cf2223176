# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Recurrent layers of any widths and directions, as one stack of layers of the same width.

A configuration has one `hidden_size` and one number of directions for all layers. Other programs allow others for each
layer. A narrower layer is filled up with units whose weights are all zero, and a missing direction with such a layer.
This is exact: the state of these units stays 0. An LSTM computes c = σ(0) ∘ 0 + σ(0) ∘ tanh(0) = 0 and h = σ(0) tanh(0)
= 0; a GRU computes n = tanh(0) = 0 and h = (1 - z) ∘ 0 + z ∘ 0 = 0; and tanh(0) = max(0, 0) = 0 in plain RNNs. Layers
above read these units with weights of zero.

Shapes: E embedding, F features, H hidden, G blocks of a cell, D directions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..models.cells import find_cell
from ..utils.errors import HfRnnError

# Largest number of weights of a stack, 4 GB. A damaged file could make it far larger than itself.
LARGEST_STACK = 1 << 30


@dataclass
class DirectionWeights:
    """Weights of one direction of a recurrent layer, with torch's shapes and order of blocks.

    Args:
        weight_ih: Input matrix, `[G*H, F]`.
        weight_hh: Recurrent matrix, `[G*H, H]`.
        bias_ih: Bias of the input's part, `[G*H]`.
        bias_hh: Bias of the state's part, `[G*H]`.
        backward: True if the direction reads texts from right to left.
    """

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor
    bias_hh: Tensor
    backward: bool = False


@dataclass
class Stack:
    """Stack of recurrent layers that [`stacked`] returns.

    Args:
        fields: Fields of the configuration.
        weights: Weights by their names in [`RNNModel`].
        places: Index in our outputs `[D*H]` of each output of the top layer, in its own order.
        notes: Sentences that say what was added.
    """

    fields: dict
    weights: dict[str, Tensor]
    places: Tensor
    notes: list[str] = field(default_factory=list)


def stacked(cell_type: str, layers: Sequence[Sequence[DirectionWeights]], embedding_size: int) -> Stack:
    """Return recurrent layers as one stack of the same width and directions, which computes the same.

    Args:
        cell_type: Cell of all layers.
        layers: Directions of each layer, from the bottom to the top. The outputs of a layer are those of its
            directions, one after the other.
        embedding_size: Width E of the input of the bottom layer.

    Raises:
        HfRnnError: The stack would be too large.
    """
    sizes = [direction.weight_hh.shape[1] for layer in layers for direction in layer]
    H, only_backward = max(sizes), all(len(layer) == 1 and layer[0].backward for layer in layers)
    bidirectional = any(direction.backward for layer in layers for direction in layer)
    D = 2 if bidirectional and not only_backward else 1
    blocks = len(find_cell(cell_type).blocks)
    if len(layers) * D * blocks * H * (max(D * H, embedding_size) + H) > LARGEST_STACK:
        raise HfRnnError(
            f"{len(layers)} layers of {H} units are too large: the weights of a stack may have {LARGEST_STACK:,} "
            "numbers."
        )
    weights: dict[str, Tensor] = {}
    inputs, width = torch.arange(embedding_size), embedding_size
    for number, layer in enumerate(layers):
        outputs = []
        for d in range(D):
            names = [f"{name}_l{number}{'_reverse' * d}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            shapes = [(blocks * H, width), (blocks * H, H), (blocks * H,), (blocks * H,)]
            weights |= {name: torch.zeros(shape) for name, shape in zip(names, shapes, strict=True)}
        for direction in layer:
            d = int(direction.backward and D == 2)
            _place(direction, weights, f"_l{number}{'_reverse' * d}", inputs, H, blocks)
            outputs.append(d * H + torch.arange(direction.weight_hh.shape[1]))
        inputs, width = torch.cat(outputs), D * H
    named = {f"recurrence.{name}": weight for name, weight in weights.items()}
    if only_backward:
        # The stack that reads from left to right exists in the configuration, and stays empty.
        named = {name: torch.zeros_like(weight) for name, weight in named.items()}
        named |= {f"backward_recurrence.{name}": weight for name, weight in weights.items()}
        inputs = inputs + H
    fields = {
        "cell_type": cell_type,
        "hidden_size": H,
        "num_hidden_layers": len(layers),
        "bidirectional": bidirectional,
        "independent_directions": only_backward,
        "embedding_size": embedding_size,
    }
    return Stack(fields, named, inputs, _notes(layers, H, D, only_backward))


def _place(
    direction: DirectionWeights, weights: dict[str, Tensor], ending: str, inputs: Tensor, H: int, blocks: int
) -> None:
    """Copy the weights of a direction into tensors of zeros of the common width."""
    own = torch.arange(direction.weight_hh.shape[1])
    rows = torch.cat([block * H + own for block in range(blocks)])
    weights[f"weight_ih{ending}"][rows[:, None], inputs] = direction.weight_ih.float()
    weights[f"weight_hh{ending}"][rows[:, None], own] = direction.weight_hh.float()
    weights[f"bias_ih{ending}"][rows] = direction.bias_ih.float()
    weights[f"bias_hh{ending}"][rows] = direction.bias_hh.float()


def _notes(layers: Sequence[Sequence[DirectionWeights]], H: int, D: int, only_backward: bool) -> list[str]:
    notes = []
    sizes = [layer[0].weight_hh.shape[1] for layer in layers]
    if any(direction.weight_hh.shape[1] < H for layer in layers for direction in layer):
        notes.append(
            f"the layers have {', '.join(map(str, sizes))} units: each is filled up to {H} with units whose weights "
            "are zero, which changes no answer"
        )
    if only_backward:
        notes.append("the layers read from right to left: the stack that reads from left to right has weights of zero")
    elif any(len(layer) < D for layer in layers):
        notes.append(
            "some layers read in one direction only: their other direction has weights of zero, which changes no answer"
        )
    return notes


__all__ = ["DirectionWeights", "Stack", "stacked"]
