# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The layers of a Keras model in the order in which they run, nested models included."""

from dataclasses import dataclass
from typing import Any

from ..utils.errors import HfRnnError
from .keras_file import KerasFile, names_in_archive

MODELS = ("Sequential", "Functional", "Model")
# Layers that do nothing in evaluation mode.
INACTIVE = ("ActivityRegularization", "AlphaDropout", "GaussianDropout", "GaussianNoise")
RECURRENT = ("LSTM", "GRU", "SimpleRNN")
KNOWN = (
    *("InputLayer", "TextVectorization", "Embedding", "Bidirectional", "Dropout", "SpatialDropout1D", "Dense"),
    *("GlobalMaxPooling1D", "GlobalAveragePooling1D", "Concatenate", "Activation", "BatchNormalization"),
    *INACTIVE,
    *RECURRENT,
)
# Reasons for layers that users meet often.
_REASONS = {
    "Lambda": "code in a file is not run",
    "Masking": "write Embedding(mask_zero=True) instead",
    "TimeDistributed": "it answers each token, and only answers for whole texts are imported",
    "CuDNNLSTM": "load it in Keras 2 and save it as LSTM",
    "CuDNNGRU": "load it in Keras 2 and save it as GRU(reset_after=True)",
    "Flatten": "it needs texts of one length",
    "RNN": "its cell may be any code",
}
_DEEPEST = 8


@dataclass
class KerasLayer:
    """Layer of a Keras model.

    Args:
        kind: Name of its class.
        name: Name of the layer.
        config: Configuration of the layer.
        inputs: Keys of the layers whose outputs it reads.
        key: Name that no other layer has, also not one of a nested model.
        path: Path of its weights in the file, as [`KerasFile.read`] takes it.
    """

    kind: str
    name: str
    config: dict
    inputs: list[str]
    key: str
    path: str


def layers_of(file: KerasFile) -> tuple[list[KerasLayer], str]:
    """Return all layers of a model in their order, and the key of the layer whose output is that of the model.

    Args:
        file: File of the model.

    Raises:
        HfRnnError: The model is no Sequential or functional one, has several outputs or shared layers, or has layers
            that cannot be imported; the message names each of them.
    """
    layers, output = _flat(file, file.model, "", "", [], 0)
    unknown = [layer for layer in layers if layer.kind not in KNOWN]
    if unknown:
        told = [
            f"{layer.name} ({layer.kind}{': ' + _REASONS[layer.kind] if layer.kind in _REASONS else ''})"
            for layer in unknown
        ]
        raise HfRnnError(
            f"{file.name!r} has layers that cannot be imported: {'; '.join(told)}. The layers that can be are "
            f"{', '.join(sorted(KNOWN))}."
        )
    return layers, output


def _flat(
    file: KerasFile, model: Any, path: str, top: str, entry: list[str], depth: int
) -> tuple[list[KerasLayer], str]:
    """Return the layers of a model that may be nested in another one, and the key of its output.

    Args:
        file: File of the topmost model.
        model: Serialized model.
        path: Groups of the model in a `.keras` file, with a slash at the end; empty for the topmost model.
        top: Name of the topmost layer that holds the model; empty for the topmost model.
        entry: Keys of the layers whose outputs the model reads.
        depth: Number of models around this one.
    """
    kind, config = model.get("class_name"), model.get("config")
    if kind not in MODELS or not isinstance(config, dict) or not config.get("layers") or depth > _DEEPEST:
        raise HfRnnError(
            f"{file.name!r} holds a model of the class {kind!r}: only Sequential and functional models can be "
            "imported, because code is not stored in the file."
        )
    sequential = kind == "Sequential"
    # A Sequential model does not count its input layer.
    groups = iter(names_in_archive([each["class_name"] for each in config["layers"]]))
    keys: dict[str, str] = {}
    layers: list[KerasLayer] = []
    last = entry
    for each, group in zip(config["layers"], groups, strict=True):
        own = each["config"]
        name = str(each.get("name") or own.get("name"))
        inputs = last if sequential else [keys[source] for source in _sources(each, file.name)]
        inputs = entry if each["class_name"] == "InputLayer" else inputs
        where = f"{path}layers/{group}" if file.is_archive else top or name
        if each["class_name"] in MODELS:
            nested, keys[name] = _flat(file, each, f"{path}layers/{group}/", top or name, inputs, depth + 1)
            layers += nested
        else:
            keys[name] = f"{path}{name}"
            custom = each.get("registered_name") not in (None, each["class_name"])
            kind_of_layer = each["registered_name"] if custom else each["class_name"]
            layers.append(KerasLayer(str(kind_of_layer), name, own, inputs, keys[name], where))
        last = [keys[name]]
    if sequential:
        return layers, last[0]
    outputs = _names(config["output_layers"])
    if len(outputs) != 1:
        raise HfRnnError(
            f"{file.name!r} has {len(outputs)} outputs, {', '.join(outputs)}: save a model with one output."
        )
    return layers, keys[outputs[0]]


def _sources(layer: dict, file: str) -> list[str]:
    """Return the names of the layers whose outputs a layer of a functional model reads."""
    nodes = layer.get("inbound_nodes") or []
    if len(nodes) > 1:
        raise HfRnnError(
            f"the layer {layer.get('name')!r} of {file!r} is used {len(nodes)} times: only layers that are used once "
            "can be imported."
        )
    return _names(nodes)


def _names(told: Any) -> list[str]:
    """Return the names of layers in a serialized node or list of outputs, of Keras 2 or 3."""
    if isinstance(told, dict):
        if told.get("class_name") == "__keras_tensor__":
            return _names(told["config"]["keras_history"])
        return [name for value in told.values() for name in _names(value)]
    if not isinstance(told, (list, tuple)):
        return []
    if len(told) >= 3 and isinstance(told[0], str) and all(type(number) is int for number in told[1:3]):
        if told[2] != 0:
            raise HfRnnError(
                f"the output {told[2]} of the layer {told[0]!r} is read: only first outputs can be imported, so leave "
                "out return_state=True."
            )
        return [told[0], *(name for more in told[3:] for name in _names(more))]
    return [name for value in told for name in _names(value)]


__all__ = ["INACTIVE", "RECURRENT", "KerasLayer", "layers_of"]
