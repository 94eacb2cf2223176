# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Code files that are saved with a model, and the classes that they define."""

from pathlib import Path

from transformers.dynamic_module_utils import get_relative_imports

AUTO_MAP = {
    "AutoConfig": "configuration_rnn.RNNConfig",
    "AutoModel": "modeling_rnn.RNNModel",
    "AutoModelForCausalLM": "modeling_causal_rnn.RNNForCausalLM",
    "AutoModelForSeq2SeqLM": "modeling_seq2seq_rnn.RNNForConditionalGeneration",
    "AutoModelForSequenceClassification": "modeling_rnn.RNNForSequenceClassification",
    "AutoModelForTokenClassification": "modeling_token_rnn.RNNForTokenClassification",
}
CLASSIFIER = "RNNForSequenceClassification"
# Pipeline of a text classifier with thresholds, in the form that transformers reads from a configuration.
CUSTOM_PIPELINES = {
    "text-classification": {
        "impl": "pipeline_rnn.RNNTextClassificationPipeline",
        "pt": ("AutoModelForSequenceClassification",),
    }
}


def code_files(*architectures: str) -> tuple[str, ...]:
    """Return the names of the code files that models need, found by following relative imports.

    Args:
        architectures: Class names of the models. Without a known name, all models of the package.

    Returns:
        Names in alphabetical order, without files that are missing here: a model that was loaded from a repository's
        code has only the files that it needs.
    """
    of_class = {reference.split(".")[1]: reference.split(".")[0] for reference in AUTO_MAP.values()}
    ahead = [of_class[name] for name in architectures if name in of_class] or list(of_class.values())
    ahead.append(of_class["RNNConfig"])
    if CLASSIFIER in architectures or not set(architectures) & set(of_class):
        ahead.append("pipeline_rnn")
    found: set[str] = set()
    while ahead:
        file = Path(__file__).with_name(f"{ahead.pop()}.py")
        if file.name not in found and file.exists():
            found.add(file.name)
            # transformers follows the same imports when it loads the model.
            ahead += get_relative_imports(file)
    return tuple(sorted(found))


__all__ = ["AUTO_MAP", "CUSTOM_PIPELINES", "code_files"]
