# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Write run.yaml, the file that reproduces a training run."""

from collections.abc import Iterable
from pathlib import Path
from textwrap import indent

import yaml
from jsonargparse import ArgumentParser, Namespace

from ..hub.saved_run import PATHS, Loader, each_path, path_to, write_yaml
from ..models.configuration_rnn import RNNConfig, __version__, fields_read_by
from ..tasks import task_class
from ..tasks.base import TaskModel
from .arguments import RNNTrainingArguments
from .fine_tuning import ENCODER, OUTPUT

# The user sets these, and the settings of the Hub, anew each time the file is run.
_ANEW = ("overwrite", "resume")
# Fields of transformers' TrainingArguments that change the trained weights, or the step whose weights are kept.
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
    "eval_steps",
    "dataloader_drop_last",
    "auto_find_batch_size",
    "bf16",
    "fp16",
)
# Fields of RNNTrainingArguments that change neither.
_WITHOUT_EFFECT = (
    "logging_strategy",
    "logging_nan_inf_filter",
    "report_to",
    "ddp_find_unused_parameters",
    "restore_callback_states_from_checkpoint",
)


def run_yaml(parser: ArgumentParser, namespace: Namespace, given: frozenset[str]) -> str:
    """Return the YAML text of a run.

    Each section begins with the values that are not defaults. The defaults follow, since a later release may change
    them. The file omits settings that the task does not read, and those that come from a pretrained encoder, from
    vectors or from an existing tokenizer.

    Args:
        parser: Parser of runs.
        namespace: All keys and values as parsed.
        given: Keys that the user wrote, such as `model.hidden_size`.
    """
    namespace = namespace.clone()
    for key in PATHS:
        if namespace[key] is not None:
            namespace[key] = each_path(namespace[key], path_to, Path(namespace["training.output_dir"]))
    # `skip_default` omits defaults. A null that is not the default must be written, hence `skip_unset=False`.
    changed, everything = (
        yaml.load(parser.dump(namespace, skip_default=skip, skip_unset=False, skip_validation=True), Loader)
        for skip in (True, False)
    )
    # The values that the preset chose are written out.
    folds = {"cross_validate": namespace.cross_validate} if namespace.cross_validate else {}
    text = write_yaml({"task": namespace.task, "preset": "none", **folds, "hf_rnn_version": __version__})
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
    """Return True for a setting of this package, and for one of transformers that changes the trained model."""
    if section != "training":
        return True
    ours = key in RNNTrainingArguments.__annotations__ and key not in _WITHOUT_EFFECT
    return (ours or key in _OF_TRANSFORMERS) and _may_be_written(section, key)


def unread_by(task: type[TaskModel], of_model: Iterable[str]) -> set[str]:
    """Return the settings that a task does not read, such as `model.crf`.

    Args:
        task: Class of the task.
        of_model: Names of the settings of the model section.
    """
    read = fields_read_by(task.model_class.__name__)
    return {*task.no_use, *(f"model.{name}" for name in of_model if hasattr(RNNConfig, name) and name not in read)}


def _unread(namespace: Namespace, given: frozenset[str]) -> set[str]:
    """Return the keys that a run does not read."""
    model, tokenizer = namespace.model, namespace.tokenizer
    unread = unread_by(task_class(namespace.task), vars(model))
    # With a kept head, the settings of the pretrained network are those of this run, and the file has all of them.
    if model.pretrained is not None and not model.keep_head:
        taken = (*ENCODER, *OUTPUT) if namespace.task == "language_modeling" else ENCODER
        unread |= {f"model.{name}" for name in taken} - given
    if model.vectors is not None:
        unread |= {"model.embedding_size"} - given
    if tokenizer.path is not None or (model.pretrained is not None and tokenizer.kind is None):
        unread |= {f"tokenizer.{name}" for name in vars(tokenizer)}
    if not (namespace.teacher.path or namespace.teacher.columns):
        unread |= {f"{section}.{name}" for section in ("teacher", "distil") for name in vars(namespace[section])}
    return unread


__all__ = ["run_yaml", "unread_by"]
