# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""A text model of plain torch modules, with the weights of a model of hf_rnn. This file needs torch alone.

model = load("FOLDER")
scores = model.scores(input_ids, lengths)
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class PlainModel(nn.Module):
    """Embedding, recurrent layers, pooling and linear layers.

    Shapes: B batch, T time, E embedding, H hidden, D directions, C classes, V vocabulary.

    Args:
        settings: Contents of settings.json.
    """

    def __init__(self, settings: dict[str, Any]):
        super().__init__()
        self.settings = settings
        E, H, D = settings["embedding_size"], settings["hidden_size"], 2 if settings["bidirectional"] else 1
        self.embedding = nn.Embedding(settings["vocab_size"], E)
        options: dict[str, Any] = {"num_layers": settings["num_layers"], "batch_first": True, "bidirectional": D == 2}
        kinds = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn_tanh": nn.RNN, "rnn_relu": nn.RNN}
        if settings["cell_type"].startswith("rnn_"):
            options["nonlinearity"] = settings["cell_type"].removeprefix("rnn_")
        self.rnn = kinds[settings["cell_type"]](E, H, **options)
        if settings["pooling"] == "attention":
            self.key, self.query = nn.Linear(D * H, D * H), nn.Linear(D * H, 1, bias=False)
        self.linear = nn.ModuleList(nn.Linear(a, b) for a, b in settings["linear"])

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits: `[B, C]` of a classifier, `[B, T, V]` of a language model.

        Args:
            input_ids: Token ids, right-padded, `[B, T]`.
            lengths: Number of tokens of each row, 1 or more, `[B]`.
        """
        packed = pack_padded_sequence(self.embedding(input_ids), lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, state = self.rnn(packed)
        x, _ = pad_packed_sequence(outputs, batch_first=True, total_length=input_ids.shape[1])
        if self.settings["pooling"] is not None:
            h = state[0] if isinstance(state, tuple) else state
            top = h[-2:] if self.settings["bidirectional"] else h[-1:]
            x = self._pooled(x, torch.cat(list(top), dim=-1), lengths)
        for number, layer in enumerate(self.linear):
            x = layer(x)
            if self.settings["pooling"] is not None and number + 1 < len(self.linear):
                x = torch.relu(x)
        return x

    def _pooled(self, x: Tensor, last: Tensor, lengths: Tensor) -> Tensor:
        padding = torch.arange(x.shape[1], device=x.device)[None, :, None] >= lengths.to(x.device)[:, None, None]
        pooling = self.settings["pooling"]
        if pooling == "attention":
            scores = self.query(torch.tanh(self.key(x))).masked_fill(padding, -torch.inf)
            return (scores.softmax(1) * x).sum(1)
        found = {
            "last": last,
            "max": x.masked_fill(padding, -torch.inf).amax(1),
            "mean": x.sum(1) / lengths.to(x)[:, None],
        }
        return torch.cat(list(found.values()), dim=-1) if pooling == "concat" else found[pooling]

    @torch.no_grad()
    def scores(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the probabilities of the labels, or the values of a regressor, `[B, C]`; of a language model, logits.

        Args:
            input_ids: Same as in [`forward`].
            lengths: Same as in [`forward`].
        """
        logits = self(input_ids, lengths)
        activation = self.settings["activation"]
        return (
            logits.softmax(-1) if activation == "softmax" else logits.sigmoid() if activation == "sigmoid" else logits
        )


def load(folder: str) -> PlainModel:
    """Load a model from its folder.

    Args:
        folder: Folder with settings.json and weights.pt.
    """
    settings = json.loads((Path(folder) / "settings.json").read_text(encoding="utf-8"))
    model = PlainModel(settings)
    model.load_state_dict(torch.load(Path(folder) / "weights.pt", weights_only=True))
    return model.eval()
