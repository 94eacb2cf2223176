"""Measure the cost of a wide path in a training step.

python benchmarks/wide_step.py [--rounds 15]
"""

import time

import numpy as np
import report
import torch

from hf_rnn import RNNConfig, RNNForSequenceClassification

# Sizes of the preset `default`: vocabulary of the recurrence, rare words, n-grams and labels.
V, RARE, K, C = 10_000, 20_000, 200_000, 2
SIZES = {"embedding_size": 200, "hidden_size": 128, "bidirectional": True, "input_dropout": 0.2, "num_labels": C}
ALONE, LATER, THERE = "recurrence alone", "wide path, fitted after training", "wide path, present during training"
NOTES = """A step is forward, backward and AdamW of a classifier with the sizes of the preset `default`; the models
take turns. `hf-rnn train` fits the wide path after the recurrence is trained. Its training steps therefore differ
only in the rare words, which the recurrence reads as unknown tokens. A model that already has a wide path and is
trained further with a custom Trainer computes the wide path in each step, without a gradient."""


def model_of(contender: str) -> RNNForSequenceClassification:
    """Return the model of a contender; its wide path holds random n-grams with random weights."""
    torch.manual_seed(0)
    rare = {} if contender == ALONE else {"num_rare_tokens": RARE, "unk_token_id": 1}
    wide = {"wide_ngrams": K, "wide_order": 3} if contender == THERE else {}
    model = RNNForSequenceClassification(RNNConfig(vocab_size=V, **SIZES, **rare, **wide)).train()
    if model.wide_path is not None:
        model.wide_path.keys.copy_(torch.randint(0, 2**31 - 1, (K,)).sort().values)
        model.wide_path.weight.normal_()
    return model


def main() -> None:
    options = report.parser(__doc__, rounds=15, needs_data=False)
    rounds = options.parse_args().rounds
    tables = []
    for B, T in ((64, 20), (64, 256)):
        models = {name: model_of(name) for name in (ALONE, LATER, THERE)}
        optimizers = {name: torch.optim.AdamW(model.parameters()) for name, model in models.items()}
        seconds: dict[str, list[float]] = {name: [] for name in models}
        draw = np.random.default_rng(0)
        for _ in range(rounds + 2):
            # A tenth of the tokens is rare.
            ids = torch.from_numpy(np.where(draw.random((B, T)) < 0.9, draw.integers(4, V, (B, T)), V + 5))
            labels = torch.from_numpy(draw.integers(0, C, B))
            for name, model in models.items():
                batch = ids if name != ALONE else ids.clamp_max(V - 1)
                begun = time.perf_counter()
                model(batch, labels=labels).loss.backward()
                optimizers[name].step()
                optimizers[name].zero_grad()
                seconds[name].append(time.perf_counter() - begun)
        # The first two steps of each model are warm-up.
        figures = {name: values[2:] for name, values in seconds.items()}
        tables.append(report.comparison(f"{B} texts of {T} tokens", figures, "ms a step", ALONE, scale=1e3))
    report.save("wide_step", "Cost of a wide path in a training step", tables, NOTES)


if __name__ == "__main__":
    main()
