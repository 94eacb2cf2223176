# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Registration of the models with transformers' Auto classes, which `pipeline` and `AutoModel` use."""

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
from transformers.pipelines import PIPELINE_REGISTRY

from .models.configuration_rnn import RNNConfig, __version__
from .models.modeling_causal_rnn import RNNForCausalLM
from .models.modeling_rnn import RNNForSequenceClassification, RNNModel
from .models.modeling_seq2seq_rnn import RNNForConditionalGeneration
from .models.modeling_token_rnn import RNNForTokenClassification
from .models.pipeline_rnn import RNNTextClassificationPipeline
from .models.pretrained_model import RNNPreTrainedModel

_AUTO_CLASSES = {
    RNNModel: AutoModel,
    RNNForCausalLM: AutoModelForCausalLM,
    RNNForSequenceClassification: AutoModelForSequenceClassification,
    RNNForConditionalGeneration: AutoModelForSeq2SeqLM,
    RNNForTokenClassification: AutoModelForTokenClassification,
}
# Keys are the names in the field `architectures` of `config.json`.
MODELS = {model_class.__name__: model_class for model_class in _AUTO_CLASSES}


def architecture(config: RNNConfig) -> str:
    """Return the name of the model class that a configuration belongs to.

    Args:
        config: Configuration of a model; without `architectures`, it counts as that of a text classifier.
    """
    return (config.architectures or ["RNNForSequenceClassification"])[0]


def model_without_weights(name: str, config: RNNConfig) -> RNNPreTrainedModel:
    """Return a model on the meta device: its tensors have shapes but take no memory.

    Args:
        name: Name of the model class, one of [`MODELS`].
        config: Configuration of the model.
    """
    # Initializing weights on the meta device would import sympy, which takes a good part of a second.
    with torch.device("meta"), no_init_weights():
        model = MODELS[name](config)
        # The skipped initialization would have tied the weights.
        model.tie_weights()
    return model


AutoConfig.register(RNNConfig.model_type, RNNConfig, exist_ok=True)
for model_class, auto_class in _AUTO_CLASSES.items():
    auto_class.register(RNNConfig, model_class, exist_ok=True)
    # `transformers serve`, trl and skorch look up the class name of a configuration in the module `transformers`. There
    # can be two such modules: `transformers.processing_utils`, already imported, replaces the one in `sys.modules`.
    for library in (transformers, sys.modules["transformers"]):
        setattr(library, model_class.__name__, model_class)
# With label smoothing, the Trainer shifts the labels of models in this mapping, which `register` does not change.
modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[RNNConfig.model_type] = RNNForCausalLM.__name__
# `register_pipeline` would warn that the task exists, and would write the class into each saved configuration.
PIPELINE_REGISTRY.supported_tasks["text-classification"]["impl"] = RNNTextClassificationPipeline

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
