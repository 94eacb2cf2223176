"""Compare the training speed of a translator with the same network as a loop over steps in plain PyTorch.

python benchmarks/translation.py [--data ../shared/data]
"""

import copy
import statistics
import time
from pathlib import Path

import pyarrow.parquet as parquet
import report
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from hf_rnn import RNNConfig, RNNForConditionalGeneration, train_tokenizer
from hf_rnn.tasks.translation import Translation
from hf_rnn.text.collation import RaggedCollator
from hf_rnn.utils.machine import keep_freed_memory

# Sizes of configs/multi30k.yaml.
SIZES = {"embedding_size": 256, "hidden_size": 256, "bidirectional": True, "bos_token_id": 2, "eos_token_id": 3}
BATCH = 64


class PlainTranslator(nn.Module):
    """Translator as PyTorch tutorials write it, with the weights of one of our models.

    The encoder reads packed sequences. The decoder computes the cell, attention and output layer step by step.
    """

    def __init__(self, ours: RNNForConditionalGeneration):
        super().__init__()
        config, decoder = ours.config, ours.decoder
        E, H, M = config.embedding_size, config.hidden_size, config.output_size
        self.feeding, self.start = config.input_feeding, config.bos_token_id
        self.embedding = nn.Embedding(config.vocab_size, E, padding_idx=config.pad_token_id)
        self.encoder = nn.LSTM(E, H, bidirectional=True, batch_first=True)
        self.begin_h, self.begin_c = nn.Linear(M, H), nn.Linear(M, H)
        self.cell = nn.LSTMCell(2 * E if self.feeding else E, H)
        self.key, self.combine, self.output = (
            nn.Linear(M, H, bias=False),
            nn.Linear(H + M, E),
            nn.Linear(E, config.vocab_size),
        )
        self.output.weight = self.embedding.weight
        pairs = [
            (self.embedding, ours.model.embed_tokens),
            (self.begin_h, decoder.begin_h),
            (self.begin_c, decoder.begin_c),
        ]
        pairs += [(self.key, decoder.attention.key), (self.combine, decoder.combine), (self.output, ours.lm_head)]
        for mine, theirs in pairs:
            mine.load_state_dict(theirs.state_dict())
        self.encoder.load_state_dict(ours.model.recurrence.state_dict())
        cell = decoder.recurrence.state_dict()
        self.cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in cell.items()})

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> Tensor:
        lengths = attention_mask.sum(1)
        packed = pack_padded_sequence(self.embedding(input_ids), lengths, batch_first=True, enforce_sorted=False)
        values, (h, c) = self.encoder(packed)
        values, _ = pad_packed_sequence(values, batch_first=True)
        h, c = (begin(torch.cat([*part], dim=-1)).tanh() for begin, part in ((self.begin_h, h), (self.begin_c, c)))
        keys = self.key(values)
        attended = values.new_zeros(len(values), self.combine.out_features)
        token = labels.new_full((len(labels),), self.start)
        loss = values.new_zeros(())
        for t in range(labels.shape[1]):
            x = self.embedding(token)
            h, c = self.cell(torch.cat([x, attended], dim=-1) if self.feeding else x, (h, c))
            scores = (keys @ h.unsqueeze(-1)).squeeze(-1) * h.shape[-1] ** -0.5
            weights = scores.masked_fill(attention_mask == 0, -1e9).softmax(-1)
            context = (weights.unsqueeze(1) @ values).squeeze(1)
            attended = self.combine(torch.cat([h, context], dim=-1)).tanh()
            loss = loss + F.cross_entropy(self.output(attended), labels[:, t], reduction="sum")
            token = labels[:, t].clamp(min=0)
        return loss / (labels != -100).sum()


def batches(folder: Path, count: int) -> tuple[list[dict], int]:
    """Return batches of pairs of similar length, as our Trainer makes them, and the vocabulary size."""
    rows = parquet.read_table(folder / "train.parquet").slice(0, count * BATCH).to_pydict()
    texts = [*rows["en"], *rows["de"]]
    tokenizer = train_tokenizer(texts, "bpe", vocab_size=10_000, show_progress=False)
    pairs = [Translation.ids(tokenizer, rows[name]) for name in ("en", "de")]
    pairs = sorted(zip(*pairs, strict=True), key=lambda pair: len(pair[0]) + len(pair[1]))
    collate = RaggedCollator(tokenizer.pad_token_id, label_of_padding=-100)
    found = [{"input_ids": source, "labels": target} for source, target in pairs]
    return [collate(found[start : start + BATCH]) for start in range(0, len(found), BATCH)], len(tokenizer)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: dict, bf16: bool) -> float:
    """Train one step and return the loss."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        loss = model(**batch)
    loss = loss if isinstance(loss, Tensor) else loss.loss
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def measure(rows: list[dict], V: int, rounds: int, **settings) -> dict[str, list[float]]:
    """Return the number of target tokens per second that each model trains on, in each round."""
    torch.manual_seed(0)
    ours = RNNForConditionalGeneration(RNNConfig(vocab_size=V, **SIZES, **settings))
    models = {"hf_rnn": ours, "torch, step by step": PlainTranslator(ours)}
    models |= {f"{name}, bf16": copy.deepcopy(model) for name, model in models.items()}
    models = {name: (model.train(), torch.optim.AdamW(model.parameters(), 1e-3)) for name, model in models.items()}
    tokens = sum(int((batch["labels"] != -100).sum()) for batch in rows)
    found: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds + 1):
        losses = []
        for name, (model, optimizer) in models.items():
            began = time.perf_counter()
            losses.append([step(model, optimizer, batch, "bf16" in name) for batch in rows])
            found[name].append(tokens / (time.perf_counter() - began))
        # The two float32 models are the same network, so their losses must agree.
        torch.testing.assert_close(torch.tensor(losses[0]), torch.tensor(losses[1]), atol=2e-3, rtol=0)
    return {name: values[1:] for name, values in found.items()}


def main() -> None:
    parser = report.parser(__doc__, rounds=5)
    parser.add_argument("--batches", type=int, default=12)
    arguments = parser.parse_args()
    keep_freed_memory()
    rows, V = batches(arguments.data / "multi30k", arguments.batches)
    rows = rows[1::2]
    tables = []
    for title, settings in (("attention", {}), ("attention and input feeding", {"input_feeding": True})):
        figures = measure(rows, V, arguments.rounds, **settings)
        plain = statistics.median(figures["torch, step by step"])
        print({name: round(statistics.median(values) / plain, 2) for name, values in figures.items()}, flush=True)
        tables.append(report.comparison(title, figures, "tokens a second", "hf_rnn"))
        report.save("translation", "Training speed of a translator", tables, NOTES)


NOTES = """The network has one-layer LSTMs of 256 units (the encoder is bidirectional), embeddings of size 256 and a
byte-pair encoding with some 10,000 entries. Batches hold 64 pairs of Multi30k of similar length. A step is forward,
backward, clipping and AdamW. Both implementations have the same weights and the same losses at each step. *Step by
step* is the code of tutorials: a packed encoder, then cell, attention and output layer for each token. The figures
count target tokens, without padding."""


if __name__ == "__main__":
    main()
