"""Trains the committed configurations on real data and writes docs/results.md: `make results`.

A configuration whose folder under runs/ holds a run that ended is not trained again; delete the folder for that.
"""

import argparse
import json
import sys
from pathlib import Path

import hf_rnn

ROOT = Path(__file__).parents[1]
# Configuration → folder of its data set under --data.
RESULTS = {"imdb_seed": "imdb", "imdb": "imdb", "sst2": "sst2", "trec": "trec"}


def train(name: str, data: Path) -> dict:
    folder = ROOT / "runs" / name
    if not (folder / "metrics.json").exists():
        config = ROOT / "configs" / f"{name}.yaml"
        places = ["--data.path", str(data / RESULTS[name]), "--training.output_dir", str(folder)]
        hf_rnn.train(["--config", str(config), *places, "--training.overwrite", "true"])
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def table(results: dict[str, dict], notes: list[str]) -> str:
    lines = [
        "# Results",
        "",
        "Each row is one run of the committed configuration with its committed seed, on a CPU. The epoch was chosen on",
        "validation rows, which were set aside from the training rows where the data set has no validation split; the",
        "test rows were read when training had ended. `DATA` is a folder with a folder of Parquet files per data set;",
        "without the override, data come from the Hub. `make results` runs all of it and writes this page.",
        "",
        "| command | test accuracy | macro F1 | validation accuracy | epochs | minutes | parameters |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, metrics in results.items():
        run, test, validation = metrics["run"], metrics["test"], metrics["validation"]
        lines.append(
            f"| `hf-rnn train --config configs/{name}.yaml --data.path DATA/{RESULTS[name]}` "
            f"| {test['accuracy']:.2%} | {test['f1_macro']:.2%} | {validation['accuracy']:.2%} | {run['epochs']:g} "
            f"| {run['train_seconds'] / 60:.1f} | {run['parameters']:,} |"
        )
    lines += ["", "## Where and when", ""]
    for name, metrics in results.items():
        run = metrics["run"]
        stated = ", ".join(f"{package} {version}" for package, version in run["versions"].items())
        lines.append(f"- `{name}`: {run['date']}, {run['hardware']}; {stated}. {run['train_rows']:,} training rows.")
    lines += [f"- {note}" for note in notes]
    return "\n".join([*lines, ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with one folder of Parquet files per data set")
    parser.add_argument("--only", nargs="*", choices=RESULTS, default=list(RESULTS), help="configurations to train")
    parser.add_argument("--note", action="append", default=[], help="a sentence under the table")
    arguments = parser.parse_args()
    for name in arguments.only:
        train(name, arguments.data)
    ended = {name: ROOT / "runs" / name / "metrics.json" for name in RESULTS}
    results = {name: json.loads(file.read_text(encoding="utf-8")) for name, file in ended.items() if file.exists()}
    text = table(results, arguments.note)
    print(text)
    (ROOT / "docs" / "results.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
