# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Recurrent networks (LSTM, GRU, Elman) as Hugging Face `PreTrainedModel`s.

Importing the package registers its models with transformers' Auto classes. `pipeline` and
`AutoModelForSequenceClassification.from_pretrained` need nothing else.
"""

import sys
from importlib import import_module
from typing import Any


def register_models() -> None:
    """Register the models with transformers' Auto classes, and connect them to the parts of the package that they call.

    Saved models do not include these parts: pushing with a model card, text streams and the check of the tokenizer.
    """
    from .auto import RNNPreTrainedModel

    def pusher(*args: Any, **options: Any) -> Any:
        """Push a model: `args` and `options` are those of `hub.push.push_model`."""
        return import_module(".hub.push", __name__).push_model(*args, **options)

    def opener(*args: Any, **options: Any) -> Any:
        """Open a stream of text: `args` and `options` are those of `inference.text_stream.TextStream`."""
        return import_module(".inference.text_stream", __name__).TextStream(*args, **options)

    def checker(*args: Any) -> None:
        """Check the tokenizer beside a model: `args` are those of `text.vocabulary.check_folder`."""
        import_module(".text.vocabulary", __name__).check_folder(*args)

    RNNPreTrainedModel.pusher, RNNPreTrainedModel.opener, RNNPreTrainedModel.checker = pusher, opener, checker


# The console script must answer `--help` without importing torch, which takes seconds. There, `cli.main` registers the
# models. Processes that the script starts, and programs that import the package, register them here.
if not getattr(sys.modules.get("hf_rnn_command"), "is_running", False):
    register_models()

# Imported on first use, because a loaded model does not need the libraries that these modules import.
_LAZY = {
    "Alignment": "interpret.alignment",
    "CheckpointError": "utils.errors",
    "ConfigError": "utils.errors",
    "DataArguments": "text.arguments",
    "DataError": "utils.errors",
    "Explanation": "interpret.views",
    "HfRnnError": "utils.errors",
    "HubError": "utils.errors",
    "GradientFlowCallback": "interpret.gradient_flow_callback",
    "LanguageModeling": "tasks.language_modeling",
    "LanguageModelTrainer": "training.bptt_trainer",
    "Predictor": "inference.predictor",
    "RaggedCollator": "text.collation",
    "RNNClassifier": "training.estimators",
    "RNNRegressor": "training.estimators",
    "RNNTrainer": "training.trainer",
    "RNNTrainingArguments": "training.arguments",
    "TextClassification": "tasks.text_classification",
    "TextStreams": "text.bptt_windows",
    "TokenClassification": "tasks.token_classification",
    "Translation": "tasks.translation",
    "TranslationTrainer": "training.seq2seq_trainer",
    "TruncatedBPTT": "training.bptt_trainer",
    "align": "interpret.alignment",
    "average": "inference.model_soup",
    "distil": "training.distil",
    "evaluate": "inference.evaluation",
    "export": "interchange.export",
    "explain": "interpret.attribution",
    "how_it_read": "interpret.reading_curve",
    "push": "hub.push",
    "import_model": "interchange.import_model",
    "measure_gradient_flow": "interpret.gradient_flow",
    "load_tokenizer": "text.tokenization",
    "measure_faithfulness": "interpret.faithfulness",
    "train": "training.run",
    "train_tokenizer": "text.tokenization",
    "tune": "training.tuning",
    "uncertainty": "inference.uncertainty",
}
# Public names that differ from the names inside the package.
_ALIASES = {"TextStreams": "BPTTWindows"}


def __getattr__(name: str):
    if name in __all__:
        return getattr(import_module(f".{_LAZY.get(name, 'auto')}", __name__), _ALIASES.get(name, name))
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
