# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Checks of the sections teacher and distil of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..teachers.endpoint import is_endpoint
from ..utils.errors import ConfigError
from .objectives import OBJECTIVES

if TYPE_CHECKING:
    from .run_config import RunConfig

# Tasks that have teachers.
TAUGHT = ("text_classification", "token_classification", "translation")
# Settings of the training section that act on labels only.
_OF_LABELS = ("class_weights", "focal_gamma")


def check_distillation(run: RunConfig) -> None:
    """Raise [`ConfigError`] if settings of teacher and distil contradict others, or have no effect.

    Args:
        run: Configuration of the run.
    """
    if not run.teacher:
        if written := sorted(key for key in run.given if key.startswith(("teacher.", "distil."))):
            raise ConfigError(
                f"{written[0]} is read with a teacher only: name one, teacher.path=USER/MODEL, or leave it out."
            )
        return
    if run.task not in TAUGHT:
        raise ConfigError(f"task={run.task!r} has no teachers: they teach {', '.join(TAUGHT)}. Leave teacher.path out.")
    if run.task != "text_classification":
        _check_words(run)
    if run.data.streaming:
        raise ConfigError(
            "data.streaming=True never loads all rows, and a teacher answers all of them before training: leave one of "
            "them out."
        )
    if run.cross_validate:
        raise ConfigError(
            f"cross_validate={run.cross_validate} would train a student for each fold on answers of a teacher that may "
            "know the held-out rows: leave it out."
        )
    if run.model.keep_head:
        raise ConfigError(
            f"a student of teachers has a new head, and model.keep_head=True keeps that of {run.model.pretrained!r}: "
            "write model.keep_head=False."
        )
    _check_loss(run)
    _check_fine_tuning(run)
    _check_endpoints(run)
    _check_embeddings(run)


def _check_loss(run: RunConfig) -> None:
    """Raise [`ConfigError`] for settings of the loss that contradict each other, or have no effect."""
    args, distil = run.training, run.distil
    for name in OBJECTIVES[:3]:
        if getattr(args, name):
            raise ConfigError(f"training.{name}={getattr(args, name)} does not go with a teacher: leave it out.")
    for name in _OF_LABELS:
        if f"training.{name}" in run.given and getattr(args, name) and not distil.hard_labels:
            raise ConfigError(
                f"training.{name}={getattr(args, name)!r} weighs the loss of the labels, and distil.hard_labels=0 "
                "leaves it out: write distil.hard_labels=0.5 too, or leave it out."
            )
    if args.label_smoothing_factor:
        raise ConfigError(
            f"training.label_smoothing_factor={args.label_smoothing_factor} smooths labels, and a student learns the "
            "probabilities of its teacher: leave it out."
        )
    if distil.temperature != 1 and distil.loss == "mse":
        raise ConfigError(
            f"distil.temperature={distil.temperature} is read by distil.loss=cross_entropy only: write that, or leave "
            "it out."
        )


def _check_fine_tuning(run: RunConfig) -> None:
    """Raise [`ConfigError`] for settings of a fine-tuning that the run does not have."""
    for name in ("epochs", "learning_rate", "batch_size", "seed"):
        if f"teacher.{name}" in run.given and not run.teacher.finetune:
            raise ConfigError(
                f"teacher.{name}={getattr(run.teacher, name)} is about the fine-tuning of the teacher: write "
                "teacher.finetune=True too, or leave it out."
            )


def _check_endpoints(run: RunConfig) -> None:
    """Raise [`ConfigError`] for settings of an endpoint that the run does not have."""
    for name in ("endpoint_model", "prompt"):
        if f"teacher.{name}" in run.given and not any(map(is_endpoint, run.teacher.path)):
            raise ConfigError(
                f"teacher.{name}={getattr(run.teacher, name)!r} is about an endpoint, and no teacher is one: name its "
                "URL, such as teacher.path=http://localhost:8000/v1, or leave it out."
            )


def _check_embeddings(run: RunConfig) -> None:
    """Raise [`ConfigError`] for embeddings from two sources, or from none."""
    distil = run.distil
    if distil.teacher_embeddings and (run.model.vectors or run.model.pretrained):
        raise ConfigError(
            "distil.teacher_embeddings=True starts from the embeddings of the teacher, and "
            f"model.{'vectors' if run.model.vectors else 'pretrained'} brings others: leave one of them out."
        )
    if "vectors" in distil.augment and run.model.vectors is None and distil.size is not None:
        raise ConfigError(
            "distil.augment=vectors replaces words by close ones in model.vectors, which is not set: write "
            "model.vectors=FILE, or leave vectors out of distil.augment."
        )


def _check_words(run: RunConfig) -> None:
    """Raise [`ConfigError`] if a setting does not go with a tagger or a translator."""
    teacher, distil = run.teacher, run.distil
    if teacher.columns is not None:
        raise ConfigError(
            f"teacher.columns={teacher.columns} are answers to whole texts, and task={run.task!r} needs those of a "
            "model: name one, teacher.path=FOLDER."
        )
    if run.task == "token_classification":
        if run.model.crf and not distil.hard_labels:
            raise ConfigError(
                "model.crf=True: a conditional random field learns its transitions from labels, and "
                "distil.hard_labels=0 leaves them out: write distil.hard_labels=0.5, or model.crf=False."
            )
        return
    if len(teacher.path) > 1:
        raise ConfigError(
            f"teacher.path={teacher.path} are {len(teacher.path)} translators, whose texts cannot be averaged: name "
            "one."
        )
    if teacher.finetune:
        raise ConfigError(
            "teacher.finetune=True fine-tunes encoders for classifiers and taggers: name a translator that is trained "
            "already, and leave it out."
        )
    for name in ("loss", "temperature", "annealing"):
        if f"distil.{name}" in run.given:
            raise ConfigError(
                f"distil.{name}={getattr(distil, name)!r} acts on the probabilities of labels, and a translator learns "
                "the texts of its teacher: leave it out."
            )


__all__ = ["check_distillation"]
