"""Question 20: what does each part of the default classifier give?

python benchmarks/parts.py [FOLDER ...] [--vectors FILE] [--seeds 0 1 2]

Each part is left out in turn. Validation rows alone are read: the rules of presets were chosen by such figures.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import report
from accuracy import options_of

SETS = ("sst2", "trec", "waimai")
DROPOUTS = ("embedding_dropout", "input_dropout", "classifier_dropout")
WITHOUT = {
    "default": [],
    "without the wide path": ["--model.wide_ngrams", "0"],
    "without EMA": ["--training.averaging", "null"],
    "without dropout": [word for name in DROPOUTS for word in (f"--model.{name}", "0")],
    "in one direction": ["--model.bidirectional", "false"],
}
FIGURES = ["validation accuracy", "validation loss", "training s"]
NOTES = """Validation rows, which the rules were chosen by; the test rows were not read. One run for each
seed, means (range) and medians of seconds. `with vectors` begins with the pretrained vectors of --vectors."""


def run_of(folder: Path, options: list[str], seed: int) -> dict:
    """Return the figures of one training run."""
    with tempfile.TemporaryDirectory() as place:
        command = [str(Path(sys.executable).with_name("hf-rnn")), "train", *options_of(folder), *options]
        command += ["--data.test_split", "null", "--report.baseline", "false", "--training.seed", str(seed)]
        subprocess.run([*command, "--training.output_dir", place], check=True, stdout=subprocess.DEVNULL)
        metrics = json.loads(Path(place, "metrics.json").read_text(encoding="utf-8"))
    validation = metrics["validation"]
    return dict(
        zip(FIGURES, (validation["accuracy"], validation["loss"], metrics["run"]["train_seconds"]), strict=True)
    )


def main() -> None:
    options = report.parser(__doc__, rounds=1)
    options.add_argument("folders", nargs="*", type=Path)
    options.add_argument("--vectors", type=Path)
    options.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = options.parse_args()
    changes = dict(WITHOUT)
    if arguments.vectors:
        changes["with vectors"] = ["--model.vectors", str(arguments.vectors)]
    runs = report.runs_of("parts")
    for folder in arguments.folders or [Path(arguments.data, name) for name in SETS]:
        of_set = runs.setdefault(folder.name, {})
        for seed in arguments.seeds:
            for name, change in changes.items():
                of_set.setdefault(name, {})[str(seed)] = run_of(folder, change, seed)
                report.keep_runs("parts", runs)
                print(folder.name, *report.row_of_runs(name, of_set[name], FIGURES), sep=" | ", flush=True)
    tables = [
        report.table(
            name,
            ["default", "runs", *FIGURES],
            [report.row_of_runs(part, of_part, FIGURES) for part, of_part in of_set.items()],
        )
        for name, of_set in runs.items()
    ]
    report.save("parts", "What each part of the default classifier gives", tables, NOTES)


if __name__ == "__main__":
    main()
