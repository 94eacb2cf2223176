# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""ONNX graphs of language models and translators.

Shapes: B batch, T time, S time of the source text, E embedding, H hidden, M width of the encoder's outputs, L layers, V
vocabulary.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..hub.folder import DECODER_GRAPH, ENCODER_GRAPH, GRAPH
from ..models.attention import Memory
from ..models.modeling_causal_rnn import RNNForCausalLM
from ..models.modeling_seq2seq_rnn import RNNForConditionalGeneration
from ..models.ragged import Ragged, permuted
from ..models.recurrence import RecurrentState
from .generation_record import generation_of
from .graph_recurrence import OperatorReader, OperatorStack, joined
from .graphs import OPSET, check_exportable, export_module

# Shapes of inputs and outputs; sizes with names differ between calls.
Shapes = dict[str, list[int | str]]
_TEXT: list[int | str] = ["batch", "time"]
_SOURCE: list[int | str] = ["batch", "source"]
# Sizes and mask of the example for tracing. Its padding keeps the tracer from forgetting the mask.
_EXAMPLE, _MASK = {"batch": 2, "time": 3, "source": 3}, [[1, 1, 1], [1, 0, 1]]


class LanguageModelGraph(nn.Module):
    """Language model with its state as tensors.

    Args:
        model: Trained model. The graph holds the left-to-right one of two independent directions.
    """

    def __init__(self, model: RNNForCausalLM):
        super().__init__()
        self.model, self.stack = model, OperatorStack(model.model.recurrence)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of the next token at each position, `[B, T, V]`, and the parts of the new state.

        Args:
            input_ids: Token ids, `[B, T]`.
            attention_mask: Mask of these tokens, `[B, T]`; padding leaves the state unchanged.
            *past: Parts of the state before these tokens, each `[B, L, H]`; zeros at the beginning of a text.
        """
        ragged = Ragged.from_mask(attention_mask)
        assert ragged is not None
        assert ragged.to_front is not None
        assert ragged.to_place is not None
        x = self.model.model.embed(input_ids.gather(1, ragged.to_front).transpose(0, 1))
        state = RecurrentState(*(part.transpose(0, 1) for part in past))
        outputs, finals = self.stack(x, ragged.lengths.int(), state)
        hidden = permuted(outputs[-1].transpose(0, 1), ragged.to_place, ragged.to_front)
        return _logits(self.model.lm_head, self.model.projection(hidden)), *_rows_first(joined(finals))


class EncoderGraph(nn.Module):
    """Encoder of a translator, up to the state with which the decoder begins.

    Args:
        model: Trained model.
    """

    def __init__(self, model: RNNForConditionalGeneration):
        super().__init__()
        self.model, self.reader = model, OperatorReader(model.model)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs `[B, S, M]`, the keys of attention `[B, S, H]`, and the first state of the decoder.

        Args:
            input_ids: Token ids of the source text, `[B, S]`.
            attention_mask: Mask of these tokens, `[B, S]`.
        """
        ragged = Ragged.from_mask(attention_mask)
        assert ragged is not None
        assert ragged.to_front is not None
        assert ragged.to_place is not None
        encoder, decoder = self.model.model, self.model.decoder
        x = encoder.embed(input_ids.gather(1, ragged.to_front).transpose(0, 1)).transpose(0, 1)
        outputs, final = self.reader(x, ragged.valid)
        memory = decoder.attention.memory(permuted(outputs[-1], ragged.to_place, ragged.to_front), None)
        last = [None if part is None else encoder._join_state(part) for part in final]
        state = decoder.begin(last[0], last[1], memory)
        return memory.values, memory.keys, *_rows_first(RecurrentState(state.h, state.c))


class DecoderGraph(nn.Module):
    """One step of a translator's decoder.

    The step is that of `AttentionDecoder`, with the recurrence as operators also with input feeding.

    Args:
        model: Trained model.
    """

    def __init__(self, model: RNNForConditionalGeneration):
        super().__init__()
        self.model, self.stack = model, OperatorStack(model.decoder.recurrence)

    def forward(
        self, input_ids: Tensor, encoder_attention_mask: Tensor, values: Tensor, keys: Tensor, *past: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the logits `[B, 1, V]`, the attention `[B, 1, S]` and the parts of the new state.

        Args:
            input_ids: Last token of the target text, `[B, 1]`.
            encoder_attention_mask: Mask of the source text, `[B, S]`.
            values: Outputs of the encoder, `[B, S, M]`.
            keys: Keys of attention, `[B, S, H]`.
            *past: Parts of the state, in the order of [`state_names`].
        """
        decoder, names = self.model.decoder, state_names(self.model)
        state = dict(zip(names, past, strict=True))
        x, covered = self.model._embed(input_ids).transpose(0, 1), state.get("covered")
        if decoder.input_feeding:
            x = torch.cat([x, state["attended"].unsqueeze(0)], dim=-1)
        before = RecurrentState(*(state[name].transpose(0, 1) for name in ("h", "c") if name in state))
        outputs, finals = self.stack(x, None, before)
        output = outputs[-1].transpose(0, 1)
        context, weights = decoder.attention(output, Memory(values, keys, encoder_attention_mask.bool()), covered)
        attended = decoder.combine(torch.cat([output, context], dim=-1)).tanh()
        new = dict(zip(("h", "c"), _rows_first(joined(finals)), strict=False))
        new |= {"attended": attended.squeeze(1)}
        if covered is not None:
            new["covered"] = covered + weights.squeeze(1)
        return _logits(self.model.lm_head, attended), weights, *(new[name] for name in names)


def export_writer(model: Any, folder: str | Path) -> dict[str, Any]:
    """Write the ONNX files of a language model or a translator.

    Args:
        model: Trained model, in float32 on the CPU, in eval mode.
        folder: Existing folder for the files.

    Returns:
        The fields `state`, `generation` and `opset` of the export record.

    Raises:
        HfRnnError: The model cannot be expressed as a graph, or its generation configuration has a setting that the
            runtime does not know.
    """
    check_exportable(model)
    generation = generation_of(model)
    write = _write_language_model if isinstance(model, RNNForCausalLM) else _write_translator
    state = write(model, Path(folder))
    return {"state": state, "generation": generation, "opset": OPSET}


def state_names(model: Any) -> list[str]:
    """Return the names of the parts of the state of a language model or of a translator's decoder.

    Args:
        model: Model whose state is meant.
    """
    recurrence = (model.model if isinstance(model, RNNForCausalLM) else model.decoder).recurrence
    names = ["h", "c"] if recurrence.cell.has_cell_state else ["h"]
    if isinstance(model, RNNForConditionalGeneration):
        names += ["attended"] * model.decoder.input_feeding + ["covered"] * model.decoder.coverage
    return names


def _write_language_model(model: RNNForCausalLM, folder: Path) -> list[dict]:
    shapes = _state_shapes(model)
    inputs = {"input_ids": _TEXT, "attention_mask": _TEXT, **_prefixed("past", shapes)}
    outputs = {"logits": [*_TEXT, model.config.vocab_size], **_prefixed("present", shapes)}
    _trace(LanguageModelGraph(model), folder / GRAPH, inputs, outputs)
    return [_state(name, shape) for name, shape in shapes.items()]


def _write_translator(model: RNNForConditionalGeneration, folder: Path) -> list[dict]:
    config, shapes = model.config, _state_shapes(model)
    encoded: Shapes = {"encoder_hidden_states": [*_SOURCE, config.output_size]}
    encoded["encoder_keys"] = [*_SOURCE, config.hidden_size]
    initial = _prefixed("initial", {name: shape for name, shape in shapes.items() if name in ("h", "c")})
    text: Shapes = {"input_ids": _SOURCE, "attention_mask": _SOURCE}
    _trace(EncoderGraph(model), folder / ENCODER_GRAPH, text, {**encoded, **initial})
    step: Shapes = {"input_ids": ["batch", 1], "encoder_attention_mask": _SOURCE}
    outputs: Shapes = {"logits": ["batch", 1, config.vocab_size], "cross_attention": ["batch", 1, "source"]}
    inputs = {**step, **encoded, **_prefixed("past", shapes)}
    _trace(DecoderGraph(model), folder / DECODER_GRAPH, inputs, {**outputs, **_prefixed("present", shapes)})
    return [_state(name, shape, initial) for name, shape in shapes.items()]


def _state_shapes(model: Any) -> Shapes:
    config = model.config
    L, H, E = config.num_hidden_layers, config.hidden_size, config.embedding_size
    shapes: Shapes = {"h": ["batch", L, H], "c": ["batch", L, H], "attended": ["batch", E], "covered": _SOURCE}
    return {name: shapes[name] for name in state_names(model)}


def _prefixed(prefix: str, shapes: Shapes) -> Shapes:
    return {f"{prefix}_{name}": shape for name, shape in shapes.items()}


def _state(name: str, shape: list, initial: Collection[str] = ()) -> dict[str, Any]:
    """Return the entry of a part of the state in the export record."""
    entry = {"input": f"past_{name}", "output": f"present_{name}", "shape": shape}
    return {**entry, "initial": f"initial_{name}"} if f"initial_{name}" in initial else entry


def _trace(graph: nn.Module, file: Path, inputs: Shapes, outputs: Shapes) -> None:
    """Write the ONNX file of a module with these inputs and outputs."""
    example = []
    for name, shape in inputs.items():
        zeros = torch.zeros([_EXAMPLE[size] if isinstance(size, str) else size for size in shape])
        is_mask, is_text = name.endswith("attention_mask"), name == "input_ids"
        example.append(torch.tensor(_MASK) if is_mask else zeros.long() if is_text else zeros)
    free = {
        name: {axis: size for axis, size in enumerate(shape) if isinstance(size, str)}
        for name, shape in {**inputs, **outputs}.items()
    }
    export_module(graph, tuple(example), file, list(inputs), list(outputs), free)


def _logits(layer: nn.Linear, x: Tensor) -> Tensor:
    """Return the logits `[B, T, V]` of vectors `[B, T, E]`.

    The graph of a matrix product with two dimensions reads the weights `[V, E]` as they are, so that they can be those
    of the embedding. With three dimensions, it would hold a transposed copy of them.
    """
    V = layer.weight.shape[0]
    return F.linear(x.flatten(0, 1), layer.weight, layer.bias).view(*x.shape[:2], V)


def _rows_first(state: RecurrentState) -> list[Tensor]:
    return [part.transpose(0, 1) for part in state if part is not None]


__all__ = ["DecoderGraph", "EncoderGraph", "LanguageModelGraph", "export_writer", "state_names"]
