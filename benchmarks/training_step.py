"""Compare the cost of a training step: our Trainer, Keras and plain PyTorch.

python benchmarks/training_step.py [--rounds 5] [--data ../shared/data]
"""

import tempfile

import numpy as np
import report
from compare import Contender, compare
from models import IMDB, SEED, Problem, imdb_rows, write_rows

CONFIGS = report.ROOT / "configs"


def contenders(problem: Problem, ragged: bool, keras: bool = True) -> list[Contender]:
    """Return the contenders; those that are wrong on ragged rows are timed there only as a lower bound."""
    lstm = problem.model.get("cell_type", "lstm") == "lstm"
    found = [Contender("hf_rnn", "contenders:trainer", {"problem": problem})]
    if lstm:
        found.append(Contender("hf_rnn, bf16", "contenders:trainer", {"problem": problem, "bf16": True}))
    plain = {"problem": problem, "packed": False}
    found += [
        Contender("torch, packed", "contenders:bare_loop", {"problem": problem, "packed": True}),
        Contender("torch, padded", "contenders:bare_loop", plain, checked=not ragged),
        Contender("torch, padded, memory kept", "contenders:bare_loop", {**plain, "keep_memory": True}, not ragged),
    ]
    for backend in ("jax", "tensorflow") if keras else ():
        for masked in (False, True) if ragged else (False,):
            found.append(
                Contender(
                    f"keras, {backend}" + (", masked" if masked else ""),
                    "contenders:keras_fit",
                    {"problem": problem, "masked": masked},
                    checked=masked or not ragged,
                    environment={"KERAS_BACKEND": backend},
                )
            )
    return found


def main() -> None:
    parser = report.parser(__doc__, rounds=5)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    generator, tables = np.random.default_rng(0), []
    with tempfile.TemporaryDirectory() as folder:

        def measure(title: str, model: dict, B: int, rows, labels, width: int, note: str = "", keras: bool = True):
            print(title, flush=True)
            ragged = min(map(len, rows)) < width
            file = f"{folder}/rows{len(tables)}.npz"
            write_rows(file, rows, labels, width)
            steps = -(-len(rows) // B)
            figures = compare(contenders(Problem(model, file, B), ragged, keras), arguments.rounds)
            tables.append(report.comparison(title, figures, "ms a step", "hf_rnn", note, 1e3 / steps))
            report.save("training_step", "Cost of a training step", tables, NOTES)

        for name, model, B in (("seed model", SEED, 32), ("configs/imdb.yaml", IMDB, 64)):
            count = 32 * arguments.steps if model is SEED else 128 * arguments.steps // 5
            equal = generator.integers(4, model["vocab_size"], (count, 256)).tolist()
            labels = generator.integers(0, 2, count)
            measure(f"{name}, B={B}, rows of 256 tokens", model, B, equal, labels, 256)
            config, cap = ("imdb_seed", 400) if model is SEED else ("imdb", 1000)
            rows, labels = imdb_rows(arguments.data / "imdb", str(CONFIGS / f"{config}.yaml"), count)
            note = (
                "*torch, padded* uses the state after the padding, and Keras without a mask reads the padding too. "
                "Their answers are wrong here, and their times are only a lower bound."
            )
            measure(f"{name}, B={B}, {count} IMDB reviews cut to {cap} tokens", model, B, rows, labels, cap, note)
        rows, labels = imdb_rows(arguments.data / "imdb", str(CONFIGS / "imdb_seed.yaml"), 32 * arguments.steps)
        for cell in ("gru", "rnn_tanh"):
            model = {**SEED, "cell_type": cell, "num_hidden_layers": 1}
            measure(f"one layer, {cell}, B=32, IMDB reviews cut to 400 tokens", model, 32, rows, labels, 400, "", False)


NOTES = """A step is fetching the batch, forward, backward, clipping and the optimizer step. The models consist of
an embedding, recurrent layers and a linear layer. The seed model is Embedding(20000, 128) → 2 × LSTM(128) → last
state. `configs/imdb.yaml` is Embedding(10000, 256) → BiLSTM(128) → [last, max, mean]. Dropout is off, so that
answers can be compared. *hf_rnn* is the Trainer, as `hf-rnn train` runs it. *torch* is a minimal loop over the same
batches of similar length. *keras* is `fit` on rows padded to the maximum length. *memory kept* uses the same setting
of the memory allocator as our Trainer (`hf_rnn.utils.machine.keep_freed_memory`)."""


if __name__ == "__main__":
    main()
