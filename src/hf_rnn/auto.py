# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Registers the models with transformers' Auto classes, so that `pipeline` and `AutoModel` know them."""

from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from .configuration_rnn import RNNConfig, __version__
from .modeling_rnn import RNNForSequenceClassification, RNNModel, RNNPreTrainedModel

AutoConfig.register(RNNConfig.model_type, RNNConfig, exist_ok=True)
for auto_class, model_class in (
    (AutoModel, RNNModel),
    (AutoModelForSequenceClassification, RNNForSequenceClassification),
):
    auto_class.register(RNNConfig, model_class, exist_ok=True)

__all__ = ["RNNConfig", "RNNForSequenceClassification", "RNNModel", "RNNPreTrainedModel", "__version__"]
