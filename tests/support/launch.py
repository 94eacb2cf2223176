"""Helpers that start runs in several processes with torchrun."""

import os
import subprocess
import sys

from support import ROOT
from support.waiting import PATIENCE


def torchrun(
    processes: int, *arguments, script="scripts/train.py", options=(), **variables
) -> subprocess.CompletedProcess:
    """Run a script or a module in several processes of one thread each, and wait for its end."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        f"--nproc-per-node={processes}",
        "--standalone",
        *options,
        *([str(ROOT / script)] if script.endswith(".py") else ["-m", script]),
        *map(str, arguments),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=environment)


def options(data, output_dir, rows, **more) -> list[str]:
    """Return the command line of a short run without dropout, because dropout masks differ between processes."""
    sections = {
        "preset": "none",
        "data.path": data,
        "tokenizer.kind": "word",
        "tokenizer.min_frequency": 1,
        "model.embedding_size": 16,
        "model.hidden_size": 16,
        "model.classifier_dropout": 0.0,
        "training.output_dir": output_dir,
        "training.num_train_epochs": 2,
        "training.learning_rate": 0.01,
        "training.disable_tqdm": "true",
        "training.per_device_train_batch_size": rows,
        "training.save_total_limit": 9,
        **more,
    }
    return [f"--{name}={value}" for name, value in sections.items()]
