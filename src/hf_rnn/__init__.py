# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Recurrent networks as first-class citizens of the Hugging Face ecosystem.

Importing the package registers its models with transformers' Auto classes; that is all that `pipeline` and
`AutoModelForSequenceClassification.from_pretrained` need.
"""

import sys
from importlib import import_module
from pathlib import Path

# The command line says what it has to say of itself without waiting seconds for torch: it registers the models when a
# command needs them.
if Path(str((sys.argv or [""])[0])).stem not in ("hf-rnn", "hf-rnn-script"):
    from .auto import (
        RNNConfig,
        RNNForCausalLM,
        RNNForConditionalGeneration,
        RNNForSequenceClassification,
        RNNForTokenClassification,
        RNNModel,
        RNNPreTrainedModel,
        __version__,
    )

# The workshop (tokenizers, data, training) pulls in libraries that a loaded model does not need: on first use only.
_LAZY = {
    "Alignment": "alignment",
    "DataArguments": "text.arguments",
    "Explanation": "explanations",
    "GradientFlowCallback": "gradient_flow",
    "LanguageModeling": "tasks.language_modeling",
    "LanguageModelTrainer": "truncated_bptt",
    "Predictor": "prediction",
    "RaggedCollator": "text.collation",
    "RNNTrainer": "trainer",
    "RNNTrainingArguments": "training_arguments",
    "TextClassification": "tasks.text_classification",
    "TextStreams": "streams",
    "TokenClassification": "tasks.token_classification",
    "Translation": "tasks.translation",
    "TranslationTrainer": "seq2seq_trainer",
    "TruncatedBPTT": "truncated_bptt",
    "align": "alignment",
    "average": "merging",
    "evaluate": "prediction",
    "explain": "explanations",
    "how_it_read": "reading_curve",
    "push": "hub",
    "measure_gradient_flow": "diagnostics",
    "load_tokenizer": "tokenization",
    "measure_faithfulness": "faithfulness",
    "train": "training",
    "train_tokenizer": "tokenization",
}


def __getattr__(name: str):
    if name in __all__:
        return getattr(import_module(f".{_LAZY.get(name, 'auto')}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "RNNConfig",
    "RNNForCausalLM",
    "RNNForConditionalGeneration",
    "RNNForSequenceClassification",
    "RNNForTokenClassification",
    "RNNModel",
    "RNNPreTrainedModel",
    "__version__",
    *_LAZY,
]
