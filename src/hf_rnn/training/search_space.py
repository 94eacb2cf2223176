# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Settings that `hf-rnn tune` searches, with the values of each. The default of a setting is the value of the preset.

A setting that the user wrote is not searched. This file does not need optuna.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..models.pooling import POOLINGS
from ..text.tokenization import BY_FREQUENCY, OF_WORDS
from .preset_conditions import always, from_nothing, trains_tokenizer


@dataclass(frozen=True)
class Range:
    """Numbers that a search may choose.

    Args:
        low: Smallest number. If it is an integer, all numbers are integers.
        high: Largest number.
        log: True to search on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False

    def __contains__(self, value: Any) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Start:
    """Values that a search starts from, and what it knows about the rows.

    Args:
        values: All keys and values of the run with the preset's choices, as `RunConfig.parsed` has them.
        words: Mean number of words in a text.
        megabytes: Maximum size of the saved model; None for no limit.
    """

    values: Any
    words: float
    megabytes: float | None = None

    @property
    def shrinks(self) -> int:
        """The factor by which the search may divide sizes: more if the size of the model is limited."""
        return 4 if self.megabytes is None else 32


@dataclass(frozen=True)
class Setting:
    """One setting that a search chooses.

    Args:
        key: Key of the setting, such as `model.hidden_size`.
        values: Function of the default and the start that returns the values: a tuple of choices, or a range. The
            default is added if it is missing.
        why: Reason for searching the setting and for its values.
        when: Function that returns False if other values of the trial make the setting useless. Its argument has the
            sections of the run.
        sizes: True if smaller values make the saved model smaller.
        case: Name of the case, for a key with different values in different cases.
        unless: Keys that other values of the setting would contradict: it is not searched if the user wrote one.
    """

    key: str
    values: Callable[[Any, Start], tuple | Range]
    why: str
    when: Callable[[Any], bool] = always
    sizes: bool = False
    case: str = ""
    unless: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The name of the parameter in the study."""
        return f"{self.key} ({self.case})" if self.case else self.key

    def around(self, default: Any, start: Start, applies: bool = True) -> tuple | Range:
        """Return the values with the default among them.

        Args:
            default: Value of the preset.
            start: Start of the search.
            applies: True if the setting applies at the start; else its default there says nothing.
        """
        values = self.values(default, start)
        if not applies:
            return values
        if isinstance(values, Range):
            return Range(min(values.low, default), max(values.high, default), values.log)
        return tuple(dict.fromkeys(values if default in values else (default, *values)))


def _width(default: int, start: Start) -> Range:
    return Range(max(4, default // start.shrinks), 2 * default, log=True)


def _powers(default: int, start: Start) -> tuple:
    return (max(1, default // 2), default, 2 * default)


def _dropout(most: float) -> Callable[[Any, Start], Range]:
    return lambda default, start: Range(0.0, most)


def _kind(*kinds: str) -> Callable[[Any], bool]:
    return lambda run: trains_tokenizer(run) and run.tokenizer.kind in kinds


def _is_wide(run: Any) -> bool:
    return run.model.wide_ngrams > 0


def _has_rare_tokens(run: Any) -> bool:
    return _is_wide(run) and run.tokenizer.kind in BY_FREQUENCY and run.tokenizer.path is None


def _trains_vectors(run: Any) -> bool:
    return run.model.vectors is not None and not run.training.freeze_vectors


def _has_vector_words(run: Any) -> bool:
    return run.tokenizer.vector_words > 0 and run.tokenizer.kind in (None, *OF_WORDS)


_OVERFITTING = "How much a network overfits depends on the number of rows and on its size."
_SIZE = "The preset's width suits most data sets; little data may need less, and hard tasks more."
# Settings of text classifiers and taggers alike.
_COMMON = (
    Setting("model.embedding_size", _width, _SIZE, lambda run: from_nothing(run) and run.model.vectors is None, True),
    Setting("model.hidden_size", _width, _SIZE, from_nothing, True),
    Setting("model.num_hidden_layers", lambda default, start: (1, 2), "A second layer helps some tasks.", from_nothing),
    Setting("model.cell_type", lambda default, start: ("lstm", "gru"), "A GRU has fewer weights.", from_nothing),
    Setting("model.embedding_dropout", _dropout(0.3), _OVERFITTING),
    Setting("model.input_dropout", _dropout(0.7), _OVERFITTING),
    Setting("model.weight_dropout", _dropout(0.5), _OVERFITTING),
    Setting("model.classifier_dropout", _dropout(0.7), _OVERFITTING),
    Setting(
        "training.learning_rate",
        lambda default, start: Range(default / 4, default * 2, log=True),
        "The best rate depends on dropout, batches and sizes. On four data sets, twice the preset's was no better.",
    ),
    Setting(
        "training.num_train_epochs",
        lambda default, start: Range(max(1, int(default / 2)), math.ceil(default * 2), log=True),
        "More epochs suit a lower learning rate and more dropout.",
        lambda run: run.training.max_steps < 1,
    ),
    Setting(
        "training.per_device_train_batch_size",
        _powers,
        "Smaller batches make more steps of an epoch, and take more time.",
        lambda run: run.training.train_batch_tokens is None,
    ),
    Setting(
        "training.train_batch_tokens",
        _powers,
        "Smaller batches make more steps of an epoch, and take more time.",
        lambda run: run.training.train_batch_tokens is not None,
    ),
    Setting(
        "training.vectors_frozen_epochs",
        lambda default, start: (0, 1, 2),
        "Frozen at first, vectors keep what they know about words that are rare in the training rows.",
        _trains_vectors,
    ),
    Setting(
        "training.embedding_lr_factor",
        lambda default, start: (0.03, 0.1, 0.3, 1.0),
        "Many rows teach the embedding more than the vectors know, and few rows less.",
        _trains_vectors,
    ),
)
_VECTOR_WORDS = Setting(
    "tokenizer.vector_words",
    lambda default, start: (0, default // 16, default // 4) if start.megabytes else (),
    "Each of them is an entry with a vector.",
    _has_vector_words,
    True,
)
TEXT_CLASSIFICATION = (
    Setting(
        "tokenizer.kind",
        lambda default, start: ("word", "bpe", "char") if start.words <= 8 else ("word", "bpe"),
        "Subwords read the parts of rare words. Characters suit texts of few words, such as names; longer texts would "
        "take too long.",
        trains_tokenizer,
        unless=frozenset({"tokenizer.vector_words", "tokenizer.rare_tokens"}),
    ),
    Setting(
        "tokenizer.vocab_size",
        lambda default, start: Range(500 if start.megabytes else 2000, 16_000, log=True),
        "The preset has no rule for the number of subwords.",
        _kind("bpe", "unigram", "wordpiece"),
        True,
        "subwords",
    ),
    Setting(
        "tokenizer.vocab_size",
        lambda default, start: Range(50, 20_000, log=True) if start.megabytes else (),
        "The preset's number of words is better than a smaller one, except for the size of the model.",
        _kind("word", "whitespace"),
        True,
        "words",
    ),
    Setting(
        "model.wide_ngrams",
        lambda default, start: (0, default // 64, default // 16, default // 4) if start.megabytes else (0,),
        "The n-grams take most of the size of a small model.",
        sizes=True,
        unless=frozenset({"tokenizer.rare_tokens"}),
    ),
    _VECTOR_WORDS,
    Setting(
        "tokenizer.rare_tokens",
        lambda default, start: (0, 3000, 12_000, 50_000) if start.megabytes else (),
        "Each of them is an entry of the saved tokenizer, and only the n-grams read it.",
        lambda run: _has_rare_tokens(run) and not run.tokenizer.vector_words,
        True,
    ),
    Setting(
        "model.wide_order",
        lambda default, start: Range(1, 5),
        "Subwords and characters need longer n-grams than words.",
        _is_wide,
    ),
    Setting(
        "model.pooling", lambda default, start: tuple(POOLINGS), "The best one depends on where the relevant words are."
    ),
    *_COMMON,
)
TOKEN_CLASSIFICATION = (
    Setting(
        "tokenizer.vocab_size",
        lambda default, start: Range(max(500, default // start.shrinks), 2 * default, log=True),
        "Large vocabularies know more words, and small ones split them into known parts.",
        trains_tokenizer,
        True,
    ),
    _VECTOR_WORDS,
    Setting("model.crf", lambda default, start: (False, True), "A CRF helps where tags depend on each other."),
    Setting("model.character_encoder", lambda default, start: ("none", "lstm", "cnn"), "Spelling helps with names."),
    Setting("model.character_hidden_size", _width, _SIZE, lambda run: run.model.character_encoder != "none", True),
    *_COMMON,
)
SPACES = {"text_classification": TEXT_CLASSIFICATION, "token_classification": TOKEN_CLASSIFICATION}


class SearchSpace:
    """Settings that a search chooses in one run.

    Args:
        task: Name of the task, a key of `SPACES`.
        given: Keys that the user wrote, which are not searched.
        start: Start of the search.
    """

    def __init__(self, task: str, given: frozenset[str], start: Start):
        self.start = start
        self.settings = [each for each in SPACES[task] if not given & {each.key, *each.unless}]

    @property
    def keys(self) -> list[str]:
        """The keys that the search may change from the start."""
        values = self.start.values.clone()
        return [each.key for each, _, choices in self._applicable(values) if _has_choice(choices)]

    def suggested(self, trial: Any) -> dict[str, Any]:
        """Return the values that optuna suggests for a trial, by key.

        Args:
            trial: Trial of the study.
        """
        values, chosen = self.start.values.clone(), {}
        for setting, _, choices in self._applicable(values):
            if _has_choice(choices):
                values[setting.key] = chosen[setting.key] = _suggest(trial, setting.name, choices)
        return chosen

    def drawn(self, rng: random.Random, share: float, shrink: bool = False) -> dict[str, Any]:
        """Return parameters in which some settings differ from the start, by the names of optuna's parameters.

        Args:
            rng: Random number generator.
            share: Probability that a setting is drawn at random; the others keep their default.
            shrink: True to draw all settings that decide about the size of the model.
        """

        def chosen(setting: Setting, default: Any, choices: tuple | Range) -> Any:
            is_drawn = rng.random() < share or default is None or (shrink and setting.sizes)
            return _draw(rng, choices, default) if is_drawn else default

        return self._walked(chosen)

    def smallest(self) -> dict[str, Any]:
        """Return the parameters with the smallest value of each setting of a size, as `drawn` does."""

        def chosen(setting: Setting, default: Any, choices: tuple | Range) -> Any:
            return (choices.low if isinstance(choices, Range) else min(choices)) if setting.sizes else default

        return self._walked(chosen)

    def changes(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values that differ from the start.

        Args:
            values: Values by key.
        """
        return {key: value for key, value in values.items() if value != self.start.values[key]}

    def _walked(self, chosen: Callable[[Setting, Any, tuple | Range], Any]) -> dict[str, Any]:
        values, parameters = self.start.values.clone(), {}
        for setting, default, choices in self._applicable(values):
            if _has_choice(choices):
                parameters[setting.name] = values[setting.key] = chosen(setting, default, choices)
        return parameters

    def _applicable(self, values: Any) -> Iterator[tuple[Setting, Any, tuple | Range]]:
        """Yield each setting that applies to values, which the caller may change meanwhile, its default and choices.

        The default is None if the setting does not apply at the start.
        """
        for setting in self.settings:
            if setting.when(values):
                default, applies = self.start.values[setting.key], setting.when(self.start.values)
                yield setting, default if applies else None, setting.around(default, self.start, applies)


def _has_choice(choices: tuple | Range) -> bool:
    return choices.low < choices.high if isinstance(choices, Range) else len(choices) > 1


def _suggest(trial: Any, name: str, choices: tuple | Range) -> Any:
    """Return the value that optuna suggests; fractions are rounded to two digits, which are easier to read."""
    if isinstance(choices, tuple):
        return trial.suggest_categorical(name, choices)
    if isinstance(choices.low, int):
        return trial.suggest_int(name, choices.low, choices.high, log=choices.log)
    return float(f"{trial.suggest_float(name, choices.low, choices.high, log=choices.log):.2g}")


def _draw(rng: random.Random, choices: tuple | Range, default: Any) -> Any:
    """Return a random value; of a tuple, one that is not the default."""
    if isinstance(choices, tuple):
        return rng.choice([each for each in choices if each != default])
    low, high = choices.low, choices.high
    value = math.exp(rng.uniform(math.log(low), math.log(high))) if choices.log else rng.uniform(low, high)
    return min(max(round(value), low), high) if isinstance(low, int) else value


__all__ = ["SPACES", "Range", "SearchSpace", "Setting", "Start"]
