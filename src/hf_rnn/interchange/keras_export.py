# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Export a model as a `.keras` file, written with h5py and json alone.

Keras masks token 0. Its GlobalMaxPooling1D ignores the mask, so a second embedding adds -1e9 to the outputs on padding
before the maximum.
"""

import json
import os
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..auto import MODELS, architecture
from ..hub.fetch import find_model
from ..utils.errors import HfRnnError
from ..utils.output import bars_if_seen, say
from .exported_layers import ExportedLayers
from .keras_file import CONFIG, METADATA, WEIGHTS, names_in_archive
from .output_folder import parents_made
from .stacked_layers import DirectionWeights

# Any Keras 3 reads the file.
KERAS_VERSION = "3.0.0"
_CLASSES = {"lstm": "LSTM", "gru": "GRU", "rnn_tanh": "SimpleRNN", "rnn_relu": "SimpleRNN"}
_OUT = -1e9

# Output of a layer: its name, the number of the output, and the shape.
Output = tuple[str, int, list]


class _Graph:
    """Functional model of Keras that is being written."""

    def __init__(self) -> None:
        self.layers: list[dict] = []
        self.weights: dict[str, dict[str, list[Tensor]]] = {}

    def add(
        self,
        kind: str,
        name: str,
        inputs: list[Output],
        shape: list,
        config: dict | None = None,
        weights: dict[str, list[Tensor]] | None = None,
    ) -> Output:
        """Add a layer, and return its first output.

        Args:
            kind: Class of the layer.
            name: Name of the layer.
            inputs: Outputs that it reads.
            shape: Shape of its first output.
            config: Configuration of the layer.
            weights: Weights of each part of the layer.
        """
        tensors = [
            {
                "class_name": "__keras_tensor__",
                "config": {
                    "shape": of,
                    "dtype": "float32" if len(of) > 2 else "int32",
                    "keras_history": [source, 0, which],
                },
            }
            for source, which, of in inputs
        ]
        args = [tensors] if len(tensors) > 1 else tensors
        self.layers.append(
            {
                "module": "keras.layers",
                "class_name": kind,
                "config": {"name": name, **(config or {})},
                "registered_name": None,
                "name": name,
                "inbound_nodes": [{"args": args, "kwargs": {}}] if inputs else [],
            }
        )
        self.weights[name] = weights or {}
        return name, 0, shape


@bars_if_seen(of_datasets=False)
def to_keras(model: str | Path, output: str | Path, **where: Any) -> Path:
    """Write a model as a `.keras` file for Keras 3.

    Its input are token ids, `[B, T]`, padded with token 0. Its output are scores of the labels, the values of a
    regressor, or the logits of the next token of a language model. The tokenizer is not part of the file.

    Args:
        model: Folder or Hub id of the model.
        output: File to write, with the ending .keras.
        where: Options to find a model on the Hub, such as `revision`.

    Returns:
        Path of the file.

    Raises:
        HfRnnError: The model has layers that Keras lacks, the file exists, or h5py is not installed.
    """
    output = Path(output)
    if output.suffix != ".keras":
        raise HfRnnError(f"{str(output)!r} must end with .keras, such as model.keras.")
    if output.exists():
        raise HfRnnError(f"{str(output)!r} exists already: name another file.")
    folder, config = find_model(str(model), **where)
    layers = ExportedLayers.of(MODELS[architecture(config)].from_pretrained(folder))
    masked = config.pad_token_id == 0
    if not masked:
        say(
            f"reading    Keras masks token 0, and the padding token of this model is {config.pad_token_id}: the .keras "
            "file masks nothing, so give it texts of one length at a time"
        )
    graph, result = _graph(layers, masked)
    serialized = {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": "hf_rnn",
            "trainable": True,
            "layers": graph.layers,
            "input_layers": ["token_ids", 0, 0],
            "output_layers": [result[0], 0, 0],
        },
        "registered_name": "Functional",
    }
    told = {"keras_version": KERAS_VERSION, "labels": [] if layers.pooling is None else list(config.id2label.values())}
    writing = output.with_name(f".{output.name}.saving")
    weights = _weights_file(graph, output.name)
    with parents_made(output):
        with zipfile.ZipFile(writing, "w") as archive:
            archive.writestr(METADATA, json.dumps(told))
            archive.writestr(CONFIG, json.dumps(serialized))
            archive.writestr(WEIGHTS, weights)
        os.replace(writing, output)
    return output


def _graph(layers: ExportedLayers, masked: bool) -> tuple[_Graph, Output]:
    """Return the functional model of some layers, and its output."""
    if layers.pooling == "attention":
        raise HfRnnError(
            "the model has pooling='attention', which no layer of Keras computes: export it with format='onnx' or "
            "format='torch'."
        )
    graph = _Graph()
    V, E = layers.embedding.shape
    ids = graph.add("InputLayer", "token_ids", [], [None, None], {"batch_shape": [None, None], "dtype": "int32"})
    settings: dict = {"input_dim": V, "output_dim": E, "mask_zero": masked}
    x = graph.add("Embedding", "embedding", [ids], [None, None, E], settings, {"": [layers.embedding]})
    for number, directions in enumerate(layers.recurrent):
        is_top = number + 1 == len(layers.recurrent)
        flags = {
            "return_sequences": not (is_top and layers.pooling == "last"),
            "return_state": is_top and layers.pooling == "concat",
        }
        x = _recurrent(graph, x, layers.cell_type, directions, number, flags)
    if layers.pooling not in (None, "last"):
        x = _pooling(graph, x, ids, layers, masked)
    for number, layer in enumerate(layers.head):
        last = number + 1 == len(layers.head)
        activation = layers.activation if last else layer.activation
        units = len(layer.bias)
        name = "scores" if last else f"hidden_{number}"
        weights = {"": [layer.weight.T, layer.bias]}
        settings = {"units": units, "activation": activation}
        x = graph.add("Dense", name, [x], [*x[2][:-1], units], settings, weights)
    return graph, x


def _recurrent(
    graph: _Graph, x: Output, cell_type: str, directions: list[DirectionWeights], number: int, flags: dict
) -> Output:
    """Add a recurrent layer of one or two directions."""
    kind, H = _CLASSES[cell_type], directions[0].weight_hh.shape[1]
    settings = {"units": H, **flags}
    if kind == "GRU":
        settings["reset_after"] = True
    if kind == "SimpleRNN":
        settings["activation"] = cell_type.removeprefix("rnn_")
    shape = [None, None, H * len(directions)] if flags["return_sequences"] else [None, H * len(directions)]
    own = [_keras_weights(kind, direction) for direction in directions]
    if len(directions) == 1:
        return graph.add(kind, f"recurrent_{number}", [x], shape, settings, {"cell": own[0]})
    sides = [
        {
            "module": "keras.layers",
            "class_name": kind,
            "config": {"name": f"{side}_{number}", **settings, "go_backwards": side == "backward"},
            "registered_name": None,
        }
        for side in ("forward", "backward")
    ]
    config = {"merge_mode": "concat", "layer": sides[0], "backward_layer": sides[1]}
    weights = {"forward_layer/cell": own[0], "backward_layer/cell": own[1]}
    return graph.add("Bidirectional", f"recurrent_{number}", [x], shape, config, weights)


def _keras_weights(kind: str, direction: DirectionWeights) -> list[Tensor]:
    """Return kernel, recurrent kernel and bias; the inverse of what the import does."""

    def ordered(x: Tensor) -> Tensor:
        if kind != "GRU":
            return x
        r, z, n = x.chunk(3, dim=0)
        return torch.cat([z, r, n])

    biases = [ordered(direction.bias_ih), ordered(direction.bias_hh)]
    bias = torch.stack(biases) if kind == "GRU" else biases[0] + biases[1]
    return [ordered(direction.weight_ih).T, ordered(direction.weight_hh).T, bias]


def _pooling(graph: _Graph, x: Output, ids: Output, layers: ExportedLayers, masked: bool) -> Output:
    """Add the pooling of the outputs of the top layer."""
    width, V = x[2][-1], len(layers.embedding)
    parts: dict[str, list[Output]] = {"last": [], "max": [], "mean": []}
    wanted = ("last", "max", "mean") if layers.pooling == "concat" else (layers.pooling,)
    if "last" in wanted:
        D, states = len(layers.recurrent[-1]), 2 if layers.cell_type == "lstm" else 1
        parts["last"] = [(x[0], 1 + states * d, [None, width // D]) for d in range(D)]
    if "max" in wanted:
        seen = x
        if masked:
            penalty = torch.zeros(V, 1)
            penalty[0] = _OUT
            settings = {"input_dim": V, "output_dim": 1, "trainable": False}
            added = graph.add("Embedding", "padding", [ids], [None, None, 1], settings, {"": [penalty]})
            seen = graph.add("Add", "without_padding", [x, added], x[2])
        parts["max"] = [graph.add("GlobalMaxPooling1D", "maximum", [seen], [None, width])]
    if "mean" in wanted:
        parts["mean"] = [graph.add("GlobalAveragePooling1D", "mean", [x], [None, width])]
    inputs = [output for name in wanted for output in parts[str(name)]]
    if len(inputs) == 1:
        return inputs[0]
    return graph.add("Concatenate", "pooled", inputs, [None, sum(shape[-1] for _, _, shape in inputs)], {"axis": -1})


def _weights_file(graph: _Graph, name: str) -> bytes:
    """Return the HDF5 file of the weights."""
    try:
        import h5py
    except ImportError as error:
        raise HfRnnError(f'{name!r} is written with h5py: pip install "hf-rnn[keras]".') from error
    content = BytesIO()
    groups = names_in_archive([layer["class_name"] for layer in graph.layers])
    with h5py.File(content, "w") as file:
        for group, layer in zip(groups, graph.layers, strict=True):
            file.create_group(f"layers/{group}/vars").attrs["name"] = layer["name"]
            for part, weights in graph.weights[layer["name"]].items():
                for number, weight in enumerate(weights):
                    path = f"layers/{group}/{part}/vars/{number}".replace("//", "/")
                    file.create_dataset(path, data=weight.contiguous().numpy())
    return content.getvalue()


__all__ = ["to_keras"]
