"""Measure the memory and time of texts that are ten or a hundred times as long.

python benchmarks/long_text.py [--data ../shared/data]
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import report
import torch

from hf_rnn import (
    DataArguments,
    Predictor,
    RNNConfig,
    RNNForSequenceClassification,
    TextClassification,
    train_tokenizer,
)

# Sizes and dropout of configs/imdb.yaml.
SIZES = {"vocab_size": 10_000, "embedding_size": 256, "hidden_size": 128, "pooling": "concat"}
DROPOUT = {"embedding_dropout": 0.2, "input_dropout": 0.4, "classifier_dropout": 0.5}
DIRECTIONS = {"one direction": {}, "both directions": {"bidirectional": True}}
WINDOW = 1024


def peak() -> float:
    """Return the peak memory of this process in MB."""
    # `ru_maxrss` would include the memory that the parent process held when it started this one.
    (kib,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kib) * 1024 / 1e6


def predict(directions: str, tokens: int) -> dict:
    """Predict one text with an untrained model; return seconds and peak memory."""
    words = [f"w{i}" for i in range(9000)]
    tokenizer = train_tokenizer(words, "word", vocab_size=10_000, min_frequency=1, show_progress=False)
    config = RNNConfig(**SIZES, **DIRECTIONS[directions])
    task = TextClassification(DataArguments(), config)
    predictor = Predictor(RNNForSequenceClassification(config).eval(), tokenizer, task)
    text = " ".join(words[i % 9000] for i in range(tokens))
    start = time.perf_counter()
    predictor([text])
    return {"seconds": time.perf_counter() - start, "peak": peak()}


def train(directions: str, tokens: int, **options) -> dict:
    """Train one step on one text; return seconds and peak memory."""
    torch.manual_seed(0)
    model = RNNForSequenceClassification(RNNConfig(**SIZES, **DROPOUT, **DIRECTIONS[directions], **options)).train()
    optimizer = torch.optim.AdamW(model.parameters())
    ids, labels = torch.randint(1, 10_000, (1, tokens)), torch.tensor([1])
    start = time.perf_counter()
    model(ids, labels=labels).loss.backward()
    optimizer.step()
    return {"seconds": time.perf_counter() - start, "peak": peak()}


def differ(directions: str, tokens: int) -> dict:
    """Return the relative difference between windowed and full gradients, in float64 and with dropout."""
    gradients = []
    for window in (0, WINDOW):
        torch.manual_seed(0)
        config = RNNConfig(**SIZES, **DROPOUT, **DIRECTIONS[directions], backprop_window=window)
        model = RNNForSequenceClassification(config).double().train()
        ids = torch.randint(1, 10_000, (1, tokens))
        model(ids, labels=torch.tensor([1])).loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    whole, read = gradients
    return {"difference": float((read - whole).norm() / whole.norm())}


def alone(question: str, *arguments, **options) -> dict:
    """Return the result of a function of this module that runs in its own process."""
    call = json.dumps([question, arguments, options])
    run = subprocess.run([sys.executable, __file__, call], capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def main() -> None:
    report.parser(__doc__, rounds=1, needs_data=False).parse_args()
    tables = []
    rows = []
    for directions in DIRECTIONS:
        short, long = (alone("predict", directions, tokens) for tokens in (10_000, 1_000_000))
        figures = [f"{each['peak']:.0f} MB, {each['seconds']:.1f} s" for each in (short, long)]
        rows.append([directions, *figures, f"{long['peak'] / short['peak']:.2f}"])
    columns = ["model", "10,000 tokens", "1,000,000 tokens", "memory ratio"]
    tables.append(report.table("Predicting one text", columns, rows))
    rows = []
    for directions in DIRECTIONS:
        for name, options in (
            ("all at once", {}),
            (f"backprop_window={WINDOW}", {"backprop_window": WINDOW}),
            ("the same, truncated", {"backprop_window": WINDOW, "truncate_backprop": True}),
        ):
            figures = [alone("train", directions, tokens, **options) for tokens in (10_000, 100_000)]
            rows.append([directions, name, *(f"{each['peak']:.0f} MB, {each['seconds']:.1f} s" for each in figures)])
    columns = ["model", "gradients", "10,000 tokens", "100,000 tokens"]
    tables.append(report.table("One training step on one text", columns, rows))
    rows = [
        [directions, *(f"{alone('differ', directions, tokens)['difference']:.1e}" for tokens in (3000, 10_000, 30_000))]
        for directions in DIRECTIONS
    ]
    columns = ["model", "3,000 tokens", "10,000 tokens", "30,000 tokens"]
    title = "Relative difference between windowed and full gradients, in float64"
    tables.append(report.table(title, columns, rows))
    report.save("long_text", "Memory for long texts", tables, NOTES)


NOTES = """The model has the sizes and the dropout of configs/imdb.yaml, and untrained weights. Each figure is the
peak memory of a separate process, including torch and all other libraries. With `backprop_window`, the forward pass
keeps only the states between windows, and the backward pass computes each window again. A bidirectional model needs
one more pass over the text."""


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].startswith("["):
        question, arguments, options = json.loads(sys.argv[1])
        print(json.dumps({"predict": predict, "train": train, "differ": differ}[question](*arguments, **options)))
    else:
        main()
