# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Sessions of onnxruntime, and the tokenizer beside them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime import InferenceSession, SessionOptions, __version__
from tokenizers import Tokenizer

from .errors import HfRnnError, first_line
from .record import ONNX_FOLDER, ExportRecord, check_file


class Session(InferenceSession):
    """Graph in an ONNX file, which onnxruntime runs on the CPU. Several threads may run one session.

    Args:
        file: ONNX file.
        threads: Number of threads of an operator; 0 for one on each core.
        shown: Name of the file and of its model, for errors; the name of the file if None.
        opset: Version of the ONNX operators of the file, for errors.

    Raises:
        HfRnnError: onnxruntime cannot read the file.
    """

    def __init__(self, file: Path, threads: int = 1, shown: str | None = None, opset: int | None = None):
        shown = shown or file.name
        options = SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that wait for work would keep their cores busy: most of the time goes into loops over time steps.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Shapes change with each batch, so the plan of the memory of a batch fits no other one.
        options.enable_mem_pattern = False
        # Errors are raised. Warnings, such as those of the graph optimizer, are no advice to users.
        options.log_severity_level = 3
        try:
            super().__init__(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # The classes of onnxruntime's errors have no common base class but this one.
            cause = first_line(error).replace(str(file), file.name)
            if opset is not None and re.search(r"\bopset \d", cause):
                raise HfRnnError(
                    f"{shown} needs the ONNX opset {opset}, which the installed onnxruntime {__version__} does not "
                    "know: pip install --upgrade onnxruntime."
                ) from error
            raise HfRnnError(
                f"{shown} cannot be loaded by onnxruntime {__version__} ({cause}): pip install --upgrade onnxruntime, "
                "or export the model again."
            ) from error

    def run(self, output_names: Any, input_feed: Any, run_options: Any = None) -> Any:
        """Return the outputs of the graph for a batch.

        Args:
            output_names: Names of the outputs to compute.
            input_feed: Arrays by the names of the inputs; `input_ids` is `[B, T]`.
            run_options: Options of onnxruntime.

        Raises:
            HfRnnError: onnxruntime cannot compute the outputs, for example because there is not enough memory.
        """
        try:
            return super().run(output_names, input_feed, run_options)
        except Exception as error:
            rows, tokens = input_feed["input_ids"].shape
            raise HfRnnError(
                f"onnxruntime {__version__} cannot compute a batch of {rows} rows of {tokens} tokens "
                f"({first_line(error)}): if memory is short, write batch_tokens={max(1, rows * tokens // 4)}, or pass "
                "shorter texts."
            ) from error

    def logits(self, input_ids: Any, attention_mask: Any) -> np.ndarray:
        """Return the logits of a classifier or a tagger for a batch, `[B, C]` or `[B, T, C]`.

        Args:
            input_ids: Token ids, `[B, T]`.
            attention_mask: Mask, `[B, T]`, non-zero on tokens.
        """
        inputs = {"input_ids": np.asarray(input_ids), "attention_mask": np.asarray(attention_mask)}
        return self.run(["logits"], inputs)[0]


def open_session(folder: Path, file: str, record: ExportRecord, threads: int, name: str) -> Session:
    """Open an ONNX file of an exported model.

    Args:
        folder: Folder of the exported model.
        file: Name of the ONNX file.
        record: Export record of the folder.
        threads: Number of threads of an operator.
        name: Name of the model as the user wrote it, for errors.

    Raises:
        HfRnnError: The file is missing or another one than was exported, onnxruntime cannot read it, or its logits are
            not those of the labels in the record.
    """
    shown = f"{ONNX_FOLDER}/{file}"
    check_file(folder / ONNX_FOLDER / file, record.files[file]["sha256"], shown, name)
    session = Session(folder / ONNX_FOLDER / file, threads, f"{shown} of {name!r}", record.opset)
    sizes = {each.name: each.shape[-1] for each in session.get_outputs() if each.shape}
    found, labels = sizes.get("logits"), len(record.label_names)
    if labels and isinstance(found, int) and found != labels:
        raise HfRnnError(
            f"{shown} of {name!r} computes logits of {found} labels, and its record has {labels}: put back the files "
            "of one export."
        )
    return session


def open_tokenizer(folder: Path, record: ExportRecord, name: str) -> Tokenizer:
    """Open the tokenizer of an exported model, without padding and truncation.

    Args:
        folder: Folder of the exported model.
        record: Export record of the folder.
        name: Name of the model as the user wrote it, for errors.

    Raises:
        HfRnnError: The file is missing or another one than was exported, or the installed tokenizers cannot read it.
    """
    file = record.tokenizer["file"]
    check_file(folder / file, record.tokenizer["sha256"], file, name)
    try:
        tokenizer = Tokenizer.from_file(str(folder / file))
    except Exception as error:  # The library tokenizers raises Exception itself.
        raise HfRnnError(
            f"{file} of {name!r} cannot be loaded by the installed tokenizers ({first_line(error)}): pip "
            "install --upgrade tokenizers."
        ) from error
    # Set once, before there are threads: a tokenizer that changes while another thread encodes gives wrong rows.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


__all__ = ["Session", "open_session", "open_tokenizer"]
