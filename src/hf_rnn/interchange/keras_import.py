# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Import a text classifier or regressor from a Keras file."""

import re
from pathlib import Path
from typing import Any

import torch

from ..models.configuration_rnn import RNNConfig
from ..text.labels import MULTI, REGRESSION, SINGLE
from ..utils.errors import HfRnnError
from .imported import Choices, Imported, label_names
from .keras_file import KerasFile, open_keras
from .keras_network import KerasNetwork
from .keras_text import keras_words, reading, vocabulary_of
from .linear_layers import Linear, folded, head_weights, pooled_places, two_classes
from .stacked_layers import stacked

PROBLEMS = (SINGLE, MULTI, REGRESSION)
_CLASS_LOSSES = ("binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy")
_CHOICES = {"vocabulary", "index_from", "labels", "problem_type", "length", "padding", "truncation"}


def import_keras(path: Path, choices: Choices) -> Imported:
    """Read a Keras model.

    Args:
        path: `.keras` or `.h5` file.
        choices: Choices of the user.

    Raises:
        HfRnnError: The file is damaged, or the model cannot be imported exactly; the message says why.
    """
    others = choices.given() - _CHOICES
    if others:
        raise HfRnnError(f"{sorted(others)[0]} has no effect on a Keras model such as {str(path)!r}: leave it out.")
    with open_keras(path) as file:
        network = KerasNetwork.read(file)
        stored = file.vocabulary(network.text_path) if network.text is not None else None
        problem_type, loss, head = _head(file, network, choices)
    way = reading(choices, network.masked, network.text, network.length, str(path))
    found = vocabulary_of(choices, stored, network.text, str(path))
    V, E = network.embedding.shape
    words = keras_words(found, V, choices, network.text, way)
    stack = stacked(network.cell_type, network.recurrent, E)
    width = stack.fields["hidden_size"] * (2 if stack.fields["bidirectional"] else 1)
    pooling, places = pooled_places(network.parts, stack.places, width)
    classifier = head_weights(head, places, width * (3 if pooling == "concat" else 1))
    names, told = label_names(choices.labels, problem_type, len(head[-1].bias))
    rates, dropout = _dropouts(network)
    fields: dict[str, Any] = {
        "vocab_size": words.rows,
        "pad_token_id": words.words.padding,
        "unk_token_id": words.words.unknown,
        "pooling": pooling,
        "classifier_hidden_size": len(head[0].bias) if len(head) == 2 else 0,
        "problem_type": problem_type,
        "id2label": dict(enumerate(names)),
        "label2id": {name: i for i, name in enumerate(names)},
    }
    embedding = torch.zeros(words.rows, E)
    embedding[:V] = network.embedding
    weights = {"model.embed_tokens.weight": embedding}
    weights |= {f"model.{name}": weight for name, weight in stack.weights.items()}
    weights |= {f"classifier.{name}": weight for name, weight in classifier.items()}
    decisions = [
        ("layers", " → ".join(network.told)),
        *(("layers", note) for note in stack.notes),
        ("labels", f"{told}{loss}"),
        ("words", words.told),
        ("reading", way.told),
        *([("dropout", dropout)] if dropout else []),
        *(("left out", note) for note in network.notes),
    ]
    return Imported(
        "RNNForSequenceClassification",
        RNNConfig(**{**stack.fields, **fields, **rates}),
        weights,
        words.words.tokenizer(),
        f"a Keras {file.version} model".replace("  ", " "),
        decisions,
        way.max_length,
        way.truncation,
    )


def _head(file: KerasFile, network: KerasNetwork, choices: Choices) -> tuple[str, str, list[Linear]]:
    """Return the problem type, the reason for it, and the linear layers of the head, with one logit per label."""
    layers = folded(network.head, file.name)
    last = layers[-1]
    units = len(last.bias)
    loss = _loss(file.compiled)
    reason = {"sigmoid": f"{units} sigmoid", "softmax": f"{units} softmax", "linear": f"{units} linear"}
    if last.activation == "relu" or (last.activation == "softmax" and units == 1):
        raise HfRnnError(
            f"{file.name!r} ends with Dense({units}, {last.activation}), which is neither a classifier nor a regressor."
        )
    told = f" ({reason[last.activation]}{f', loss {loss}' if loss else ''})"
    if last.activation == "softmax":
        problem_type = SINGLE
    elif last.activation == "sigmoid":
        problem_type = SINGLE if units == 1 else MULTI
    else:
        problem_type = _of_linear(units, loss, choices.problem_type, file.name)
    if choices.problem_type not in (None, problem_type):
        raise HfRnnError(
            f"problem_type={choices.problem_type!r}, and {file.name!r} ends with Dense({units}, {last.activation}), "
            f"which is {problem_type}: leave problem_type out."
        )
    if problem_type == SINGLE and units == 1:
        layers[-1] = two_classes(last)
    return problem_type, told, layers


def _of_linear(units: int, loss: str, chosen: str | None, name: str) -> str:
    """Return the problem type of linear outputs: logits of classes, or numbers."""
    if chosen is not None and chosen not in PROBLEMS:
        raise HfRnnError(f"problem_type={chosen!r} must be one of {', '.join(PROBLEMS)}.")
    if loss in _CLASS_LOSSES:
        found = MULTI if loss == "binary_crossentropy" and units > 1 else SINGLE
    else:
        found = chosen or (REGRESSION if units == 1 else None)
    if found is None:
        raise HfRnnError(
            f"{name!r} ends with Dense({units}, linear) and does not say what its outputs are: write problem_type="
            f"{SINGLE!r} or {MULTI!r} for logits of labels."
        )
    if found == REGRESSION and units > 1:
        raise HfRnnError(f"{name!r} predicts {units} numbers for a text, and our regressors predict one.")
    return found


def _loss(compiled: dict) -> str:
    """Return the name of the loss in snake case; an empty text if the file has none."""
    loss: Any = compiled.get("loss")
    while isinstance(loss, (list, dict)):
        loss = (loss or [""])[0] if isinstance(loss, list) else loss.get("class_name") or next(iter(loss.values()), "")
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(loss or "")).lower()
    return name.replace("cross_entropy", "crossentropy")


def _dropouts(network: KerasNetwork) -> tuple[dict[str, float], str]:
    """Return the dropout fields of the configuration, and a description of them.

    Dropout of Keras draws a mask for each time step, except SpatialDropout1D, and ours one for all time steps.
    """
    layers = len(network.recurrent)
    rates: dict[str, float] = {}
    for form, depth, rate in network.dropouts:
        name = "classifier_dropout" if form == "vector" else "input_dropout" if depth == 0 else "hidden_dropout"
        # Dropout between the last recurrent layer and the pooling has no counterpart.
        if 0 < rate < 1 and not (form == "tokens" and depth == layers):
            rates[name] = max(rates.get(name, 0.0), rate)
    told = ", ".join(f"{name} {rate:g}" for name, rate in rates.items())
    return rates, f"{told}: acts if the model is trained further" if told else ""


__all__ = ["import_keras"]
