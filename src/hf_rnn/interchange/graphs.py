# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""ONNX graphs of text classifiers and taggers.

Inputs of a graph are `input_ids` and `attention_mask`, int64 `[B, T]`, with T of at least 1. Padding may be anywhere,
and rows may be empty. The output is `logits`, float32, `[B, C]` for a classifier and `[B, T, C]` for a tagger.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models.modeling_rnn import RNNModel
from ..models.modeling_token_rnn import RNNForTokenClassification
from ..models.pretrained_model import RNNPreTrainedModel
from ..models.ragged import Ragged
from ..utils.errors import HfRnnError, first_line
from .crf_graph import GraphCRF, expand_sweeps
from .graph_recurrence import OPERATORS, OperatorReader

# Version of the operators. onnxruntime reads it since 1.12; versions above it add nothing that these graphs use.
OPSET = 17
# Protocol buffers cannot hold more; larger weights would need files of their own.
LARGEST = 2**31 - 1
# Tokens whose spelling is encoded at once.
SPELLINGS = 4096

NAMES = ("input_ids", "attention_mask")


def write_graph(model: Any, file: Path) -> None:
    """Write the graph of a text classifier or tagger as an ONNX file.

    Args:
        model: Model in float32, on the CPU, in eval mode.
        file: File to write.

    Raises:
        HfRnnError: The model cannot be expressed as a graph.
    """
    check_exportable(model)
    # The example has padding and several rows, because tracing treats sizes of 1 as constants.
    ids = torch.arange(21).view(3, 7) % model.config.vocab_size
    mask = torch.ones_like(ids).tril(4)
    axes = {name: {0: "batch", 1: "time"} for name in NAMES}
    axes["logits"] = {0: "batch", 1: "time"} if isinstance(model, RNNForTokenClassification) else {0: "batch"}
    graph = _Logits(model)
    with graph.in_model():
        export_module(graph, (ids, mask), file, NAMES, ("logits",), axes)


def check_exportable(model: RNNPreTrainedModel) -> None:
    """Raise [`HfRnnError`] for a model whose graph cannot be written.

    Args:
        model: Model to export.
    """
    if model.config.cell_type not in OPERATORS:
        raise HfRnnError(
            f"cell_type={model.config.cell_type!r} has no operator in ONNX: only models with {', '.join(OPERATORS)} "
            "can be exported."
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

    torch has two exporters. This is the older one, which traces the module (`dynamo=False`). All supported versions of
    torch have it; it takes a third of a second, and is deprecated. The newer one (`dynamo=True`, torch 2.13) takes ten
    seconds, unrolls plain RNNs for the length of the example, and has no loop for a conditional random field. It writes
    the same graphs of classifiers once `_Operator` calls `torch.onnx.ops.symbolic_multi_out` (from torch 2.8 on).

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

    The tokens of each row are moved to its front before they are embedded, and the logits of a tagger are moved back.

    Args:
        model: Text classifier or tagger.
    """

    def __init__(self, model: Any):
        super().__init__()
        self.model = model
        self.tags_tokens = isinstance(model, RNNForTokenClassification)
        self.embedding = _Embedding(model.model, _table(model))
        self.reader = OperatorReader(model.model)

    @contextmanager
    def in_model(self) -> Iterator[None]:
        """Change the model so that its trace holds for all sizes, inside the block.

        The recurrent layers are operators, a text is read at once instead of in windows, the table of embeddings
        includes the spelling of tokens, and a conditional random field runs in a loop of the graph.
        """
        model = self.model
        with ExitStack() as changes:
            changes.enter_context(_changed(vars(model.config), "backprop_window", 0))
            changes.enter_context(_changed(vars(model.model), "_read", self.reader))
            changes.enter_context(_changed(vars(model.model), "embed", self.embedding))
            if self.tags_tokens:
                crf = None if model.crf is None else GraphCRF.of(model.crf)
                changes.enter_context(_changed(model._modules, "characters", None))
                changes.enter_context(_changed(model._modules, "crf", crf))
            yield

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        ragged = Ragged.from_mask(attention_mask)
        assert ragged is not None
        assert ragged.to_front is not None
        assert ragged.to_place is not None
        ids = input_ids.gather(1, ragged.to_front)
        logits = self.model(input_ids=ids, attention_mask=ragged.valid.long()).logits
        if self.tags_tokens:
            # The number of labels is a constant, while the tracer takes the shape of the logits for variable.
            logits = logits.gather(1, ragged.to_place.unsqueeze(-1).expand(-1, -1, self.model.num_labels))
        return logits.float()


class _Embedding(nn.Module):
    """Lookup of embedded tokens, `[B, T, E]`, in the order in which the operators read them.

    Args:
        encoder: Encoder of the model.
        table: Vector of each token, `[V, E]`.
    """

    table: Tensor

    def __init__(self, encoder: RNNModel, table: Tensor):
        super().__init__()
        self.encoder = [encoder]  # in a list, so that it is not a part of this module
        self.register_buffer("table", table)

    def forward(self, input_ids: Tensor) -> Tensor:
        # The transposition of ids takes no time, and that of vectors is undone before the first operator.
        return F.embedding(self.encoder[0].without_rare(input_ids).transpose(0, 1), self.table).transpose(0, 1)


def _table(model: Any) -> Tensor:
    """Return the vector of each token, `[V, E]`.

    With a character encoder, it includes the vector of the token's spelling. A token always has the same spelling, so
    the graph does not need the encoder.
    """
    table = model.get_input_embeddings().weight.detach()
    if getattr(model, "characters", None) is None:
        return table
    with torch.no_grad():
        return torch.cat([table[ids] + model.characters(ids) for ids in torch.arange(len(table)).split(SPELLINGS)])


@contextmanager
def _changed(attributes: dict[str, Any], name: str, value: Any) -> Iterator[None]:
    """Set an entry of the attributes of an object inside the block."""
    before = {name: attributes[name]} if name in attributes else {}
    attributes[name] = value
    try:
        yield
    finally:
        if before:
            # The order of the entries, such as that of modules, stays the same.
            attributes |= before
        else:
            del attributes[name]


__all__ = ["NAMES", "OPSET", "check_exportable", "export_module", "import_onnx", "write_graph"]
