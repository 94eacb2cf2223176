# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Checks of settings that have no effect in a run, or that need another setting."""

import logging
from dataclasses import MISSING

from ..models.cells import find_cell
from ..tasks.base import TaskModel
from ..text.tokenization import KINDS, OF_WORDS
from ..utils.errors import ConfigError, check_choice
from ..utils.machine import emulates_bf16, runs_bf16
from .distil_checks import check_distillation
from .label_errors import find_label_issues
from .presets import rules_of, without_rules
from .run_config import RunConfig
from .run_yaml import unread_by

logger = logging.getLogger(__name__)

# Tasks that have a cross-validation.
CROSS_VALIDATED = ("text_classification",)


def check_use(run: RunConfig, task: type[TaskModel]) -> None:
    """Raise [`ConfigError`] for a setting without effect in a task, or without another setting that it needs.

    Args:
        run: Configuration of the run.
        task: Class of its task.
    """
    args = run.training
    _check_folds(run)
    check_distillation(run)
    _check_vectors(run, task)
    if run.preset != "none" and "preset" in run.given and (why := without_rules(run)):
        raise ConfigError(f"preset={run.preset!r} chooses settings by rules, and {why}: leave it out.")
    if run.tokenizer.kind is not None:
        check_choice("tokenizer.kind", run.tokenizer.kind, KINDS)
    if run.model.wide_ngrams and run.data.streaming:
        raise ConfigError(
            f"model.wide_ngrams={run.model.wide_ngrams} are fitted on all training rows at once, and "
            "data.streaming=True never loads all of them: leave one of them out, or write model.wide_ngrams=0."
        )
    if args.balanced_sampling and run.data.streaming:
        raise ConfigError(
            "training.balanced_sampling=True repeats rows of rare classes, and data.streaming=True never loads all "
            "rows: write training.class_weights={CLASS: WEIGHT} instead."
        )
    if run.data.replay is not None and run.data.streaming:
        raise ConfigError(
            f"data.replay={run.data.replay!r} mixes old rows into the training rows, and data.streaming=True never "
            "loads all of them: leave one of them out."
        )
    will_be_wide = run.model.wide_ngrams or any(rule.key == "model.wide_ngrams" for rule in rules_of(run))
    if run.tokenizer.rare_tokens and not will_be_wide:
        raise ConfigError(
            f"tokenizer.rare_tokens={run.tokenizer.rare_tokens} is read only by the wide path: leave it out, or "
            "write model.wide_ngrams=200000 too."
        )
    if args.gradual_unfreezing and run.model.pretrained is None:
        raise ConfigError(
            "training.gradual_unfreezing=True freezes layers at first, and without model.pretrained they are "
            "untrained: leave it out, or name a model, model.pretrained=FOLDER."
        )
    if args.bf16 and args.use_cpu and find_cell(run.model.cell_type).mode == "LSTM" and not runs_bf16():
        raise ConfigError(
            "training.bf16=True: this processor has no instructions for an LSTM in bf16. Leave it out, or write "
            "model.cell_type='gru'."
        )
    if args.bf16 and args.use_cpu and args.should_log and emulates_bf16():
        logger.warning(
            "training.bf16=True: this processor has no instructions for bf16 (AVX512_BF16 or AMX) and emulates them, "
            "which is slower than float32: leave it out, or write training.bf16=False."
        )
    for name in sorted(unread_by(task, vars(run.model))):
        section, _, key = name.partition(".")
        settings = getattr(run, section)
        value, field = getattr(settings, key), type(settings).__dataclass_fields__[key]
        if value != (field.default if field.default is not MISSING else field.default_factory()):
            raise ConfigError(f"{name}={value!r} has no use in the task {run.task}: leave it out.")


def _check_vectors(run: RunConfig, task: type[TaskModel]) -> None:
    """Raise [`ConfigError`] for settings that need pretrained vectors without them, or that contradict each other."""
    words, epochs, std = run.tokenizer.vector_words, run.training.vectors_frozen_epochs, run.model.vectors_std
    without = run.model.vectors is None and not run.distil.teacher_embeddings
    # A pretrained model cannot have vectors besides its own.
    remedy = "leave it out" + ("" if run.model.pretrained else ", or name vectors, model.vectors=FILE")
    if run.training.freeze_vectors and epochs:
        raise ConfigError(
            "training.freeze_vectors=True keeps the pretrained vectors in all epochs, and "
            f"training.vectors_frozen_epochs={epochs} trains the embedding later: leave one of them out."
        )
    if run.training.freeze_vectors and run.training.embedding_lr_factor != 1:
        raise ConfigError(
            "training.freeze_vectors=True does not train the embedding, and "
            f"training.embedding_lr_factor={run.training.embedding_lr_factor} trains it slowly: leave one of them out."
        )
    if run.training.freeze_vectors and without:
        raise ConfigError(f"training.freeze_vectors=True keeps pretrained vectors, and there are none: {remedy}.")
    if epochs and without:
        raise ConfigError(
            f"training.vectors_frozen_epochs={epochs} freezes the embedding at first, and without model.vectors it is "
            f"untrained: {remedy}."
        )
    if std is not None and without:
        raise ConfigError(f"model.vectors_std={std} scales pretrained vectors, and there are none: {remedy}.")
    if words < 0:
        raise ConfigError(f"tokenizer.vector_words={words} must be 0 (none) or greater, such as 50000.")
    if words and run.model.vectors is None:
        raise ConfigError(
            f"tokenizer.vector_words={words} takes words of pretrained vectors, and there are none: {remedy}."
        )
    if words and run.tokenizer.path is not None:
        raise ConfigError(
            f"tokenizer.path={run.tokenizer.path!r} names a tokenizer with a vocabulary of its own, and "
            f"tokenizer.vector_words={words} would extend it: leave one of them out."
        )
    chosen = any(rule.key == "tokenizer.kind" for rule in rules_of(run))
    kind = run.tokenizer.kind or task.tokenizer_kind
    if words and not chosen and kind not in OF_WORDS:
        raise ConfigError(
            f"tokenizer.vector_words={words} are whole words, and a tokenizer of the kind {kind} has entries of parts "
            f"of words: leave tokenizer.vector_words out, or write one of {', '.join(OF_WORDS)} as tokenizer.kind."
        )
    if words and run.tokenizer.rare_tokens:
        raise ConfigError(
            f"tokenizer.vector_words={words} and tokenizer.rare_tokens={run.tokenizer.rare_tokens} both extend the "
            "vocabulary, and rare tokens have no vectors: leave one of them out."
        )


def _check_folds(run: RunConfig) -> None:
    """Raise [`ConfigError`] if the run cannot have its cross-validation, or has settings for one that it does not have.

    cleanlab is looked for here, because it is used only after all folds have been trained.
    """
    folds = run.cross_validate
    if folds < 0 or folds == 1:
        raise ConfigError(f"cross_validate={folds} must be 2 or greater, such as 5, or 0 for no cross-validation.")
    if not folds:
        if run.data.group_column is not None:
            raise ConfigError(
                f"data.group_column={run.data.group_column!r} is read by a cross-validation only: write "
                "cross_validate=5 too, or leave it out."
            )
        if run.report.label_errors:
            raise ConfigError(
                "report.label_errors=True needs the answers of a cross-validation: write cross_validate=5 too."
            )
        return
    if run.task not in CROSS_VALIDATED:
        raise ConfigError(
            f"cross_validate={folds} is possible for {', '.join(CROSS_VALIDATED)}, and not for the task {run.task}: "
            "leave it out."
        )
    if run.data.streaming:
        raise ConfigError(
            f"cross_validate={folds} divides all rows, and data.streaming=True never loads all of them: leave one of "
            "them out."
        )
    if run.report.label_errors:
        find_label_issues(multi_label=False)


__all__ = ["check_use"]
