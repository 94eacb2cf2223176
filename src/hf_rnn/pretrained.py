# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""What a new model takes over from one that was trained before: its encoder, and the vectors of its words."""

from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .configuration_rnn import RNNConfig
from .errors import UserError
from .hub import find_model
from .model_folder import check_model
from .tokenization import load_tokenizer

# What the encoder's weights decide.
ENCODER = (
    "embedding_size",
    "hidden_size",
    "num_hidden_layers",
    "cell_type",
    "bidirectional",
    "independent_directions",
)


def take_encoder(
    path: str,
    model_class: type[PreTrainedModel],
    settings: dict[str, Any],
    task_fields: dict[str, Any],
    tokenizer: PreTrainedTokenizerBase,
    forward_only: bool = False,
) -> PreTrainedModel:
    """A new model on the encoder of another one, a language model above all; what lies above the encoder is new.

    Args:
        path: folder or Hub id of the other model.
        model_class: of the new one.
        settings: the model section of a run. The encoder's sizes are those of the other model, whatever is left out.
        task_fields: of the configuration, such as the labels.
        tokenizer: of the new model. Entries that the other model's tokenizer has too keep their vectors, and new ones
            start from the mean of all.
        forward_only: of two independent directions, take the one that reads from left to right alone.

    Raises:
        UserError: nothing is there, a size that is written down is not the other model's, or it has no direction of
            its own to take.
    """
    folder = find_model(path)
    config = check_model(folder, path)
    if forward_only:
        if not config.independent_directions:
            raise UserError(
                f"model.forward_only takes one of two independent directions, and the encoder of {path!r} has "
                f"independent_directions=False: leave it out."
            )
        config.bidirectional = config.independent_directions = False
    for name in ENCODER:
        default, theirs = getattr(RNNConfig, name), getattr(config, name)
        if settings[name] not in (default, theirs):
            raise UserError(
                f"model.{name}={settings[name]!r}, and the encoder of {path!r} has {theirs!r}: leave it out, or train "
                "a language model of that size."
            )
        settings = {**settings, name: theirs}
    before = load_tokenizer(str(folder))
    config = RNNConfig(
        vocab_size=config.vocab_size,
        pad_token_id=config.pad_token_id,
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        **settings,
        **task_fields,
    )
    model: Any = model_class.from_pretrained(folder, config=config)
    if tokenizer.get_vocab() != before.get_vocab():
        move_embeddings(model, before, tokenizer)
    return model


@torch.no_grad()
def move_embeddings(model: Any, before: PreTrainedTokenizerBase, after: PreTrainedTokenizerBase) -> None:
    """Gives the embedding of a model the entries of another tokenizer: those that both have keep their vectors, new
    ones start from the mean (Howard and Ruder 2018, section 3.2)."""
    old = model.get_input_embeddings().weight.detach().clone()
    model.resize_token_embeddings(len(after), mean_resizing=False)
    new = model.get_input_embeddings().weight
    known = before.get_vocab()
    new[:] = old[: len(before)].mean(0)
    for token, index in after.get_vocab().items():
        if token in known:
            new[index] = old[known[token]]
    model.config.pad_token_id = after.pad_token_id
    if after.pad_token_id is not None:
        new[after.pad_token_id] = 0


__all__ = ["move_embeddings", "take_encoder"]
