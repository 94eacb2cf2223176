"""Measure how the cost of a training step grows with each size, and which part does not depend on the batch.

python benchmarks/growth.py [--rounds 7]
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import report
import torch
from prediction import reviews, write_model

from hf_rnn import RNNConfig, RNNForSequenceClassification
from hf_rnn.utils.machine import keep_freed_memory

BASE = {"T": 256, "B": 32, "H": 128, "L": 2, "V": 20000}
GROWTH = {
    "T": (16, 32, 64, 128, 256, 512, 1024),
    "B": (1, 2, 4, 8, 16, 32, 64, 128),
    "H": (32, 64, 128, 256, 512),
    "L": (1, 2, 3, 4),
    "V": (1000, 5000, 20000, 80000, 320000),
}
LETTERS = {"T": "tokens a row", "B": "rows a batch", "H": "hidden size", "L": "layers", "V": "vocabulary"}


class Step:
    """Training step of a model with E=128 and one direction; its parts can be timed separately."""

    def __init__(self, T: int, B: int, H: int, L: int, V: int):
        torch.manual_seed(0)
        config = RNNConfig(vocab_size=V, embedding_size=128, hidden_size=H, num_hidden_layers=L, pooling="last")
        self.model = RNNForSequenceClassification(config)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, fused=True)
        ids = torch.randint(1, V, (B, T))
        self.batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": torch.randint(0, 2, (B,))}

    def gradients(self) -> None:
        """Run forward and backward."""
        self.optimizer.zero_grad()
        self.model(**self.batch).loss.backward()

    def update(self) -> None:
        """Clip the gradients and run the optimizer step."""
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()

    def __call__(self) -> None:
        self.gradients()
        self.update()


def rounds_of(functions: dict, rounds: int) -> dict:
    """Return the milliseconds of each function in each round; the functions take turns."""
    times: dict = {name: [] for name in functions}
    for number in range(rounds + 2):
        for name, function in functions.items():
            begun = time.perf_counter()
            function()
            if number >= 2:
                times[name].append((time.perf_counter() - begun) * 1e3)
    return times


def medians(functions: dict, rounds: int) -> dict:
    """Return the median milliseconds of each function."""
    return {name: statistics.median(values) for name, values in rounds_of(functions, rounds).items()}


def rows_predicted(data: Path) -> dict:
    """Return the median milliseconds from raw text to labels, by the number of reviews."""
    from hf_rnn import Predictor

    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), data)
        predictor = Predictor.from_pretrained(folder)
    texts = reviews(str(data), 8000)
    return medians({n: lambda n=n: predictor(texts[:n]) for n in (250, 500, 1000, 2000, 4000, 8000)}, 3)


def main() -> None:
    arguments = report.parser(__doc__, rounds=7).parse_args()
    keep_freed_memory()
    tables, panels = [], []
    for letter, values in GROWTH.items():
        times = medians({value: Step(**{**BASE, letter: value}) for value in values}, arguments.rounds)
        first = next(iter(times.values()))
        rows = [[f"{value:,}", f"{ms:.1f}", f"{ms / first:.1f}"] for value, ms in times.items()]
        others = ", ".join(f"{name}={value}" for name, value in BASE.items() if name != letter)
        tables.append(
            report.table(f"{LETTERS[letter]} ({others})", [letter, "ms a step", "ratio to the first row"], rows)
        )
        series = {"step": [list(times), list(times.values())]}
        panels.append({"title": LETTERS[letter], "x": letter, "y": "ms a step", "series": series})
        print(letter, {value: round(ms, 1) for value, ms in times.items()}, flush=True)
    rows = []
    for V in GROWTH["V"]:
        step, least = Step(**{**BASE, "V": V}), Step(**{**BASE, "V": V, "T": 1, "B": 1})
        parts: dict[str, Callable] = {"whole": step, "update": step.update, "least": least}
        ms = medians(parts, arguments.rounds)
        rows.append([f"{V:,}", *(f"{ms[name]:.1f}" for name in parts), f"{ms['least'] / ms['whole']:.0%}"])
    columns = ["V", "whole step, ms", "clipping and optimizer, ms", "step of one token, ms", "share of the whole"]
    note = "The step of one token has only this cost: Python, the gradient of the embedding and the optimizer."
    tables.append(report.table("Cost that does not depend on the batch", columns, rows, note))
    times = rows_predicted(arguments.data)
    rows = [[f"{count:,}", f"{ms / 1e3:.2f}", f"{count / ms * 1e3:,.0f}"] for count, ms in times.items()]
    tables.append(report.table("Predicted rows, IMDB", ["rows", "seconds", "rows a second"], rows))
    series = {"rows": [list(times), [ms / 1e3 for ms in times.values()]]}
    panels.append({"title": "rows that are predicted", "x": "rows", "y": "seconds", "series": series})
    notes = (
        "A step is forward, backward, clipping and fused AdamW, with E=128, one direction and fp32. The cost of "
        "training is proportional to the cost of its steps."
    )
    report.save("growth", "Growth of the cost of a training step", tables, notes, {"panels": panels})


if __name__ == "__main__":
    main()
