# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Follow a text through the layers of a Keras model, and collect weights with torch's shapes and order.

The blocks of an LSTM have the same order in both: input, forget, cell, output. A GRU of Keras has the order update,
reset, new, and one of torch reset, update, new. Both compute z ∘ h + (1 - z) ∘ n. Keras' matrices are transposed.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ..utils.errors import HfRnnError
from .keras_file import KerasFile
from .keras_graph import INACTIVE, RECURRENT, KerasLayer, layers_of
from .linear_layers import Linear, Scale
from .stacked_layers import DirectionWeights

_BLOCKS = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
_POOLINGS = {"GlobalMaxPooling1D": "max", "GlobalAveragePooling1D": "mean"}
ACTIVATIONS = ("linear", "relu", "sigmoid", "softmax")


@dataclass(frozen=True)
class _Value:
    """Output of a layer.

    Args:
        form: `ids` (texts or token ids), `tokens` (a vector per token) or `vector` (one per text).
        width: Width of a vector.
        depth: Number of recurrent layers below.
        parts: Parts of a pooled vector.
        above: Number of layers of the head below.
    """

    form: str
    width: int = 0
    depth: int = 0
    parts: tuple[str, ...] = ()
    above: int = 0


@dataclass
class KerasNetwork:
    """A Keras model that classifies texts, layer by layer.

    Args:
        file: File of the model.
        embedding: Embedding, `[V, E]`.
        masked: True if token 0 is masked (`mask_zero`).
        cell_type: Cell of the recurrent layers.
        recurrent: Directions of each recurrent layer.
        parts: Parts of the pooled vector, in their order.
        head: Layers above the pooling.
        dropouts: Rates of dropout with the form of what they drop and the number of recurrent layers below.
        text: Configuration of the TextVectorization layer; None if there is none.
        text_path: Path of this layer in the file.
        length: Number of tokens of each text that the input layer asks for; None for any.
        told: Description of each layer.
        notes: Sentences about settings that were left out.
    """

    file: KerasFile
    embedding: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    masked: bool = False
    cell_type: str = ""
    recurrent: list[list[DirectionWeights]] = field(default_factory=list)
    parts: tuple[str, ...] = ()
    head: list[Scale | Linear] = field(default_factory=list)
    dropouts: list[tuple[str, int, float]] = field(default_factory=list)
    text: dict | None = None
    text_path: str = ""
    length: int | None = None
    told: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, file: KerasFile) -> "KerasNetwork":
        """Read all layers of a file.

        Args:
            file: File of the model.

        Raises:
            HfRnnError: A layer is unknown, has settings that our layers lack, or stands where ours cannot.
        """
        network = cls(file)
        layers, output = layers_of(file)
        values: dict[str, _Value] = {}
        for layer in layers:
            inputs = [values[key] for key in layer.inputs]
            if len(inputs) > 1 and layer.kind != "Concatenate":
                raise network._refused(layer, f"reads {len(inputs)} layers, {', '.join(layer.inputs)}")
            values[layer.key] = network._apply(layer, inputs)
        result = values[output]
        if result.form != "vector" or not network.head or result.above < len(network.head):
            raise HfRnnError(
                f"{file.name!r} does not end with a Dense layer over a whole text: only text classifiers and "
                "regressors can be imported."
            )
        network.parts = result.parts
        return network

    def _refused(self, layer: KerasLayer, reason: str) -> HfRnnError:
        return HfRnnError(
            f"the layer {layer.name!r} ({layer.kind}) of {self.file.name!r} {reason}: it cannot be imported exactly."
        )

    def _apply(self, layer: KerasLayer, inputs: list[_Value]) -> _Value:
        """Read a layer, and return its output."""
        if not inputs:
            # A Sequential model of Keras 2 has no input layer.
            shape = layer.config.get("batch_shape") or layer.config.get("batch_input_shape") or [None]
            self.length = self.length or (shape[1] if len(shape) == 2 else None)
            inputs = [_Value("ids")]
        if layer.kind == "InputLayer":
            return inputs[0]
        if layer.kind == "Concatenate":
            return self._concatenate(layer, inputs)
        own = {
            "TextVectorization": self._vectorization,
            "Embedding": self._embedding,
            "Dense": self._dense,
            "Activation": self._activation,
            "BatchNormalization": self._normalization,
            **dict.fromkeys(_POOLINGS, self._pooling),
            **dict.fromkeys((*RECURRENT, "Bidirectional"), self._recurrent),
        }
        value = inputs[0]
        if layer.kind in own:
            return own[layer.kind](layer, value)
        if value.form not in ("tokens", "vector"):
            raise self._refused(layer, "stands before the embedding")
        if layer.kind in INACTIVE:
            self.notes.append(f"{layer.name} ({layer.kind}), which acts in training only, is left out")
        else:
            self.dropouts.append((value.form, value.depth, float(layer.config.get("rate", 0))))
        return value

    def _vectorization(self, layer: KerasLayer, value: _Value) -> _Value:
        config = layer.config
        for name, allowed in (
            ("standardize", ("lower_and_strip_punctuation", "lower", "strip_punctuation", None)),
            ("split", ("whitespace", "character")),
            ("ngrams", (None,)),
            ("output_mode", ("int",)),
        ):
            if config.get(name, allowed[0]) not in allowed:
                raise self._refused(
                    layer, f"has {name}={config[name]!r}, and {' or '.join(map(repr, allowed))} is known"
                )
        self.text, self.text_path = config, layer.path
        self.length = config.get("output_sequence_length")
        return value

    def _embedding(self, layer: KerasLayer, value: _Value) -> _Value:
        if value.form != "ids" or self.embedding.numel():
            raise self._refused(layer, "is a second embedding, or does not read token ids")
        shape = (int(layer.config["input_dim"]), int(layer.config["output_dim"]))
        self.embedding = self.file.read(layer.path, layer.name, {"": [shape]})[""][0]
        self.masked = bool(layer.config.get("mask_zero"))
        self.length = self.length or layer.config.get("input_length")
        self.told.append(f"Embedding({shape[0]}, {shape[1]}{', mask_zero' * self.masked})")
        return _Value("tokens", shape[1])

    def _recurrent(self, layer: KerasLayer, value: _Value) -> _Value:
        if value.form != "tokens" or value.depth != len(self.recurrent):
            raise self._refused(layer, "does not read the outputs of the layer before it for each token")
        two = layer.kind == "Bidirectional"
        inner: dict[str, Any] = layer.config["layer"] if two else {"class_name": layer.kind, "config": layer.config}
        kind, config = inner["class_name"], inner["config"]
        if kind not in RECURRENT:
            raise self._refused(layer, f"holds a {kind}, and {', '.join(RECURRENT)} are known")
        sides: list[tuple[str, dict]] = [("forward_layer" if two else "", config)]
        if two:
            other = layer.config.get("backward_layer") or inner
            sides.append(("backward_layer", other["config"]))
            self._check_directions(layer, config, other["class_name"] == kind)
        directions = []
        shapes = {f"{side}/cell".lstrip("/"): _shapes(kind, each, value.width) for side, each in sides}
        read = self.file.read(layer.path, layer.name, shapes)
        before = self._reversed(value)
        for number, (weights, (_, each)) in enumerate(zip(read.values(), sides, strict=True)):
            self._check_cell(layer, kind, each)
            backward = number == 1 if two else bool(each.get("go_backwards")) != before
            directions.append(_torch_weights(kind, weights, backward))
        sequences = bool(config.get("return_sequences"))
        if not two and config.get("go_backwards") and sequences and self.masked:
            raise self._refused(
                layer, "has go_backwards and return_sequences: Keras then applies the mask in the wrong order"
            )
        self.recurrent.append(directions)
        self.dropouts.append(("tokens", value.depth, float(config.get("dropout") or 0)))
        if config.get("recurrent_dropout"):
            self.notes.append(f"recurrent_dropout={config['recurrent_dropout']} of {layer.name} is left out")
        self.told.append(f"Bidirectional({kind}({config['units']}))" if two else f"{kind}({config['units']})")
        width = sum(each.weight_hh.shape[1] for each in directions)
        return _Value("tokens" if sequences else "vector", width, value.depth + 1, () if sequences else ("last",))

    def _reversed(self, value: _Value) -> bool:
        """Return True if the outputs of the layer below begin with the last token, as with `go_backwards`."""
        below = self.recurrent[value.depth - 1] if value.depth else []
        return len(below) == 1 and below[0].backward

    def _check_directions(self, layer: KerasLayer, config: dict, same: bool) -> None:
        if not same:
            raise self._refused(layer, "has directions of different cells")
        merge = layer.config.get("merge_mode")
        if merge != "concat":
            raise self._refused(layer, f"has merge_mode={merge!r}, and 'concat' is known")
        if config.get("go_backwards") or self._reversed(_Value("tokens", depth=len(self.recurrent))):
            raise self._refused(layer, "reads from right to left first (go_backwards)")

    def _check_cell(self, layer: KerasLayer, kind: str, config: dict) -> None:
        """Raise [`HfRnnError`] for settings of a recurrent layer that torch's kernels lack."""
        activation, gate = config.get("activation", "tanh"), config.get("recurrent_activation", "sigmoid")
        if activation != "tanh" and not (kind == "SimpleRNN" and activation == "relu"):
            raise self._refused(layer, f"has activation={activation!r}, and torch's kernels have 'tanh'")
        if gate != "sigmoid":
            raise self._refused(layer, f"has recurrent_activation={gate!r}, and torch's kernels have 'sigmoid'")
        if kind == "GRU" and not config.get("reset_after"):
            raise self._refused(
                layer,
                "has reset_after=False, which resets the state before the matrix product; cuDNN and torch do it after "
                "the product. Train it with reset_after=True",
            )
        for name in ("stateful", "return_state", "time_major"):
            if config.get(name):
                raise self._refused(layer, f"has {name}=True")
        cell_type = {"LSTM": "lstm", "GRU": "gru"}.get(kind, f"rnn_{activation}")
        if self.cell_type not in ("", cell_type):
            raise self._refused(
                layer, f"is a {cell_type}, and the layers before are {self.cell_type}: all must be the same"
            )
        self.cell_type = cell_type

    def _pooling(self, layer: KerasLayer, value: _Value) -> _Value:
        if value.form != "tokens" or value.depth != len(self.recurrent) or not value.depth:
            raise self._refused(layer, "does not pool the outputs of the last recurrent layer")
        if layer.config.get("data_format", "channels_last") != "channels_last" or layer.config.get("keepdims"):
            raise self._refused(layer, "has data_format='channels_first' or keepdims=True")
        if layer.kind == "GlobalMaxPooling1D" and self.masked:
            self.notes.append(
                "GlobalMaxPooling1D ignores the mask in Keras, where padding can change its answers; here padding "
                "never does, as in Keras for a text without padding"
            )
        self.told.append(layer.kind)
        return replace(value, form="vector", parts=(_POOLINGS[layer.kind],))

    def _concatenate(self, layer: KerasLayer, values: list[_Value]) -> _Value:
        parts = tuple(part for value in values for part in value.parts)
        same = {(value.form, value.width, value.depth, value.above) for value in values}
        if same != {("vector", values[0].width, len(self.recurrent), 0)} or len(set(parts)) < len(parts):
            raise self._refused(layer, "does not join different poolings of the last recurrent layer")
        return replace(values[0], parts=parts)

    def _dense(self, layer: KerasLayer, value: _Value) -> _Value:
        self._check_head(layer, value)
        config, width = layer.config, self._width(value)
        units = int(config["units"])
        shapes: list[tuple[int, ...]] = [(width, units), *([(units,)] if config.get("use_bias", True) else [])]
        kernel, *bias = self.file.read(layer.path, layer.name, {"": shapes})[""]
        activation = self._known(layer)
        self.head.append(Linear(kernel.T, bias[0] if bias else torch.zeros(units), activation))
        self.told.append(f"Dense({units}, {activation})")
        return replace(value, width=units, above=value.above + 1)

    def _width(self, value: _Value) -> int:
        return value.width * (1 if value.above else len(value.parts))

    def _known(self, layer: KerasLayer) -> str:
        activation = layer.config.get("activation") or "linear"
        if activation not in ACTIVATIONS:
            raise self._refused(layer, f"has activation={activation!r}, and {', '.join(ACTIVATIONS)} are known")
        return activation

    def _activation(self, layer: KerasLayer, value: _Value) -> _Value:
        self._check_head(layer, value)
        last = self.head[-1] if self.head else None
        if not isinstance(last, Linear) or last.activation != "linear":
            raise self._refused(layer, "does not follow a linear Dense layer")
        last.activation = self._known(layer)
        self.told.append(f"Activation({last.activation})")
        return value

    def _normalization(self, layer: KerasLayer, value: _Value) -> _Value:
        self._check_head(layer, value)
        width, config = self._width(value), layer.config
        learned = [name for name in ("scale", "center") if config.get(name, True)]
        *given, mean, variance = self.file.read(layer.path, layer.name, {"": [(width,)] * (len(learned) + 2)})[""]
        found = dict(zip(learned, given, strict=True))
        gamma, beta = found.get("scale", torch.ones(width)), found.get("center", torch.zeros(width))
        self.head.append(Scale.of_normalization(gamma, beta, mean, variance, float(config.get("epsilon", 1e-3))))
        self.told.append("BatchNormalization")
        return replace(value, above=value.above + 1)

    def _check_head(self, layer: KerasLayer, value: _Value) -> None:
        """Raise [`HfRnnError`] if a layer of the head does not read the whole text, or not the layer before it."""
        if value.form != "vector":
            raise self._refused(layer, "answers each token, and only answers for whole texts are imported")
        if value.above != len(self.head) or value.depth != len(self.recurrent):
            raise self._refused(layer, "stands beside other layers")


def _shapes(kind: str, config: dict, width: int) -> list[tuple[int, ...]]:
    """Return the shapes of kernel, recurrent kernel and bias."""
    H, G = int(config["units"]), _BLOCKS[kind]
    bias: tuple[int, ...] = (2, G * H) if kind == "GRU" and config.get("reset_after") else (G * H,)
    return [(width, G * H), (H, G * H), *([bias] if config.get("use_bias", True) else [])]


def _torch_weights(kind: str, weights: list[Tensor], backward: bool) -> DirectionWeights:
    """Return the weights of a direction with torch's shapes and order of blocks."""
    kernel, recurrent, *bias = weights

    def ordered(x: Any) -> Tensor:
        if kind != "GRU":
            return x
        z, r, n = x.chunk(3, dim=0)
        return torch.cat([r, z, n])

    both = bias[0] if bias else torch.zeros(kernel.shape[1])
    ih, hh = both if both.dim() == 2 else (both, torch.zeros_like(both))
    return DirectionWeights(ordered(kernel.T), ordered(recurrent.T), ordered(ih), ordered(hh), backward)


__all__ = ["KerasNetwork"]
