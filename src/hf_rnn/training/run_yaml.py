# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Write run.yaml, the file that reproduces a training run."""

from pathlib import Path
from textwrap import indent

import yaml
from jsonargparse import ArgumentParser, Namespace

from ..hub.saved_run import Loader, path_to, write_yaml
from ..models.configuration_rnn import __version__, fields_read_by
from ..tasks import task_class
from .arguments import RNNTrainingArguments

# Configuration fields fixed by the pretrained weights: those of the encoder, and of a language model's output layer.
ENCODER = (
    "embedding_size",
    "hidden_size",
    "num_hidden_layers",
    "cell_type",
    "bidirectional",
    "independent_directions",
)
OUTPUT = ("tie_word_embeddings",)

# The user sets these, and the settings of the Hub, anew each time the file is run.
_ANEW = ("overwrite", "resume")
# Fields of transformers' TrainingArguments that change the trained weights.
_OF_TRANSFORMERS = (
    "seed",
    "data_seed",
    "max_steps",
    "gradient_accumulation_steps",
    "optim",
    "weight_decay",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "max_grad_norm",
    "label_smoothing_factor",
    "metric_for_best_model",
    "greater_is_better",
    "bf16",
    "fp16",
)


def run_yaml(parser: ArgumentParser, mode: str, namespace: Namespace, given: frozenset[str]) -> str:
    """Return the YAML text of a run.

    Each section begins with the values that are not defaults. The defaults follow, since a later release may change
    them. The file omits settings that the task does not read, and those that come from a pretrained encoder, from
    vectors or from an existing tokenizer.

    Args:
        parser: Parser of runs.
        mode: Name of its YAML format.
        namespace: All keys and values as parsed.
        given: Keys that the user wrote, such as `model.hidden_size`.
    """
    namespace = namespace.clone()
    namespace["data.path"] = path_to(namespace["data.path"], Path(namespace["training.output_dir"]))
    # `skip_default` omits defaults. A null that is not the default must be written, hence `skip_unset=False`.
    changed, everything = (
        yaml.load(
            parser.dump(namespace, format=mode, skip_default=skip, skip_unset=False, skip_validation=True), Loader
        )
        for skip in (True, False)
    )
    # The values that the preset chose are written out.
    text = f"task: {namespace.task}\npreset: none\nhf_rnn_version: {__version__}\n"
    unread = _unread(namespace, given)
    for name, section in everything.items():
        if not isinstance(section, dict):
            continue
        first = {key: value for key, value in (changed.get(name) or {}).items() if _may_be_written(name, key)}
        rest = {
            key: value
            for key, value in section.items()
            if key not in first and _is_ours(name, key) and f"{name}.{key}" not in unread
        }
        if first or rest:
            text += f"{name}:\n" + (indent(write_yaml(first), "  ") if first else "")
            text += f"  # defaults of hf_rnn {__version__}\n" + indent(write_yaml(rest), "  ") if rest else ""
    return text


def _may_be_written(section: str, key: str) -> bool:
    return section != "training" or not (key in _ANEW or key.startswith(("hub_", "push_to_hub")))


def _is_ours(section: str, key: str) -> bool:
    """Return True for a setting whose default this package, or transformers in a way that changes weights, sets."""
    if section != "training":
        return True
    ours = key in RNNTrainingArguments.__annotations__ or key in _OF_TRANSFORMERS
    return ours and _may_be_written(section, key)


def _unread(namespace: Namespace, given: frozenset[str]) -> set[str]:
    """Return the keys that a run does not read."""
    task = task_class(namespace.task)
    model, tokenizer = namespace.model, namespace.tokenizer
    unread = set(task.no_use)
    read = fields_read_by(task.model_class.__name__) | {"pretrained", "vectors", "forward_only"}
    unread |= {f"model.{name}" for name in vars(model) if name not in read}
    if model.pretrained is not None:
        unread |= {f"model.{name}" for name in (*ENCODER, *OUTPUT)} - given
    if model.vectors is not None:
        unread |= {"model.embedding_size"} - given
    if tokenizer.path is not None or (model.pretrained is not None and tokenizer.kind is None):
        unread |= {f"tokenizer.{name}" for name in vars(tokenizer)}
    return unread


__all__ = ["ENCODER", "OUTPUT", "run_yaml"]
