# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The export record: the file beside the ONNX files that says how the model reads texts and answers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .answers import PROBLEM_TYPES, REGRESSION
from .errors import HfRnnError
from .tokens import TRUNCATIONS

# Newest format of the record that this release reads.
FORMAT = 1
ONNX_FOLDER, RECORD_FILE = "onnx", "hf_rnn.json"
CLASSIFIER, TAGGER = "text_classification", "token_classification"
LANGUAGE_MODEL, TRANSLATOR = "language_modeling", "translation"
# Graphs of each task, without the ending .onnx.
GRAPHS = {
    CLASSIFIER: ("model",),
    TAGGER: ("model",),
    LANGUAGE_MODEL: ("model",),
    TRANSLATOR: ("encoder_model", "decoder_model"),
}
_EXPORT = "export it again, hf-rnn export MODEL --output FOLDER"
# Bytes that are hashed at once.
_PART = 1 << 20
_POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class ExportRecord:
    """Facts about an exported model that a runtime needs to answer.

    Args:
        task: Name of the task.
        problem_type: Problem type of a text classifier; None for other models.
        label_names: Names of the labels or tags, in the order of their indices.
        thresholds: Probabilities over which labels are chosen; None for none.
        max_length: Largest number of tokens of a text; None for no limit.
        truncation: Part of a longer text to keep.
        reads_pairs: True if the model reads pairs of texts.
        text_columns: Columns of the texts in the training data.
        tokenizer: File of the tokenizer, its hash and its special tokens.
        opset: Version of the ONNX operators.
        files: Size and hash of each ONNX file.
        raw: The record as it was read, with the entries that only some tasks read.
    """

    task: str
    problem_type: str | None
    label_names: list[str]
    thresholds: dict[str, float] | None
    max_length: int | None
    truncation: str
    reads_pairs: bool
    text_columns: list[str]
    tokenizer: dict[str, Any]
    opset: int
    files: dict[str, dict[str, Any]]
    raw: dict[str, Any] = field(repr=False)

    @property
    def id2label(self) -> dict[int, str]:
        """The names of the labels by their indices."""
        return dict(enumerate(self.label_names))

    @property
    def has_scores(self) -> bool:
        """True if answers have probabilities of labels."""
        return self.task == CLASSIFIER and self.problem_type != REGRESSION

    def graph_files(self, quantized: bool | None, name: str) -> list[str]:
        """Return the names of the ONNX files to read.

        Args:
            quantized: True for the int8 files, False for the float32 ones. None for the float32 ones if there are any.
            name: Name of the model as the user wrote it, for errors.

        Raises:
            HfRnnError: The record has no such files.
        """
        files = {end: [f"{graph}{end}.onnx" for graph in GRAPHS[self.task]] for end in ("", "_quantized")}
        there = {end: all(file in self.files for file in names) for end, names in files.items()}
        end = ("" if there[""] else "_quantized") if quantized is None else "_quantized" if quantized else ""
        if not there[end]:
            remedy = (
                "leave quantized out, or export the model with hf-rnn export --int8"
                if end
                else "write quantized=True, or export the model again"
            )
            raise HfRnnError(f"{name!r} has no {ONNX_FOLDER}/{files[end][0]}: {remedy}.")
        return files[end]


def read_record(folder: Path, name: str) -> ExportRecord:
    """Read and check the export record of a folder.

    Args:
        folder: Folder of an exported model.
        name: Name of the model as the user wrote it, for errors.

    Raises:
        HfRnnError: The folder or the record is missing, or the record is damaged, incomplete or of a newer format.
    """
    file, place = folder / ONNX_FOLDER / RECORD_FILE, f"{ONNX_FOLDER}/{RECORD_FILE}"
    if not folder.is_dir():
        raise HfRnnError(f"there is no folder {name!r}: name a folder that hf-rnn export wrote, or a Hub id.")
    if not file.is_file():
        raise HfRnnError(without_record(name))
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        version, exporter = raw["format"], raw["hf_rnn_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HfRnnError(f"{place} of {name!r} is damaged ({_first_line(error)}): {_EXPORT}.") from error
    if not isinstance(version, int) or version > FORMAT:
        raise HfRnnError(
            f"{name!r} was exported by hf_rnn {exporter} in the format {version}, and this release reads the format "
            f"{FORMAT}: pip install --upgrade hf-rnn-runtime, or hf-rnn."
        )
    try:
        record = ExportRecord(
            task=raw["task"],
            problem_type=raw["problem_type"],
            label_names=list(map(str, raw["labels"])),
            thresholds=raw["thresholds"],
            max_length=raw["max_length"],
            truncation=raw["truncation"],
            reads_pairs=raw["reads_pairs"],
            text_columns=list(map(str, raw["text_columns"])),
            tokenizer={**raw["tokenizer"]},
            opset=raw["opset"],
            files={**raw["files"]},
            raw=raw,
        )
        _check(record)
    except (ValueError, KeyError, TypeError) as error:
        raise HfRnnError(f"{place} of {name!r} is not complete ({_first_line(error)}): {_EXPORT}.") from error
    return record


def without_record(name: str) -> str:
    """Return the message about a folder or a repository that has no export record.

    Args:
        name: Name of the model as the user wrote it.
    """
    return (
        f"{name!r} has no {ONNX_FOLDER}/{RECORD_FILE}, so it holds no exported model: write hf-rnn export {name} "
        "--output FOLDER, and name that folder."
    )


def _check(record: ExportRecord) -> None:
    """Raise ValueError or KeyError for a record that has an unknown value or lacks an entry."""
    problem_types = PROBLEM_TYPES if record.task == CLASSIFIER else (None,)
    known = (
        ("task", record.task, GRAPHS),
        ("truncation", record.truncation, TRUNCATIONS),
        ("problem_type", record.problem_type, problem_types),
    )
    for key, value, values in known:
        if value not in values:
            raise ValueError(f"{key} is {value!r}, and should be one of {', '.join(map(str, values))}")
    for key in ("file", "sha256", "pad_token_id"):
        _ = record.tokenizer[key]
    for facts in record.files.values():
        _ = facts["sha256"]


def check_file(file: Path, expected: str, shown: str, name: str) -> None:
    """Check that a file is the one that was exported.

    Args:
        file: File to check.
        expected: Hash of the file that was exported.
        shown: Name of the file in the folder of the model, for errors.
        name: Name of the model as the user wrote it, for errors.

    Raises:
        HfRnnError: The file is missing, or it has other bytes.
    """
    if not file.is_file():
        raise HfRnnError(f"{name!r} has no {shown}, which its {ONNX_FOLDER}/{RECORD_FILE} names: {_EXPORT}.")
    with file.open("rb") as stream:
        if stream.read(len(_POINTER)) == _POINTER:
            raise HfRnnError(f"{shown} of {name!r} is a pointer of Git LFS, not the file itself: git lfs pull.")
    found = sha256(file)
    if found != expected:
        raise HfRnnError(
            f"{shown} of {name!r} is damaged, or it belongs to another model: its SHA-256 is "
            f"{found[:12]}…, and {ONNX_FOLDER}/{RECORD_FILE} says {expected[:12]}…. Put back the files of "
            f"one export, or {_EXPORT}."
        )


def sha256(file: Path) -> str:
    """Return the SHA-256 hash of a file.

    Args:
        file: File to read.
    """
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while part := stream.read(_PART):
            digest.update(part)
    return digest.hexdigest()


def _first_line(error: BaseException) -> str:
    """Return the message of an error on one line; for a missing key, that it is missing."""
    if isinstance(error, KeyError):
        return f"it has no {error}"
    lines = str(error).splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


__all__ = ["ExportRecord", "check_file", "read_record", "sha256", "without_record"]
