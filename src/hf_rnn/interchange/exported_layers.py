# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""A model as the plain layers of other programs: embedding, recurrent layers, pooling, linear layers."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..text.labels import MULTI, is_regression
from ..utils.errors import HfRnnError
from .linear_layers import Linear
from .stacked_layers import DirectionWeights

EXPORTED = ("RNNForSequenceClassification", "RNNForCausalLM")


@dataclass
class ExportedLayers:
    """Layers of a model.

    Args:
        cell_type: Cell of the recurrent layers.
        embedding: Embedding, `[V, E]`.
        recurrent: Directions of each layer, left to right first.
        pooling: Name of the pooling; None for a language model, which answers each token.
        attention: Weights of attention pooling by name; {} for other poolings.
        head: Linear layers above.
        activation: Activation that turns the outputs into scores: `softmax`, `sigmoid` or `linear`.
    """

    cell_type: str
    embedding: Tensor
    recurrent: list[list[DirectionWeights]]
    pooling: str | None
    attention: dict[str, Tensor]
    head: list[Linear]
    activation: str

    @classmethod
    def of(cls, model: Any) -> "ExportedLayers":
        """Return the layers of a model.

        Args:
            model: Text classifier without wide path, or language model. A language model with two directions gives the
                one that reads from left to right.

        Raises:
            HfRnnError: Another model, or a wide path.
        """
        kind, config = type(model).__name__, model.config
        if kind not in EXPORTED:
            raise HfRnnError(
                f"the model is an {kind}, and only {' and '.join(EXPORTED)} are made of plain layers: export it with "
                "format='onnx'."
            )
        if config.wide_ngrams:
            raise HfRnnError(
                f"the model has a wide path (wide_ngrams={config.wide_ngrams}), which is no plain layer: export it "
                "with format='onnx', or train it with model.wide_ngrams=0."
            )
        writes = kind == "RNNForCausalLM"
        embedding = model.model.embed_tokens.weight.detach().float().cpu()
        return cls(
            config.cell_type,
            embedding,
            _directions(model.model, forward_only=writes),
            None if writes else config.pooling,
            {} if writes else {name: t.detach().float().cpu() for name, t in model.pooling.state_dict().items()},
            _output_layers(model) if writes else _head(model.classifier, config),
            "linear" if writes or is_regression(config) else "sigmoid" if config.problem_type == MULTI else "softmax",
        )


def _directions(encoder: Any, forward_only: bool) -> list[list[DirectionWeights]]:
    """Return the directions of each layer; two independent stacks as one whose layers ignore the other direction."""
    stacks = [stack for stack, _ in encoder.stacks]
    if forward_only:
        stacks = stacks[:1]
    layers = []
    for number in range(encoder.config.num_hidden_layers):
        directions = [
            _direction(weights, bool(d or s))
            for s, stack in enumerate(stacks)
            for d, weights in enumerate(stack.weights(number))
        ]
        if len(stacks) > 1 and number:
            for direction in directions:
                w = direction.weight_ih
                both = [torch.zeros_like(w), w] if direction.backward else [w, torch.zeros_like(w)]
                direction.weight_ih = torch.cat(both, dim=1)
        layers.append(directions)
    return layers


def _direction(weights: list[Tensor], backward: bool) -> DirectionWeights:
    w_ih, w_hh, b_ih, b_hh = (weight.detach().float().cpu() for weight in weights)
    return DirectionWeights(w_ih, w_hh, b_ih, b_hh, backward)


def _linear(module: Any, activation: str = "linear") -> Linear:
    return Linear(module.weight.detach().float().cpu(), module.bias.detach().float().cpu(), activation)


def _output_layers(model: Any) -> list[Linear]:
    """Return the layers of a language model from the outputs to the logits of the vocabulary."""
    between = [] if isinstance(model.projection, torch.nn.Identity) else [_linear(model.projection)]
    return [*between, _linear(model.lm_head)]


def _head(classifier: Any, config: Any) -> list[Linear]:
    """Return the layers of the head; temperature and the unit of the targets become part of the output layer."""
    hidden = [] if classifier.dense is None else [_linear(classifier.dense, "relu")]
    last = _linear(classifier.out_proj)
    scale = config.target_std / config.temperature
    last.weight, last.bias = last.weight * scale, last.bias * scale + config.target_mean
    return [*hidden, last]


__all__ = ["ExportedLayers"]
