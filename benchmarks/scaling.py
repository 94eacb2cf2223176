"""Compare the training speed of two processes with that of one, with one thread per process.

python benchmarks/scaling.py [--rounds 3] [--data ../shared/data]
"""

import os
import subprocess
import sys
import tempfile

import report
import torch
from models import IMDB, SEED, Problem, imdb_rows, write_rows

# With this many rows, one and two processes get batches of equally similar lengths.
ROWS = 12800
PROBLEMS = {"seed model, B=32": (SEED, "imdb_seed", 32, 400), "configs/imdb.yaml, B=64": (IMDB, "imdb", 64, 1000)}


def worker(name: str, file: str) -> None:
    """Train in the processes that the launcher has started, and print the seconds of an epoch."""
    from contenders import trainer

    model, _, B, _ = PROBLEMS[name]
    seconds = trainer(Problem(model, file, B))
    next(seconds)
    taken = next(seconds)
    if os.environ.get("RANK", "0") == "0":
        print(f"seconds {taken}")
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def rows_a_second(processes: int, name: str, file: str) -> float:
    """Start torchrun with a number of processes, and return the training speed in rows per second."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [*command, __file__, "--worker", name, file], env=environment, capture_output=True, text=True
    )
    if ended.returncode:
        raise RuntimeError(ended.stderr)
    return ROWS / float(ended.stdout.rpartition("seconds ")[2])


def main() -> None:
    arguments = report.parser(__doc__, rounds=3).parse_args()
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, (_, config, _, cap)) in enumerate(PROBLEMS.items()):
            print(name, flush=True)
            rows, labels = imdb_rows(arguments.data / "imdb", str(report.ROOT / "configs" / f"{config}.yaml"), ROWS)
            file = f"{folder}/rows{number}.npz"
            write_rows(file, rows, labels, cap)
            contenders = {"one process": 1, "two processes": 2}
            figures: dict[str, list[float]] = {contender: [] for contender in contenders}
            for _ in range(arguments.rounds):
                for contender, processes in contenders.items():
                    figures[contender].append(rows_a_second(processes, name, file))
            title = f"{name} for each process, {ROWS} IMDB reviews cut to {cap} tokens"
            tables.append(report.comparison(title, figures, "rows a second", "one process"))
    report.save("scaling", "Training with two processes", tables, NOTES)


NOTES = """Our Trainer is started by torchrun with the gloo backend and one thread per process. Each round starts
one process and then two processes anew. Two processes share the rows of a step, and the gradients are those of one
process that reads all of these rows."""


if __name__ == "__main__":
    worker(*sys.argv[2:]) if "--worker" in sys.argv else main()
