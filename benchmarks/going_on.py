"""Measure going on from a classifier when a class is new, against training from nothing on all rows.

python benchmarks/going_on.py [--seeds 0 1 2]

A classifier of TREC is trained without the questions about entities. It then goes on with the rows of this class, with
and without a replay of its old rows. The class was chosen before any measurement: it is the one that is confused most
with the others. The test split is read for the figures only.
"""

import csv
import statistics
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as parquet
import report

import hf_rnn

LABELS, NEW = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"), "ENTY"
FROM_NOTHING, REPLAY, ALONE = "from nothing, on all rows", "going on, with replay", "going on, without replay"
FIGURES = ["new class F1", "old classes F1", "training s", "all s"]
NOTES = f"""TREC without the class {NEW}, then with it. Going on means `--model.pretrained` with the classifier of the
other classes, on the rows of {NEW} and, with replay, on the rows that this classifier was trained on
(`--data.replay`). All runs use the preset `default`, and only their seed differs. F1 is measured on the 500 test rows:
that of {NEW}, and the mean of the five other classes. "training s" is the time of training with the fit of the n-grams,
"all s" that of the whole command without the start of Python. The runs of a seed follow each other on a machine with
other work, so only their ratios are of use. The target is 0.9 of the F1 of the new class, at most 0.5 points less for
the old ones, and a third of the time."""
COMMAND = "make bench-going-on"


def write_rows(data: Path, folder: Path) -> None:
    """Write the rows of TREC as CSV files: all, old and new training rows, and test rows."""
    rows = {
        split: [
            (row["text"], LABELS[row["label"]])
            for row in parquet.read_table(data / "trec" / f"{split}.parquet").to_pylist()
        ]
        for split in ("train", "test")
    }
    parts = {
        "all": rows["train"],
        "old": [row for row in rows["train"] if row[1] != NEW],
        "new": [row for row in rows["train"] if row[1] == NEW],
        "test": rows["test"],
    }
    for name, part in parts.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *part])


def train(folder: Path, output: str, seed: int, data: dict, model: dict | None = None) -> dict:
    """Train a classifier, and return its figures on the test rows."""
    begun = time.perf_counter()
    result = hf_rnn.train(
        {
            "preset": "default",
            "data": {**data, "path": str(folder / data["path"])},
            "model": model or {},
            "training": {"output_dir": str(folder / output), "seed": seed, "disable_tqdm": True, "overwrite": True},
            "report": {"baseline": False},
        }
    )
    seconds = time.perf_counter() - begun
    if output == "old":
        return {}
    measured = hf_rnn.evaluate(str(folder / output), str(folder / "test.csv"))
    f1 = {label: measured[f"f1/{label}"] for label in LABELS}
    old = statistics.mean(value for label, value in f1.items() if label != NEW)
    figures = dict(zip(FIGURES, (f1[NEW], old, result["run"]["train_seconds"], seconds), strict=True))
    return {**report.origin(), **figures}


def main() -> None:
    options = report.parser(__doc__, rounds=1)
    options.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = options.parse_args()
    runs = report.runs_of("going_on")
    of_set = runs.setdefault(f"TREC, {NEW} is new", {})
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_rows(Path(arguments.data), folder)
        pretrained = {"pretrained": str(folder / "old")}
        for seed in arguments.seeds:
            train(folder, "old", seed, {"path": "old.csv"})
            contenders = {
                FROM_NOTHING: ({"path": "all.csv"}, None),
                REPLAY: ({"path": "new.csv", "replay": str(folder / "old.csv")}, pretrained),
                ALONE: ({"path": "new.csv"}, pretrained),
            }
            for name, (data, model) in contenders.items():
                of_set.setdefault(name, {})[str(seed)] = train(folder, "model", seed, data, model)
                report.keep_runs("going_on", runs)
                print(*report.row_of_runs(name, of_set[name], FIGURES), sep=" | ", flush=True)
    tables = report.tables_of_runs(runs, FIGURES, [FROM_NOTHING, REPLAY, ALONE])
    report.save("going_on", "Going on with a new class", tables, NOTES, command=COMMAND)


if __name__ == "__main__":
    main()
