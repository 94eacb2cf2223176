# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Logits of an exported graph, to compare them with those of the model and to measure the graph on labelled rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..inference.predictor import BATCH_TOKENS, Predictor
from ..utils.errors import HfRnnError, first_line

# Severity of onnxruntime's log from which on lines are printed: 3 is an error.
_ERRORS = 3


class Graph:
    """Graph in an ONNX file, run by onnxruntime on the CPU.

    Args:
        file: ONNX file of a text classifier or tagger.

    Raises:
        HfRnnError: onnxruntime cannot read the file.
    """

    def __init__(self, file: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS
        try:
            self.session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no common base class
            raise HfRnnError(
                f"onnxruntime {onnxruntime.__version__} cannot read the exported {file.name} ({first_line(error)}): "
                "pip install --upgrade onnxruntime."
            ) from error

    def __call__(self, input_ids: Any, attention_mask: Any) -> np.ndarray:
        """Return the logits of a batch, `[B, C]` or `[B, T, C]`.

        Args:
            input_ids: Token ids, `[B, T]`, a tensor or an array.
            attention_mask: Mask, `[B, T]`, non-zero on tokens.
        """
        inputs = {"input_ids": np.asarray(input_ids), "attention_mask": np.asarray(attention_mask)}
        return self.session.run(["logits"], inputs)[0]


@dataclass
class GraphPredictor(Predictor):
    """[`Predictor`] whose logits are those of an exported graph.

    Args:
        graph: Graph of the model.
    """

    graph: Any = None

    def logits(self, ids: Sequence[Sequence[int]], batch_tokens: int = BATCH_TOKENS) -> np.ndarray:
        """Return the logits of rows of token ids, `[N, C]`, in the order of the rows.

        Args:
            ids: Token ids of N rows.
            batch_tokens: Maximum number of tokens in a batch, padding included.
        """
        logits = np.empty((len(ids), int(self.model.config.num_labels or 0)), dtype=np.float32)
        for places in self.places(ids, batch_tokens):
            logits[places] = self.graph(**self.batch(ids, places))
        return logits

    def token_logits(self, ids: Sequence[Sequence[int]], batch_tokens: int = BATCH_TOKENS) -> list[np.ndarray]:
        """Return the logits `[T, C]` of each row of token ids, in the order of the rows.

        Args:
            ids: Token ids of each row.
            batch_tokens: Maximum number of tokens in a batch, padding included.
        """
        logits: list[Any] = [None] * len(ids)
        for places in self.places(ids, batch_tokens):
            for place, answer in zip(places, self.graph(**self.batch(ids, places)), strict=True):
                logits[place] = answer[: len(ids[place])]
        return logits


__all__ = ["Graph", "GraphPredictor"]
