# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Recurrent networks as first-class citizens of the Hugging Face ecosystem.

Importing the package registers its models with transformers' Auto classes; that is all that `pipeline` and
`AutoModelForSequenceClassification.from_pretrained` need.
"""

from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from .configuration_rnn import RNNConfig, __version__
from .modeling_rnn import RNNForSequenceClassification, RNNModel, RNNPreTrainedModel

AutoConfig.register(RNNConfig.model_type, RNNConfig, exist_ok=True)
for _auto_class, _model_class in (
    (AutoModel, RNNModel),
    (AutoModelForSequenceClassification, RNNForSequenceClassification),
):
    _auto_class.register(RNNConfig, _model_class, exist_ok=True)

# The workshop (tokenizers, data, training) pulls in libraries that a loaded model does not need: on first use only.
_LAZY = {
    "DataArguments": "data",
    "Predictor": "prediction",
    "RaggedCollator": "data",
    "RNNTrainer": "trainer",
    "RNNTrainingArguments": "training_arguments",
    "TextClassification": "tasks.text_classification",
    "push": "hub",
    "load_tokenizer": "tokenization",
    "train": "training",
    "train_tokenizer": "tokenization",
}


def __getattr__(name: str):
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["RNNConfig", "RNNForSequenceClassification", "RNNModel", "RNNPreTrainedModel", "__version__", *_LAZY]
