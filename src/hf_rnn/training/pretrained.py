# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""What a new model takes over from one that was trained before: its encoder, and the vectors of its words."""

from collections.abc import Iterator
from contextlib import contextmanager
from logging import getLogger
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from ..auto import architecture
from ..hub.fetch import find_model
from ..models.configuration_rnn import RNNConfig
from ..models.modeling_causal_rnn import RNNForCausalLM
from ..models.modeling_rnn import RNNModel
from ..text.tokenization import load_tokenizer
from ..utils.errors import UserError
from .run_config import RunConfig, checked_config

logger = getLogger(__name__)

# What the weights that are taken over decide: the encoder's, and of a language model the output layer's.
ENCODER = (
    "embedding_size",
    "hidden_size",
    "num_hidden_layers",
    "cell_type",
    "bidirectional",
    "independent_directions",
)
OUTPUT = ("tie_word_embeddings",)
# Training rows that are looked at for unknown tokens, and the share of unknown ones that is no cause for a warning.
SAMPLE, MOST_UNKNOWN = 10_000, 0.1
SPECIAL_IDS = ("pad_token_id", "bos_token_id", "eos_token_id")


def take_encoder(
    path: str,
    model_class: type[PreTrainedModel],
    settings: dict[str, Any],
    task_fields: dict[str, Any],
    tokenizer: PreTrainedTokenizerBase,
    forward_only: bool = False,
) -> PreTrainedModel:
    """A new model on the encoder of another one, a language model above all. What lies above the encoder is new, but
    for a language model that goes on from a language model: that takes over the output layer too.

    Args:
        path: folder or Hub id of the other model.
        model_class: of the new one.
        settings: the model section of a run. The encoder's sizes are those of the other model where they are left out.
        task_fields: of the configuration, such as the labels.
        tokenizer: of the new model. Entries that the other model's tokenizer has too keep their vectors, and new ones
            start from the mean of all.
        forward_only: of two independent directions, take the one that reads from left to right alone.

    Raises:
        UserError: nothing is there, a size that is written down is not the other model's, a setting does not go with
            such an encoder, or it has no direction of its own to take.
    """
    folder, config = find_model(path)
    if forward_only:
        _take_one_direction(config, path)
    goes_on = architecture(config) == RNNForCausalLM.__name__ == model_class.__name__
    if model_class is RNNForCausalLM and config.bidirectional and not config.independent_directions:
        raise UserError(
            f"the encoder of {path!r} has bidirectional=True, and a language model on it would read the word that it "
            "is to tell: name a model with independent_directions=True, or with bidirectional=False."
        )
    for name in (*ENCODER, *(OUTPUT if goes_on else ())):
        theirs = getattr(config, name)
        if settings.get(name, theirs) != theirs:
            raise UserError(
                f"model.{name}={settings[name]!r}, and the encoder of {path!r} has {theirs!r}: leave it out, or train "
                "a language model of that size."
            )
        settings = {**settings, name: theirs}
    before = load_tokenizer(str(folder))
    with _quiet():
        # Of a classifier the encoder alone: its head may not fit what is taken.
        lender: Any = (RNNForCausalLM if goes_on else RNNModel).from_pretrained(folder, config=config)
    same = tokenizer.get_vocab() == before.get_vocab()
    names = ("vocab_size", *SPECIAL_IDS, *(("num_rare_tokens", "unk_token_id") if same else ()))
    of_tokenizer = {name: getattr(config, name) for name in names}
    config = checked_config({**of_tokenizer, **settings, **task_fields})
    model: Any = model_class(config)
    if goes_on:
        model.load_state_dict(lender.state_dict())
    else:
        model.base_model.load_state_dict(lender.base_model.state_dict())
    if not same:
        move_embeddings(model, before, tokenizer, output=goes_on)
    model.use_vocabulary(tokenizer)
    return model


def warn_of_unknown_tokens(run: RunConfig, tokenizer: PreTrainedTokenizerBase, rows: Dataset) -> None:
    """Warn where a tokenizer that was made of other texts does not know many tokens of the training rows.

    Args:
        run: whose tokenizer it is.
        tokenizer: of the run.
        rows: training rows, as token ids.
    """
    taken = run.tokenizer.path or (run.model.pretrained if run.tokenizer.kind is None else None)
    if taken is None or tokenizer.unk_token_id is None or not run.training.should_log:
        return
    ids = rows.with_format("arrow")[:SAMPLE]["input_ids"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    share = float((ids == tokenizer.unk_token_id).mean()) if len(ids) else 0.0
    if share > MOST_UNKNOWN:
        logger.warning(
            f"{share:.0%} of the training tokens are unknown to the tokenizer of {taken!r}, and are read as one word: "
            "write --tokenizer.kind word (or char, bpe, …) for a vocabulary of these rows, or take a model of their "
            "language."
        )


def _take_one_direction(config: RNNConfig, path: str) -> None:
    """Leave one of two independent directions in the configuration of a model, by its path."""
    if not config.independent_directions:
        raise UserError(
            f"model.forward_only takes one of two independent directions, and the encoder of {path!r} has "
            f"independent_directions=False: leave it out."
        )
    config.bidirectional = config.independent_directions = False


@contextmanager
def _quiet() -> Iterator[None]:
    """The direction that is not wanted would be reported as weights that are no use."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


@torch.no_grad()
def move_embeddings(
    model: Any, before: PreTrainedTokenizerBase, after: PreTrainedTokenizerBase, output: bool = True
) -> None:
    """Give the embedding of a model the entries of another tokenizer: those that both have keep their weights, new ones
    start from the mean (Howard and Ruder 2018, section 3.2).

    Args:
        model: that is changed.
        before: its tokenizer.
        after: the other tokenizer.
        output: if True, the output layer of a language model gets them too.
    """
    kept = [weight.detach().clone() for weight in _by_entry(model, output)]
    model.resize_token_embeddings(len(after), mean_resizing=False)
    # The rare tokens of a wide path have no vectors.
    V = len(kept[0])
    theirs, ours = {token: place for token, place in before.get_vocab().items() if place < V}, after.get_vocab()
    shared = [token for token in ours if token in theirs]
    to, origin = [ours[token] for token in shared], [theirs[token] for token in shared]
    for new, old in zip(_by_entry(model, output), kept, strict=True):
        new[:] = old[: len(before)].mean(0)
        new[to] = old[origin]
    model.get_input_embeddings().padding_idx = after.pad_token_id
    if after.pad_token_id is not None:
        model.get_input_embeddings().weight[after.pad_token_id] = 0
    for config in (model.config, getattr(model, "generation_config", None)):
        for name in SPECIAL_IDS:
            if config is not None:
                setattr(config, name, getattr(after, name))


def _by_entry(model: Any, output: bool) -> list[torch.Tensor]:
    """The parameters of the embedding, and of the output layer, that have a row for each entry of the vocabulary, a
    tied one once."""
    embedding, above = model.get_input_embeddings(), model.get_output_embeddings() if output else None
    weights = [] if above is None else [weight for weight in above.parameters() if weight is not embedding.weight]
    return [embedding.weight, *weights]


__all__ = ["move_embeddings", "take_encoder", "warn_of_unknown_tokens"]
