"""Measure how fast tokenizers are trained and texts are tokenized.

python benchmarks/preparation.py [--rows 75000] [--data ../shared/data]
"""

import time

import pyarrow.parquet as pq
import report
from datasets import Dataset, disable_progress_bars

from hf_rnn import DataArguments, TextClassification, train_tokenizer
from hf_rnn.runtime.batching import TEXTS_AT_ONCE
from hf_rnn.text.tokenization import KINDS, token_ids


def timed(function):
    """Return the result of a call, its seconds, and the average number of busy cores."""
    wall, processor = time.perf_counter(), time.process_time()
    result = function()
    seconds = time.perf_counter() - wall
    return result, seconds, (time.process_time() - processor) / seconds


def of_kind(kind: str, corpus: list[str], texts: list[str]) -> list[list[str]]:
    """Return the table rows of one kind of tokenizer."""
    tokenizer, seconds, cores = timed(lambda: train_tokenizer(corpus, kind, 30000, show_progress=False))
    # Check before timing that the fast path gives the ids of the tokenizer itself.
    assert token_ids(tokenizer, texts[:200]) == tokenizer(texts[:200])["input_ids"]
    task = TextClassification(DataArguments())
    ways = {
        "tokenize in chunks, as for prediction": lambda: [
            token_ids(tokenizer, texts[start : start + TEXTS_AT_ONCE]) for start in range(0, len(texts), TEXTS_AT_ONCE)
        ],
        "tokenize a data set, as for training": lambda: task.encode(Dataset.from_dict({"text": texts}), tokenizer),
        "tokenizer(texts) of transformers": lambda: tokenizer(texts),
    }
    measured = [(f"train on {len(corpus):,}", len(corpus), seconds, cores)]
    for name, way in ways.items():
        measured.append((f"{name}, {len(texts):,}", len(texts), *timed(way)[1:]))
    return [
        [kind, name, f"{seconds:.1f}", f"{rows / seconds:,.0f}", f"{cores:.1f}"]
        for name, rows, seconds, cores in measured
    ]


def main() -> None:
    parser = report.parser(__doc__, rounds=1)
    parser.add_argument("--rows", type=int, default=75000)
    parser.add_argument("--kinds", nargs="+", default=[kind for kind in KINDS if kind != "char"])
    arguments = parser.parse_args()
    disable_progress_bars()
    files = sorted((arguments.data / "imdb").glob("*.parquet"))
    texts = [text for file in files for text in pq.read_table(file)["text"].to_pylist()]
    rows: list[list[str]] = []
    for kind in arguments.kinds:
        rows += of_kind(kind, texts[-arguments.rows :], texts)
        for row in rows[-4:]:
            print(" · ".join(row), flush=True)
        columns = ["tokenizer", "operation", "seconds", "rows a second", "cores used"]
        tables = [report.table("Full IMDB reviews of 1,300 characters on average, one pass", columns, rows)]
        report.save("preparation", "Speed of tokenization", tables)


if __name__ == "__main__":
    main()
