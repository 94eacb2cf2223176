# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Initialization of a new model from a pretrained one: its encoder, its head, and the embeddings of shared tokens."""

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
from ..utils.errors import HfRnnError
from ..utils.output import say
from .fine_tuning import ENCODER, HEAD, OUTPUT
from .run_config import RunConfig, checked_config

logger = getLogger(__name__)

# Number of training rows to check for unknown tokens, and the largest share of unknown tokens without a warning.
SAMPLE, MOST_UNKNOWN = 10_000, 0.1
SPECIAL_IDS = ("pad_token_id", "bos_token_id", "eos_token_id")


def take_encoder(
    path: str,
    model_class: type[PreTrainedModel],
    settings: dict[str, Any],
    task_fields: dict[str, Any],
    tokenizer: PreTrainedTokenizerBase,
    forward_only: bool = False,
    keep_head: bool = False,
) -> PreTrainedModel:
    """Create a new model with the encoder of a pretrained model, usually of a language model.

    The layers above the encoder are new, with two exceptions. If both models are language models, the output layer is
    taken over too. With `keep_head`, so are pooling and head of a text classifier.

    Args:
        path: Folder or Hub id of the pretrained model.
        model_class: Class of the new model.
        settings: Model section of a run. Sizes of the encoder that are left out come from the pretrained model.
        task_fields: Configuration fields of the task, such as the labels.
        tokenizer: Tokenizer of the new model. Tokens that the pretrained model knows keep their embeddings; new tokens
            get the mean embedding.
        forward_only: True to take only the left-to-right direction of an encoder with independent directions.
        keep_head: True if both models are text classifiers, and the labels of the new one begin with those of the
            pretrained one.

    Returns:
        The new model.

    Raises:
        HfRnnError: There is no such model; `settings` contradict the size of the pretrained encoder; a language model
            is to use a bidirectional encoder whose directions are not independent; or `forward_only` is set for an
            encoder without independent directions.
    """
    folder, config = find_model(path)
    if forward_only:
        _take_one_direction(config, path)
    goes_on = architecture(config) == RNNForCausalLM.__name__ == model_class.__name__
    if model_class is RNNForCausalLM and config.bidirectional and not config.independent_directions:
        raise HfRnnError(
            f"the encoder of {path!r} has bidirectional=True, and a language model on it would read the token that it "
            "predicts: name a model with independent_directions=True, or with bidirectional=False."
        )
    for name in (*ENCODER, *(OUTPUT if goes_on else HEAD if keep_head else ())):
        theirs = getattr(config, name)
        if settings.get(name, theirs) != theirs:
            raise HfRnnError(
                f"model.{name}={settings[name]!r}, and the encoder of {path!r} has {theirs!r}: leave it out, or train "
                "a language model of that size."
            )
        settings = {**settings, name: theirs}
    before = load_tokenizer(str(folder))
    with _quiet():
        # The head of a classifier may not fit the encoder that is taken, so only the encoder is loaded.
        lender: Any = (model_class if goes_on or keep_head else RNNModel).from_pretrained(folder, config=config)
    same = tokenizer.get_vocab() == before.get_vocab()
    names = ("vocab_size", *SPECIAL_IDS, *(("num_rare_tokens", "unk_token_id") if same else ()))
    of_tokenizer = {name: getattr(config, name) for name in names}
    config = checked_config({**of_tokenizer, **settings, **task_fields})
    model: Any = model_class(config)
    if goes_on:
        model.load_state_dict(lender.state_dict())
    else:
        model.base_model.load_state_dict(lender.base_model.state_dict())
    if keep_head:
        _take_head(model, lender)
    if not same:
        move_embeddings(model, before, tokenizer, output=goes_on)
    model.use_vocabulary(tokenizer)
    return model


@torch.no_grad()
def _take_head(model: Any, lender: Any) -> None:
    """Copy pooling and head of a text classifier.

    Labels that the classifier lacks keep their small random weights and get the mean bias of the others, so that they
    begin neither likely nor unlikely.
    """
    model.pooling.load_state_dict(lender.pooling.state_dict())
    theirs = lender.classifier.state_dict()
    for name, parameter in model.classifier.named_parameters():
        kept = theirs[name]
        if name == "out_proj.bias":
            parameter.fill_(kept.mean())
        parameter[: len(kept)] = kept


def warn_of_unknown_tokens(run: RunConfig, tokenizer: PreTrainedTokenizerBase, rows: Dataset) -> None:
    """Log a warning if a tokenizer of other texts does not know many tokens of the training rows.

    A run that goes on from a text classifier prints their number in any case.

    Args:
        run: Run that uses the tokenizer.
        tokenizer: Tokenizer of the run.
        rows: Encoded training rows.
    """
    taken = run.tokenizer.path or (run.model.pretrained if run.tokenizer.kind is None else None)
    if taken is None or tokenizer.unk_token_id is None or not run.training.should_log:
        return
    ids = rows.with_format("arrow")[:SAMPLE]["input_ids"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    unknown = int((ids == tokenizer.unk_token_id).sum())
    share = unknown / max(1, len(ids))
    if run.model.keep_head:
        counted = f"{unknown:,} of {len(ids):,} training tokens ({share:.1%})"
        say(f"unknown    {counted} are not in the vocabulary of {taken!r}")
    if share > MOST_UNKNOWN:
        logger.warning(
            f"{share:.0%} of the training tokens are unknown to the tokenizer of {taken!r}, and share one embedding: "
            "write tokenizer.kind='word' (or char, bpe, …) for a vocabulary of these rows, or take a model of their "
            "language."
        )


def _take_one_direction(config: RNNConfig, path: str) -> None:
    """Change a configuration with independent directions to the left-to-right direction only."""
    if not config.independent_directions:
        raise HfRnnError(
            f"model.forward_only takes one of two independent directions, and the encoder of {path!r} has "
            f"independent_directions=False: leave it out."
        )
    config.bidirectional = config.independent_directions = False


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the warnings of transformers about unused weights, such as those of the unused direction."""
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
    """Replace the vocabulary of a model's embedding: shared tokens keep their weights, new tokens get the mean.

    Source: Howard and Ruder 2018, section 3.2.

    Args:
        model: Model to change in place.
        before: Current tokenizer of the model.
        after: New tokenizer of the model.
        output: True to change the output layer of a language model too.
    """
    kept = [weight.detach().clone() for weight in _by_entry(model, output)]
    model.resize_token_embeddings(len(after), mean_resizing=False)
    # The rare tokens of a wide path have no embeddings.
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
    """Return the parameters with one row for each vocabulary entry: the embedding and, if asked, the output layer.

    A tied parameter is returned once.
    """
    embedding, above = model.get_input_embeddings(), model.get_output_embeddings() if output else None
    weights = [] if above is None else [weight for weight in above.parameters() if weight is not embedding.weight]
    return [embedding.weight, *weights]


__all__ = ["move_embeddings", "take_encoder", "warn_of_unknown_tokens"]
