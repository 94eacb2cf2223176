# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Sessions of onnxruntime, and the tokenizer beside them."""

from __future__ import annotations

import re
from pathlib import Path

from onnxruntime import InferenceSession, SessionOptions, __version__
from tokenizers import Tokenizer

from .errors import HfRnnError
from .record import ONNX_FOLDER, ExportRecord, check_file


def open_session(folder: Path, file: str, record: ExportRecord, threads: int, name: str) -> InferenceSession:
    """Open an ONNX file of an exported model.

    Args:
        folder: Folder of the exported model.
        file: Name of the ONNX file.
        record: Export record of the folder.
        threads: Number of threads of an operator.
        name: Name of the model as the user wrote it, for errors.

    Raises:
        HfRnnError: The file is missing or another one than was exported, or onnxruntime cannot read it.
    """
    path, shown = folder / ONNX_FOLDER / file, f"{ONNX_FOLDER}/{file}"
    check_file(path, record.files[file]["sha256"], shown, name)
    options = SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that wait for work would keep their cores busy: most of the time goes into loops over time steps.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Shapes change with each batch, so the plan of the memory of a batch fits no other one.
    options.enable_mem_pattern = False
    # Errors are raised. Warnings, such as those of the graph optimizer, are no advice to users.
    options.log_severity_level = 3
    try:
        return InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # The classes of onnxruntime's errors have no common base class but this one.
        cause = str(error).splitlines()[0].replace(str(path), shown)
        if re.search(r"\bopset \d", cause):
            raise HfRnnError(
                f"{shown} of {name!r} needs the ONNX opset {record.opset}, which the installed onnxruntime "
                f"{__version__} does not know: pip install --upgrade onnxruntime."
            ) from error
        raise HfRnnError(
            f"{shown} of {name!r} cannot be loaded by onnxruntime {__version__} ({cause}): pip install "
            "--upgrade onnxruntime, or export the model again."
        ) from error


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
            f"{file} of {name!r} cannot be loaded by the installed tokenizers ({str(error).splitlines()[0]}): pip "
            "install --upgrade tokenizers."
        ) from error
    # Set once, before there are threads: a tokenizer that changes while another thread encodes gives wrong rows.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


__all__ = ["open_session", "open_tokenizer"]
