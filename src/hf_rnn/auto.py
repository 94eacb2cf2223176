# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Registers the models with transformers' Auto classes, so that `pipeline` and `AutoModel` know them."""

import sys

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)
from transformers.initialization import no_init_weights
from transformers.models.auto import modeling_auto

from .models.configuration_rnn import RNNConfig, __version__
from .models.modeling_causal_rnn import RNNForCausalLM
from .models.modeling_rnn import RNNForSequenceClassification, RNNModel
from .models.modeling_seq2seq_rnn import RNNForConditionalGeneration
from .models.modeling_token_rnn import RNNForTokenClassification
from .models.pretrained_model import RNNPreTrainedModel

_AUTO_CLASSES = {
    RNNModel: AutoModel,
    RNNForCausalLM: AutoModelForCausalLM,
    RNNForSequenceClassification: AutoModelForSequenceClassification,
    RNNForConditionalGeneration: AutoModelForSeq2SeqLM,
    RNNForTokenClassification: AutoModelForTokenClassification,
}
# By the names under which `config.json` has them.
MODELS = {model_class.__name__: model_class for model_class in _AUTO_CLASSES}


def architecture(config: RNNConfig) -> str:
    """Return the name of the class whose weights a configuration is of."""
    return (config.architectures or ["RNNForSequenceClassification"])[0]


def model_without_weights(name: str, config: RNNConfig) -> RNNPreTrainedModel:
    """Return a model on the meta device, whose tensors have shapes and take no memory.

    Args:
        name: of its class, one of [`MODELS`].
        config: of the model.
    """
    # Drawing weights on the meta device would import sympy, which takes a good part of a second.
    with torch.device("meta"), no_init_weights():
        model = MODELS[name](config)
        # Initialisation, which is left out, would have tied them.
        model.tie_weights()
    return model


AutoConfig.register(RNNConfig.model_type, RNNConfig, exist_ok=True)
for model_class, auto_class in _AUTO_CLASSES.items():
    auto_class.register(RNNConfig, model_class, exist_ok=True)
    # `transformers serve`, trl and skorch take the class that a configuration names out of transformers itself. There
    # can be two of it: `transformers.processing_utils`, by now imported, puts another module in the place of the first.
    for library in (transformers, sys.modules["transformers"]):
        setattr(library, model_class.__name__, model_class)
# Here, not by `register`, a Trainer looks up whether labels that it smooths are one token further on.
modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[RNNConfig.model_type] = RNNForCausalLM.__name__

__all__ = [
    "RNNConfig",
    "RNNForCausalLM",
    "RNNForConditionalGeneration",
    "RNNForSequenceClassification",
    "RNNForTokenClassification",
    "RNNModel",
    "RNNPreTrainedModel",
    "__version__",
]
