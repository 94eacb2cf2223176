"""Compare the settings that `hf-rnn tune` finds with those of a configuration and of the default preset, on TREC.

python benchmarks/tune.py [--minutes 10] [--seeds 42 43 44] [--remark TEXT]

The search reads the training split of the folder trec in --data. Then its run.yaml, configs/trec.yaml and the default
are trained with each seed, and each model reads the test split once.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
from accuracy import options_of
from peers import Ours

FOUND = "hf_rnn, run.yaml of the search"
FIGURES = ["test accuracy", "macro F1", "validation accuracy", "training s"]
NOTES = """`hf-rnn tune` chose the settings on the validation split, which is a tenth of the training split. The values
that it found, those of configs/trec.yaml and those of the default preset were then trained with each seed. The default
is left out if the search chose its values. Test figures are means (with their range); the test split was used for no
choice. Training time is the median, without the baseline of the report."""
COMMAND = "make bench-tune DATA=…"


def search(folder: Path, minutes: float, saved: Path) -> dict:
    """Return the entry of a search in metrics.json, with its wall-clock time."""
    begun = time.perf_counter()
    command = [str(Path(sys.executable).with_name("hf-rnn")), "tune", *options_of(folder), "--minutes", str(minutes)]
    subprocess.run([*command, "--training.output_dir", str(saved)], check=True, stdout=sys.stderr)
    found = json.loads((saved / "metrics.json").read_text(encoding="utf-8"))
    return {**report.origin(), **found["tune"], "wall minutes": (time.perf_counter() - begun) / 60}


def trained(options: list[str], seed: int) -> dict:
    """Return the figures of one training run, its commit and its machine."""
    with tempfile.TemporaryDirectory() as place:
        begun = time.perf_counter()
        more = ["--report.baseline", "false"]
        metrics = Ours(None, [*options, *more], str(Path(place, "model")), seed).run()
        seconds = time.perf_counter() - begun
    test = metrics["test"]
    values = (test["accuracy"], test["f1_macro"], metrics["validation"]["accuracy"], seconds)
    return {**report.origin(), **dict(zip(FIGURES, values, strict=True))}


def of_search(found: dict) -> dict:
    """Return the table of a search and of the values that it chose."""
    trials = found["trials"]
    default, chosen = (next(each for each in trials if each["trial"] == n) for n in (0, found["chosen"]))
    finished = sum(each["result"] == "finished" for each in trials)
    rows = [
        ["trials", f"{len(trials)}, {finished} of them finished"],
        ["minutes, saving and report included", f"{found['wall minutes']:.1f}"],
        ["validation accuracy and loss of the preset", f"{100 * default['accuracy']:.2f}, {default['loss']:.4f}"],
        ["validation accuracy and loss of the choice", f"{100 * chosen['accuracy']:.2f}, {chosen['loss']:.4f}"],
        ["chosen values", ", ".join(f"`{key}` {value}" for key, value in found["values"].items()) or "the preset's"],
    ]
    return report.table("search", ["", ""], rows)


def main() -> None:
    options = report.parser(__doc__, rounds=1)
    options.add_argument("--minutes", type=float, default=10)
    options.add_argument("--seeds", nargs="+", type=int, default=[42, 43, 44])
    options.add_argument("--remark", help="what these runs have in common, such as 'timed beside other work'")
    arguments = options.parse_args()
    folder, remark = Path(arguments.data, "trec"), {"remark": arguments.remark} if arguments.remark else {}
    runs: dict = {}
    with tempfile.TemporaryDirectory() as place:
        saved = Path(place, "tuned")
        found = search(folder, arguments.minutes, saved)
        contenders = {
            FOUND: ["--config", str(saved / "run.yaml")],
            "configs/trec.yaml": ["--config", str(report.ROOT / "configs" / "trec.yaml"), *options_of(folder)],
        }
        if found["values"]:
            contenders["hf_rnn, default preset"] = options_of(folder)
        for seed in arguments.seeds:
            for name, of_contender in contenders.items():
                runs.setdefault(name, {})[str(seed)] = trained(of_contender, seed) | remark
                print(*report.row_of_runs(name, runs[name], FIGURES), sep=" | ", flush=True)
    tables = [*report.tables_of_runs({folder.name: runs}, FIGURES, list(contenders)), of_search(found)]
    report.save("tune", "Search of settings", tables, NOTES, command=COMMAND)


if __name__ == "__main__":
    main()
