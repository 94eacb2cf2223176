# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Conditions under which rules of presets and settings of a search apply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..text.tokenization import BY_FREQUENCY, OF_WORDS

if TYPE_CHECKING:
    from .run_config import RunConfig


def always(run: RunConfig) -> bool:
    """Return True for any `run`.

    Args:
        run: Run as parsed.
    """
    return True


def from_nothing(run: RunConfig) -> bool:
    """Return True if the run trains a new network, without a pretrained encoder.

    Args:
        run: Run as parsed.
    """
    return run.model.pretrained is None


def on_encoder(run: RunConfig) -> bool:
    """Return True if the run takes a pretrained encoder, with a new head.

    Args:
        run: Run as parsed.
    """
    return not from_nothing(run) and not goes_on(run)


def goes_on(run: RunConfig) -> bool:
    """Return True if the run goes on from a text classifier, whose network keeps its settings.

    Args:
        run: Run as parsed.
    """
    return bool(run.model.keep_head)


def has_new_head(run: RunConfig) -> bool:
    """Return True if the run does not go on from a text classifier.

    Args:
        run: Run as parsed.
    """
    return not goes_on(run)


def trains_tokenizer(run: RunConfig) -> bool:
    """Return True if the run trains a tokenizer; a pretrained encoder brings its own unless the user writes a kind.

    Args:
        run: Run as parsed.
    """
    return run.tokenizer.path is None and (from_nothing(run) or run.tokenizer.kind is not None)


def by_frequency(run: RunConfig) -> bool:
    """Return True if the rules may choose the size of the vocabulary by the frequency of its entries.

    With a pretrained encoder they may not: its embeddings of entries that are rare in the new data are trained already.

    Args:
        run: Run as parsed.
    """
    return from_nothing(run) and trains_tokenizer(run) and run.tokenizer.kind in (None, *BY_FREQUENCY)


def has_wide_path(run: RunConfig) -> bool:
    """Return True if the model has, or may get, a wide path.

    Args:
        run: Run as parsed.
    """
    return run.model.wide_ngrams > 0 or "model.wide_ngrams" not in run.given


def counts_rare_words(run: RunConfig) -> bool:
    """Return True if the wide path may count words that are too rare for the recurrent network.

    Args:
        run: Run as parsed.
    """
    return by_frequency(run) and has_wide_path(run) and not run.tokenizer.vector_words


def learns_vectors(run: RunConfig) -> bool:
    """Return True if the embedding starts from random vectors.

    Args:
        run: Run as parsed.
    """
    return from_nothing(run) and run.model.vectors is None


def has_vectors(run: RunConfig) -> bool:
    """Return True if the embedding starts from pretrained vectors.

    Args:
        run: Run as parsed.
    """
    return run.model.vectors is not None


def may_add_words(run: RunConfig) -> bool:
    """Return True if words of the pretrained vectors may become entries of the vocabulary.

    Args:
        run: Run as parsed.
    """
    if run.tokenizer.rare_tokens or run.distil.max_megabytes is not None:
        return False
    if "tokenizer.vector_words" in run.given and not run.tokenizer.vector_words:
        return False
    return has_vectors(run) and trains_tokenizer(run) and run.tokenizer.kind in (None, *OF_WORDS)


def may_count_tokens(run: RunConfig) -> bool:
    """Return True if the user wrote nothing against batches of a number of tokens.

    Args:
        run: Run as parsed.
    """
    written = {"training.per_device_train_batch_size", "training.train_sampling_strategy"} & run.given
    return not written and not run.training.auto_find_batch_size


def may_look_ahead(run: RunConfig) -> bool:
    """Return True if the network may be bidirectional.

    Args:
        run: Run as parsed.
    """
    return from_nothing(run) and (not run.model.backprop_length or run.model.independent_directions)


def may_train_slowly(run: RunConfig) -> bool:
    """Return True if the embedding has words of pretrained vectors, and may be trained at a lower rate.

    Args:
        run: Run as parsed.
    """
    return may_add_words(run) and not run.training.freeze_vectors


def may_weigh(run: RunConfig) -> bool:
    """Return True if the user wrote no setting that chosen class weights could contradict.

    Args:
        run: Run as parsed.
    """
    written = {f"training.{name}" for name in ("balanced_sampling", "thresholds")}
    # The loss with class weights has no label smoothing.
    return run.reads_labels and not written & run.given and not run.training.label_smoothing_factor


def averages(run: RunConfig) -> bool:
    """Return True if the run has, or may get, a moving average of the weights.

    Args:
        run: Run as parsed.
    """
    return run.training.averaging == "ema" or "training.averaging" not in run.given


def has_epochs(run: RunConfig) -> bool:
    """Return True if the length of the training is a number of epochs.

    Args:
        run: Run as parsed.
    """
    return run.training.max_steps < 1


__all__ = [
    "always",
    "averages",
    "by_frequency",
    "counts_rare_words",
    "from_nothing",
    "goes_on",
    "has_epochs",
    "has_new_head",
    "has_vectors",
    "has_wide_path",
    "learns_vectors",
    "may_add_words",
    "may_count_tokens",
    "may_look_ahead",
    "may_train_slowly",
    "may_weigh",
    "on_encoder",
    "trains_tokenizer",
]
