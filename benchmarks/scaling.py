"""Question 10: how many more rows a second do two processes train on than one, with one thread each?

python benchmarks/scaling.py [--rounds 3] [--data ../shared/data]
"""

import os
import subprocess
import sys
import tempfile

import report
import torch
from models import IMDB, SEED, Problem, imdb_rows, write_rows

# Enough that the batches of both are of rows as alike in length.
ROWS = 12800
PROBLEMS = {"seed model, B=32": (SEED, "imdb_seed", 32, 400), "configs/imdb.yaml, B=64": (IMDB, "imdb", 64, 1000)}


def worker(name: str, file: str) -> None:
    """Trains in as many processes as a launcher has started, and prints the seconds of an epoch."""
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
    report.save("scaling", "What a second process brings", tables, NOTES)


NOTES = """Training through our Trainer, started by torchrun, over gloo, with one thread for each process; each round
starts both anew, in turn. The rows of a step are shared, and the gradients are those of one process that reads them
all."""


if __name__ == "__main__":
    worker(*sys.argv[2:]) if "--worker" in sys.argv else main()
