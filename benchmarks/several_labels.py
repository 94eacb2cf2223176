"""Measure fitted thresholds of classifiers with several labels per text, most of which are rare.

python benchmarks/several_labels.py --data FOLDER [--seeds 42 43 44] [--sets trec imdb]
"""

import random
import re
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import report
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

import hf_rnn
from hf_rnn.inference.evaluation import evaluate
from hf_rnn.tasks.metrics import average_precision, multi_label
from hf_rnn.training.calibration import fit_thresholds

ADJECTIVES = (
    "funny sad boring great terrible beautiful scary romantic stupid brilliant annoying touching strange exciting "
    "disappointing interesting awful amazing cute dark silly wonderful dull hilarious cheap powerful pathetic charming"
).split()
LINEAR = "TF-IDF + LR"
FIGURES = ["macro F1", "micro F1", "mean average precision"]
NOTES = f"""In “question types”, a question of TREC has its coarse and its fine type as labels: 56 labels, of which the
rarest have four rows. Eight of them have no test row: they count as 0 in macro F1, and not at all in the mean average
precision. In “removed adjectives”, a sentence of IMDB's training reviews has the adjectives as labels
that were removed from it: {len(ADJECTIVES)} labels. A tenth of the training rows is for validation, and of the
sentences another tenth for test. `default` is `hf-rnn train` with only the data named: its thresholds are fitted on the
validation rows. “cut at 0.5” is the same model without them. {LINEAR} is one logistic regression per label on TF-IDF of
words and word pairs; its thresholds are fitted on the same validation rows by the same function."""
COMMAND = "make bench-several-labels DATA=… SEEDS=…"


def question_types(data: Path, seed: int) -> dict[str, list[dict]]:
    """Return the questions of TREC, with both of their types as labels."""
    rows = {
        split: [
            {"text": row["text"], "labels": [row["fine"].split(":")[0], row["fine"]]}
            for row in parquet.read_table(data / "trec" / f"{split}.parquet").to_pylist()
        ]
        for split in ("train", "test")
    }
    random.Random(seed).shuffle(rows["train"])
    tenth = len(rows["train"]) // 10
    return {"train": rows["train"][tenth:], "validation": rows["train"][:tenth], "test": rows["test"]}


def removed_adjectives(data: Path, seed: int) -> dict[str, list[dict]]:
    """Return sentences of reviews in which adjectives were replaced by a dash, with the adjectives as labels."""
    rows = []
    for text in parquet.read_table(data / "imdb" / "train.parquet")["text"].to_pylist():
        for sentence in re.split(r"(?<=[.!?])\s+", re.sub(r"<br\s*/?>", " ", text)):
            words = re.findall(r"[\w']+|[^\w\s]", sentence.lower())
            labels = [name for name in ADJECTIVES if name in words]
            if labels and 4 <= len(words) <= 35:
                rows.append({"text": " ".join("_" if w in ADJECTIVES else w for w in words), "labels": labels})
    random.Random(seed).shuffle(rows)
    tenth = len(rows) // 10
    return {"test": rows[:tenth], "validation": rows[tenth : 2 * tenth], "train": rows[2 * tenth :]}


SETS = {"trec": ("question types", question_types), "imdb": ("removed adjectives", removed_adjectives)}


def ours(splits: dict[str, list[dict]], seed: int) -> dict[str, dict]:
    """Train the default, and return its figures on the test rows, with and without its thresholds."""
    with tempfile.TemporaryDirectory() as folder:
        training = {"output_dir": f"{folder}/run", "seed": seed}
        fitted = hf_rnn.train({"training": training, "report": {"baseline": False}}, data=splits)["test"]
        predictor = hf_rnn.Predictor.from_pretrained(f"{folder}/run")
        predictor.model.config.thresholds = None
        cut = evaluate(predictor, splits["test"], split=None)
    names = ("f1_macro", "f1_micro", "average_precision")
    return {
        name: dict(zip(FIGURES, (found[each] for each in names), strict=True))
        for name, found in (("hf_rnn, default", fitted), ("hf_rnn, default, cut at 0.5", cut))
    }


def linear(splits: dict[str, list[dict]]) -> dict[str, dict]:
    """Return the figures of linear models on the test rows, with and without fitted thresholds."""
    names = sorted({name for row in splits["train"] for name in row["labels"]})
    truth = {s: np.array([[name in row["labels"] for name in names] for row in rows]) for s, rows in splits.items()}
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\S+")
    model = OneVsRestClassifier(LogisticRegression(C=10, max_iter=1000))
    model.fit(vectorizer.fit_transform(row["text"] for row in splits["train"]), truth["train"].astype(int))
    scores = {
        split: model.predict_proba(vectorizer.transform(row["text"] for row in splits[split]))
        for split in ("validation", "test")
    }
    found, test = {}, truth["test"].astype(int)
    thresholds = fit_thresholds(scores["validation"], truth["validation"].astype(int))
    precision = average_precision(scores["test"], test)
    for name, least in ((LINEAR, thresholds), (f"{LINEAR}, cut at 0.5", 0.5)):
        measured = multi_label((scores["test"] > least).astype(int), test, names)
        found[name] = dict(zip(FIGURES, (measured["f1_macro"], measured["f1_micro"], precision), strict=True))
    return found


def main() -> None:
    options = report.parser(__doc__, rounds=1)
    options.add_argument("--seeds", nargs="+", type=int, default=[42, 43, 44])
    options.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    arguments = options.parse_args()
    runs = report.runs_of("several_labels")
    for name in arguments.sets:
        title, rows_of = SETS[name]
        of_set = runs.setdefault(title, {})
        for seed in arguments.seeds:
            splits = rows_of(arguments.data, seed)
            for contender, figures in {**linear(splits), **ours(splits, seed)}.items():
                of_set.setdefault(contender, {})[str(seed)] = {**report.origin(), **figures}
                print(*report.row_of_runs(contender, of_set[contender], FIGURES), sep=" | ", flush=True)
            report.keep_runs("several_labels", runs)
    order = ["hf_rnn, default", "hf_rnn, default, cut at 0.5", LINEAR, f"{LINEAR}, cut at 0.5"]
    tables = report.tables_of_runs(runs, FIGURES, order)
    report.save("several_labels", "Several labels per text", tables, NOTES, command=COMMAND)


if __name__ == "__main__":
    main()
