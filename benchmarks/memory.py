"""Measure the peak memory of training and prediction.

python benchmarks/memory.py [--data ../shared/data]
"""

import re
import shutil
import tempfile
from importlib import import_module
from pathlib import Path

import report
from compare import Contender, compare
from models import IMDB, SEED, Problem, imdb_rows, write_rows
from prediction import write_model


def peak(run: str, options: dict):
    """Yield the answer of a contender, then the peak memory of its process in MiB."""
    module, function = run.split(":")
    rounds = getattr(import_module(module), function)(**options)
    answer = next(rounds)
    yield answer
    next(rounds)
    # `ru_maxrss` would include the memory that the parent process held when it started this one.
    (kib,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    yield int(kib) / 1024


def main() -> None:
    arguments = report.parser(__doc__, rounds=1).parse_args()
    folder = Path(tempfile.mkdtemp())

    def contender(name, run, backend=None, checked=True, **options):
        environment = {"KERAS_BACKEND": backend} if backend else {}
        return Contender(name, "memory:peak", {"run": run, "options": options}, checked, environment)

    tables = []
    try:
        for title, model, B, config, cap in (
            ("the seed model, B=32, IMDB reviews cut to 400 tokens", SEED, 32, "imdb_seed", 400),
            ("configs/imdb.yaml, B=64, IMDB reviews cut to 1,000 tokens", IMDB, 64, "imdb", 1000),
        ):
            rows, labels = imdb_rows(arguments.data / "imdb", str(report.ROOT / "configs" / f"{config}.yaml"), 320)
            write_rows(str(folder / "rows.npz"), rows, labels, cap)
            problem = Problem(model, str(folder / "rows.npz"), B)
            figures = compare(
                [
                    contender("hf_rnn", "contenders:trainer", problem=problem),
                    contender("hf_rnn, bf16", "contenders:trainer", problem=problem, bf16=True),
                    contender("torch, packed", "contenders:bare_loop", problem=problem, packed=True),
                    contender("torch, padded", "contenders:bare_loop", None, False, problem=problem, packed=False),
                    contender("keras, jax, masked", "contenders:keras_fit", "jax", problem=problem, masked=True),
                    contender(
                        "keras, tensorflow, masked", "contenders:keras_fit", "tensorflow", problem=problem, masked=True
                    ),
                ],
                rounds=1,
                warm_up=0,
            )
            tables.append(report.comparison(f"Training {title}", figures, "MiB", "hf_rnn"))
        write_model(folder, arguments.data)
        where = {"folder": str(folder), "data": str(arguments.data)}
        for count in (1000, 10000):
            figures = compare(
                [
                    contender("hf_rnn", "prediction:predictor", count=count, **where),
                    contender("pipeline, packed sequences", "prediction:pipeline", count=count, packed=True, **where),
                    contender(
                        "keras, jax, masked", "prediction:keras_predict", "jax", count=count, masked=True, **where
                    ),
                ],
                rounds=1,
                warm_up=0,
            )
            tables.append(
                report.comparison(f"Predicting {count:,} reviews, raw text in memory", figures, "MiB", "hf_rnn")
            )
        report.save("memory", "Peak memory", tables, NOTES)
    finally:
        shutil.rmtree(folder)


NOTES = """The figures are the peak resident memory of each contender's process, which did nothing else. They
include the libraries. hf_rnn keeps freed memory (see [speed.md](speed.md)), and its figures include that too."""


if __name__ == "__main__":
    main()
