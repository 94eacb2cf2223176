"""The two models of the benchmarks, implemented in each library with the same weights."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

SEED = {"vocab_size": 20000, "embedding_size": 128, "hidden_size": 128, "num_hidden_layers": 2, "pooling": "last"}
IMDB = {
    "vocab_size": 10000,
    "embedding_size": 256,
    "hidden_size": 128,
    "bidirectional": True,
    "pooling": "concat",
}


@dataclass
class Problem:
    """Model and rows to train it on; the rows are in a file, because each contender has its own process.

    Args:
        model: Fields of `RNNConfig`.
        rows: File with `ids` `[N, T]` padded with 0 on the right, `lengths` `[N]` and `labels` `[N]`.
        batch_size: Number of rows in a training step.
        weights: Unused.
        extra: Unused.
    """

    model: dict
    rows: str
    batch_size: int
    weights: str = ""
    extra: dict = field(default_factory=dict)

    def load(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return token ids, lengths and labels."""
        with np.load(self.rows) as file:
            return file["ids"], file["lengths"], file["labels"]


def ours(problem: Problem):
    """Return our model with the weights that all contenders share."""
    from hf_rnn import RNNConfig, RNNForSequenceClassification

    torch.manual_seed(0)
    # Padding has id 0 in all contenders: its embedding is zero, or it is masked or not read at all.
    return RNNForSequenceClassification(RNNConfig(pad_token_id=0, num_labels=2, **problem.model))


class PlainTorch(nn.Module):
    """Model as PyTorch tutorials write it, with padded or packed sequences."""

    def __init__(self, problem: Problem, packed: bool):
        super().__init__()
        like = ours(problem)
        config, self.packed, self.pooling = like.config, packed, problem.model["pooling"]
        cell = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn_tanh": nn.RNN}[config.cell_type]
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size, padding_idx=0)
        self.recurrent = cell(
            config.embedding_size,
            config.hidden_size,
            config.num_hidden_layers,
            batch_first=True,
            bidirectional=config.bidirectional,
        )
        self.output = nn.Linear(like.pooling.output_size, 2)
        self.embedding.load_state_dict(like.model.embed_tokens.state_dict())
        self.recurrent.load_state_dict(like.model.recurrence.state_dict())
        self.output.load_state_dict(like.classifier.out_proj.state_dict())

    def forward(self, input_ids, attention_mask):
        x = self.embedding(input_ids)
        if self.packed:
            lengths = attention_mask.sum(1).cpu()
            x = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, h = self.recurrent(x)
        h = h[0] if isinstance(h, tuple) else h
        if self.pooling == "last":
            return self.output(h[-1])
        if self.packed:
            out, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=input_ids.shape[1])
        mask = attention_mask.bool().unsqueeze(-1)
        top = out.masked_fill(~mask, torch.finfo(out.dtype).min).amax(1)
        mean = (out * mask).sum(1) / mask.sum(1)
        return self.output(torch.cat([h[-2], h[-1], top, mean], -1))


def keras_model(problem: Problem, T: int | None, masked: bool):
    """Return the same model in Keras, with the same weights, compiled with Adam."""
    import keras
    from keras import layers

    m = ours(problem)
    c, H = m.config, m.config.hidden_size

    class ConcatPooling(layers.Layer):
        """Pooling of a text's tokens to [last, max, mean]."""

        supports_masking = True

        def compute_mask(self, *arguments, **others):
            return None

        def call(self, x, ids):
            o = keras.ops
            mask = o.expand_dims(o.cast(o.not_equal(ids, 0), x.dtype), -1)
            end = o.cast(o.maximum(o.sum(mask, 1, keepdims=True) - 1, 0), "int32")
            last = o.concatenate([o.take_along_axis(x[..., :H], end, 1)[:, 0], x[:, 0, H:]], -1)
            return o.concatenate(
                [last, o.max(x - (1 - mask) * 1e9, 1), o.sum(x * mask, 1) / o.maximum(o.sum(mask, 1), 1)], -1
            )

    ids = keras.Input((T,), dtype="int32")
    x = layers.Embedding(c.vocab_size, c.embedding_size, mask_zero=masked)(ids)
    recurrent = []
    for layer in range(c.num_hidden_layers):
        sequences = c.pooling != "last" or layer + 1 < c.num_hidden_layers
        lstm = layers.LSTM(H, return_sequences=sequences)
        recurrent.append(layers.Bidirectional(lstm) if c.bidirectional else lstm)
        x = recurrent[-1](x)
    x = x if c.pooling == "last" else ConcatPooling()(x, ids)
    out = layers.Dense(2, activation="softmax")
    model = keras.Model(ids, out(x))
    model.layers[1].set_weights([m.model.embed_tokens.weight.detach().numpy()])
    for layer, keras_layer in enumerate(recurrent):
        weights = []
        for w_ih, w_hh, b_ih, b_hh in m.model.recurrence.weights(layer):
            weights += [w.detach().numpy() for w in (w_ih.T, w_hh.T, b_ih + b_hh)]
        keras_layer.set_weights(weights)
    out.set_weights([w.detach().numpy() for w in (m.classifier.out_proj.weight.T, m.classifier.out_proj.bias)])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def imdb_rows(data, config: str, count: int, split: str = "train"):
    """Return token ids and labels of IMDB reviews, with the tokenizer and truncation of a configuration."""
    from hf_rnn.tasks import task_class
    from hf_rnn.text.loading import load
    from hf_rnn.text.tokenization import token_ids, train_tokenizer
    from hf_rnn.training.run_config import parse_run

    run, _ = parse_run(["--config", config, "--data.path", str(data)])
    rows = load(run.data)[split].select(range(count))
    settings = {key: value for key, value in vars(run.tokenizer).items() if key != "path"}
    tokenizer = train_tokenizer(rows["text"], **settings, show_progress=False)
    return task_class(run.task)(run.data).cut(token_ids(tokenizer, rows["text"][:])), rows["label"][:]


def write_rows(path: str, rows: list[list[int]], labels, width: int) -> None:
    """Write rows as `Problem.rows` expects them, padded to `width`, as is usual in Keras."""
    ids = np.zeros((len(rows), width), dtype=np.int32)
    for place, row in zip(ids, rows, strict=True):
        place[: len(row)] = row
    np.savez(path, ids=ids, lengths=np.array([len(row) for row in rows]), labels=np.asarray(labels, dtype=np.int64))
