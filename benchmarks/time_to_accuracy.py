"""Measure the training time until a test accuracy of 85, 87 and 89 % on IMDB.

Test accuracy is measured during training to draw the curve. It does not influence training.

    python benchmarks/time_to_accuracy.py [--epochs_of_keras 4] [--contenders NAME …] [--data ../shared/data]
"""

import tempfile
import time

import numpy as np
import report
import torch
from compare import Contender, compare
from models import SEED, Problem, keras_model

TARGETS = (0.85, 0.87, 0.89)


def hf_rnn(data: str, parts: int, overrides: list[str]):
    """Train as `hf-rnn train --config configs/imdb.yaml` does; yield points (training seconds, test accuracy)."""
    import transformers
    from datasets import DatasetDict

    from hf_rnn import RNNConfig, RNNTrainer, train_tokenizer
    from hf_rnn.tasks import task_class
    from hf_rnn.text.loading import load
    from hf_rnn.training.run_config import parse_run

    transformers.set_seed(0)
    quiet = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": "false", "logging_strategy": "no"}
    training = {"output_dir": tempfile.mkdtemp(), "disable_tqdm": "true", **quiet}
    options = [word for name, value in training.items() for word in (f"--training.{name}", value)]
    config = str(report.ROOT / "configs" / "imdb.yaml")
    run, _ = parse_run(["--config", config, "--data.path", data, *options, *overrides])
    task = task_class(run.task)(run.data)
    prepared = task.prepare(
        DatasetDict({name: rows for name, rows in load(run.data).items() if name != "unsupervised"})
    )
    settings = {name: value for name, value in vars(run.tokenizer).items() if name != "path"}
    tokenizer = train_tokenizer(task.texts(prepared["train"]), **settings, show_progress=False)
    encoded = {name: task.encode(rows, tokenizer) for name, rows in prepared.items()}
    fields = {**vars(run.model), **task.config_fields(), "pad_token_id": tokenizer.pad_token_id}
    fields |= {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    model = task.model_class(RNNConfig(vocab_size=len(tokenizer), **fields))
    test = encoded["test"].with_format("numpy")
    points: list[tuple[float, float]] = []

    class Clock(transformers.TrainerCallback):
        """Callback that measures accuracy, and stops the clock while it does so."""

        def on_train_begin(self, *arguments, **others):
            self.seconds, self.since = 0.0, time.perf_counter()

        def on_step_end(self, arguments, state, control, **others):
            every = max(1, round(state.max_steps / (parts * arguments.num_train_epochs)))
            if state.global_step % every and state.global_step != state.max_steps:
                return
            self.seconds += time.perf_counter() - self.since
            points.append((self.seconds, accuracy(model, tokenizer, task, test)))
            print("   ", overrides, [round(float(p), 4) for p in points[-1]], flush=True)
            model.train()
            self.since = time.perf_counter()

    trainer = RNNTrainer(model, run.training, task, tokenizer, train_dataset=encoded["train"], callbacks=[Clock()])
    yield np.zeros(1)
    trainer.train()
    yield np.array(points)


def accuracy(model, tokenizer, task, test) -> float:
    """Return the accuracy on the test split, computed in bf16."""
    from hf_rnn import Predictor

    with torch.autocast(model.device.type, torch.bfloat16):
        logits = Predictor(model.eval(), tokenizer, task).logits(test["input_ids"][:])
    return float((logits.argmax(-1) == test["labels"][:]).mean())


def keras_seed(data: str, epochs: int):
    """Train two LSTMs of 128 units on 20,000 words and 200 tokens, prepared as in Keras' own example."""
    import keras

    from hf_rnn import train_tokenizer
    from hf_rnn.text.arguments import DataArguments
    from hf_rnn.text.loading import load
    from hf_rnn.text.tokenization import token_ids

    keras.utils.set_random_seed(0)
    splits = load(DataArguments(path=data))
    tokenizer = train_tokenizer(
        splits["train"]["text"], "word", 20000, lowercase=True, strip_html=True, show_progress=False
    )

    def arrays(split):
        rows = splits[split]
        ids = token_ids(tokenizer, rows["text"][:])
        return keras.utils.pad_sequences(ids, maxlen=200), np.asarray(rows["label"][:])

    (x, y), (test_x, test_y) = arrays("train"), arrays("test")
    model = keras_model(Problem(SEED, "", 32), 200, masked=False)
    yield np.zeros(1)
    points, seconds = [], 0.0
    half = len(x) // 2
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(len(x))
        for part in (order[:half], order[half:]):
            begun = time.perf_counter()
            model.fit(x[part], y[part], batch_size=32, epochs=1, verbose=0)
            seconds += time.perf_counter() - begun
            found = model.predict(test_x, batch_size=256, verbose=0).argmax(-1)
            points.append((seconds, float((found == test_y).mean())))
            print("    keras", [round(float(p), 4) for p in points[-1]], flush=True)
    yield np.array(points)


def main() -> None:
    parser = report.parser(__doc__, rounds=1)
    parser.add_argument("--epochs_of_keras", type=int, default=4)
    parser.add_argument("--contenders", nargs="+", metavar="NAME", help="only these; the others as they last ran")
    parser.add_argument("--parts", type=int, default=5, help="of an epoch, after each of which accuracy is read")
    arguments = parser.parse_args()
    data = str(arguments.data / "imdb")
    bf16, one_epoch = ["--training.bf16", "true"], ["--training.num_train_epochs", "1"]
    overrides = {
        "hf_rnn": [],
        "hf_rnn, bf16": bf16,
        "hf_rnn, bf16, by tokens": [*bf16, "--training.train_batch_tokens", "18000"],
        "hf_rnn, bf16, one epoch": [*bf16, *one_epoch],
    }
    contenders = [
        Contender(
            name,
            "time_to_accuracy:hf_rnn",
            {"data": data, "parts": arguments.parts, "overrides": words},
        )
        for name, words in overrides.items()
    ]
    contenders.append(
        Contender(
            "keras, jax, seed model",
            "time_to_accuracy:keras_seed",
            {"data": data, "epochs": arguments.epochs_of_keras},
            environment={"KERAS_BACKEND": "jax"},
        )
    )
    # The contenders run one after another, because a training run cannot be split into rounds.
    curves = report.series("time_to_accuracy") if arguments.contenders else {}
    for contender in contenders:
        if not arguments.contenders or contender.name in arguments.contenders:
            print(contender.name, flush=True)
            (curves[contender.name],) = compare([contender], 1, warm_up=0, log=lambda line: None)[contender.name]
            write(curves)


def write(curves: dict[str, np.ndarray]) -> None:
    """Save the curves `[n, 2]` of seconds and accuracy, and their table."""
    rows = []
    for name, points in curves.items():
        seconds = [next((f"{s:.0f} s" for s, a in points if a >= target), "never") for target in TARGETS]
        rows.append([name, *seconds, f"{points[:, 1].max():.2%}", f"{points[-1, 1]:.2%} after {points[-1, 0]:.0f} s"])
    columns = ["contender", *(f"{target:.0%} after" for target in TARGETS), "best", "last"]
    panel = {
        "title": "test accuracy",
        "x": "seconds of training",
        "y": "accuracy",
        "log": False,
        "limits": (0.7, 0.92),
        "series": {name: points.T.tolist() for name, points in curves.items()},
    }
    tables = [report.table("IMDB, 25,000 test reviews", columns, rows)]
    report.save("time_to_accuracy", "Time to accuracy", tables, NOTES, {"panels": [panel]})


NOTES = """Times are seconds of training, from one run per contender with seed 0. The clock stops while test
accuracy is measured, and test accuracy does not influence training. *hf_rnn* is `configs/imdb.yaml` with its two
epochs. *by tokens* adds `--training.train_batch_tokens 18000`, and *one epoch* adds `--training.num_train_epochs 1`.
The Keras model is the seed model of these benchmarks: 20,000 words, the last 200 tokens, Embedding(128) → 2 ×
LSTM(128), batches of 32, Adam."""


if __name__ == "__main__":
    main()
