"""How much memory do texts take that are a hundred times as long?

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

# Those of configs/imdb.yaml.
SIZES = {"vocab_size": 10_000, "embedding_size": 256, "hidden_size": 128, "pooling": "concat"}
DROPOUT = {"embedding_dropout": 0.2, "input_dropout": 0.4, "classifier_dropout": 0.5}
DIRECTIONS = {"one direction": {}, "both directions": {"bidirectional": True}}
WINDOW = 1024


def peak() -> float:
    """MB that this process has held at most."""
    # `ru_maxrss` would have what the parent held when it made this process.
    (kib,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kib) * 1024 / 1e6


def predict(directions: str, tokens: int) -> dict:
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
    """One step of one text."""
    torch.manual_seed(0)
    model = RNNForSequenceClassification(RNNConfig(**SIZES, **DROPOUT, **DIRECTIONS[directions], **options)).train()
    optimizer = torch.optim.AdamW(model.parameters())
    ids, labels = torch.randint(1, 10_000, (1, tokens)), torch.tensor([1])
    start = time.perf_counter()
    model(ids, labels=labels).loss.backward()
    optimizer.step()
    return {"seconds": time.perf_counter() - start, "peak": peak()}


def differ(directions: str, tokens: int) -> dict:
    """By how much gradients in windows differ from those of the whole, as a share of their norm, dropout included."""
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
    """What a question finds in a process of its own."""
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
    columns = ["model", "10,000 tokens", "1,000,000 tokens", "times the memory"]
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
    tables.append(report.table("Training on one text: one step", columns, rows))
    rows = [
        [directions, *(f"{alone('differ', directions, tokens)['difference']:.1e}" for tokens in (3000, 10_000, 30_000))]
        for directions in DIRECTIONS
    ]
    columns = ["model", "3,000 tokens", "10,000 tokens", "30,000 tokens"]
    title = "Gradients in windows against those of the whole, in float64: norm of the difference, as a share"
    tables.append(report.table(title, columns, rows))
    report.save("long_text", "What memory long texts take", tables, NOTES)


NOTES = """The sizes and the dropout of configs/imdb.yaml, with weights that were not trained. Each figure is the peak
of a process of its own, torch and all else that it loads included. `backprop_window` computes a window again for its
gradients instead of keeping it, and keeps the states between windows alone; both directions need one more sweep."""


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].startswith("["):
        question, arguments, options = json.loads(sys.argv[1])
        print(json.dumps({"predict": predict, "train": train, "differ": differ}[question](*arguments, **options)))
    else:
        main()
