"""Measure how fast and in how much memory a CSV file is read.

python benchmarks/reading.py [--rows 1000000]
"""

import random
import re
import tempfile
import time
from pathlib import Path

import report
from compare import Contender, compare

WORDS = "the film was good bad soup warm lamp chair said that it is really not what one would expect but fine".split()
# Approximate number of characters in a row.
LENGTH = 150


def write(file: Path, rows: int, quoted: bool) -> None:
    """Write a CSV file with id, text and label in rows of some 150 characters; quoted texts contain commas."""
    draw = random.Random(0)
    with file.open("w", encoding="utf-8") as lines:
        lines.write("id,text,label\n")
        for number in range(rows):
            words: list[str] = []
            while sum(map(len, words)) + len(words) < LENGTH - 12:
                words.append(draw.choice(WORDS))
            text = f'"{words[0]}, {" ".join(words[1:])}"' if quoted else " ".join(words)
            lines.write(f"{number},{text},{number % 2}\n")


def arrow(path: str):
    """Time pyarrow, which infers the types of columns."""
    from pyarrow import csv

    yield from _timed(lambda: csv.read_csv(path)["text"])


def hf_rnn(path: str):
    """Time our reader, from the path to a data set."""
    from hf_rnn.text.arguments import DataArguments
    from hf_rnn.text.loading import load

    yield from _timed(lambda: load(DataArguments(path=path))["train"]["text"])


def pandas(path: str):
    """Time pandas, which reads all columns as strings."""
    import pandas as pd

    yield from _timed(lambda: pd.read_csv(path, dtype=str, keep_default_na=False)["text"])


def _timed(read):
    """Yield the number of characters in the first 1,000 texts, then the seconds of each call."""
    yield sum(map(len, map(str, read()[:1000])))
    while True:
        start = time.perf_counter()
        read()
        yield time.perf_counter() - start


def memory(path: str, reader: str):
    """Measure the peak memory of a process in MiB, above its peak after the imports of the libraries."""
    from datasets import Dataset  # noqa: F401  counts as one of the libraries
    from pyarrow import csv

    from hf_rnn.text.arguments import DataArguments
    from hf_rnn.text.loading import load

    load(DataArguments())
    yield 0.0
    before = _peak()
    rows = load(DataArguments(path=path)) if reader == "hf_rnn" else csv.read_csv(path)
    yield _peak() - before
    del rows


def _peak() -> float:
    """Return the peak memory of this process in MiB."""
    (kib,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kib) / 1024


def main() -> None:
    options = report.parser(__doc__, rounds=9, needs_data=False)
    options.add_argument("--rows", type=int, default=1_000_000)
    arguments = options.parse_args()
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        for name, quoted in (("texts without quotes", False), ("quoted texts, with commas", True)):
            path = str(Path(folder, f"{quoted}.csv"))
            write(Path(path), arguments.rows, quoted)
            title = f"{arguments.rows:,} rows of {LENGTH} characters, {name}"
            contenders = [
                Contender(reader, f"reading:{function}", {"path": path})
                for reader, function in (
                    ("pyarrow.csv.read_csv", "arrow"),
                    ("hf_rnn", "hf_rnn"),
                    ("pandas.read_csv, as strings", "pandas"),
                )
            ]
            seconds = compare(contenders, arguments.rounds)
            tables.append(report.comparison(title, seconds, "seconds", "hf_rnn"))
            readers = [
                Contender(reader, "reading:memory", {"path": path, "reader": reader})
                for reader in ("pyarrow.csv.read_csv", "hf_rnn")
            ]
            held = compare(readers, rounds=1, warm_up=0)
            rows = [[reader, report.figure(values[0])] for reader, values in held.items()]
            tables.append(report.table(f"{title}: memory", ["reader", "MiB above the imported libraries"], rows))
    notes = (
        "Times run from a path to a table in memory. `pyarrow.csv.read_csv` infers types, silently drops quotes in the "
        "middle of fields, and does not detect encoding, delimiter or header. hf_rnn detects these first, and checks "
        "every quote."
    )
    report.save("reading", "Speed of reading CSV files", tables, notes)


if __name__ == "__main__":
    main()
