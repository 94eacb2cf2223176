# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Training a model whose encoder has learnt before, so that it does not forget (Howard and Ruder 2018, section 3.3)."""

import re
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback

from .callbacks import epoch_of


def layers(model: Any) -> list[list[nn.Parameter]]:
    """The parameters of a model from the bottom up: embedding, each recurrent layer in all its directions, the rest."""
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
    """Gives each layer `decay` times the learning rate of the layer above it, by splitting the optimizer's groups of
    parameters; the first group is then one of the top layer, whose rate is the one set."""
    depth = {id(p): depth for depth, of_layer in enumerate(reversed(layers(model))) for p in of_layer}
    split = [
        {**group, "params": [p for p in group["params"] if depth[id(p)] == d], "lr": group["lr"] * decay**d}
        for d in range(max(depth.values()) + 1)
        for group in optimizer.param_groups
    ]
    optimizer.param_groups = [group for group in split if group["params"]]


class GradualUnfreezing(TrainerCallback):
    """Trains the topmost layer alone in the first epoch, and one layer more in each epoch after it."""

    def on_epoch_begin(self, args, state, control, model=None, **kwargs):
        for depth, parameters in enumerate(reversed(layers(model))):
            for parameter in parameters:
                parameter.requires_grad_(depth <= epoch_of(state))

    def on_train_end(self, args, state, control, model=None, **kwargs):
        for parameter in model.parameters():
            parameter.requires_grad_(True)


__all__ = ["GradualUnfreezing", "discriminative_learning_rates", "layers"]
