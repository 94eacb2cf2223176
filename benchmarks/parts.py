"""Measure how much each part of the default classifier contributes to its accuracy.

python benchmarks/parts.py [FOLDER ...] [--vectors FILE] [--seeds 0 1 2]

The benchmark trains the classifier without each part in turn. It reads only the validation split, not the test split.
"""

import tempfile
import time
from pathlib import Path

import report
from accuracy import options_of
from peers import Ours

SETS = ("sst2", "trec", "waimai")
DROPOUTS = ("embedding_dropout", "input_dropout", "classifier_dropout")
VARIANTS = {
    "default": [],
    # This also removes the rules for rare words, which belong to the wide path.
    "without the wide path": ["--model.wide_ngrams", "0"],
    "without EMA": ["--training.averaging", "null"],
    "without dropout": [word for name in DROPOUTS for word in (f"--model.{name}", "0")],
    "in one direction": ["--model.bidirectional", "false"],
}
FIGURES = ["validation accuracy", "validation loss", "training s"]
NOTES = """The figures come from the validation split; the test split was not read. The rules, the epoch and the weights
of the recurrent network and the n-grams were chosen on the same validation rows, so the figures of all rows are
optimistic to the same degree. There is one run per seed. Accuracy is the mean (with its range), loss is the mean, and
training time is the median, which includes the fit of the n-grams."""
COMMAND = "make bench-parts SETS=… VECTORS=… SEEDS=…"


def run_of(folder: Path, options: list[str], seed: int) -> dict:
    """Return the figures of one training run, its commit and its machine."""
    with tempfile.TemporaryDirectory() as place:
        more = ["--data.test_split", "null", "--report.baseline", "false"]
        begun = time.perf_counter()
        validation = Ours(None, [*options_of(folder), *options, *more], place, seed).run()["validation"]
        seconds = time.perf_counter() - begun
    figures = dict(zip(FIGURES, (validation["accuracy"], validation["loss"], seconds), strict=True))
    return {**report.origin(), **figures}


def main() -> None:
    options = report.parser(__doc__, rounds=1)
    options.add_argument("folders", nargs="*", type=Path)
    options.add_argument("--vectors", type=Path)
    options.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = options.parse_args()
    variants = dict(VARIANTS)
    if arguments.vectors:
        variants[f"with {arguments.vectors.name}"] = ["--model.vectors", str(arguments.vectors)]
    runs = report.runs_of("parts")
    for folder in arguments.folders or [Path(arguments.data, name) for name in SETS]:
        of_set = runs.setdefault(folder.name, {})
        for seed in arguments.seeds:
            for name, change in variants.items():
                of_set.setdefault(name, {})[str(seed)] = run_of(folder, change, seed)
                report.keep_runs("parts", runs)
                print(folder.name, *report.row_of_runs(name, of_set[name], FIGURES), sep=" | ", flush=True)
    tables = report.tables_of_runs(runs, FIGURES, list(variants))
    report.save("parts", "Ablation of the default classifier", tables, NOTES, command=COMMAND)


if __name__ == "__main__":
    main()
