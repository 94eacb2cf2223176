"""Processes that use the Hub of the tests, and the files that they push."""

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from safetensors.torch import load_file
from support import tiny_config
from support.waiting import PATIENCE

from hf_rnn.models.code_files import code_files

from . import calls
from .server import HubServer

WHOLE = {
    *code_files("RNNForSequenceClassification"),
    ".gitattributes",
    "README.md",
    "config.json",
    "calibration.png",
    "confusion_matrix.png",
    "metrics.json",
    "model.safetensors",
    "run.yaml",
    "schema.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "training_curves.png",
}


class Client:
    """Process that uses the server of the test as its Hub."""

    def __init__(self, server: HubServer, home: Path):
        self.server, self.home = server, home
        self.environment = server.environment(home)
        self.pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=calls.start, initargs=(self.environment,))

    def __call__(self, function: Callable, *arguments, **options):
        # A wait for a server that hangs always fails, so that only this wait is short.
        hangs = any(fault.kind == "hang" for fault in self.server.faults)
        return self.pool.submit(calls.run, hangs, function, *arguments, **options).result(PATIENCE)

    def cli(self, *arguments, token: str | None = None, folder: Path | None = None) -> tuple[int, str, str]:
        return self(calls.cli, [str(a) for a in arguments], token, str(folder) if folder else None)

    def told(self, *arguments) -> list[str]:
        return self(calls.told, [str(a) for a in arguments])

    def fails(self, *arguments, **options) -> str:
        code, _, error = self.cli(*arguments, **options)
        assert code == 1
        assert error.count("\n") == 0, "an error is one line"
        return error

    def process(self, *arguments, home: Path | None = None, text: str | None = None, **environment) -> str:
        """Run a command in a separate process, and return its output."""
        variables = {**os.environ, **self.server.environment(home or self.home), "OMP_NUM_THREADS": "1", **environment}
        done = subprocess.run(arguments, env=variables, input=text, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return done.stdout


def titles(server: HubServer, repo_id: str, revision: str = "main") -> list[str]:
    return [commit.title for commit in server.repo(repo_id).history(revision)]


def tiny_training(data: Path, folder: Path, **training) -> list[str]:
    """Return the command line of the run that `tiny_config` describes."""
    sections = tiny_config(data, folder, **{"num_train_epochs": 4, "learning_rate": 0.003, **training})
    preset = sections.pop("preset")
    return [
        f"--preset={preset}",
        *(
            f"--{s}.{key}={value}".replace("=True", "=true")
            for s, keys in sections.items()
            for key, value in keys.items()
        ),
    ]


def only_a_pickle(folder: Path) -> str:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return "no model.safetensors, only the pickle pytorch_model.bin"
