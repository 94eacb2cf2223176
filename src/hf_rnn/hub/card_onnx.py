# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Section of the model card about the ONNX files of an exported model."""

from typing import Any

from ..runtime.record import ONNX_FOLDER, RECORD_FILE
from ..utils.errors import HfRnnError, first_line
from .card_words import METRICS, escape, figure


def onnx_section(record: dict) -> dict[str, Any] | None:
    """Return the parts of the section for the template of the model card; None for a model that was not exported.

    Args:
        record: Export record; {} if there is none.

    Raises:
        HfRnnError: The record lacks a part that the section shows.
    """
    if not record:
        return None
    try:
        return {
            "reads_pairs": bool(record["reads_pairs"]),
            "files": [(name, f"{file['bytes'] / 1e6:.2f} MB") for name, file in record["files"].items()],
            "sentences": [_parity(record["parity"])]
            + ([_loss(record["quantization"])] if record["quantization"] else []),
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise HfRnnError(
            f"{ONNX_FOLDER}/{RECORD_FILE} is not complete ({type(error).__name__}: {first_line(error)}): export the "
            "model again, hf-rnn export MODEL --output FOLDER."
        ) from error


def _parity(parity: dict) -> str:
    return (
        f"The logits in float32 differ from those of the model by {parity['largest']:.1e} at most, on "
        f"{parity['texts']} {escape(parity['source'])}, with padding on both sides and between tokens."
    )


def _loss(quantization: dict) -> str:
    metric = quantization["metric"]
    before, after = (figure(metric, quantization[when]) for when in ("before", "after"))
    table = ", and the embedding by product quantization" if quantization["embeddings"] == "pq" else ""
    return (
        f"The quantized files have weights in int8{table}: {METRICS[metric][0]} {after} instead of {before}, on "
        f"{quantization['rows']:,} {escape(quantization['source'])}."
    )


__all__ = ["onnx_section"]
