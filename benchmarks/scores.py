"""Measure rare classes, with and without class weights.

python benchmarks/scores.py --data FOLDER [--rounds 5]
"""

import random
import tempfile
from pathlib import Path

import numpy as np
import report

import hf_rnn
from hf_rnn.text.made_up_messages import made_up_messages

# Training rows of a skewed set, and those of its rare class.
ROWS, RARE, TEST_ROWS = 2000, 20, 4000
WAYS: dict[str, dict] = {
    "no class weights": {"class_weights": None, "metric_for_best_model": "accuracy"},
    "default": {},
}
NOTES = """Precision and recall are those of the rare class: mean and range over the seeds. Skewed sets have 2,000
training rows, 20 of them of the rare class, and test rows with the same share. In “reports of danger”, the rare class
consists of messages about smoke, shocks and injuries among made-up messages to a shop. In “abbreviations”, it consists
of TREC's questions about abbreviations. `default` is `hf-rnn train` with only the data named: it sets balanced class
weights because of the skew."""
COMMAND = "make bench-scores DATA=…"
COLUMNS = ["precision", "recall", "macro F1", "macro F1 of TF-IDF + LR"]

EVENTS = ["smoke came out of the {thing}", "the {thing} caught fire", "I got a shock from the {thing}"]
EVENTS += ["the plug of the {thing} melted", "the {thing} burnt my hand", "there are sparks inside the {thing}"]
FRAMES = [
    "{event} yesterday",
    "please help, {event}",
    "{event} and my child was in the room",
    "I must report that {event}",
]
FRAMES += ["{event}, so I unplugged it", "the parcel came in time, but {event}", "I do not want a refund, but {event}"]
THINGS = "kettle lamp toaster chair camera radio blender clock heater keyboard mixer watch".split()


def of_danger(seed: int) -> dict[str, list[dict]]:
    """Return training and test rows of made-up messages, of which one in a hundred reports a danger."""
    draw = random.Random(seed)
    messages = list(dict.fromkeys(made_up_messages(ROWS + TEST_ROWS, seed)["text"]))
    reports: dict[str, None] = {}
    while len(reports) < RARE + TEST_ROWS // 100:
        event = draw.choice(EVENTS).format(thing=draw.choice(THINGS))
        reports[draw.choice(FRAMES).format(event=event)] = None
    return _skewed(list(reports), messages, "danger", draw)


def of_abbreviations(folder: Path, seed: int) -> dict[str, list[dict]]:
    """Return training and test rows of TREC, of which one in a hundred asks for an abbreviation."""
    from datasets import load_dataset

    draw = random.Random(seed)
    files = {"train": str(folder / "*.parquet")}
    rows = load_dataset("parquet", data_files=files, split="train")
    rare = [row["text"] for row in rows if row["fine"].startswith("ABBR")]
    others = [row["text"] for row in rows if not row["fine"].startswith("ABBR")]
    for texts in (rare, others):
        draw.shuffle(texts)
    # Fewer other questions than needed remain for all rare ones.
    return _skewed(rare[: RARE + (len(others) - ROWS) // 99], others, "abbreviation", draw)


def _skewed(rare: list[str], others: list[str], name: str, draw: random.Random) -> dict[str, list[dict]]:
    common, tested = ROWS - RARE, len(rare) - RARE
    parts = {"train": (rare[:RARE], others[:common]), "test": (rare[RARE:], others[common : common + 99 * tested])}
    splits = {}
    for split, texts in parts.items():
        rows = [{"text": t, "label": label} for label, some in zip((name, "other"), texts, strict=True) for t in some]
        draw.shuffle(rows)
        splits[split] = rows
    return splits


def skew_row(way: str, name: str, splits: list[dict[str, list[dict]]]) -> list:
    """Return the row of a way to train: the mean and the range over the seeds."""
    found: dict[str, list[float]] = {column: [] for column in COLUMNS}
    for seed, rows in enumerate(splits):
        with tempfile.TemporaryDirectory() as folder:
            training = {"output_dir": f"{folder}/run", "seed": seed, **WAYS[way]}
            metrics = hf_rnn.train({"training": training}, data=rows)
        test, baseline = metrics["test"], metrics["report"]["scores"]["test"]["baseline"]
        found["precision"].append(test[f"precision/{name}"])
        found["recall"].append(test[f"recall/{name}"])
        found["macro F1"].append(test["f1_macro"])
        found["macro F1 of TF-IDF + LR"].append(baseline["f1_macro"])
    return [way, *map(_spread, found.values())]


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.1%} ({min(values):.1%} to {max(values):.1%})"


def main() -> None:
    options = report.parser(__doc__, rounds=5).parse_args()
    seeds = range(options.rounds)
    danger = [of_danger(seed) for seed in seeds]
    abbreviations = [of_abbreviations(options.data / "trec", seed) for seed in seeds]
    tables = [
        report.table(f"Rare class: {title}", ["", *COLUMNS], [skew_row(way, name, splits) for way in WAYS])
        for title, name, splits in (
            ("reports of danger", "danger", danger),
            ("abbreviations", "abbreviation", abbreviations),
        )
    ]
    report.save("scores", "Rare classes", tables, NOTES, command=COMMAND)


if __name__ == "__main__":
    main()
