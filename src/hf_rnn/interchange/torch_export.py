# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Export a model as plain torch modules: `nn.Embedding`, `nn.LSTM`, `nn.GRU` or `nn.RNN`, and `nn.Linear`."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..auto import MODELS, architecture
from ..hub.fetch import find_model
from ..text.tokenization import load_tokenizer
from ..utils.errors import HfRnnError
from ..utils.output import bars_if_seen
from .exported_layers import ExportedLayers
from .output_folder import replaced

SETTINGS_FILE, WEIGHTS_FILE, MODULE_FILE = "settings.json", "weights.pt", "model.py"


def to_torch(model: Any) -> dict[str, Tensor]:
    """Return the state dict of plain torch modules with the weights of a model.

    The names are those of `embedding` (`nn.Embedding`), `rnn` (`nn.LSTM`, `nn.GRU` or `nn.RNN` with all layers and
    directions), `linear.0` and, if there is a hidden layer, `linear.1` (`nn.Linear`). Attention pooling adds `key` and
    `query`. The temperature and the unit of a regressor's targets are part of the last linear layer.

    Args:
        model: Text classifier without wide path, or language model.

    Raises:
        HfRnnError: The model is not made of plain layers.
    """
    return _state_dict(ExportedLayers.of(model))


def _state_dict(layers: ExportedLayers) -> dict[str, Tensor]:
    state = {"embedding.weight": layers.embedding}
    for number, directions in enumerate(layers.recurrent):
        for direction in directions:
            ending = f"_l{number}{'_reverse' if direction.backward else ''}"
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                state[f"rnn.{name}{ending}"] = getattr(direction, name)
    state |= layers.attention
    for number, layer in enumerate(layers.head):
        state |= {f"linear.{number}.weight": layer.weight, f"linear.{number}.bias": layer.bias}
    return state


@bars_if_seen(of_datasets=False)
def write_torch(model: str | Path, output: str | Path, **where: Any) -> Path:
    """Write a model as plain torch modules: their code, settings and weights, and the tokenizer.

    Args:
        model: Folder or Hub id of the model.
        output: Folder to create, with its missing parent folders. Its `model.py` needs torch alone; `load(FOLDER)`
            there returns the model.
        where: Options to find a model on the Hub, such as `revision`.

    Returns:
        Path of the folder.

    Raises:
        HfRnnError: The model is not made of plain layers, or the folder exists.
    """
    output = Path(output)
    if output.exists():
        raise HfRnnError(f"{str(output)!r} exists already: name a new folder, output=FOLDER.")
    folder, config = find_model(str(model), **where)
    layers = ExportedLayers.of(MODELS[architecture(config)].from_pretrained(folder))
    settings = {
        "cell_type": layers.cell_type,
        "vocab_size": len(layers.embedding),
        "embedding_size": layers.embedding.shape[1],
        "hidden_size": config.hidden_size,
        "num_layers": len(layers.recurrent),
        "bidirectional": len(layers.recurrent[0]) == 2,
        "pooling": layers.pooling,
        "linear": [list(layer.weight.shape[::-1]) for layer in layers.head],
        "activation": layers.activation,
        "labels": [] if layers.pooling is None else list(config.id2label.values()),
    }
    with replaced(output) as writing:
        text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
        (writing / SETTINGS_FILE).write_text(text, encoding="utf-8")
        torch.save({name: tensor.contiguous() for name, tensor in _state_dict(layers).items()}, writing / WEIGHTS_FILE)
        shutil.copyfile(Path(__file__).with_name("plain_torch.py"), writing / MODULE_FILE)
        load_tokenizer(str(folder)).save_pretrained(writing)
    return output


__all__ = ["to_torch", "write_torch"]
