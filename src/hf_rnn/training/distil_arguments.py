# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The sections teacher and distil of a run, which make its model the student of another one."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..teachers.base import LOGITS, PROBABILITIES
from ..text.augmentation import METHODS
from ..utils.errors import ConfigError, check_choice

LOSSES = ("mse", "cross_entropy")
ENSEMBLES = ("mean", "by_class")
# Value of `teacher.path` for models that were passed in Python.
IN_PYTHON = "(model handed over in Python)"


@dataclass
class TeacherArguments:
    """Teachers: models whose answers the model learns.

    Args:
        path: Folder or Hub id of a text classifier of transformers or of hf_rnn, of an NLI model (see hypothesis), or
            the URL of an endpoint that is compatible with OpenAI's, such as http://localhost:8000/v1. Taggers learn
            from token classifiers or taggers, and translators from one translator. Several teachers are averaged.
            Empty for no teacher.
        revision: Branch, tag or commit of a teacher on the Hub; null for the default branch.
        columns: Columns of the data that hold the answers of a teacher, instead of path: one per label in the order of
            the labels, or columns by label, such as {spam: p_spam, ham: p_ham}. null for none.
        label_map: Label of the data for each label of the teacher that has another name, such as {LABEL_0: negative};
            null as a value for labels to leave out. Labels with the same name need no entry.
        outputs: Kind of the numbers that a teacher answers with: logits or probabilities. null to find out; models of
            transformers answer with logits.
        ensemble: Weights of several teachers: mean for equal ones, or by_class for the F1 of each teacher and label on
            the validation rows.
        max_length: Maximum number of tokens that the teacher reads of a text.
        cache: Folder in which the answers of teachers and fine-tuned teachers are kept for all runs; null for
            hf_rnn/teachers in the cache of Hugging Face (HF_HOME).
        finetune: Fine-tune the teacher on the labelled training rows first. path then names any encoder of
            transformers.
        epochs: Number of epochs of the fine-tuning; null for enough for 1,000 optimizer steps, from 2 to 20.
        learning_rate: Highest learning rate of the fine-tuning.
        batch_size: Number of rows in a batch of the fine-tuning; null for 32, or 64 from 20,000 rows on.
        seed: Seed of the fine-tuning.
        hypothesis: Sentence about the label {} that an NLI model judges for each text.
        endpoint_model: Name of the model at the endpoint.
        prompt: Question to the endpoint, with {text} and {labels}; null for a question in English.

    Raises:
        ConfigError: A value is out of range or not a valid choice, or both path and columns are set.
    """

    path: str | list[str] = field(default_factory=list)
    revision: str | None = None
    columns: list[str] | dict[str, str] | None = None
    label_map: dict[str, str | None] | None = None
    outputs: str | None = None
    ensemble: str = "mean"
    max_length: int = 256
    cache: str | None = None
    finetune: bool = False
    epochs: float | None = None
    learning_rate: float = 5e-5
    batch_size: int | None = None
    seed: int = 0
    hypothesis: str = "This example is {}."
    endpoint_model: str | None = None
    prompt: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.path, str):
            self.path = [self.path]
        if self.outputs is not None:
            check_choice("teacher.outputs", self.outputs, (LOGITS, PROBABILITIES))
        check_choice("teacher.ensemble", self.ensemble, ENSEMBLES)
        for name, least in (("max_length", 1), ("epochs", 0), ("learning_rate", 0), ("batch_size", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and (value < least or (least == 0 and name != "seed" and value == 0)):
                raise ConfigError(
                    f"teacher.{name}={value} must be {'greater than 0' if not least else '1 or greater'}."
                )
        if self.columns is not None and self.path:
            raise ConfigError(
                f"teacher.columns={self.columns} are the answers of a teacher, and teacher.path={self.path} names one "
                "too: leave one of them out."
            )

    def __bool__(self) -> bool:
        return bool(self.path or self.columns)


@dataclass
class DistilArguments:
    """Texts and loss by which a student learns from its teacher.

    Args:
        transfer: Files, folders or Hub data sets of further texts, which the teacher labels. For taggers, a row is a
            list of words, or a text that is split at white space. The texts of data.unlabelled_splits are labelled too.
        size: Number of training texts, those of the data included, to which augmentation adds made-up ones. null for
            no augmentation.
        augment: Methods of augmentation, which are used in turn: mask, replace, ngram, span, join, and vectors (needs
            model.vectors).
        generator: Folder or Hub id of a language model of hf_rnn, which writes half of the made-up texts. null for
            none.
        loss: Loss of the answers of the teacher: mse for the squared error of logits, or cross_entropy for the
            cross-entropy of probabilities.
        temperature: Temperature of the probabilities in cross_entropy.
        hard_labels: Weight of the labels in the loss, from 0 to 1; the answers of the teacher have the rest. The label
            of a text without one is that of the teacher. For a translator, it is the share of the original pairs among
            the training rows, in addition to the translations of the teacher.
        annealing: Raise the weight of the labels from 0 to hard_labels during training (Clark et al. 2019).
        max_megabytes: Maximum size of the weights and the tokenizer of the saved model, in millions of bytes. The sizes
            of the network that are not given are chosen for it. null for no maximum.
        teacher_embeddings: Start from the token embeddings of the teacher, found for the vocabulary of the student as
            those of model.vectors, and reduced to embedding_size by PCA.

    Raises:
        ConfigError: A value is out of range or not a valid choice.
    """

    transfer: str | list[str] = field(default_factory=list)
    size: int | None = None
    augment: list[str] = field(default_factory=lambda: ["mask", "replace", "ngram"])
    generator: str | None = None
    loss: str = "mse"
    temperature: float = 1.0
    hard_labels: float = 0.0
    annealing: bool = False
    max_megabytes: float | None = None
    teacher_embeddings: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.transfer, str):
            self.transfer = [self.transfer]
        check_choice("distil.loss", self.loss, LOSSES)
        for method in self.augment:
            check_choice("distil.augment", method, METHODS)
        for name in ("size", "temperature", "max_megabytes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"distil.{name}={value} must be greater than 0.")
        if not 0 <= self.hard_labels <= 1:
            raise ConfigError(f"distil.hard_labels={self.hard_labels} must be from 0 to 1, such as 0.5.")
        if self.annealing and not self.hard_labels:
            raise ConfigError(
                "distil.annealing=True raises the weight of the labels to distil.hard_labels, which is 0: write "
                "distil.hard_labels=1 too, or leave it out."
            )
        if self.generator is not None and self.size is None:
            raise ConfigError(
                f"distil.generator={self.generator!r} writes texts until there are distil.size of them, which is not "
                "set: write distil.size=100000 too, or leave it out."
            )


__all__ = ["IN_PYTHON", "DistilArguments", "TeacherArguments"]
