# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The graphs of an exported model, which compute its logits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .batching import by_tokens, padded
from .errors import HfRnnError
from .record import DECODER_GRAPH, ENCODER_GRAPH, GRAPH, GRAPHS, ExportRecord
from .session import open_session
from .writers import LanguageModelSteps, TranslatorSteps


class Graphs:
    """Graphs of an exported model. Several threads may use them.

    Args:
        folder: Folder of the exported model.
        record: Export record of the model.
        name: Name of the model as the user wrote it, for errors.
        quantized: True for the int8 weights, False for the float32 ones. None for the float32 ones if they exist.
        threads: Number of threads of an operator; 0 for one on each core.

    Raises:
        HfRnnError: A file is missing or another one than was exported, onnxruntime cannot read it, or `threads` is not
            a whole number.
    """

    def __init__(self, folder: Path, record: ExportRecord, name: str, quantized: bool | None = None, threads: int = 1):
        if not isinstance(threads, int) or isinstance(threads, bool) or threads < 0:
            raise HfRnnError(f"threads={threads!r} must be a whole number, such as 1, or 0 for one on each core.")
        self.record, self.files = record, record.graph_files(quantized, name)
        # Both forms of the weights have the name of the float32 file.
        self.sessions = {
            graph: open_session(folder, file, record, threads, name)
            for graph, file in zip(GRAPHS[record.task], self.files, strict=True)
        }

    def fingerprint(self) -> str:
        """Return the facts on which answers depend: the hashes of the files that were opened, and the record."""
        hashes = {file: self.record.files[file]["sha256"] for file in self.files}
        return json.dumps([hashes, self.record.generation, self.record.thresholds], sort_keys=True)

    def logits(self, ids: Sequence[Sequence[int]], batch_tokens: int) -> np.ndarray:
        """Return the logits of a text classifier for rows of token ids, `[N, C]`, in the order of the rows.

        Args:
            ids: Token ids of N rows, of any lengths.
            batch_tokens: Maximum number of tokens in a batch, padding included. A longer row is a batch of its own.
        """
        logits = np.empty((len(ids), len(self.record.label_names)), dtype=np.float32)
        for places, of_batch in self._run(ids, batch_tokens):
            logits[places] = of_batch
        return logits

    def token_logits(self, ids: Sequence[Sequence[int]], batch_tokens: int) -> list[np.ndarray]:
        """Return the logits of a tagger for rows of token ids, `[T, C]` each, in the order of the rows.

        Args:
            ids: Token ids of each row, of any lengths.
            batch_tokens: Same as in [`logits`].
        """
        logits: list[Any] = [None] * len(ids)
        for places, of_batch in self._run(ids, batch_tokens):
            for place, of_row in zip(places, of_batch, strict=True):
                logits[place] = of_row[: len(ids[place])]
        return logits

    def language_model(self) -> LanguageModelSteps:
        """Return the steps of a language model."""
        return LanguageModelSteps(self.sessions[GRAPH], self.record.state)

    def translator(self) -> TranslatorSteps:
        """Return the steps of a translator."""
        return TranslatorSteps(self.sessions[ENCODER_GRAPH], self.sessions[DECODER_GRAPH], self.record.state)

    def _run(self, ids: Sequence[Sequence[int]], batch_tokens: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the indices of the rows of each batch, and their logits."""
        session, pad = self.sessions[GRAPH], self.record.tokenizer["pad_token_id"] or 0
        for places in by_tokens([len(row) for row in ids], batch_tokens):
            yield places, session.logits(*padded([ids[place] for place in places], pad))


__all__ = ["Graphs"]
