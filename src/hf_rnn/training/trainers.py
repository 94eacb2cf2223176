# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The trainer of each task."""

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
    """Return the trainer of a task, by the task's name."""
    return TRAINERS[name]


__all__ = ["trainer_class"]
