# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Check that the ONNX files in a model's folder belong to the model."""

from pathlib import Path
from shlex import quote

from ..runtime.record import check_file, read_record, sha256
from ..utils.errors import HfRnnError
from .card_onnx import onnx_section
from .folder import EXPORT_RECORD, ONNX_FILES, ONNX_FOLDER

# Key of the export record with the hashes of the configuration and the weights that were exported.
MODEL_FILES = "model_files"


def check_exported(folder: Path) -> None:
    """Check the ONNX files of a model's folder, if it has any, before they are pushed.

    Args:
        folder: Folder of the model.

    Raises:
        HfRnnError: The record is missing, damaged or not complete; an ONNX file or the tokenizer is not the one that
            was exported; or the configuration or the weights have changed since the export.
    """
    here = [name for name in ONNX_FILES if (folder / name).exists()]
    if not here:
        return
    name, again = str(folder), f"export it again, hf-rnn export {quote(str(folder))} --output FOLDER"
    record = f"{ONNX_FOLDER}/{EXPORT_RECORD}"
    if record not in here:
        raise HfRnnError(
            f"{name!r} has {here[0]} and no {record}, which says to which model it belongs: {again}, or delete "
            f"{str(folder / ONNX_FOLDER)!r}."
        )
    about = read_record(folder, name)
    onnx_section(about.raw)
    hashes = about.raw.get(MODEL_FILES)
    if not isinstance(hashes, dict) or not hashes:
        raise HfRnnError(f"{record} of {name!r} is not complete (it has no {MODEL_FILES!r}): {again}.")
    for file, expected in hashes.items():
        if not (folder / file).is_file() or sha256(folder / file) != expected:
            raise HfRnnError(
                f"{file} of {name!r} has changed since the export, so its ONNX files are those of another model: "
                f"{again}, or delete {str(folder / ONNX_FOLDER)!r}."
            )
    for file, facts in about.files.items():
        check_file(folder / ONNX_FOLDER / file, facts["sha256"], f"{ONNX_FOLDER}/{file}", name)
    tokenizer = about.tokenizer
    check_file(folder / tokenizer["file"], tokenizer["sha256"], tokenizer["file"], name)


__all__ = ["MODEL_FILES", "check_exported"]
