# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The export record: what a program needs, besides the graphs and the tokenizer, to answer as the model does."""

import json
from pathlib import Path
from typing import Any

from transformers.utils import CONFIG_NAME

from ..auto import architecture
from ..hub.exported import MODEL_FILES
from ..hub.folder import EXPORT_RECORD, ONNX_FOLDER, WEIGHTS
from ..inference.predictor import Predictor
from ..models.configuration_rnn import __version__
from ..models.decisions import labels_of
from ..runtime.record import FORMAT, sha256
from ..tasks import TASKS, task_class
from ..tasks.translation import Translation
from ..utils.hub_download import matches

# Key of the record in the metadata of an ONNX file.
METADATA = "hf_rnn"
TOKENIZER = "tokenizer.json"
# Parts of the record that depend on the files, so that the files cannot have them.
OF_FILES = ("files", MODEL_FILES, "parity", "quantization")


def new_record(predictor: Predictor, folder: Path, state: list[dict], generation: dict | None, opset: int) -> dict:
    """Return the record of a model whose graphs have not been checked. [`write_record`] adds the ONNX files.

    Args:
        predictor: Trained model with its tokenizer and its task.
        folder: Folder with the exported `tokenizer.json`, configuration and weights.
        state: Inputs and outputs of a graph that hold its state; [] for a graph without state.
        generation: Settings of text generation; None for classifiers and taggers.
        opset: Version of the operators of the graphs.
    """
    task, tokenizer, data = predictor.task, predictor.tokenizer, predictor.task.data
    config: Any = predictor.model.config
    columns = [data.text_column or "text", *([data.text_pair_column] if data.text_pair_column else [])]
    is_classifier = task.one_answer
    return {
        "format": FORMAT,
        "hf_rnn_version": __version__,
        "architecture": architecture(config),
        "task": next(name for name in TASKS if task_class(name) is type(task)),
        "problem_type": task.problem_type if is_classifier else None,
        "labels": labels_of(config) if is_classifier or hasattr(task, "bio") else [],
        "thresholds": config.thresholds if is_classifier else None,
        "temperature": config.temperature,
        # Texts to classify are truncated; a translator only warns about longer texts. Other models have no maximum.
        "max_length": data.max_length if is_classifier or isinstance(task, Translation) else None,
        "truncation": data.truncation,
        "reads_pairs": is_classifier and data.text_pair_column is not None,
        "text_columns": columns,
        "bio": getattr(task, "bio", None),
        "tokenizer": {
            "file": TOKENIZER,
            "sha256": sha256(folder / TOKENIZER),
            **{f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "unk", "bos", "eos")},
        },
        "generation": generation,
        "state": state,
        "opset": opset,
        MODEL_FILES: {
            file.name: sha256(file) for file in sorted(folder.iterdir()) if matches(file.name, (CONFIG_NAME, *WEIGHTS))
        },
        "parity": None,
        "quantization": None,
    }


def add_metadata(file: Path, record: dict) -> None:
    """Write a record into the metadata of an ONNX file, without the parts about files.

    Args:
        file: ONNX file, which is changed.
        record: Export record.
    """
    import onnx

    graph = onnx.load(str(file))
    kept = [each for each in graph.metadata_props if each.key != METADATA]
    del graph.metadata_props[:]
    graph.metadata_props.extend(kept)
    text = json.dumps({key: value for key, value in record.items() if key not in OF_FILES}, ensure_ascii=False)
    graph.metadata_props.add(key=METADATA, value=text)
    graph.producer_name, graph.producer_version = "hf_rnn", __version__
    onnx.save(graph, str(file))


def files_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the hash and the size of each ONNX file in a folder, by its name.

    Args:
        folder: Folder with ONNX files.
    """
    return {file.name: {"sha256": sha256(file), "bytes": file.stat().st_size} for file in sorted(folder.glob("*.onnx"))}


def write_record(folder: Path, record: dict) -> None:
    """Add the hash and the size of each ONNX file of an exported folder to its record, and write the record.

    Args:
        folder: Exported folder.
        record: Export record, which is changed.
    """
    graphs = folder / ONNX_FOLDER
    record["files"] = files_of(graphs)
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    (graphs / EXPORT_RECORD).write_text(text, encoding="utf-8")


__all__ = ["add_metadata", "files_of", "new_record", "write_record"]
