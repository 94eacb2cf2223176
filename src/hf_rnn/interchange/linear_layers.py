# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The layers above the pooling of an imported classifier, folded into those of our classification head.

Our head has an optional hidden layer with a ReLU and an output layer. A batch normalization in evaluation mode is a
scale and a shift of each feature, γ (x - μ) / √(σ² + ε) + β, so it folds into the linear layer that reads it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..utils.errors import HfRnnError


@dataclass
class Scale:
    """Scale and shift of each feature, such as a batch normalization in evaluation mode.

    Args:
        scale: Factor of each feature, `[F]`.
        shift: Number that is added to each feature, `[F]`.
    """

    scale: Tensor
    shift: Tensor

    @classmethod
    def of_normalization(cls, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, epsilon: float) -> "Scale":
        """Return the scale of a batch normalization.

        Args:
            gamma: Learned factor, `[F]`.
            beta: Learned shift, `[F]`.
            mean: Running mean, `[F]`.
            variance: Running variance, `[F]`.
            epsilon: Number that is added to the variance.
        """
        scale = gamma.double() / (variance.double() + epsilon).sqrt()
        return cls(scale, beta.double() - mean.double() * scale)


@dataclass
class Linear:
    """Linear layer and its activation.

    Args:
        weight: Matrix, `[out, in]`.
        bias: Bias, `[out]`.
        activation: `linear`, `relu`, `sigmoid` or `softmax`.
    """

    weight: Tensor
    bias: Tensor
    activation: str = "linear"


def folded(layers: Sequence[Scale | Linear], name: str) -> list[Linear]:
    """Return the one or two linear layers of a head: an optional one with a ReLU, and the output layer.

    Args:
        layers: Layers above the pooling, in their order.
        name: Name of the file; used in errors.

    Raises:
        HfRnnError: The layers do not have this form.
    """
    found: list[Linear] = []
    scale: Scale | None = None
    for layer in layers:
        if isinstance(layer, Scale):
            joined = (
                layer if scale is None else Scale(scale.scale * layer.scale, scale.shift * layer.scale + layer.shift)
            )
            scale = joined
            continue
        weight, bias = layer.weight.double(), layer.bias.double()
        if scale is not None:
            weight, bias = weight * scale.scale, bias + weight @ scale.shift
        found.append(Linear(weight, bias, layer.activation))
        scale = None
    *hidden, last = found or [None]
    kinds = [layer.activation for layer in hidden]
    if last is None or scale is not None or kinds not in ([], ["relu"]):
        told = ", ".join(f"Dense({each.activation})" for each in found) or "none"
        raise HfRnnError(
            f"the layers above the recurrence of {name!r} are {told}{' and a normalization' if scale else ''}: they "
            "can be imported only as an output layer, with at most one Dense(relu) before it."
        )
    return found


def head_weights(layers: list[Linear], places: Tensor, width: int) -> dict[str, Tensor]:
    """Return the weights of a [`ClassificationHead`] by name.

    Args:
        layers: One or two linear layers, from [`folded`].
        places: Index in our pooled vector of each feature that the first layer reads.
        width: Width of our pooled vector.
    """
    weights: dict[str, Tensor] = {}
    for number, (layer, name) in enumerate(zip(layers, ("dense", "out_proj")[2 - len(layers) :], strict=True)):
        weight = layer.weight
        if number == 0:
            weight = torch.zeros(len(layer.weight), width, dtype=torch.double)
            weight[:, places] = layer.weight.double()
        weights |= {f"{name}.weight": weight.float(), f"{name}.bias": layer.bias.float()}
    return weights


def pooled_places(parts: Sequence[str], places: Tensor, width: int) -> tuple[str, Tensor]:
    """Return our pooling for some parts of a pooled vector, and the index in its result of each feature.

    Args:
        parts: Parts of the pooled vector in their order: `last`, `max` or `mean`, each at most once.
        places: Index in our outputs of each output of the top layer.
        width: Width of our outputs.
    """
    if len(parts) == 1:
        return parts[0], places
    order = ("last", "max", "mean")
    return "concat", torch.cat([order.index(part) * width + places for part in parts])


def two_classes(last: Linear) -> Linear:
    """Return the output layer of two classes for one with a single logit: softmax([0, x]) = [1 - σ(x), σ(x)].

    Args:
        last: Output layer with one unit.
    """
    return Linear(
        torch.cat([torch.zeros_like(last.weight), last.weight]), torch.cat([torch.zeros_like(last.bias), last.bias])
    )


__all__ = ["Linear", "Scale", "folded", "head_weights", "pooled_places", "two_classes"]
