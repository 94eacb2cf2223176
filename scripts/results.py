"""Trains the committed configurations on real data and writes docs/results.md: `make results`.

A run whose folder under runs/ has ended is not trained again; delete the folder for that.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import hf_rnn

ROOT = Path(__file__).parents[1]
FIRST_SEED = 42


@dataclass
class Row:
    """A configuration, what is changed of it, and how it is called.

    Args:
        name: of the folder under runs/.
        config: under configs/; the name itself if None.
        changes: options of the command line.
        title: in the ladder.
    """

    name: str
    data: str
    config: str | None = None
    changes: str = ""
    title: str = ""

    def folder(self, seed: int) -> Path:
        return ROOT / "runs" / (self.name if seed == FIRST_SEED else f"{self.name}-{seed}")

    @property
    def command(self) -> str:
        command = f"hf-rnn train --config configs/{self.config or self.name}.yaml --data.path DATA/{self.data}"
        return f"{command} {self.changes}".strip()

    def train(self, data: Path, seed: int) -> None:
        folder = self.folder(seed)
        if not (folder / "metrics.json").exists():
            arguments = self.command.replace("DATA/", f"{data}/").split()[2:]
            arguments += ["--training.output_dir", str(folder), "--training.overwrite", "true"]
            hf_rnn.train([*arguments, "--training.seed", str(seed)])

    def ended(self) -> list[dict]:
        """Metrics of its runs, by seed."""
        folders = [self.folder(FIRST_SEED), *sorted(self.folder(FIRST_SEED).parent.glob(f"{self.name}-[0-9]*"))]
        files = [folder / "metrics.json" for folder in folders]
        return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]


ONE_WAY = "--model.forward_only true"
CLASSIFIERS = [
    Row("imdb_seed", "imdb"),
    Row("imdb", "imdb"),
    Row("sst2", "sst2"),
    Row("trec", "trec"),
    Row("imdb_finetune", "imdb"),
    Row("sst2_finetune", "sst2"),
    Row("trec_finetune", "trec"),
]
LANGUAGE_MODELS = [Row("imdb_lm", "imdb"), Row("wikitext2_lm", "wikitext2")]
LADDER = [
    Row("imdb", "imdb", title="supervised"),
    Row("imdb_one_way", "imdb", "imdb_finetune", ONE_WAY, "+ language model, one direction"),
    Row("imdb_finetune", "imdb", title="+ both directions"),
]
# What is left out of imdb_finetune.
PARTS = [
    Row("imdb_at_once", "imdb", "imdb_finetune", "--training.gradual_unfreezing false", "gradual unfreezing"),
    Row("imdb_one_rate", "imdb", "imdb_finetune", "--training.layer_lr_decay 1", "lower rates of lower layers"),
]
ROWS = {row.name: row for row in [*LANGUAGE_MODELS, *CLASSIFIERS, *LADDER, *PARTS]}
PUBLISHED = {
    "Miyato et al. 2017, adversarial and virtual adversarial training": "94.1 %",
    "Howard and Ruder 2018, ULMFiT, forward and backward": "95.4 %",
    "Sachan et al. 2019, mixed objective": "95.68 %",
}


def spread(values: list[float], form: str) -> str:
    """The mean, and the standard deviation where there are several runs."""
    if len(values) == 1:
        return format(values[0], form)
    return f"{mean(values):{form}} ± {stdev(values):{form}} ({len(values)} runs)"


def of(runs: list[dict], split: str, metric: str, form: str = ".2%") -> str:
    values = [run[split][metric] for run in runs if split in run]
    return spread(values, form) if values else ""


def minutes(runs: list[dict]) -> str:
    return f"{mean(run['run']['train_seconds'] for run in runs) / 60:.1f}"


def table(head: str, rows: list[Row], cells) -> list[str]:
    lines = [head, "|" + "---|" * head.count(" | ") + "---|"]
    for row in rows:
        runs = row.ended()
        if runs:
            lines.append("| " + " | ".join(cells(row, runs)) + " |")
    return [*lines, ""]


def accuracy(row: Row, runs: list[dict]) -> list[str]:
    run = runs[0]["run"]
    return [
        f"`{row.command}`",
        of(runs, "test", "accuracy"),
        of(runs, "test", "f1_macro"),
        of(runs, "validation", "accuracy"),
        f"{run['epochs']:g}",
        minutes(runs),
        f"{run['parameters']:,}",
    ]


def perplexity(row: Row, runs: list[dict]) -> list[str]:
    run = runs[0]["run"]
    per_word = [of(runs, split, "word_perplexity", ".2f") for split in ("test", "validation")]
    return [f"`{row.command}`", *per_word, f"{run['epochs']:g}", minutes(runs), f"{run['parameters']:,}"]


def step(row: Row, runs: list[dict]) -> list[str]:
    first, *rest = accuracy(row, runs)
    return [row.title, first, rest[0], *rest[2:]]


def page(notes: list[str]) -> str:
    columns = "test accuracy | macro F1 | validation accuracy | epochs | minutes | parameters |"
    steps = "command | test accuracy | validation accuracy | epochs | minutes | parameters |"
    lines = [
        "# Results",
        "",
        "Each run is of the committed configuration, on a CPU; where a row is one run, that is with its committed",
        "seed, else with the seeds 42, 43, …. The epoch was chosen on validation rows, which were set aside from the",
        "training rows where the data set has no validation split; the test rows were read when training had ended.",
        "`DATA` is a folder with a folder of Parquet files per data set; without the override, data come from the Hub.",
        "`make results` runs all of it and writes this page.",
        "",
        *table(f"| command | {columns}", CLASSIFIERS, accuracy),
        "The `_finetune` rows begin with the encoder of `imdb_lm`, whose minutes are not among theirs.",
        "",
        "## Language models",
        "",
        "Perplexity is per word as the data set parts it, the end of a document or line counted as one.",
        "",
        *table("| command | test | validation | epochs | minutes | parameters |", LANGUAGE_MODELS, perplexity),
        "## From supervised to language model",
        "",
        *table(f"| IMDB | {steps}", LADDER, step),
        "| published | test accuracy |",
        "|---|---|",
        *[f"| {who} | {figure} |" for who, figure in PUBLISHED.items()],
        "",
        *(table(f"| left out of `imdb_finetune` | {steps}", PARTS, step) if any(row.ended() for row in PARTS) else []),
        "## Where and when",
        "",
    ]
    for name, row in ROWS.items():
        for metrics in row.ended()[:1]:
            run = metrics["run"]
            stated = ", ".join(f"{package} {version}" for package, version in run["versions"].items())
            lines.append(
                f"- `{name}`: {run['date']}, {run['hardware']}; {stated}. {run['train_rows']:,} training rows."
            )
    lines += [f"- {note}" for note in notes]
    return "\n".join([*lines, ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with one folder of Parquet files per data set")
    parser.add_argument("--only", nargs="*", choices=ROWS, default=list(ROWS), help="rows to train")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each row")
    parser.add_argument("--note", action="append", default=[], help="a sentence under the tables")
    arguments = parser.parse_args()
    for name in arguments.only:
        for seed in range(FIRST_SEED, FIRST_SEED + arguments.seeds):
            ROWS[name].train(arguments.data, seed)
    text = page(arguments.note)
    print(text)
    (ROOT / "docs" / "results.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
