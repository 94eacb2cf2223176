"""Measure the cost of a training step with each additional training objective.

python benchmarks/objectives.py [--rounds 5]
"""

import report
import torch
from growth import rounds_of

from hf_rnn import RNNConfig, RNNForSequenceClassification
from hf_rnn.training.objectives import Objectives
from hf_rnn.utils.machine import keep_freed_memory

# Sizes of configs/imdb_finetune.yaml; T is the mean length of its rows.
B, T, V, E, H = 64, 256, 30000, 256, 512
ROWS = {
    "labels alone": ({}, False),
    "+ entropy_minimisation": ({"entropy_minimisation": 1.0}, True),
    "+ adversarial": ({"adversarial": 1.0}, False),
    "+ virtual_adversarial": ({"virtual_adversarial": 1.0}, True),
    "+ all three": ({"entropy_minimisation": 1.0, "adversarial": 1.0, "virtual_adversarial": 1.0}, True),
}


def main() -> None:
    arguments = report.parser(__doc__, rounds=5, needs_data=False).parse_args()
    keep_freed_memory()
    torch.manual_seed(0)
    config = RNNConfig(
        vocab_size=V, embedding_size=E, hidden_size=H, bidirectional=True, independent_directions=True, num_labels=2
    )
    model = RNNForSequenceClassification(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    ids = torch.randint(1, V, (B, T))
    unlabelled = {"input_ids": torch.randint(1, V, (B, T)), "attention_mask": torch.ones_like(ids)}
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": torch.randint(0, 2, (B,))}

    def step(weights: dict, more: bool) -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss, _ = Objectives(**weights).loss(model, model, batch, unlabelled if more else None)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    functions = {
        name + (f", {B} rows without labels" if more else ""): lambda weights=weights, more=more: step(weights, more)
        for name, (weights, more) in ROWS.items()
    }
    figures = rounds_of(functions, arguments.rounds)
    title = f"Embedding({V}, {E}) → 2 × LSTM({H}), each its own direction, B={B}, T={T}, bf16"
    table = report.comparison(title, figures, "ms", next(iter(functions)))
    report.save("objectives", "Cost of the additional training objectives", [table])


if __name__ == "__main__":
    main()
