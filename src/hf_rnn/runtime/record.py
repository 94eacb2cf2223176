# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The export record: the file beside the ONNX files that says how the model reads texts and answers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .answers import PROBLEM_TYPES, REGRESSION
from .decisions import check_thresholds
from .errors import HfRnnError, first_line
from .tokens import TRUNCATIONS

# Newest format of the record that this release reads.
FORMAT = 1
ONNX_FOLDER, RECORD_FILE = "onnx", "hf_rnn.json"
CLASSIFIER, TAGGER = "text_classification", "token_classification"
LANGUAGE_MODEL, TRANSLATOR = "language_modeling", "translation"
GRAPH, ENCODER_GRAPH, DECODER_GRAPH = "model.onnx", "encoder_model.onnx", "decoder_model.onnx"
# ONNX files of each task.
GRAPHS = {
    CLASSIFIER: (GRAPH,),
    TAGGER: (GRAPH,),
    LANGUAGE_MODEL: (GRAPH,),
    TRANSLATOR: (ENCODER_GRAPH, DECODER_GRAPH),
}
# Entries of `generation` and of each part of `state`, without which no text can be generated.
_GENERATION = (
    "num_beams",
    "length_penalty",
    "early_stopping",
    "no_repeat_ngram_size",
    "repetition_penalty",
    "temperature",
    "top_k",
    "top_p",
    "min_length",
    "min_new_tokens",
    "max_new_tokens",
    "eos_token_ids",
    "decoder_start_token_id",
)
_STATE = ("input", "output", "shape")
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
        generation: Settings with which a language model or a translator generates texts; None for other models.
        state: Inputs and outputs of a graph that hold its state; empty for a graph without state.
        raw: The record as it was read.
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
    generation: dict[str, Any] | None
    state: list[dict[str, Any]]
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
        graphs = GRAPHS[self.task]
        files = {False: graphs, True: tuple(map(quantized_name, graphs))}
        there = {is_int8: all(file in self.files for file in names) for is_int8, names in files.items()}
        if not any(there.values()):
            raise HfRnnError(f"the record of {name!r} names no ONNX files: {_EXPORT}.")
        chosen = not there[False] if quantized is None else bool(quantized)
        if not there[chosen]:
            remedy = (
                "leave quantized out, or export the model with hf-rnn export --int8"
                if chosen
                else "write quantized=True, or export the model again"
            )
            raise HfRnnError(f"{name!r} has no {ONNX_FOLDER}/{files[chosen][0]}: {remedy}.")
        return list(files[chosen])


def quantized_name(graph: str) -> str:
    """Return the name of the file with the int8 weights of a graph, such as `model_quantized.onnx`.

    Args:
        graph: Name of the file with the graph in float32.
    """
    return graph.replace(".onnx", "_quantized.onnx")


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
        if not isinstance(raw, dict):
            raise TypeError("it is not a JSON object")
        version, exporter = raw["format"], raw["hf_rnn_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HfRnnError(f"{place} of {name!r} is damaged ({_cause(error)}): {_EXPORT}.") from error
    if not isinstance(version, int) or version > FORMAT:
        raise HfRnnError(
            f"{name!r} was exported by hf_rnn {exporter} in the format {version}, and this release reads the format "
            f"{FORMAT}: pip install --upgrade hf-rnn-runtime, or hf-rnn."
        )
    try:
        return record_of(raw)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HfRnnError(f"{place} of {name!r} is not complete ({_cause(error)}): {_EXPORT}.") from error


def record_of(raw: dict[str, Any]) -> ExportRecord:
    """Return the export record that was read from a file, checked.

    Args:
        raw: Content of the file.

    Raises:
        ValueError: An entry has an unknown value.
        KeyError: An entry is missing.
        TypeError: An entry has another type.
    """
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
        generation=raw["generation"],
        state=[{**part} for part in raw["state"]],
        raw=raw,
    )
    _check(record)
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
    if record.task in (CLASSIFIER, TAGGER) and not record.label_names:
        raise ValueError("labels is empty")
    check_thresholds(record.thresholds, record.label_names, record.problem_type)
    for key, number in (("max_length", record.max_length), ("opset", record.opset)):
        _check_number(key, number, may_be_none=key == "max_length")
    for key in ("file", "sha256"):
        _ = record.tokenizer[key]
    for key in ("pad_token_id", "unk_token_id", "bos_token_id", "eos_token_id"):
        needed = record.task == TRANSLATOR and key == "eos_token_id"
        _check_number(f"tokenizer.{key}", record.tokenizer[key], may_be_none=not needed, least=0)
    for facts in record.files.values():
        _ = facts["sha256"]
    if record.task in (LANGUAGE_MODEL, TRANSLATOR):
        _check_generation(record)


def _check_generation(record: ExportRecord) -> None:
    """Raise an error for the record of a model that generates text, if an entry is missing."""
    if not isinstance(record.generation, dict):
        raise TypeError(f"generation is {record.generation!r}, and should be an object")
    for key in _GENERATION:
        _ = record.generation[key]
    if record.task == TRANSLATOR:
        _check_number("generation.decoder_start_token_id", record.generation["decoder_start_token_id"], least=0)
    for part in record.state:
        for key in _STATE:
            _ = part[key]


def _check_number(key: str, value: Any, may_be_none: bool = False, least: int = 1) -> None:
    if value is None and may_be_none:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{key} is {value!r}, and should be a whole number, {least} or greater")


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


def _cause(error: BaseException) -> str:
    """Return the message of an error on one line; for a missing key, that it is missing."""
    return f"it has no {error}" if isinstance(error, KeyError) else first_line(error)


__all__ = ["ExportRecord", "check_file", "quantized_name", "read_record", "record_of", "sha256", "without_record"]
