"""Small runs, files of rows, and comparisons of runs, for all tests.

This module imports neither hf_rnn nor huggingface_hub, because `support.hub.calls` must set the environment first.
"""

import json
from pathlib import Path

import torch

ROOT = Path(__file__).parents[2]


def tiny_config(data, output_dir, **training) -> dict:
    """Return the sections of a run that takes a second."""
    return {
        "preset": "none",
        "data": {"path": str(data)},
        "tokenizer": {"kind": "word", "min_frequency": 1},
        "model": {"embedding_size": 16, "hidden_size": 16},
        "training": {
            "output_dir": str(output_dir),
            "num_train_epochs": 1,
            "disable_tqdm": True,
            "learning_rate": 0.01,
            **training,
        },
    }


def files(folder: Path) -> set[str]:
    """Return the names of the files in a folder."""
    return {path.name for path in folder.iterdir() if path.is_file()}


def write_jsonl(file: Path, rows: list[dict]) -> Path:
    """Write rows to a JSON Lines file, and return the file."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def assert_same_run(one: Path, other: Path) -> None:
    """Assert that the folders of two runs hold the same weights, metrics and log, except for times."""
    from safetensors.torch import load_file

    weights, same = (load_file(folder / "model.safetensors") for folder in (one, other))
    assert weights.keys() == same.keys()
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    first, second = (json.loads((folder / "metrics.json").read_text()) for folder in (one, other))
    assert first["validation"] == second["validation"]
    assert first["run"]["best_step"] == second["run"]["best_step"]

    def log(folder: Path) -> list[dict]:
        newest = max(folder.glob("checkpoint-*/trainer_state.json"), key=lambda path: int(path.parent.name[11:]))
        rows = json.loads(newest.read_text())["log_history"]
        return [
            {name: value for name, value in row.items() if "runtime" not in name and "per" not in name} for row in rows
        ]

    assert log(one) == log(other)
