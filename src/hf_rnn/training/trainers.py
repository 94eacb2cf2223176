# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Trainer class of each task."""

from .bptt_trainer import LanguageModelTrainer
from .seq2seq_trainer import TranslationTrainer
from .tagger_trainer import TaggerTrainer
from .trainer import RNNTrainer

TRAINERS = {
    "text_classification": RNNTrainer,
    "token_classification": TaggerTrainer,
    "translation": TranslationTrainer,
    "language_modeling": LanguageModelTrainer,
}


def trainer_class(name: str) -> type[RNNTrainer]:
    """Return the trainer class of a task.

    Args:
        name: Name of the task.
    """
    return TRAINERS[name]


__all__ = ["trainer_class"]
