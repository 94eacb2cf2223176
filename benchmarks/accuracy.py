"""Compare text classifiers: accuracy, training time, size and speed.

python benchmarks/accuracy.py [FOLDER ...] [--contenders NAME ...] [--seeds 0 1 2] [--vectors FILE] [--remark TEXT]

A FOLDER holds a data set, as `hf-rnn train --data.path FOLDER` reads it. The default is the folders imdb, sst2, trec
and waimai in --data. Each contender runs in its own process. A run reads the test split once. Each run is kept in
docs/benchmarks/accuracy_runs.json, and counts until it is repeated.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import report
from peers import OURS, PEERS, Ours

SETS = ("imdb", "sst2", "trec", "waimai")
# These data sets have several candidate columns or splits, so options name the right ones.
NEEDED = {
    "sst2": ["--data.train_split", "[train_phrases, train]"],
    "trec": ["--data.label_column", "label"],
}
NOTES = """The figures come from the test split, which was used for no choice. There is one run per seed. Accuracy and
macro F1 are means (with their range); all other figures are medians. Contenders that choose no settings are fitted to
the training and validation splits. fastText tunes itself on the validation split for as long as `hf_rnn` trains, or for
one minute without a run of `hf_rnn`. `hf_rnn` is `hf-rnn train` with only the data named. Its training time includes
everything that the command does, such as the report with its baseline. Texts per second, milliseconds for a short text
and memory are measured while answering on one core. The time to the first answer counts from the start of a process.
Missing rows have not been measured yet."""
COMMAND = "make bench-accuracy SETS=… CONTENDERS=… SEEDS=… VECTORS=… REMARK=…"
# Maximum number of texts for the measurement of speed.
TIMED = 500
FIGURES = [
    "test accuracy",
    "macro F1",
    "training s",
    "parameters",
    "MB",
    "texts/s",
    "ms a text",
    "memory MB",
    "s to first answer",
]
CONTENDERS = [*OURS, *PEERS]
WITH_VECTORS = ("hf_rnn, best, with vectors",)
# These do not depend on the seed, so one run is enough.
WITHOUT_SEED = ("TF-IDF + LR", "TF-IDF + LR, tuned", "NB-SVM")


def options_of(folder: Path) -> list[str]:
    """Return the command line options that name a data set and its columns and splits."""
    return ["--data.path", str(folder), *NEEDED.get(folder.name, [])]


def splits_of(folder: Path) -> dict[str, tuple[list[str], np.ndarray]]:
    """Return texts and class indices of the splits that `hf-rnn train` would use."""
    from hf_rnn.tasks import task_class
    from hf_rnn.text.loading import load
    from hf_rnn.training.run_config import parse_run

    run, _ = parse_run(options_of(folder))
    task = task_class(run.task)(run.data)
    prepared = task.prepare(task.hold_out_test(load(run.data, tagged=task.tagged)))
    return {name: (list(rows["text"]), np.asarray(rows["labels"])) for name, rows in prepared.items()}


def one(name: str, folder: Path, seed: int, seconds: float, saved: Path, vectors: str) -> dict:
    """Return the figures of one contender on one data set."""
    from sklearn.metrics import accuracy_score, f1_score

    splits = splits_of(folder)
    begun = time.perf_counter()
    if name in OURS:
        options = ["--model.vectors", vectors] if name in WITH_VECTORS else []
        peer = Ours(OURS[name], [*options_of(folder), *options], str(saved), seed)
        parameters = peer.run()["run"]["parameters"]
    else:
        peer = PEERS[name](seed, seconds)
        peer.fit(splits["train"], splits["validation"])
        parameters = peer.parameters()
    trained = time.perf_counter() - begun
    if name not in OURS:
        peer.save(saved)
    texts, labels = splits["test"]
    answers = peer.predict(texts)
    return {
        **report.origin(),
        "test accuracy": accuracy_score(labels, answers),
        "macro F1": f1_score(labels, answers, average="macro"),
        "training s": trained,
        "parameters": parameters,
        "MB": sum(file.stat().st_size for file in saved.rglob("*") if file.is_file() and not _of_training(file)) / 1e6,
        **answering(name, saved, texts),
    }


def _of_training(file: Path) -> bool:
    """Return True for checkpoints and pictures, which answering does not need."""
    return file.suffix == ".png" or any(part.startswith("checkpoint-") for part in file.parts)


def answering(name: str, saved: Path, texts: list[str]) -> dict:
    """Return speed, peak memory and time to the first answer of a saved contender on one core."""
    kind = "Ours" if name in OURS else PEERS[name].__name__
    file = saved.with_suffix(".json")
    file.write_text(json.dumps(texts[:: max(1, len(texts) // TIMED)][:TIMED]), encoding="utf-8")
    begun = time.perf_counter()
    command = [sys.executable, str(Path(__file__).with_name("answering.py")), kind, str(saved), str(file)]
    environment = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **environment})
    found = json.loads(done.stdout.splitlines()[-1])
    found["s to first answer"] = found.pop("first") - begun
    return found


def measured(name: str, folder: Path, seed: int, seconds: float, vectors: str) -> dict:
    """Return the figures of one contender with commit and machine, measured in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        out, saved = Path(place, "figures.json"), Path(place, "model")
        if name not in OURS:
            saved.mkdir()
        job = map(str, (folder, seed, seconds, saved, out, vectors))
        subprocess.run([sys.executable, __file__, "--one", name, *job], check=True, stdout=subprocess.DEVNULL)
        return json.loads(out.read_text(encoding="utf-8"))


def main() -> None:
    options = report.parser(__doc__, rounds=1)
    options.add_argument("folders", nargs="*", type=Path)
    options.add_argument("--contenders", nargs="+", choices=CONTENDERS, help="all by default")
    options.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options.add_argument("--vectors", default="", help="pretrained vectors, for the contender with vectors")
    options.add_argument("--remark", help="what these runs have in common, such as 'timed beside other work'")
    arguments = options.parse_args()
    named = set(WITH_VECTORS) & set(arguments.contenders or [])
    if named and not arguments.vectors:
        options.error(f"{named.pop()!r} begins with pretrained vectors: name their file, --vectors FILE")
    without = () if arguments.vectors else WITH_VECTORS
    contenders = arguments.contenders or [name for name in CONTENDERS if name not in without]
    remark = {"remark": arguments.remark} if arguments.remark else {}
    runs = report.runs_of("accuracy")
    for folder in arguments.folders or [Path(arguments.data, name) for name in SETS]:
        of_set = runs.setdefault(folder.name, {})
        for name in sorted(contenders, key=CONTENDERS.index):
            of_set.setdefault(name, {})
            for seed in [0] if name in WITHOUT_SEED else arguments.seeds:
                figures = measured(name, folder, seed, _tuning_seconds(of_set), arguments.vectors)
                vectors = {"vectors": Path(arguments.vectors).name} if name in WITH_VECTORS else {}
                of_set[name][str(seed)] = figures | vectors | remark
                report.keep_runs("accuracy", runs)
            print(folder.name, *report.row_of_runs(name, of_set[name], FIGURES), sep=" | ", flush=True)
    tables = report.tables_of_runs(runs, FIGURES, CONTENDERS)
    report.save("accuracy", "Accuracy and cost of text classifiers", tables, NOTES, command=COMMAND)


def _tuning_seconds(of_set: dict) -> float:
    """Return the seconds for which fastText tunes itself: the median time of our training, else one minute."""
    ours = [run["training s"] for run in of_set.get("hf_rnn", {}).values()]
    return statistics.median(ours) if ours else 60.0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        name, folder, seed, seconds, saved, out, vectors = sys.argv[2:]
        figures = one(name, Path(folder), int(seed), float(seconds), Path(saved), vectors)
        Path(out).write_text(json.dumps(figures), encoding="utf-8")
    else:
        main()
