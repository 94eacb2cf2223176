"""Measure prediction from raw text to labels: 25,000 reviews at once, and one short text at a time.

python benchmarks/prediction.py [--reviews 25000] [--rounds 2] [--data ../shared/data]
"""

import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import report
import torch
from compare import Contender, compare
from models import SEED, Problem, keras_model, ours
from torch import nn

CAP = 400
SHORT = "A film that I will not forget: moving, funny and beautifully acted."


def reviews(data: str, count: int) -> list[str]:
    (file,) = Path(data, "imdb").glob("test*.parquet")
    return pq.read_table(file)["text"].to_pylist()[:count]


def openings(data: str) -> list[str]:
    """Return texts that no contender truncates, for the check that the answers agree."""
    return [text[:600] for text in reviews(data, 64)]


def write_model(folder: Path, data: Path) -> None:
    """Write a model folder as `hf-rnn train` does; its weights are untrained, which does not affect the speed."""
    from hf_rnn import train_tokenizer

    config = (report.ROOT / "configs" / "imdb_seed.yaml").read_text(encoding="utf-8")
    (folder / "run.yaml").write_text(config, encoding="utf-8")
    ours(Problem(SEED, "", 0)).save_pretrained(folder)
    texts = reviews(str(data), 5000)
    train_tokenizer(texts, "word", 20000, lowercase=True, strip_html=True, show_progress=False).save_pretrained(folder)


class PackedRecurrence(nn.Module):
    """Replacement of `Recurrence` that computes the same with packed sequences."""

    def __init__(self, recurrence):
        super().__init__()
        self.lstm = nn.LSTM(
            recurrence.input_size,
            recurrence.hidden_size,
            recurrence.num_layers,
            batch_first=True,
            bidirectional=recurrence.bidirectional,
        )
        self.lstm.load_state_dict(recurrence.state_dict())
        self.num_layers = recurrence.num_layers

    def forward(self, inputs, attention_mask, state=None, output_cell_state=True):
        from hf_rnn.models.recurrence import RecurrentState

        lengths = attention_mask.sum(1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        out, (h, c) = self.lstm(packed)
        return nn.utils.rnn.pad_packed_sequence(out, batch_first=True)[:1], RecurrentState(h, c)


def _positive(answers: list[dict]) -> np.ndarray:
    return np.array([a["score"] if a["label"] == "LABEL_1" else 1 - a["score"] for a in answers])


def _times(answer, texts: list[str] | None):
    """Yield the seconds for all texts; without texts, the seconds of each of 300 answers to the short text."""
    while True:
        if texts is not None:
            begun = time.perf_counter()
            answer(texts)
            yield time.perf_counter() - begun
            continue
        seconds = []
        for _ in range(320):
            begun = time.perf_counter()
            answer([SHORT])
            seconds.append(time.perf_counter() - begun)
        yield np.array(seconds[20:])


def predictor(folder: str, data: str, count: int | None, dtype: str = "float32"):
    """Predict with our `Predictor`; the short text if `count` is None."""
    from hf_rnn import Predictor

    loaded = Predictor.from_pretrained(folder, dtype=dtype)
    texts = None if count is None else reviews(data, count)
    yield _positive(loaded(openings(data)))
    yield from _times(loaded, texts)


def pipeline(folder: str, data: str, count: int | None, packed: bool):
    """Predict with transformers' pipeline; `packed` uses packed sequences in the recurrence."""
    from transformers import pipeline

    import hf_rnn  # noqa: F401

    classify = pipeline("text-classification", model=folder)
    if packed:
        classify.model.model.recurrence = PackedRecurrence(classify.model.model.recurrence).eval()

    def answer(texts):
        return classify(texts, batch_size=64, truncation=True, max_length=CAP)

    yield _positive(classify(openings(data), batch_size=64))
    yield from _times(answer, None if count is None else reviews(data, count))


def keras_predict(folder: str, data: str, count: int | None, masked: bool, call: bool = False):
    """Predict with Keras on rows padded to the maximum length, with the same tokenizer and truncation.

    `call` uses `model(x)` instead of `predict`.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from hf_rnn.runtime.tokens import cut
    from hf_rnn.text.tokenization import load_tokenizer, token_ids

    tokenizer = load_tokenizer(folder)
    width = CAP if count is not None else 16
    model = keras_model(Problem(SEED, "", 0), width, masked)

    def answer(texts, width=width):
        ids = np.zeros((len(texts), width), dtype=np.int32)
        for place, row in zip(ids, token_ids(tokenizer, texts), strict=True):
            row = cut(row, width, "head_tail")
            place[: len(row)] = row
        return np.asarray(model(ids)) if call else model.predict(ids, batch_size=128, verbose=0)

    yield answer(openings(data))[:, 1]
    yield from _times(answer, None if count is None else reviews(data, count))


def recurrent_layers(folder: str, data: str, count: None):
    """Time only the kernel calls that the short text needs."""
    from hf_rnn import Predictor
    from hf_rnn.text.tokenization import token_ids

    loaded = Predictor.from_pretrained(folder)
    weights = [loaded.model.model.recurrence.weights(layer)[0] for layer in range(2)]
    T = len(token_ids(loaded.tokenizer, [SHORT])[0])
    x, zero = torch.randn(1, T, 128), torch.zeros(1, 1, 128)

    @torch.inference_mode()
    def run(texts):
        y = x
        for layer in weights:
            y = torch._VF.lstm(y, (zero, zero), layer, True, 1, 0.0, False, False, True)[0]

    yield np.zeros(64)
    yield from _times(run, None)


def main() -> None:
    parser = report.parser(__doc__, rounds=2)
    parser.add_argument("--reviews", type=int, default=25000)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    write_model(folder, arguments.data)

    def contender(name, run, count, checked=True, backend=None, **options):
        environment = {"KERAS_BACKEND": backend} if backend else {}
        options = {"folder": str(folder), "data": str(arguments.data), "count": count, **options}
        return Contender(name, f"prediction:{run}", options, checked, environment)

    try:
        n = arguments.reviews
        print(f"{n} reviews", flush=True)
        bulk = compare(
            [
                contender("hf_rnn", "predictor", n),
                contender("hf_rnn, bf16", "predictor", n, checked=False, dtype="bfloat16"),
                contender("pipeline, the same model", "pipeline", n, packed=False),
                contender("pipeline, packed sequences", "pipeline", n, packed=True),
                contender("keras, jax, masked", "keras_predict", n, backend="jax", masked=True),
                contender("keras, jax", "keras_predict", n, False, "jax", masked=False),
                contender("keras, tensorflow, masked", "keras_predict", n, backend="tensorflow", masked=True),
            ],
            arguments.rounds,
            warm_up=0,
        )
        note = (
            "All contenders have the same weights and tokenizer. The pipeline keeps the first 400 tokens, the others "
            "keep head and tail. Keras without a mask reads the padding too: its answers are wrong, and its time is a "
            "lower bound."
        )
        tables = [report.comparison(f"{n} IMDB reviews, from raw text to labels", bulk, "s", "hf_rnn", note)]
        print("one short text", flush=True)
        one = compare(
            [
                contender("hf_rnn", "predictor", None),
                contender("recurrent layers alone", "recurrent_layers", None, checked=False),
                contender("pipeline, the same model", "pipeline", None, packed=False),
                contender("pipeline, packed sequences", "pipeline", None, packed=True),
                contender("keras, jax, predict", "keras_predict", None, False, "jax", masked=False),
                contender("keras, tensorflow, predict", "keras_predict", None, False, "tensorflow", masked=False),
                contender(
                    "keras, tensorflow, model(x)", "keras_predict", None, False, "tensorflow", masked=False, call=True
                ),
            ],
            5,
        )
        milliseconds = {name: np.concatenate(values) * 1e3 for name, values in one.items()}
        ours_ms = np.median(milliseconds["hf_rnn"])
        rows = [
            [name, f"{np.median(v):.3g}", f"{np.percentile(v, 99):.3g}", f"{np.median(v) / ours_ms:.2f}"]
            for name, v in milliseconds.items()
        ]
        beside = ours_ms - np.median(milliseconds["recurrent layers alone"])
        note = f"Everything in hf_rnn except the recurrent layers takes {beside:.2f} ms."
        columns = ["contender", "median ms", "99th percentile", "ratio to hf_rnn"]
        tables.append(report.table(f"One short text ({SHORT!r})", columns, rows, note))
        report.save("prediction", "Cost of a prediction", tables, NOTES)
    finally:
        shutil.rmtree(folder)


NOTES = """The model is the seed model, Embedding(20000, 128) → 2 × LSTM(128) → last state, and texts are truncated
to 400 tokens. Each time includes tokenization, with the same tokenizer. Keras gets batches of 128 texts and the
pipeline batches of 64; hf_rnn fills its batches by the number of tokens."""


if __name__ == "__main__":
    main()
