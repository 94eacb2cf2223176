# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Exported language models and translators in the place of the models, to compare both and to measure the graphs."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.label_checks import IGNORED
from ..runtime.generation import State, generate
from ..runtime.writers import LanguageModelSteps, TranslatorSteps, settings_of
from .graph_predictor import Graph

# Target tokens that are compared for each text.
TARGET = 8


class LanguageModelOnGraph:
    """Language model whose logits are those of an exported graph.

    Args:
        model: The model itself.
        fields: Fields of the export record, as `export_writer` returns them.
        files: The ONNX file.
    """

    device = torch.device("cpu")

    def __init__(self, model: Any, fields: dict[str, Any], files: list[Path]):
        # The graph holds the left-to-right direction alone.
        self.config = copy.copy(model.config)
        self.config.independent_directions = self.config.bidirectional = False
        self.steps = LanguageModelSteps(Graph(files[0]).session, fields["state"])

    def eval(self) -> LanguageModelOnGraph:
        """Return the model."""
        return self

    def logits(self, input_ids: Any, attention_mask: Any) -> np.ndarray:
        """Return the logits of a batch, `[B, T, V]`, which is read in two parts with the state between them.

        Args:
            input_ids: Token ids, `[B, T]`.
            attention_mask: Mask, `[B, T]`.
        """
        middle = max(1, input_ids.shape[1] // 2)
        first, state = self.steps.run(input_ids[:, :middle], attention_mask[:, :middle])
        if middle == input_ids.shape[1]:
            return first
        return np.concatenate([first, self.steps.run(input_ids[:, middle:], attention_mask[:, middle:], state)[0]], 1)

    def __call__(
        self, input_ids: Tensor, shift_labels: Tensor, past_key_values: State | None = None, **_: Any
    ) -> SimpleNamespace:
        """Return the loss of a window of text and the state after it, as `RNNForCausalLM` does.

        Args:
            input_ids: Token ids, `[B, T]`.
            shift_labels: Next token of each position, `[B, T]`; -100 to leave a position out.
            past_key_values: State after the window before.
            **_: Further arguments of the model.
        """
        ids = input_ids.numpy()
        logits, state = self.steps.run(ids, np.ones_like(ids), past_key_values)
        loss = F.cross_entropy(torch.from_numpy(logits).flatten(0, 1), shift_labels.flatten(), ignore_index=IGNORED)
        return SimpleNamespace(loss=loss, past_key_values=state)


class TranslatorOnGraphs:
    """Translator whose logits are those of exported graphs.

    Args:
        model: The model itself.
        fields: Fields of the export record, as `export_writer` returns them.
        files: The ONNX files of the encoder and of the decoder.
    """

    device = torch.device("cpu")

    def __init__(self, model: Any, fields: dict[str, Any], files: list[Path]):
        self.config, self.generation_config = model.config, model.generation_config
        self.generation = fields["generation"]
        encoder, decoder = (Graph(file).session for file in files)
        self.steps = TranslatorSteps(encoder, decoder, fields["state"])

    def logits(self, input_ids: Any, attention_mask: Any) -> np.ndarray:
        """Return the logits `[B, T, V]` after each of the target tokens of [`targets`].

        Args:
            input_ids: Token ids of the source texts, `[B, S]`.
            attention_mask: Mask, `[B, S]`.
        """
        state, found = self.steps.read(input_ids, attention_mask), []
        for tokens in targets(input_ids).T:
            logits, state = self.steps.step(tokens, state)
            found.append(logits)
        return np.stack(found, axis=1)

    def generate(self, input_ids: Tensor, attention_mask: Tensor, stopping_criteria: Any, **_: Any) -> Tensor:
        """Return generated target tokens, `[B, T]`, as the method of the model does with its own settings.

        Args:
            input_ids: Token ids of the source texts, `[B, S]`.
            attention_mask: Mask, `[B, S]`.
            stopping_criteria: The length of each text, as the task `Translation` passes it.
            **_: Lengths for transformers.
        """
        start = self.generation["decoder_start_token_id"]
        state = self.steps.read(input_ids.numpy(), attention_mask.numpy())
        logits, state = self.steps.step(np.full(len(input_ids), start), state)
        settings = settings_of(self.generation, stopping_criteria[0].limits.numpy(), 1)
        rows = generate(self.steps, logits, state, [[start]] * len(input_ids), settings)
        return torch.nn.utils.rnn.pad_sequence(list(map(torch.tensor, rows)), batch_first=True, padding_value=IGNORED)


class TeacherForced:
    """Translator that reads the target tokens of [`targets`].

    Args:
        model: Translator.
    """

    def __init__(self, model: Any):
        self.model, self.config = model, model.config

    def __call__(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        """Return the outputs of the model.

        Args:
            input_ids: Token ids of the source texts, `[B, S]`.
            attention_mask: Mask, `[B, S]`.
        """
        return self.model(input_ids, attention_mask, decoder_input_ids=torch.from_numpy(targets(input_ids.numpy())))


def targets(input_ids: np.ndarray) -> np.ndarray:
    """Return target tokens for a comparison, `[B, T]`: the first ones of the source texts, of padding too.

    Args:
        input_ids: Token ids of the source texts, `[B, S]`.
    """
    return input_ids[:, :TARGET]


__all__ = ["LanguageModelOnGraph", "TeacherForced", "TranslatorOnGraphs", "targets"]
