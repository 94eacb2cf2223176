"""Folders of exported models, as `hf-rnn export` writes them, for tests of the runtime."""

import hashlib
import json
import shutil
import warnings
from pathlib import Path

import torch

from hf_rnn import Predictor
from hf_rnn.runtime.answers import REGRESSION

AXES = {"input_ids": {0: "B", 1: "T"}, "attention_mask": {0: "B", 1: "T"}}


class Logits(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def write_onnx(model, file: Path) -> None:
    """Export a classifier or a tagger by tracing it."""
    # A row with padding and one without: the mask is not forgotten.
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    names = {"input_names": ["input_ids", "attention_mask"], "output_names": ["logits"]}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = (torch.ones_like(mask), mask)
        torch.onnx.export(Logits(model), example, str(file), dynamo=False, dynamic_axes=AXES, **names)


def digest(file: Path) -> dict:
    return {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "bytes": file.stat().st_size}


def export(folder: Path, output: Path, **changes) -> Path:
    """Export the model of a folder, and return the new folder.

    Args:
        folder: Folder of a classifier or a tagger.
        output: Folder to write.
        changes: Entries of the export record to replace.
    """
    predictor = Predictor.from_pretrained(folder)
    task, config, tokenizer = predictor.task, predictor.model.config, predictor.tokenizer
    (output / "onnx").mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "run.yaml", "schema.json"):
        if (folder / name).exists():
            shutil.copyfile(folder / name, output / name)
    write_onnx(predictor.model, output / "onnx" / "model.onnx")
    marks = ("pad_token_id", "unk_token_id", "bos_token_id", "eos_token_id")
    pair = task.data.text_pair_column
    record = {
        "format": 1,
        "hf_rnn_version": "0.1.0",
        "architecture": type(predictor.model).__name__,
        "task": "text_classification" if task.one_answer else task.problem_type,
        "problem_type": config.problem_type if task.one_answer else None,
        "labels": task.label_names,
        "thresholds": config.thresholds,
        "temperature": config.temperature,
        "max_length": task.data.max_length,
        "truncation": task.data.truncation,
        "reads_pairs": pair is not None,
        "text_columns": [str(task.data.text_column), *([pair] if pair else [])],
        "bio": None if task.one_answer else task.bio,
        "tokenizer": {
            "file": "tokenizer.json",
            "sha256": digest(output / "tokenizer.json")["sha256"],
            **{name: getattr(tokenizer, name) for name in marks},
        },
        "generation": None,
        "state": [],
        "opset": 17,
        "files": {"model.onnx": digest(output / "onnx" / "model.onnx")},
        "parity": {},
        "quantization": None,
        **changes,
    }
    if task.one_answer and record["problem_type"] is None:
        record["problem_type"] = REGRESSION if config.num_labels == 1 else "single_label_classification"
    (output / "onnx" / "hf_rnn.json").write_text(json.dumps(record), encoding="utf-8")
    return output
