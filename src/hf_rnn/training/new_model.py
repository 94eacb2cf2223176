# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Tokenizer and model with which a training run starts."""

from collections.abc import Iterable
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..hub.fetch import find_model
from ..models.configuration_rnn import RNNConfig
from ..tasks import Task, TaskModel
from ..text.added_words import add_words, used_words, whole_words
from ..text.tokenization import BY_FREQUENCY, TokenizerArguments, load_tokenizer, train_tokenizer
from ..text.vector_reader import VectorReader
from ..text.vectors import FoundVectors, words_of
from ..utils.errors import HfRnnError
from ..utils.output import say
from .fine_tuning import ENCODER, OUTPUT, embeddings_of
from .later_words import adds_later
from .pretrained import take_encoder
from .run_config import RunConfig
from .vectors import put_vectors


def tokenizer_of(
    run: RunConfig, checkpoint: Path | None, task: Task, rows: Any, others: Iterable[Any], vectors: VectorReader | None
) -> PreTrainedTokenizerBase:
    """Return the tokenizer of the checkpoint, of `tokenizer.path` or of `model.pretrained`, or train one.

    Args:
        run: Configuration of the run.
        checkpoint: Checkpoint from which the run resumes; None for a run that starts anew.
        task: Task of the run.
        rows: Prepared training rows.
        others: Other prepared splits. Words of the vectors that these splits have become entries too.
        vectors: Source of pretrained vectors, whose words become entries with `tokenizer.vector_words`.

    Raises:
        HfRnnError: Settings contradict each other or a tokenizer that exists already.
    """
    settings = asdict(run.tokenizer)
    path = settings.pop("path")
    if checkpoint is not None:
        return load_tokenizer(str(checkpoint))
    if path is None and settings["kind"] is None and run.model.pretrained is not None:
        if run.tokenizer != TokenizerArguments():
            raise HfRnnError(
                "the tokenizer is that of model.pretrained, and its settings are fixed: leave the tokenizer "
                "section out, or write tokenizer.kind='word' (or bpe, …) too, to train a new one."
            )
        folder, _ = find_model(run.model.pretrained)
        path = str(folder)
    elif path is not None and run.tokenizer != TokenizerArguments(path=path):
        raise HfRnnError(
            f"tokenizer.path={path!r} names a tokenizer, and its settings are fixed: leave the other settings of "
            "the tokenizer section out."
        )
    if path is not None:
        if run.data.normalize_digits:
            raise HfRnnError(
                f"data.normalize_digits=True needs a tokenizer that this run trains, and that of {path!r} is "
                "already trained: leave it out."
            )
        return load_tokenizer(path)
    settings["normalize_digits"] = run.data.normalize_digits
    settings["kind"] = settings["kind"] or task.tokenizer_kind
    rare, most = settings.pop("rare_tokens"), settings.pop("vector_words")
    if rare and settings["kind"] not in BY_FREQUENCY:
        raise HfRnnError(
            f"tokenizer.rare_tokens={rare} are the least frequent entries, and tokenizer.kind={settings['kind']!r} "
            "does not number entries by frequency: leave it out, or write tokenizer.kind='word'."
        )
    settings["vocab_size"] += rare
    tokenizer = None
    if run.training.process_index == 0:  # Training may differ slightly between processes.
        show_progress = not run.training.disable_tqdm
        tokenizer = train_tokenizer(task.texts(rows), **settings, show_progress=show_progress)
        if most and vectors:
            texts = chain.from_iterable(map(task.texts, [rows, *others])) if adds_later(run) else None
            summary = _add_words_of(vectors, run, tokenizer, texts)
            if run.training.should_log:
                say(summary)
    return broadcast_object_list([tokenizer])[0]


def _add_words_of(vectors: VectorReader, run: RunConfig, tokenizer: Any, texts: Iterable[str] | None) -> str:
    """Add words of the vectors to a tokenizer, only those in some texts if there are any; return a line about them."""
    words, with_forms = words_of(vectors, run.tokenizer.vector_words, run.tokenizer.lowercase)
    backend = tokenizer.backend_tokenizer
    whole = whole_words(backend, words)
    added = whole if texts is None else used_words(backend, whole, texts)
    add_words(backend, added)
    entries = tokenizer.get_vocab()
    found, later = sum(word in entries for word in words), len(whole) - len(added)
    forms = ", capitalized and upper-case forms included," if with_forms else ""
    more = f"; {later:,} that no row has become entries after the training" if later else ""
    more += "; the tokenizer splits or changes the others" if found + later < len(words) else ""
    return (
        f"words      {found:,} of {len(words):,} first words of the vectors{forms} are among the {len(entries):,} "
        f"entries of the vocabulary{more}"
    )


def model_of(
    run: RunConfig,
    checkpoint: Path | None,
    task: TaskModel,
    tokenizer: PreTrainedTokenizerBase,
    vectors: FoundVectors | None,
) -> PreTrainedModel:
    """Return the model of the checkpoint, a model on `model.pretrained`, or a new one.

    Args:
        run: Configuration of the run.
        checkpoint: Checkpoint from which the run resumes; None for a run that starts anew.
        task: Task of the run, which knows its labels.
        tokenizer: Tokenizer of the run.
        vectors: Pretrained vectors with which the embedding starts; None for random ones.

    Raises:
        HfRnnError: Settings contradict each other or the pretrained model.
    """
    # `model.pretrained` may no longer exist when a run resumes.
    model = (
        _new_model(run, task, tokenizer, vectors)
        if checkpoint is None
        else task.model_class.from_pretrained(checkpoint)
    )
    if run.training.freeze_vectors:
        for embedding in embeddings_of(model):
            embedding.weight.requires_grad_(False)
    return model


def _new_model(
    run: RunConfig, task: TaskModel, tokenizer: PreTrainedTokenizerBase, vectors: FoundVectors | None
) -> PreTrainedModel:
    """Return a model on `model.pretrained`, or an untrained one, whose embedding has the vectors if there are any."""
    settings = asdict(run.model)
    pretrained, forward_only, keep_head = map(settings.pop, ("pretrained", "forward_only", "keep_head"))
    # The vectors are found already. The wide path is added after the training of the recurrent network.
    for name in ("vectors", "vectors_std", "wide_ngrams"):
        del settings[name]
    if pretrained is not None:
        # Settings that the user did not write come from the pretrained encoder. A kept head has set them already.
        taken = () if keep_head else (*ENCODER, *OUTPUT)
        settings = {name: settings[name] for name in settings if name not in taken or f"model.{name}" in run.given}
        fields, kept = task.config_fields(), bool(keep_head)
        return take_encoder(pretrained, task.model_class, settings, fields, tokenizer, forward_only, kept)
    if vectors is not None:
        settings["embedding_size"] = vectors.matrix.shape[1]
    rare = run.rare_tokens_of(tokenizer)
    config = RNNConfig(
        vocab_size=len(tokenizer) - rare,
        num_rare_tokens=rare,
        unk_token_id=tokenizer.unk_token_id if rare else None,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **settings,
        **task.config_fields(),
    )
    try:
        model = task.model_class(config)
    except ValueError as error:
        raise HfRnnError(f"model: {error}") from error
    model.use_vocabulary(tokenizer)
    if vectors is not None:
        put_vectors(model, vectors.matrix)
    return model


__all__ = ["model_of", "tokenizer_of"]
