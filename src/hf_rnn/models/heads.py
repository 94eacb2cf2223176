# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Layers that turn the vector of a text or token into logits."""

import torch
from torch import Tensor, nn

from .configuration_rnn import RNNConfig


class ClassificationHead(nn.Module):
    """Classification or regression head: dropout and a linear layer.

    `classifier_hidden_size` adds a ReLU layer before the linear one. `target_mean` and `target_std` bring regression
    outputs to the unit of the targets. `temperature` divides the logits.

    Args:
        config: Configuration of the model.
        input_size: Width of the vectors that the head reads.
    """

    def __init__(self, config: RNNConfig, input_size: int):
        super().__init__()
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.dense = nn.Linear(input_size, config.classifier_hidden_size) if config.classifier_hidden_size else None
        assert config.num_labels is not None
        self.out_proj = nn.Linear(config.classifier_hidden_size or input_size, config.num_labels)
        self.config = config

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(x)
        if self.dense is not None:
            x = self.dropout(torch.relu(self.dense(x)))
        x = self.out_proj(x)
        # The temperature is fitted after training, so it is read at each call.
        if self.config.temperature != 1:
            x = x / self.config.temperature
        mean, std = self.config.target_mean, self.config.target_std
        if (mean, std) == (0, 1):
            return x
        # In float32, since half precision cannot distinguish 300,000 from 300,100.
        return x.float() * std + mean


__all__ = ["ClassificationHead"]
