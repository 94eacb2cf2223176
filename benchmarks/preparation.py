"""Question 8: how fast is text prepared?

python benchmarks/preparation.py [--rows 75000] [--data ../shared/data]
"""

import time

import pyarrow.parquet as pq
import report
from datasets import Dataset, disable_progress_bars

from hf_rnn import DataArguments, TextClassification, train_tokenizer
from hf_rnn.inference.predictor import TEXTS_AT_ONCE
from hf_rnn.text.tokenization import KINDS, token_ids


def timed(function):
    """The result, seconds, and cores that were busy on average."""
    wall, processor = time.perf_counter(), time.process_time()
    result = function()
    seconds = time.perf_counter() - wall
    return result, seconds, (time.process_time() - processor) / seconds


def of_kind(kind: str, corpus: list[str], texts: list[str]) -> list[list[str]]:
    """The table's rows of one kind of tokenizer."""
    tokenizer, seconds, cores = timed(lambda: train_tokenizer(corpus, kind, 30000, show_progress=False))
    # Right before fast: the ids alone are those of the tokenizer itself.
    assert token_ids(tokenizer, texts[:200]) == tokenizer(texts[:200])["input_ids"]
    task = TextClassification(DataArguments())
    ways = {
        "tokenize, in the windows of prediction": lambda: [
            token_ids(tokenizer, texts[start : start + TEXTS_AT_ONCE]) for start in range(0, len(texts), TEXTS_AT_ONCE)
        ],
        "tokenize, as a data set for training": lambda: task.encode(Dataset.from_dict({"text": texts}), tokenizer),
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
        columns = ["kind", "what", "seconds", "rows a second", "cores used"]
        tables = [report.table("Whole IMDB reviews, 1,300 characters each on average; each once", columns, rows)]
        report.save("preparation", "How fast text is prepared", tables)


if __name__ == "__main__":
    main()
