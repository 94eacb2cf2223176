# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The layers that turn the vector of a text or token into logits."""

import torch
from torch import Tensor, nn

from .configuration_rnn import RNNConfig


class ClassificationHead(nn.Module):
    """Dropout and a linear layer, with a ReLU layer before it where `classifier_hidden_size` says so. In regression,
    the output is scaled by `target_mean` and `target_std`."""

    def __init__(self, config: RNNConfig, input_size: int):
        super().__init__()
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.dense = nn.Linear(input_size, config.classifier_hidden_size) if config.classifier_hidden_size else None
        assert config.num_labels is not None
        self.out_proj = nn.Linear(config.classifier_hidden_size or input_size, config.num_labels)
        self.scale = (config.target_mean, config.target_std)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(x)
        if self.dense is not None:
            x = self.dropout(torch.relu(self.dense(x)))
        x = self.out_proj(x)
        if self.scale == (0, 1):
            return x
        mean, std = self.scale
        # Half a precision would not tell 300,000 from 300,100.
        return x.float() * std + mean


__all__ = ["ClassificationHead"]
