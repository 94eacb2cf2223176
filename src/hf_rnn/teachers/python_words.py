# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Teachers of taggers and of translators that are objects in Python: models of hf_rnn, and functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np

from ..inference.predictor import Predictor
from ..utils.errors import ConfigError, DataError
from .base import LOGITS, Teacher, Translator
from .python_model import GROUP, called, key_of_predictor, key_of_revision, labels_in, outputs_in
from .transformer import TRANSLATOR_GROUP, check_fast, of_words

Texts = Sequence[tuple[str, ...]]


def python_tagger(model: Any, name: str | None = None) -> Teacher:
    """Return an object that tags words as a teacher.

    A tagger of hf_rnn, a [`~hf_rnn.Predictor`], answers for each word with the logits of its first token. A function
    gets a list of texts, each a list of words, and returns an array of numbers `[words, K]` for each text. Its
    attributes `labels`, `outputs` and `revision` have the same meaning as in
    [`python_teacher`][hf_rnn.teachers.python_model.python_teacher].

    Args:
        model: Object that answers.
        name: Name of the teacher, for errors and the model card. None for the name of the function or of the class.

    Raises:
        ConfigError: The object cannot tag words, or one of its attributes is wrong.
    """
    name = name or getattr(model, "__name__", type(model).__name__)
    if isinstance(model, Predictor):
        _check_task(model, name, "token_classification", "a tagger")
        labels = list(model.task.label_names)
        check_fast(name, model.tokenizer)
        return PythonTagger(name, _Tagger(model), labels, LOGITS, key_of_predictor(model), model=model.model)
    _check_function(model, name, "a function from a list of lists of words to a list of arrays [words, labels]")
    return PythonTagger(name, model, labels_in(model, name), outputs_in(model, name), key_of_revision(model, name))


def python_translator(model: Any, name: str | None = None) -> Translator:
    """Return an object that translates texts as a teacher.

    A translator of hf_rnn is a [`~hf_rnn.Predictor`]. A function gets a list of texts and returns a list of texts. Its
    attribute `revision` has the same meaning as in
    [`python_teacher`][hf_rnn.teachers.python_model.python_teacher].

    Args:
        model: Object that answers.
        name: Name of the teacher, for errors and the model card. None for the name of the function or of the class.

    Raises:
        ConfigError: The object cannot translate texts.
    """
    name = name or getattr(model, "__name__", type(model).__name__)
    if isinstance(model, Predictor):
        _check_task(model, name, "translation", "a translator")
        # The texts depend on the number of beams too.
        key = joblib.hash([key_of_predictor(model), str(model.model.generation_config)])
        return PythonTranslator(
            name, lambda texts: [answer["text"] for answer in model(texts)], f"Predictor-{key}", model=model.model
        )
    _check_function(model, name, "a function from a list of texts to a list of texts")
    return PythonTranslator(name, model, key_of_revision(model, name))


def _check_task(predictor: Predictor, name: str, wanted: str, words: str) -> None:
    task: Any = predictor.task
    if task.problem_type != wanted:
        raise ConfigError(
            f"the teacher {name!r} is a model for {task.problem_type}, and the student is {words}: name a model for "
            f"{wanted}."
        )


def _check_function(model: Any, name: str, words: str) -> None:
    if isinstance(model, type) or not callable(model):
        raise ConfigError(
            f"the teacher {name!r} is {'a class' if isinstance(model, type) else 'no function'}: pass a Predictor of "
            f"hf_rnn, or {words}."
        )


class _Tagger:
    """Function from lists of words to the logits of their first tokens."""

    def __init__(self, predictor: Predictor):
        self.predictor = predictor

    def __call__(self, texts: list[list[str]]) -> list[np.ndarray]:
        encoded: Any = self.predictor.tokenizer(texts, is_split_into_words=True, verbose=False)
        rows = self.predictor.token_logits(encoded["input_ids"])
        return [of_words(row, encoded.word_ids(i), len(texts[i])) for i, row in enumerate(rows)]


@dataclass
class PythonTagger:
    """Teacher of taggers that calls a function. [`python_tagger`] makes one for an object.

    Args:
        name: Name of the teacher.
        call: Function from a list of N texts, each a list of words, to an array `[words, K]` for each.
        labels: Names of the K labels; None for the order of the labels of the data.
        outputs: `logits`, `probabilities`, or None if the form follows from the answers.
        key: Fingerprint of the model, or None.
        group: Number of texts that are answered together.
        license: License of the model, or None.
        model: Model whose parameters are counted; None for an unknown one.
    """

    name: str
    call: Callable[[list[list[str]]], Any]
    labels: list[str] | None
    outputs: str | None
    key: str | None
    group: int = GROUP
    license: str | None = None
    model: Any = None

    def answers(self, texts: Texts) -> np.ndarray:
        """Return the answers to all words of some texts, `[P, K]`.

        Args:
            texts: N texts as words.

        Raises:
            DataError: The function fails, or its answers are not one row of numbers for each word.
        """
        found = list(called(self, [list(text) for text in texts]))
        if len(found) != len(texts):
            raise DataError(
                f"the teacher {self.name!r} answers {len(texts)} texts with {len(found)} arrays: return one for each "
                "text."
            )
        rows: list[np.ndarray] = []
        for words, answer in zip(texts, found, strict=True):
            answer = answer.detach().cpu().numpy() if hasattr(answer, "detach") else answer
            try:
                row = np.asarray(answer, dtype=np.float64)
            except (TypeError, ValueError):
                row = np.empty(0)
            if row.ndim != 2 or len(row) != len(words) or (rows and row.shape[1] != rows[0].shape[1]):
                wanted = rows[0].shape[1] if rows else "labels"
                raise DataError(
                    f"the teacher {self.name!r} answers {' '.join(words)[:60]!r} with an array of shape "
                    f"{list(np.shape(row))}: return a row of numbers for each word, of shape [{len(words)}, {wanted}]."
                )
            rows.append(row)
        return np.concatenate(rows)


@dataclass
class PythonTranslator:
    """Teacher of translators that calls a function. [`python_translator`] makes one for an object.

    Args:
        name: Name of the teacher.
        call: Function from a list of N texts to their translations.
        key: Fingerprint of the model, or None.
        labels: None, as a translator has no labels.
        group: Number of texts that are answered together.
        license: License of the model, or None.
        model: Model whose parameters are counted; None for an unknown one.
    """

    name: str
    call: Callable[[list[str]], Any]
    key: str | None
    labels: list[str] | None = None
    group: int = TRANSLATOR_GROUP
    license: str | None = None
    model: Any = None

    def translations(self, texts: Texts) -> list[str]:
        """Return the translations of texts.

        Args:
            texts: N texts as `(text,)`.

        Raises:
            DataError: The function fails, or its answers are not N texts.
        """
        found = list(called(self, [text for (text,) in texts]))
        if len(found) != len(texts) or not all(isinstance(text, str) for text in found):
            raise DataError(
                f"the teacher {self.name!r} answers {len(texts)} texts with {str(found)[:100]}: return a list of "
                f"{len(texts)} texts."
            )
        return found


__all__ = ["PythonTagger", "PythonTranslator", "python_tagger", "python_translator"]
