"""Run the code blocks of a page, each in a fresh process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from support import ROOT
from support.waiting import PATIENCE


class Job(NamedTuple):
    """A code block to run.

    Args:
        folder: Folder to run it in.
        code: Code of a Python block as a string, or the arguments of the `hf-rnn` lines of a shell block.
    """

    folder: Path
    code: str | list[list[str]]


# The libraries are imported once, and hf_rnn is not among them.
_DRIVER = """
import json, os, sys, traceback
import torch, transformers, datasets, sklearn.linear_model
torch.set_num_threads(1)
for place, (folder, code) in enumerate(json.load(sys.stdin)):
    child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    failed = 1
    try:
        out = os.open(f"output{place}.txt", os.O_WRONLY | os.O_CREAT)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.chdir(folder)
        if isinstance(code, str):
            exec(compile(code, "block", "exec"), {"__name__": "__main__"})
        else:
            from hf_rnn.cli.main import main
            for line in code:
                print(">>>", line, flush=True)
                if main(line):
                    raise SystemExit("failed: " + " ".join(line))
        failed = 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(failed)
"""


def run_each(jobs: list[Job], folder: Path, **environment: str) -> None:
    """Run code blocks in their order, each in a fresh process, and fail with the output of one that fails.

    Args:
        jobs: Code blocks.
        folder: Folder for the outputs.
        environment: Environment variables to add.
    """
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER],
        input=json.dumps([(str(job.folder), job.code) for job in jobs]),
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src"), **environment},
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
    )
    for place, failed in enumerate(done.stdout.split()):
        output = (folder / f"output{place}.txt").read_text()
        assert failed == "0", f"{jobs[place].code}\n{output[-3000:]}"
    assert len(done.stdout.split()) == len(jobs)
