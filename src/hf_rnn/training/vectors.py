# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Pretrained word vectors for the embedding of a new model, and their freezing in the first epochs."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import broadcast_object_list
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedTokenizerBase, Trainer, TrainerCallback
from transformers.trainer_callback import ExportableState

from ..models.modeling_seq2seq_rnn import RNNForConditionalGeneration
from ..tasks import Task
from ..text.vector_reader import VectorReader
from ..text.vector_sources import open_vectors
from ..text.vector_tables import input_embeddings
from ..text.vectors import FoundVectors, find_vectors, words_of
from ..utils.errors import DataError
from ..utils.output import say
from .callbacks import epoch_of
from .fine_tuning import embeddings_of
from .run_config import RunConfig

logger = logging.getLogger(__name__)

# Shares of the running tokens with a vector below which a run warns: with a frozen embedding, and with a trained one.
FEW_IF_FROZEN, FEW = 0.5, 0.1


def open_for(run: RunConfig, teacher: Path | None = None) -> VectorReader | None:
    """Open the pretrained vectors of a run; return None if it has none.

    Args:
        run: Run that will start from the vectors.
        teacher: Folder of the teacher whose token embeddings the run starts from; None for `model.vectors`.

    Raises:
        DataError: There are no vectors at the path, or their width is not the embedding size that the user wrote.
    """
    if teacher is not None:
        return input_embeddings(teacher)
    path = run.model.vectors
    if path is None:
        return None
    with run.training.main_process_first(desc="opening the vectors"):
        source = open_vectors(path)
    size = run.model.embedding_size
    if "model.embedding_size" in run.given and size != source.width:
        raise DataError(
            f"model.embedding_size={size}, and the vectors of {path!r} have a width of {source.width}: leave "
            f"embedding_size out, or write model.embedding_size={source.width}."
        )
    return source


def vectors_for(
    source: VectorReader,
    run: RunConfig,
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    rows: Dataset,
    encoded: Dataset,
) -> FoundVectors:
    """Find the pretrained vectors of a run's vocabulary, and print a summary.

    The first process reads the source and sends the vectors to the others. The vectors are scaled so that their
    standard deviation is `vectors_std`, or `initializer_range` as in a newly initialised embedding.

    Args:
        source: Source from [`open_for`].
        run: Run that will start from the vectors.
        task: Task of the run.
        tokenizer: Tokenizer of the model.
        rows: Prepared training rows.
        encoded: The same rows as token ids.

    Raises:
        DataError: No entry of the vocabulary was found, or the source breaks its format.
    """
    found = None
    if run.training.process_index == 0:
        path = run.model.vectors or run.teacher.path[0]
        written = task.model_class is RNNForConditionalGeneration
        counts = _counts(encoded, ["input_ids", *(["labels"] if written else [])], len(tokenizer))
        name = Path(path).name if Path(path).exists() else path
        V = len(tokenizer) - run.rare_tokens_of(tokenizer)
        most = run.tokenizer.vector_words
        words, _ = words_of(source, most, run.tokenizer.lowercase) if most else ([], False)
        found = find_vectors(source, name, tokenizer, task.texts(rows), counts, run.training.seed, V, words)
        if run.distil.teacher_embeddings:
            found = found.reduced_to(run.model.embedding_size)
        # Larger vectors learn at another pace than the other weights. The standard deviation of GloVe is four times as
        # large: in a text classifier, it was worse than no vectors in the first epoch unscaled, and better scaled.
        found = found.scaled_to(run.model.vectors_std or run.model.initializer_range)
    found = broadcast_object_list([found])[0]
    if run.training.should_log:
        say(found.summary())
        frozen = run.training.freeze_vectors
        if found.report["tokens"] < (FEW_IF_FROZEN if frozen else FEW):
            begin = "keep a random one, because training.freeze_vectors=True" if frozen else "begin with a random one"
            remedy = "write training.freeze_vectors=False" if frozen else "leave model.vectors out"
            logger.warning(
                f"{1 - found.report['tokens']:.1%} of the running tokens have no vector and {begin}: name vectors of "
                f"the language of the texts, or {remedy}."
            )
    return found


def _counts(rows: Dataset, columns: list[str], V: int) -> np.ndarray:
    """Return the counts of the V tokens in some columns of encoded rows, `[V]`; negative ids are skipped."""
    counts = np.zeros(V, dtype=np.int64)
    for batch in rows.with_format("arrow").iter(batch_size=10_000):
        for column in columns:
            ids = batch[column].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            counts += np.bincount(ids[ids >= 0], minlength=V)
    return counts


@torch.no_grad()
def put_vectors(model: Any, matrix: np.ndarray) -> None:
    """Copy vectors into all token embeddings of a model.

    Args:
        model: Model of the package.
        matrix: Vectors, `[V, E]`.
    """
    for embedding in embeddings_of(model):
        embedding.weight.copy_(torch.from_numpy(matrix))


class VectorsAtStart(TrainerCallback, ExportableState):
    """Callback that freezes the token embeddings in the first epochs, and keeps the report of their vectors.

    The report is part of each checkpoint. A frozen embedding has a gradient of zeros, for gradient clipping and for the
    exchange between processes. Before the optimizer step its gradient is set to None, so that the optimizer applies
    neither an update nor weight decay. `requires_grad_(False)` is not used: with several processes, data parallelism
    would wait for the gradient of the parameter. (`freeze_vectors` uses it, before training begins.)

    Args:
        epochs: Number of epochs at the start in which the embeddings are frozen.
        report: Report of [`~hf_rnn.text.vectors.find_vectors`]; None if the model has none.
    """

    def __init__(self, epochs: int = 0, report: dict | None = None):
        self.epochs, self.report = epochs, report
        self.frozen = False
        self._hooks: list[Any] = []

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        if self.epochs:
            self._hooks = [embedding.weight.register_hook(self._gradient) for embedding in embeddings_of(model)]

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.frozen = epoch_of(state) < self.epochs

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        if self.frozen:
            for embedding in embeddings_of(model):
                embedding.weight.grad = None

    def on_train_end(self, args, state, control, **kwargs):
        for hook in self._hooks:
            hook.remove()
        self._hooks, self.frozen = [], False

    def state(self) -> dict:
        """Return the constructor arguments, for a checkpoint."""
        return {"args": {"epochs": self.epochs, "report": self.report}, "attributes": {}}

    def _gradient(self, gradient: Tensor) -> Tensor | None:
        return torch.zeros_like(gradient) if self.frozen else None


def report_of(trainer: Trainer) -> dict[str, Any] | None:
    """Return the report of the vectors with which a model started; None if it has none.

    Args:
        trainer: Trainer of the model.
    """
    callbacks = trainer.callback_handler.callbacks
    return next((each.report for each in callbacks if isinstance(each, VectorsAtStart)), None)


__all__ = ["VectorsAtStart", "open_for", "put_vectors", "report_of", "vectors_for"]
