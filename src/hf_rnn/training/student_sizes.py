# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Sizes of a student whose files must not be larger than `distil.max_megabytes`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..auto import model_without_weights
from ..models.configuration_rnn import RNNConfig
from ..utils.errors import ConfigError
from ..utils.output import say
from .run_config import with_values

if TYPE_CHECKING:
    from .run_config import RunConfig

# Sizes that are chosen: the power of the common share by which each is multiplied, and its least value. Halving the
# share halves the weights of the embedding, of the recurrence and of the n-grams.
SIZES = {
    "tokenizer.vocab_size": (0.5, 200),
    "tokenizer.rare_tokens": (1.0, 0),
    "model.embedding_size": (0.5, 8),
    "model.hidden_size": (0.5, 8),
    "model.wide_ngrams": (1.0, 0),
}
# The share falls by this factor until the model is small enough, at most this often.
STEP, TRIES = 0.85, 60
# Bytes of an entry of the saved tokenizer, without and with the merges of BPE.
OF_ENTRY, OF_PIECE = 30, 60


def with_fitting_sizes(run: RunConfig, task: Any) -> tuple[RunConfig, str]:
    """Return a run whose model and tokenizer take at most `distil.max_megabytes`, and its YAML text.

    Sizes that the user wrote stay.

    Args:
        run: Run with the sizes of its preset.
        task: Task of the run, which knows its labels.

    Raises:
        ConfigError: Even the smallest sizes are too large.
    """
    assert run.distil.max_megabytes is not None
    most = 1e6 * run.distil.max_megabytes
    if run.tokenizer.path is not None or run.model.pretrained is not None:
        raise ConfigError(
            f"distil.max_megabytes={run.distil.max_megabytes:g} chooses the size of the vocabulary, and "
            f"{'tokenizer.path' if run.tokenizer.path else 'model.pretrained'} brings one: leave one of them out."
        )
    fixed = run.given | ({"model.embedding_size"} if run.model.vectors else set())  # Vectors have their own width.
    starts = {key: run.parsed[key] for key in SIZES if key not in fixed}
    share, values, size = 1.0, starts, 0
    for _ in range(TRIES):
        values = {key: max(SIZES[key][1], int(start * share ** SIZES[key][0])) for key, start in starts.items()}
        size = _bytes(run, task, values)
        if size <= most:
            break
        share *= STEP
    else:
        raise ConfigError(
            f"distil.max_megabytes={run.distil.max_megabytes:g} is too small: the smallest model has {size / 1e6:.3f}. "
            "Write more, or leave out the sizes that are written."
        )
    if run.training.should_log:
        shown = " · ".join(f"{key.partition('.')[2]} {value}" for key, value in values.items())
        say(f"sizes      {shown}: up to {size / 1e6:.2f} of {run.distil.max_megabytes:g} megabytes")
    return with_values(run, values)


def _bytes(run: RunConfig, task: Any, values: dict[str, int]) -> int:
    """Return an upper bound of the bytes of weights and tokenizer with other sizes."""
    settings = {name: value for name, value in asdict(run.model).items() if name in RNNConfig.__annotations__}
    settings |= {key.partition(".")[2]: value for key, value in values.items() if key.startswith("model.")}
    entries = values.get("tokenizer.vocab_size", run.tokenizer.vocab_size)
    # A word has up to three forms: in lower case, capitalized and in upper case.
    entries += run.tokenizer.vector_words * (1 if run.tokenizer.lowercase else 3)
    rare = values.get("tokenizer.rare_tokens", run.tokenizer.rare_tokens)
    settings |= {"vocab_size": entries, "num_rare_tokens": rare, "unk_token_id": 1 if rare else None}
    config = RNNConfig(**settings, **task.config_fields())
    model = model_without_weights(task.model_class.__name__, config)
    tensors = [*model.parameters(), *model.buffers()]
    of_entry = OF_PIECE if run.tokenizer.kind in ("bpe", None) else OF_ENTRY
    return sum(each.numel() * each.element_size() for each in tensors) + of_entry * (entries + rare)


__all__ = ["with_fitting_sizes"]
