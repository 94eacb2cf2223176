# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Section of the model card about the ONNX files of an exported model."""

from typing import Any

from .card_words import METRICS, escape, figure


def onnx_section(record: dict) -> dict[str, Any] | None:
    """Return the parts of the section for the template of the model card; None for a model that was not exported.

    Args:
        record: Export record; {} if there is none.
    """
    if not record:
        return None
    return {
        "files": [(name, f"{file['bytes'] / 1e6:.2f} MB") for name, file in record["files"].items()],
        "sentences": [_parity(record["parity"]), *([_loss(record["quantization"])] if record["quantization"] else [])],
    }


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
