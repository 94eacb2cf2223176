# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Fine-tuning of a pretrained encoder or embedding with little forgetting."""

import re
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback

from .callbacks import epoch_of

# Configuration fields fixed by the pretrained weights: those of the encoder, of a language model's output layer, and of
# a text classifier's pooling and head.
ENCODER = (
    "embedding_size",
    "hidden_size",
    "num_hidden_layers",
    "cell_type",
    "bidirectional",
    "independent_directions",
)
OUTPUT = ("tie_word_embeddings",)
HEAD = ("pooling", "classifier_hidden_size")


def layers(model: Any) -> list[list[nn.Parameter]]:
    """Return the parameters of a model by layer from the bottom up, without empty layers.

    The embedding is the first layer. Each recurrent layer follows, with all its directions. The last layer has all
    other parameters.

    Args:
        model: Model of the package.
    """
    L = model.config.num_hidden_layers
    found: list[list[nn.Parameter]] = [[] for _ in range(L + 2)]
    embedding = model.get_input_embeddings().weight
    for name, parameter in model.named_parameters():
        layer = re.fullmatch(r"(?:model\.)?(?:backward_)?recurrence\.\w+_l(\d+)(_reverse)?", name)
        if parameter is embedding:
            found[0].append(parameter)
        else:
            found[int(layer[1]) + 1 if layer else L + 1].append(parameter)
    return [parameters for parameters in found if parameters]


def discriminative_learning_rates(optimizer: torch.optim.Optimizer, model: Any, decay: float) -> None:
    """Give each layer `decay` times the learning rate of the layer above it (Howard and Ruder 2018, section 3.2).

    The parameter groups of the optimizer are split by layer. The first group belongs to the top layer, which keeps its
    learning rate.

    Args:
        optimizer: Optimizer of the model; its parameter groups are replaced.
        model: Model of the package.
        decay: Ratio between the learning rates of adjacent layers.
    """
    depth = {id(p): depth for depth, of_layer in enumerate(reversed(layers(model))) for p in of_layer}
    split = [
        {**group, "params": [p for p in group["params"] if depth[id(p)] == d], "lr": group["lr"] * decay**d}
        for d in range(max(depth.values()) + 1)
        for group in optimizer.param_groups
    ]
    optimizer.param_groups = [group for group in split if group["params"]]


def embeddings_of(model: Any) -> list[nn.Embedding]:
    """Return the token embeddings of a model: that of the encoder and, if there is one, that of the decoder.

    Args:
        model: Model of the package.
    """
    decoder = getattr(model, "decoder_embed_tokens", None)
    return [model.get_input_embeddings(), *([] if decoder is None else [decoder])]


def scale_embedding_rate(optimizer: torch.optim.Optimizer, model: Any, factor: float) -> None:
    """Multiply the learning rate of the token embeddings by a factor.

    Args:
        optimizer: Optimizer of the model; its parameter groups are replaced.
        model: Model of the package.
        factor: Factor of the learning rate.
    """
    embeddings = {id(embedding.weight) for embedding in embeddings_of(model)}
    groups = []
    for group in optimizer.param_groups:
        of_embeddings = [parameter for parameter in group["params"] if id(parameter) in embeddings]
        others = [parameter for parameter in group["params"] if id(parameter) not in embeddings]
        groups += [{**group, "params": others}, {**group, "params": of_embeddings, "lr": group["lr"] * factor}]
    optimizer.param_groups = [group for group in groups if group["params"]]


class GradualUnfreezing(TrainerCallback):
    """Callback that trains the top layer alone in the first epoch, and one more layer below it in each later epoch.

    Source: Howard and Ruder 2018, section 3.3.
    """

    def on_epoch_begin(self, args, state, control, model=None, **kwargs):
        for depth, parameters in enumerate(reversed(layers(model))):
            for parameter in parameters:
                parameter.requires_grad_(depth <= epoch_of(state))

    def on_train_end(self, args, state, control, model=None, **kwargs):
        for parameter in model.parameters():
            parameter.requires_grad_(True)


__all__ = [
    "GradualUnfreezing",
    "discriminative_learning_rates",
    "embeddings_of",
    "layers",
    "scale_embedding_rate",
]
