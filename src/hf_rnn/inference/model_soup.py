# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Model soups: the mean of the weights of several runs."""

import logging
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..auto import MODELS, architecture
from ..hub.card import render_folder
from ..hub.fetch import find_model
from ..hub.folder import CARD_FILE, RUN_FILE, check_alike
from ..hub.saved_run import copy_run, read_run, run_file
from ..models.configuration_rnn import RNNConfig
from ..models.decisions import mean_thresholds
from ..text.schema import SCHEMA_FILE
from ..text.tokenization import load_tokenizer
from ..utils.errors import HfRnnError

logger = logging.getLogger(__name__)


@torch.no_grad()
def average(models: Sequence[str | Path], output: str | Path) -> Path:
    """Save the mean of the weights of several models as one model (Wortsman et al. 2022, "Model soups").

    Use it for runs that started from the same weights, such as classifiers that were fine-tuned from one language
    model, or for checkpoints of one run. The mean of independently initialized models predicts at chance level.

    Args:
        models: Folders or Hub ids of two or more models with the same sizes, labels and tokenizer.
        output: Folder to create, for the model, its tokenizer, a model card, and the `run.yaml` of the first model.

    Returns:
        Path of the folder. The temperature is the geometric mean of the models' ones, and thresholds are means.

    Raises:
        HfRnnError: There are fewer than two models, they differ in more than their weights, one has a wide path, or
            the folder exists.
    """
    if isinstance(models, (str, Path)):
        raise HfRnnError(f"models is one path: pass a list of two or more, [{str(models)!r}, …].")
    output = Path(output)
    if output.exists():
        raise HfRnnError(f"{str(output)!r} exists already: name a new folder, output=FOLDER.")
    if len(models) < 2:
        raise HfRnnError(
            f"a model soup needs two models or more, but got {len(models)}: write hf-rnn average A B --output FOLDER, "
            "or average([A, B], output)."
        )
    if not output.absolute().parent.is_dir():
        raise HfRnnError(f"the folder {str(output.parent)!r} of {str(output)!r} does not exist: make it first.")
    names = [str(path) for path in models]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise HfRnnError(f"{twice!r} is named twice: name each model once.")
    folders, configs = zip(*map(find_model, names), strict=True)
    if len({run_file(folder) for folder in folders}) > 1 and not all(map(_began_elsewhere, folders)):
        logger.warning(
            "some of these models were trained from scratch, each from its own random weights: the mean of their "
            "weights is not a useful model. hf-rnn evaluate A --others B averages the logits of classifiers instead."
        )
    tokenizers = [load_tokenizer(str(folder)) for folder in folders]
    merged = MODELS[architecture(configs[0])].from_pretrained(folders[0])
    mean = {name: parameter.double() for name, parameter in merged.named_parameters()}
    for config, tokenizer, folder, name in list(zip(configs, tokenizers, folders, names, strict=True))[1:]:
        check_alike(configs[0], tokenizers[0], config, tokenizer, name)
        other = dict(MODELS[architecture(config)].from_pretrained(folder).named_parameters())
        _check_same_network(configs[0], mean, names[0], config, other, name)
        for key, value in other.items():
            mean[key] += value
    for key, parameter in merged.named_parameters():
        parameter.copy_(mean[key] / len(models))
    # The logits of the mean weights are between those of the models.
    merged.config.temperature = math.prod(config.temperature for config in configs) ** (1 / len(configs))
    merged.config.thresholds = mean_thresholds(configs)
    if merged.config.thresholds is None and any(config.thresholds for config in configs):
        logger.warning(
            "the models have thresholds for different labels, so the mean has none: set model.config.thresholds."
        )
    writing = output.with_name(f".{output.name}.saving")
    shutil.rmtree(writing, ignore_errors=True)
    merged.save_pretrained(writing)
    tokenizers[0].save_pretrained(writing)
    if run := run_file(folders[0]):
        copy_run(run, writing / RUN_FILE)
        if (schema := run.with_name(SCHEMA_FILE)).is_file():
            shutil.copyfile(schema, writing / SCHEMA_FILE)
    card = render_folder(writing, output.absolute().name)
    (writing / CARD_FILE).write_text(card, encoding="utf-8")
    os.replace(writing, output)
    return output


def _began_elsewhere(folder: Path) -> bool:
    """Return False if the model was trained from random weights; True if it was fine-tuned or has no `run.yaml`."""
    run = read_run(folder)
    return run.task is None or run.pretrained is not None


def _check_same_network(
    config: RNNConfig,
    weights: dict[str, Tensor],
    name: str,
    other: RNNConfig,
    other_weights: dict[str, Tensor],
    other_name: str,
) -> None:
    """Raise [`HfRnnError`] if two models differ in more than the values of their weights."""
    for each, path in ((config, name), (other, other_name)):
        if each.wide_ngrams:
            raise HfRnnError(
                f"{path!r} has a wide path (wide_ngrams={each.wide_ngrams}), whose n-grams differ between models: "
                "average the logits, hf-rnn evaluate A --others B, or train with model.wide_ngrams=0."
            )
    for field in ("cell_type", "pooling", "target_mean", "target_std"):
        ours, theirs = getattr(config, field), getattr(other, field)
        if theirs != ours:
            raise HfRnnError(
                f"{other_name!r} has {field}={theirs!r}, but {name!r} has {ours!r}: name models with the same value."
            )
    sizes, other_sizes = ({key: tuple(w.shape) for key, w in part.items()} for part in (weights, other_weights))
    for key in {**sizes, **other_sizes}:
        if sizes.get(key) != other_sizes.get(key):
            raise HfRnnError(
                f"{key} of {other_name!r} is {other_sizes.get(key)}, and {sizes.get(key)} in {name!r}: name models of "
                "the same sizes."
            )


__all__ = ["average"]
