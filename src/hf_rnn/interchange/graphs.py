# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""ONNX graphs of text classifiers and taggers.

Inputs of a graph are `input_ids` and `attention_mask`, int64 `[B, T]`, with T of at least 1; padding may be anywhere, and
rows may be empty. The output is `logits`, float32, `[B, C]` for a classifier and `[B, T, C]` for a tagger.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models.cells import CELLS, find_cell
from ..models.modeling_token_rnn import RNNForTokenClassification
from ..models.pretrained_model import RNNPreTrainedModel
from ..utils.errors import HfRnnError, first_line
from .crf_graph import GraphCRF, expand_sweeps

# Version of the operators. onnxruntime reads it since 1.12; versions above it add nothing that these graphs use.
OPSET = 17
# Protocol buffers cannot hold more; larger weights would need files of their own.
LARGEST = 2**31 - 1
# Tokens whose spelling is encoded at once.
SPELLINGS = 4096

NAMES = ("input_ids", "attention_mask")


def write_graph(model: RNNPreTrainedModel, file: Path) -> None:
    """Write the graph of a text classifier or tagger as an ONNX file.

    Args:
        model: Model in float32, on the CPU, in eval mode.
        file: File to write.

    Raises:
        HfRnnError: The model cannot be expressed as a graph.
    """
    check_exportable(model)
    # The example has padding and several rows, because tracing treats sizes of 1 as constants.
    ids = torch.randint(0, model.config.vocab_size, (3, 7))
    mask = torch.ones_like(ids).tril(4)
    axes = {name: {0: "batch", 1: "time"} for name in NAMES}
    axes["logits"] = {0: "batch", 1: "time"} if isinstance(model, RNNForTokenClassification) else {0: "batch"}
    with _as_graph(model):
        export_module(_Logits(model), (ids, mask), file, NAMES, ("logits",), axes)


def check_exportable(model: RNNPreTrainedModel) -> None:
    """Raise [`HfRnnError`] for a model whose graph cannot be written.

    Args:
        model: Model to export.
    """
    cell = find_cell(model.config.cell_type)
    if cell.mode is None:
        known = ", ".join(name for name, each in CELLS.items() if each.mode is not None)
        raise HfRnnError(
            f"cell_type={cell.name!r} runs in a loop in Python, and ONNX has no operator for it: only models with "
            f"{known} can be exported."
        )
    size = sum(tensor.numel() * 4 for tensor in model.parameters())
    if size > LARGEST:
        raise HfRnnError(
            f"the weights have {size / 1e9:.1f} GB, and an ONNX file holds at most 2 GB: train a model with a smaller "
            "tokenizer.vocab_size or model.embedding_size."
        )


def export_module(
    module: nn.Module,
    example: tuple[Tensor, ...],
    file: Path,
    inputs: Sequence[str],
    outputs: Sequence[str],
    axes: dict[str, dict[int, str]],
) -> None:
    """Write the graph of a module as an ONNX file.

    torch's older exporter, which traces the module, is used. It writes the operators LSTM, GRU and RNN of all cells with
    free sizes, from torch 2.6 on, in half a second. The newer one (`dynamo=True`, torch 2.13) has no operator for plain
    RNNs, so it unrolls them for the length of the example, takes ten times as long, and fails before torch 2.9.

    Args:
        module: Module in eval mode, whose `forward` takes and returns tensors.
        example: Inputs to trace with.
        file: File to write.
        inputs: Names of the inputs.
        outputs: Names of the outputs.
        axes: Names of the axes of free size, by the name of the input or output.

    Raises:
        HfRnnError: The packages of the extra `onnx` are not installed, or torch cannot write the graph.
    """
    onnx = import_onnx()
    with torch.no_grad(), warnings.catch_warnings():
        # The tracer warns about each size that becomes a constant, and torch about its older exporter.
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                module.eval(),
                example,
                str(file),
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,
            )
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            raise HfRnnError(
                f"torch {torch.__version__} cannot write the graph of this model ({first_line(error)}): export it with "
                "another version of torch, or report it."
            ) from error
    graph = expand_sweeps(onnx.load(str(file)))
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, str(file))


def import_onnx() -> Any:
    """Return the package `onnx`.

    Raises:
        HfRnnError: It is not installed, or onnxruntime is not.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise HfRnnError(f'exporting needs {error.name}: pip install "hf-rnn[onnx]".') from error
    return onnx


class _Logits(nn.Module):
    """Module with the inputs and the output of the graph.

    Args:
        model: Text classifier or tagger.
    """

    def __init__(self, model: Any):
        super().__init__()
        self.model = model
        has_spelling = getattr(model, "characters", None) is not None
        self.register_buffer("table", _with_spelling(model) if has_spelling else None)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        if self.table is None:
            logits = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        else:
            # Only the ids are looked up here; the model's own lookup would add the spelling again.
            x = F.embedding(input_ids, self.table)
            logits = self.model(inputs_embeds=x, attention_mask=attention_mask).logits
        return logits.float()


def _with_spelling(model: RNNForTokenClassification) -> Tensor:
    """Return the embedding of each token together with the vector of its spelling, `[V, E]`.

    The spelling of a token is fixed, so the graph needs this table alone and not the character encoder.
    """
    assert model.characters is not None
    with torch.no_grad():
        parts = torch.arange(model.config.vocab_size).split(SPELLINGS)
        return torch.cat([model.model.lookup(ids[None])[0] + model.characters(ids) for ids in parts])


@contextmanager
def _as_graph(model: Any) -> Iterator[None]:
    """Change a model so that it can be traced for all sizes, inside the block.

    A text is read at once instead of in windows, and a conditional random field runs in a loop of the graph.
    """
    window, crf = model.config.backprop_window, getattr(model, "crf", None)
    model.config.backprop_window = 0
    if crf is not None:
        model.crf = GraphCRF.of(crf)
    try:
        yield
    finally:
        model.config.backprop_window = window
        if crf is not None:
            model.crf = crf


__all__ = ["NAMES", "OPSET", "check_exportable", "export_module", "import_onnx", "write_graph"]
