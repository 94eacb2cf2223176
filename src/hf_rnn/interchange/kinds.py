# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Export by kind of model: its graphs, and how they are compared and measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..hub.folder import DECODER_GRAPH, ENCODER_GRAPH, GRAPH
from ..inference.predictor import Predictor
from ..models.modeling_causal_rnn import RNNForCausalLM
from ..models.modeling_seq2seq_rnn import RNNForConditionalGeneration
from .graph_predictor import Graph, GraphPredictor
from .graphs import OPSET, write_graph
from .onnx_writers import export_writer

# Logits of a language model that are compared at once, and tokens of a text that are compared: its output layer takes
# most of the time.
LOGITS, LEAST, MOST = 2**22, 16, 256


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


def graph_names(model: Any) -> tuple[str, ...]:
    """Return the names of the ONNX files of a model.

    Args:
        model: Model to export.
    """
    return (ENCODER_GRAPH, DECODER_GRAPH) if isinstance(model, RNNForConditionalGeneration) else (GRAPH,)


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


def read_graphs(predictor: Predictor, fields: dict[str, Any], files: list[Path]) -> Exported:
    """Read the ONNX files of a model.

    Args:
        predictor: The model itself.
        fields: Fields of its record, as [`write_graphs`] returns them.
        files: Its ONNX files, in the order of [`graph_names`].

    Raises:
        HfRnnError: onnxruntime cannot read a file.
    """
    # The runtime imports onnxruntime.
    from .graph_writers import LanguageModelOnGraph, TeacherForced, TranslatorOnGraphs

    model: Any = predictor.model
    if isinstance(model, RNNForCausalLM):
        on_graph: Any = LanguageModelOnGraph(model, fields, files)
        at_once = LOGITS // model.config.vocab_size
        longest = min(max(at_once // 4, LEAST), MOST)
        answering = Predictor(on_graph, predictor.tokenizer, predictor.task)
        return Exported(on_graph.logits, model, answering, longest, max(at_once, longest))
    if isinstance(model, RNNForConditionalGeneration):
        on_graph = TranslatorOnGraphs(model, fields, files)
        answering = Predictor(on_graph, predictor.tokenizer, predictor.task)
        return Exported(on_graph.logits, TeacherForced(model), answering)
    graph = Graph(files[0])
    return Exported(graph, model, GraphPredictor(model, predictor.tokenizer, predictor.task, graph=graph))


__all__ = ["Exported", "graph_names", "read_graphs", "write_graphs"]
