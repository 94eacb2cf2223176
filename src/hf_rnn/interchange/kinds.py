# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Export by kind of model: its graphs, and how they are compared and measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..hub.folder import ONNX_FOLDER
from ..inference.onnx_model import model_on
from ..inference.predictor import Predictor
from ..models.modeling_causal_rnn import RNNForCausalLM
from ..models.modeling_seq2seq_rnn import RNNForConditionalGeneration
from ..runtime.record import GRAPH, LANGUAGE_MODEL, TRANSLATOR, record_of
from .graphs import OPSET, write_graph
from .onnx_writers import export_writer
from .record import files_of

if TYPE_CHECKING:
    from ..runtime.writers import LanguageModelSteps, TranslatorSteps

# Logits of a language model that are compared at once, and tokens of a text that are compared: its output layer takes
# most of the time.
LOGITS, LEAST, MOST = 2**22, 16, 256
# Target tokens of a translator that are compared for each text.
TARGET = 8


@dataclass(frozen=True)
class Exported:
    """Graphs of a model that were read again.

    Args:
        logits: Function of token ids and mask, `[B, T]`, that returns the logits of the graphs.
        reference: Function of the same tensors that returns an output of the model with the same `logits`.
        predictor: Predictor whose answers are those of the graphs.
        longest: Number of tokens of a text that are compared; None for all.
        batch_tokens: Number of tokens that are compared at once; None for the usual one.
    """

    logits: Callable
    reference: Any
    predictor: Predictor
    longest: int | None = None
    batch_tokens: int | None = None


def write_graphs(model: Any, folder: Path) -> dict[str, Any]:
    """Write the ONNX files of a model, and return the fields `state`, `generation` and `opset` of its record.

    Args:
        model: Model in float32, on the CPU, in eval mode.
        folder: Existing folder for the files.

    Raises:
        HfRnnError: The model cannot be expressed as graphs, or the runtime does not know how it writes.
    """
    if isinstance(model, (RNNForCausalLM, RNNForConditionalGeneration)):
        return export_writer(model, folder)
    write_graph(model, folder / GRAPH)
    return {"state": [], "generation": None, "opset": OPSET}


def read_graphs(predictor: Predictor, folder: Path, record: dict[str, Any], quantized: bool = False) -> Exported:
    """Read the ONNX files of a model, as the runtime does.

    Args:
        predictor: The model itself.
        folder: Folder of the exported model.
        record: Its export record, without the parts about its files.
        quantized: True to read the files with the int8 weights.

    Raises:
        HfRnnError: onnxruntime cannot read a file.
    """
    # It imports onnxruntime.
    from ..runtime.graphs import Graphs

    facts = record_of({**record, "files": files_of(folder / ONNX_FOLDER)})
    model: Any = predictor.model
    graphs = Graphs(folder, facts, folder.name, quantized)
    on_graphs: Any = model_on(graphs, model.config, folder.name)
    answering = Predictor(on_graphs, predictor.tokenizer, predictor.task)
    if facts.task == LANGUAGE_MODEL:
        at_once = LOGITS // model.config.vocab_size
        longest = min(max(at_once // 4, LEAST), MOST)
        return Exported(partial(_in_two_parts, on_graphs.steps), model, answering, longest, max(at_once, longest))
    if facts.task == TRANSLATOR:
        return Exported(partial(_step_by_step, on_graphs.steps), _TeacherForced(model), answering)
    return Exported(graphs.sessions[GRAPH].logits, model, answering)


def _in_two_parts(steps: LanguageModelSteps, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
    """Return the logits of a language model, `[B, T, V]`, which reads a batch in two parts with the state between them.

    Args:
        steps: Steps of the exported model.
        input_ids: Token ids, `[B, T]`.
        attention_mask: Mask, `[B, T]`.
    """
    middle = max(1, input_ids.shape[1] // 2)
    first, state = steps.run(input_ids[:, :middle], attention_mask[:, :middle])
    if middle == input_ids.shape[1]:
        return first
    return np.concatenate([first, steps.run(input_ids[:, middle:], attention_mask[:, middle:], state)[0]], 1)


def _step_by_step(steps: TranslatorSteps, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
    """Return the logits of a translator, `[B, T, V]`, after each of the target tokens of [`_targets`].

    Args:
        steps: Steps of the exported model.
        input_ids: Token ids of the source texts, `[B, S]`.
        attention_mask: Mask, `[B, S]`.
    """
    state, found = steps.read(input_ids, attention_mask), []
    for tokens in _targets(input_ids).T:
        logits, state = steps.step(tokens, state)
        found.append(logits)
    return np.stack(found, axis=1)


class _TeacherForced:
    """Translator that reads the target tokens of [`_targets`].

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
        return self.model(input_ids, attention_mask, decoder_input_ids=torch.from_numpy(_targets(input_ids.numpy())))


def _targets(input_ids: np.ndarray) -> np.ndarray:
    """Return target tokens for a comparison, `[B, T]`: the first ones of the source texts, of padding too."""
    return input_ids[:, :TARGET]


__all__ = ["Exported", "read_graphs", "write_graphs"]
