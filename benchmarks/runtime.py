"""Measure the runtime without torch beside `Predictor`: start-up, size, memory, one short text, and IMDB reviews.

hf-rnn export runs/imdb --output exported/imdb --int8
python benchmarks/runtime.py exported/imdb [--rows 25000] [--rounds 3] [--data ../shared/data]

Without a folder, the seed model with untrained weights is exported, without int8.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import files
from pathlib import Path

import numpy as np
import report
from compare import Contender, compare
from prediction import SHORT, reviews, write_model

# Prints the seconds until the first answer and the peak memory in MB. `getrusage` would include the process before.
FIRST = """
import sys, time
{load}
model({text!r})
lines = open("/proc/self/status").read().splitlines()
print(next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM")))
"""
LOADS = {
    "runtime": "from hf_rnn_runtime import Model; model = Model.from_pretrained({folder!r})",
    "Predictor": "from hf_rnn import Predictor; model = Predictor.from_pretrained({folder!r})",
}
SHORT_TEXTS = 300


def bare_environment(folder: Path) -> Path:
    """Install the runtime with its dependencies into a new environment, and return its Python."""
    python = folder / "bin" / "python"
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", str(report.ROOT / "runtime")],
        [str(python), "-m", "pip", "uninstall", "--quiet", "--yes", "pip", "setuptools"],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return python


def megabytes(paths: list[Path]) -> float:
    return sum(path.stat().st_size for path in paths if path.is_file() and not path.is_symlink()) / 1e6


def on_one_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def run(*command: str) -> str:
    """Return the output of a process on one core."""
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=variables, preexec_fn=on_one_core)
    return done.stdout


def answers(backend: str, folder: str, data: str, rows: int, quantized: bool = False):
    """Answer one short text and the reviews; yield scores, then `[ms of a short text, seconds of all reviews]`."""
    on_one_core()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if backend == "runtime":
        from hf_rnn.runtime import Model

        model = Model.from_pretrained(folder, quantized=quantized)
    else:
        import torch

        from hf_rnn import Predictor

        torch.set_num_threads(1)
        model = Predictor.from_pretrained(folder)
    texts = reviews(data, rows)
    yield model.scores(texts[:64])
    while True:
        times = []
        for _ in range(SHORT_TEXTS):
            begun = time.perf_counter()
            model([SHORT])
            times.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        model(texts)
        yield [1e3 * float(np.median(times)), time.perf_counter() - begun]


def processes(python: Path, folder: str, rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return the seconds of processes from start to end, and the peak memory of processes, which answer one text."""
    commands = {
        "hf-rnn-run": [str(python.with_name("hf-rnn-run")), folder, SHORT],
        "hf-rnn predict": [str(Path(sys.executable).with_name("hf-rnn")), "predict", folder, SHORT],
    }
    codes = {name: FIRST.format(load=load.format(folder=folder), text=SHORT) for name, load in LOADS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    memory: dict[str, list[float]] = {name: [] for name in codes}
    for number in range(rounds + 1):
        for name, command in commands.items():
            begun = time.perf_counter()
            run(*command)
            if number:
                seconds[name].append(time.perf_counter() - begun)
        if number:
            for name, code in codes.items():
                memory[name].append(float(run(str(python) if name == "runtime" else sys.executable, "-c", code)))
    return seconds, memory


def main() -> None:
    parser = argparse.ArgumentParser(parents=[report.parser(__doc__, rounds=3)], add_help=False)
    parser.add_argument("model", nargs="?", help="folder that hf-rnn export wrote; the seed model if left out")
    parser.add_argument("--rows", type=int, default=25000, help="number of test reviews of IMDB")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = arguments.model or exported_seed(Path(place), arguments.data)
        python = bare_environment(Path(place, "bare"))
        seconds, memory = processes(python, folder, arguments.rounds)
        tables = [
            report.comparison("A process from its start to its end, with one answer", seconds, "s", "hf-rnn predict"),
            report.comparison("Peak memory of a process that answers one text", memory, "MB", "Predictor"),
            sizes(Path(place, "bare"), Path(folder)),
        ]
        options = {"folder": folder, "data": str(arguments.data), "rows": arguments.rows}
        contenders = [
            Contender("Predictor, fp32", "runtime:answers", {"backend": "torch", **options}),
            Contender("runtime, fp32", "runtime:answers", {"backend": "runtime", **options}),
        ]
        if Path(folder, "onnx", "model_quantized.onnx").exists():
            int8 = {"backend": "runtime", "quantized": True, **options}
            contenders.append(Contender("runtime, int8", "runtime:answers", int8, checked=False))
        # The check of the answers has warmed the processes up.
        found = compare(contenders, arguments.rounds, tolerance=1e-4, warm_up=0)
    for place, (title, unit) in enumerate(
        [(f"One short text ({SHORT!r})", "ms"), (f"{arguments.rows:,} IMDB reviews, from raw text to labels", "s")]
    ):
        figures = {name: [values[place] for values in rounds] for name, rounds in found.items()}
        tables.append(report.comparison(title, figures, unit, "Predictor, fp32"))
    if arguments.model:
        report.save("runtime", "The runtime without torch", tables, NOTES)
    else:
        report.save("runtime_seed", "The runtime without torch, with the seed model", tables, NOTES)


def exported_seed(place: Path, data: Path) -> str:
    """Export the seed model with untrained weights, and return its folder."""
    import hf_rnn

    (place / "seed").mkdir()
    write_model(place / "seed", data)
    return str(hf_rnn.export(place / "seed", place / "exported"))


def sizes(bare: Path, model: Path) -> dict:
    """Return the table of sizes on disk."""
    (packages,) = bare.glob("lib/python*/site-packages")
    rows = [
        ["hf-rnn-runtime with its dependencies", f"{megabytes(list(packages.rglob('*'))):.0f}"],
        ["without compiled modules (`pip install --no-compile`)", f"{megabytes(_sources(packages)):.0f}"],
        ["the largest of these packages", _largest(packages)],
        ["torch alone", f"{megabytes([Path(str(file.locate())) for file in files('torch') or ()]):.0f}"],
    ]
    rows += [[f"{file.name} of the model", f"{megabytes([file]):.1f}"] for file in sorted(model.glob("onnx/*.onnx"))]
    return report.table("Size on disk", ["installed", "MB"], rows)


def _sources(packages: Path) -> list[Path]:
    return [path for path in packages.rglob("*") if path.suffix != ".pyc"]


def _largest(packages: Path, count: int = 5) -> str:
    """Return the names and sizes of the largest packages, without compiled modules."""
    found: Counter[str] = Counter()
    for folder in filter(Path.is_dir, packages.iterdir()):
        found[folder.name.removesuffix(".libs")] += megabytes(_sources(folder))
    return ", ".join(f"{name} {size:.0f}" for name, size in found.most_common(count))


NOTES = """All processes have one core and one thread. The model is the one that the command below names; without a
name, it is Embedding(20000, 128) → 2 × LSTM(128) → last state with untrained weights, and texts are truncated to 400
tokens. Each time includes tokenization. The process of `hf-rnn-run` has an environment with nothing but the runtime
and its dependencies."""


if __name__ == "__main__":
    main()
