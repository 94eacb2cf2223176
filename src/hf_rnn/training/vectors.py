# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Begin a run with pretrained vectors, and keep them as they are in its first epochs."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import broadcast_object_list
from datasets import Dataset
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase, TrainerCallback
from transformers.trainer_callback import ExportableState

from ..models.modeling_seq2seq_rnn import RNNForConditionalGeneration
from ..tasks import Task
from ..text.vector_reader import VectorReader
from ..text.vector_sources import open_vectors
from ..text.vectors import FoundVectors, find_vectors
from ..utils.errors import UserError
from ..utils.output import say
from .callbacks import epoch_of
from .run_config import RunConfig


def open_for(run: RunConfig) -> VectorReader | None:
    """Open the vectors that a run begins with, before any work; None where it names none.

    Args:
        run: the run.

    Raises:
        UserError: there are none, or their width is not the one that somebody wrote.
    """
    path = run.model.vectors
    if path is None:
        return None
    with run.training.main_process_first(desc="opening the vectors"):
        source = open_vectors(path)
    size = run.model.embedding_size
    if "model.embedding_size" in run.given and size != source.width:
        raise UserError(
            f"model.embedding_size={size}, and the vectors of {path!r} have a width of {source.width}: leave "
            f"embedding_size out, or write --model.embedding_size {source.width}."
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
    """Find the vectors of a run's vocabulary, in the first process for all, and print what was found. Their standard
    deviation becomes `initializer_range`, as that of an embedding which has learnt nothing.

    Args:
        source: as [`open_for`] returns it.
        run: the run.
        task: of the run.
        tokenizer: of its model.
        rows: of the training split.
        encoded: the same rows as token ids.

    Raises:
        UserError: nothing of the vocabulary was found, or the source breaks its format.
    """
    found = None
    if run.training.process_index == 0:
        path = run.model.vectors
        written = task.model_class is RNNForConditionalGeneration
        counts = _counts(encoded, ["input_ids", *(["labels"] if written else [])], len(tokenizer))
        name = Path(path).name if Path(path).exists() else path
        V = len(tokenizer) - run.rare_tokens_of(tokenizer)
        found = find_vectors(source, name, tokenizer, task.texts(rows), counts, run.training.seed, V)
        # Vectors of another size learn at another pace than all that they are trained with: those of GloVe, whose
        # spread is four times as large, did worse than none in the first epoch, and better than none at this one.
        found = found.scaled_to(run.model.initializer_range)
    found = broadcast_object_list([found])[0]
    if run.training.should_log:
        say(found.summary())
    return found


def _counts(rows: Dataset, columns: list[str], V: int) -> np.ndarray:
    """Return how often each of V tokens stands in some columns of encoded rows."""
    counts = np.zeros(V, dtype=np.int64)
    for batch in rows.with_format("arrow").iter(batch_size=10_000):
        for column in columns:
            ids = batch[column].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            counts += np.bincount(ids[ids >= 0], minlength=V)
    return counts


def embeddings_of(model: Any) -> list[nn.Embedding]:
    """Return the embeddings of a model that are those of its tokenizer's vocabulary, the decoder's among them.

    Args:
        model: any of the package.
    """
    decoder = getattr(model, "decoder_embed_tokens", None)
    return [model.get_input_embeddings(), *([] if decoder is None else [decoder])]


@torch.no_grad()
def put_vectors(model: Any, matrix: np.ndarray) -> None:
    """Give the embeddings of a model their vectors.

    Args:
        model: any of the package.
        matrix: `[V, E]`.
    """
    for embedding in embeddings_of(model):
        embedding.weight.copy_(torch.from_numpy(matrix))


class VectorsAtStart(TrainerCallback, ExportableState):
    """Keep the embedding as it is in the first epochs, and the report about its vectors in each checkpoint.

    The gradient of a frozen embedding is zero where it is clipped and sent to other processes, and gone where the
    optimizer looks for it, which so neither moves nor decays it. With `requires_grad_(False)`, several processes would
    have to be told which parameters to wait for.

    Args:
        epochs: in which the embedding is frozen.
        report: of [`~hf_rnn.text.vectors.find_vectors`].
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
        """Return what a checkpoint keeps."""
        return {"args": {"epochs": self.epochs, "report": self.report}, "attributes": {}}

    def _gradient(self, gradient: Tensor) -> Tensor | None:
        return torch.zeros_like(gradient) if self.frozen else None


__all__ = ["VectorsAtStart", "embeddings_of", "open_for", "put_vectors", "vectors_for"]
