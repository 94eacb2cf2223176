# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Words of pretrained vectors that become entries of the vocabulary after the training.

An entry that no row uses gets no gradient, so training without weight decay does not change its vector. But the
optimizer, weight averaging and each checkpoint take time and memory for every entry. On CoNLL-2003 with 50,000 words of
GloVe, an epoch took half of the time without the entries that no row uses.
"""

import copy
from typing import Any

import numpy as np
import torch
from accelerate.utils import broadcast_object_list
from transformers import PreTrainedTokenizerBase

from ..models.characters import LONGEST
from ..text.added_words import add_words, whole_words
from ..text.vector_reader import VectorReader
from ..text.vectors import look_up, words_of
from ..utils.output import say
from .run_config import RunConfig
from .trainer import RNNTrainer
from .vectors import report_of

# Tasks whose models have no output layer over the vocabulary, which would give every entry a gradient.
TASKS = ("text_classification", "token_classification")
# Bytes of an entry in tokenizer.json besides its word: indentation, quotation marks, number and line end.
JSON_BYTES = 18


def adds_later(run: RunConfig) -> bool:
    """Return True if words of the vectors that no row has become entries of the vocabulary after the training.

    A frozen embedding costs nothing in training, and the words of a stream are not known before it.

    Args:
        run: Configuration of the run.
    """
    return (
        run.tokenizer.vector_words > 0
        and run.task in TASKS
        and not run.training.freeze_vectors
        and not run.data.streaming
    )


def later_words(run: RunConfig, tokenizer: PreTrainedTokenizerBase, source: VectorReader) -> list[str]:
    """Return the words of the vectors that can still become entries of a tokenizer.

    Args:
        run: Configuration of the run.
        tokenizer: Tokenizer of the run.
        source: Source of the vectors.

    Raises:
        DataError: The source breaks its format, or it has no words.
    """
    words, _ = words_of(source, run.tokenizer.vector_words, run.tokenizer.lowercase)
    return whole_words(tokenizer.backend_tokenizer, words)  # type: ignore[attr-defined]


def size_of(words: list[str], model: Any) -> int:
    """Return about the number of bytes that words will take in the files of a model and its tokenizer.

    Args:
        words: Words from [`later_words`].
        model: Model of the package.
    """
    row = model.get_input_embeddings().weight[0].nbytes
    row += LONGEST if getattr(model, "characters", None) is not None else 0
    return sum(row + len(word.encode()) + JSON_BYTES for word in words)


def add_later_words(
    trainer: RNNTrainer, run: RunConfig, tokenizer: PreTrainedTokenizerBase, source: VectorReader
) -> PreTrainedTokenizerBase:
    """Add the remaining words of the vectors to a trained model; return its tokenizer with these words.

    The first process reads the vectors and sends them to the others.

    Args:
        trainer: Trainer of the model, after training.
        run: Configuration of the run.
        tokenizer: Tokenizer of the run, which is not changed.
        source: Source of the vectors.

    Raises:
        DataError: The source breaks its format, or it has no words.
    """
    tokenizer = copy.deepcopy(tokenizer)
    backend: Any = tokenizer.backend_tokenizer  # type: ignore[attr-defined]
    found = None
    if trainer.args.process_index == 0:
        missing = later_words(run, tokenizer, source)
        vectors = look_up(source, missing)
        found = {word: vectors[word][0] for word in missing if word in vectors}
    found = broadcast_object_list([found])[0]
    add_words(backend, found)
    report = report_of(trainer)
    assert report is not None
    report["added_later"] = len(found)
    if found:
        model: Any = trainer.accelerator.unwrap_model(trainer.model)
        matrix = torch.from_numpy(np.stack(list(found.values())) * np.float32(report["scale"]))
        V = len(tokenizer)
        model.resize_token_embeddings(V, mean_resizing=False)
        with torch.no_grad():
            model.get_input_embeddings().weight[V - len(found) :] = matrix
        model.use_vocabulary(tokenizer)
        trainer.processing_class = tokenizer
        if trainer.args.should_log:
            say(
                f"words      {len(found):,} further words of the vectors, which no row has, are among the {V:,} "
                "entries of the vocabulary now"
            )
    return tokenizer


__all__ = ["add_later_words", "adds_later", "later_words", "size_of"]
