# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Import AWD-LSTM models of fastai (ULMFiT): language models, their encoders, and text classifiers.

The last layer of an AWD-LSTM has the width of the embedding, 400, and the others 1,152. [`stacked`] fills it up, and
the layers above read its first 400 units only. A classifier's batch normalizations fold into its linear layers.
"""

import re
from pathlib import Path

import torch
from torch import Tensor

from ..models.configuration_rnn import RNNConfig
from ..text.labels import REGRESSION, SINGLE
from ..utils.errors import HfRnnError
from .fastai_text import fastai_words
from .imported import Choices, Imported, label_names
from .linear_layers import Linear, Scale, folded, head_weights, pooled_places
from .stacked_layers import DirectionWeights, Stack, stacked

_LAYER = re.compile(r"(?P<prefix>(?:.*\.)?)rnns\.(?P<layer>\d+)\.(?:module\.)?weight_(?:ih_l0|hh_l0_raw)")
# Stored beside the parameters of a batch normalization, and not needed.
_COUNTS = "num_batches_tracked"
EPSILON = 1e-5
_CHOICES = {"vocabulary", "labels", "problem_type", "backward"}


def is_fastai(tensors: dict[str, Tensor]) -> bool:
    """Return True for the state dict of an AWD-LSTM of fastai.

    Args:
        tensors: Tensors of a file by their names.
    """
    return any(_LAYER.fullmatch(name) for name in tensors)


def import_fastai(path: Path, tensors: dict[str, Tensor], choices: Choices) -> Imported:
    """Read an AWD-LSTM of fastai.

    Args:
        path: File of the model.
        tensors: Its tensors by their names.
        choices: Choices of the user.

    Raises:
        HfRnnError: The model is bidirectional, lacks weights, or has other layers; or the vocabulary does not fit.
    """
    others = choices.given() - _CHOICES
    if others:
        raise HfRnnError(f"{sorted(others)[0]} has no effect on a fastai model such as {str(path)!r}: leave it out.")
    prefix = next(match["prefix"] for name in tensors if (match := _LAYER.fullmatch(name)))
    taken = {f"{prefix}encoder.weight", f"{prefix}encoder_dp.emb.weight"}
    embedding = _tensor(tensors, f"{prefix}encoder.weight", path)
    layers = _layers(tensors, prefix, choices.backward, taken, path)
    V, E = embedding.shape
    words = fastai_words(choices.vocabulary, V, str(path))
    stack = stacked("lstm", [[layer] for layer in layers], E)
    weights = {"embed_tokens.weight": embedding.float(), **stack.weights}
    decoder = next((name for name in tensors if name.endswith("decoder.weight")), None)
    head = sorted({name for name in tensors if ".layers." in name and not name.startswith(prefix)}, key=_natural)
    fields = {**stack.fields, "vocab_size": V, "pad_token_id": words.padding, "unk_token_id": words.unknown}
    decisions = [
        (
            "layers",
            f"AWD-LSTM: embedding {V:,} × {E}, {' → '.join(str(each.weight_hh.shape[1]) for each in layers)} units",
        ),
        *(("layers", note) for note in stack.notes),
        ("words", words.told),
        ("dropout", "0, because the file does not have the rates: set them if you train the model further"),
    ]
    ids = words.ids
    if decoder is not None:
        taken |= {decoder, decoder.replace("weight", "bias")}
        more, found = _decoder(tensors, decoder, embedding, stack, path)
        kind, fields = "RNNForCausalLM", {**fields, **more, **ids}
        weights = {**_inside(weights), **found}
        if choices.backward:
            decisions.append(
                (
                    "direction",
                    "reads and predicts from right to left; the left-to-right half is empty, so do not generate "
                    "text with it, but train classifiers from it, model.pretrained=FOLDER",
                )
            )
    elif head:
        taken |= set(head)
        kind, (more, found, told) = "RNNForSequenceClassification", _classifier(tensors, head, stack, choices, path)
        fields, weights = {**fields, **more}, {**_inside(weights), **found}
        decisions.append(("labels", told))
    else:
        kind = "RNNModel"
        decisions.append(("layers", "an encoder without a head: train from it with model.pretrained=FOLDER"))
    if choices.labels and not head:
        raise HfRnnError(f"labels={choices.labels} have no effect on a language model: leave labels out.")
    unread = sorted(name for name in tensors if name not in taken and not name.endswith(_COUNTS))
    if unread:
        raise HfRnnError(f"{str(path)!r} has weights that an AWD-LSTM does not have: {', '.join(unread[:10])}.")
    return Imported(kind, RNNConfig(**fields), weights, words.words.tokenizer(), "a fastai model", decisions)


def _inside(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of an encoder under their names in a model with a head."""
    return {f"model.{name}": weight for name, weight in weights.items()}


def _tensor(tensors: dict[str, Tensor], name: str, path: Path) -> Tensor:
    if name not in tensors:
        raise HfRnnError(f"{str(path)!r} lacks {name}, so it is no whole AWD-LSTM of fastai: save the model again.")
    return tensors[name]


def _natural(name: str) -> list:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]


def _layers(
    tensors: dict[str, Tensor], prefix: str, backward: bool, taken: set[str], path: Path
) -> list[DirectionWeights]:
    """Return the layers, and add the names of their tensors to `taken`."""
    if any("_reverse" in name for name in tensors):
        raise HfRnnError(
            f"{str(path)!r} is a bidirectional AWD-LSTM, which fastai runs on chunks of 72 tokens, so its answers "
            "depend on the place of the chunks: it cannot be imported exactly. Import a forward and a backward model "
            "instead."
        )
    layers: list[DirectionWeights] = []
    while any(name.startswith(f"{prefix}rnns.{len(layers)}.") for name in tensors):
        at = f"{prefix}rnns.{len(layers)}."
        raw, applied = f"{at}weight_hh_l0_raw", f"{at}module.weight_hh_l0"
        # The other one is a copy with weight dropout.
        own = {name: f"{at}module.{name}_l0" for name in ("weight_ih", "bias_ih", "bias_hh")}
        own["weight_hh"] = raw if raw in tensors else applied
        found = {name: _tensor(tensors, where, path) for name, where in own.items()}
        taken |= {raw, applied, *own.values()}
        H, F = found["weight_hh"].shape[-1], layers[-1].weight_hh.shape[1] if layers else None
        _check_shapes(found, H, F, at, path)
        layers.append(DirectionWeights(**found, backward=backward))
    return layers


def _check_shapes(found: dict[str, Tensor], H: int, F: int | None, at: str, path: Path) -> None:
    inputs = found["weight_ih"].shape[-1] if F is None else F
    wanted = {"weight_ih": (4 * H, inputs), "weight_hh": (4 * H, H), "bias_ih": (4 * H,), "bias_hh": (4 * H,)}
    for name, shape in wanted.items():
        if tuple(found[name].shape) != shape:
            raise HfRnnError(
                f"{at}{name} of {str(path)!r} is {list(found[name].shape)}, and an LSTM of {H} units needs "
                f"{list(shape)}: the file is damaged."
            )


def _decoder(
    tensors: dict[str, Tensor], name: str, embedding: Tensor, stack: Stack, path: Path
) -> tuple[dict, dict[str, Tensor]]:
    """Return fields and weights of the output layer over the vocabulary."""
    decoder, (V, E), H = tensors[name], embedding.shape, stack.fields["hidden_size"]
    # The top layer's units within one direction.
    places = stack.places % H
    if tuple(decoder.shape) != (V, len(places)):
        raise HfRnnError(
            f"{name} of {str(path)!r} is {list(decoder.shape)}, expected {[V, len(places)]}: the file is damaged."
        )
    bias = tensors.get(name.replace("weight", "bias"), torch.zeros(V)).float()
    if len(places) == E and torch.equal(decoder, embedding):
        weights = {"lm_head.bias": bias}
        if H != E:
            projection = torch.zeros(E, H)
            projection[torch.arange(E), places] = 1
            weights |= {"projection.weight": projection, "projection.bias": torch.zeros(E)}
        return {"tie_word_embeddings": True}, weights
    weight = torch.zeros(V, H)
    weight[:, places] = decoder.float()
    return {"tie_word_embeddings": False}, {"lm_head.weight": weight, "lm_head.bias": bias}


def _classifier(
    tensors: dict[str, Tensor], names: list[str], stack: Stack, choices: Choices, path: Path
) -> tuple[dict, dict[str, Tensor], str]:
    """Return fields and weights of the head of a PoolingLinearClassifier, and a description of the labels."""
    layers: list[Scale | Linear] = []
    for module in dict.fromkeys(name.rpartition(".")[0] for name in names):
        own = {name.rpartition(".")[2]: tensors[name] for name in names if name.rpartition(".")[0] == module}
        if "running_mean" in own:
            gamma, beta = own.get("weight"), own.get("bias")
            mean, variance = own["running_mean"], own["running_var"]
            gamma, beta = (
                torch.ones_like(mean) if gamma is None else gamma,
                torch.zeros_like(mean) if beta is None else beta,
            )
            layers.append(Scale.of_normalization(gamma, beta, mean, variance, EPSILON))
        else:
            weight = own["weight"]
            layers.append(Linear(weight, own.get("bias", torch.zeros(len(weight)))))
    linear = [layer for layer in layers if isinstance(layer, Linear)]
    for layer in linear[:-1]:
        layer.activation = "relu"
    head = folded(layers, str(path))
    H, D = stack.fields["hidden_size"], 2 if stack.fields["bidirectional"] else 1
    pooling, places = pooled_places(("last", "max", "mean"), stack.places, D * H)
    if head[0].weight.shape[1] != len(places):
        raise HfRnnError(
            f"the first layer of the classifier in {str(path)!r} reads {head[0].weight.shape[1]} features, and the "
            f"pooled outputs [last, max, mean] are {len(places)}: the file is damaged."
        )
    count = len(head[-1].bias)
    problem_type = choices.problem_type or (REGRESSION if count == 1 else SINGLE)
    labels, told = label_names(choices.labels, problem_type, count)
    fields = {
        "pooling": pooling,
        "classifier_hidden_size": len(head[0].bias) if len(head) == 2 else 0,
        "problem_type": problem_type,
        "id2label": dict(enumerate(labels)),
        "label2id": {label: i for i, label in enumerate(labels)},
    }
    weights = {f"classifier.{name}": weight for name, weight in head_weights(head, places, 3 * D * H).items()}
    return fields, weights, told


__all__ = ["import_fastai", "is_fastai"]
