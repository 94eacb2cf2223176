# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Protocols of teachers, and the form in which their answers are kept.

A text of a classifier is `(text,)`, and a pair of texts `(text, second text)`. A text of a tagger is the tuple of its
words.

Shapes: N texts, P answers (one for each text; of a tagger, one for each word of all texts), C labels of the student, K
labels of the teacher.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from ..text.labels import MULTI, REGRESSION
from ..utils.errors import ConfigError, DataError

LOGITS, PROBABILITIES = "logits", "probabilities"
# Problem types of taggers and of translators.
TAGS, TRANSLATION = "token_classification", "translation"
# Largest difference of a sum of probabilities from 1.
TOLERANCE = 1e-3
# Probabilities are at least this number, so that their logarithms are finite.
LEAST = 1e-6


class Labeller(Protocol):
    """Model whose answers are kept."""

    # Name as the user wrote it.
    name: str
    # Fingerprint of the weights and of the settings that the answers depend on. None for a model whose answers may
    # change between processes without a sign: they are kept for one run only.
    key: str | None
    # Names of the K labels; None for a model that answers in the order of the labels of the data, and for a translator.
    labels: list[str] | None
    # Number of texts that are answered and saved together.
    group: int
    # License of the model, as the Hub names it; None if it is unknown.
    license: str | None


class Teacher(Labeller, Protocol):
    """Model that answers texts, or the words of texts, with a number for each of its labels."""

    # LOGITS or PROBABILITIES; None to find out from the answers.
    outputs: str | None

    def answers(self, texts: Sequence[tuple[str, ...]]) -> np.ndarray:
        """Return the answers to texts, `[P, K]`, float.

        Args:
            texts: N texts as `(text,)`, pairs of texts as `(text, second text)`, or, for taggers, words.
        """


class Translator(Labeller, Protocol):
    """Model that writes a text for a text."""

    def translations(self, texts: Sequence[tuple[str, ...]]) -> list[str]:
        """Return the texts that the model writes.

        Args:
            texts: N texts as `(text,)`.
        """


def log_scores(answers: np.ndarray, outputs: str | None, problem_type: str, name: str) -> np.ndarray:
    """Return answers in the form in which they are kept and taught, `[P, K]`, float32.

    With one label per text or word, they are the logarithms of probabilities; with several labels, log-odds; in a
    regression, values.

    Args:
        answers: Answers of a teacher, `[P, K]`.
        outputs: `logits` or `probabilities`; None for the form of [`form_of`].
        problem_type: Problem type of the student.
        name: Name of the teacher, for errors.

    Raises:
        DataError: An answer is NaN or infinite, or probabilities are out of range or do not sum to 1.
    """
    answers = np.asarray(answers, dtype=np.float64)
    if not np.isfinite(answers).all():
        row = int(np.flatnonzero(~np.isfinite(answers).all(1))[0])
        raise DataError(
            f"the teacher {name!r} answers {_unit(problem_type)} {row + 1} of {len(answers)} with "
            f"{answers[row].tolist()}, which is not finite: name another teacher, or, if it is a model in half "
            "precision, one in float32."
        )
    if problem_type == REGRESSION:
        return answers.astype(np.float32)
    if (outputs or form_of(answers)) == LOGITS:
        return (answers if problem_type == MULTI else log_softmax(answers)).astype(np.float32)
    _check_probabilities(answers, problem_type, name)
    if problem_type == MULTI:
        answers = np.clip(answers, LEAST, 1 - LEAST)
        return np.log(answers / (1 - answers)).astype(np.float32)
    return np.log(np.maximum(answers, LEAST)).astype(np.float32)


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Return scores minus a number for each row, so that their exponentials sum to 1.

    Args:
        scores: Logits or log probabilities, `[P, K]`.
    """
    highest = scores.max(1, keepdims=True)
    return scores - highest - np.log(np.exp(scores - highest).sum(1, keepdims=True))


def form_of(answers: np.ndarray) -> str:
    """Return `probabilities` if no answer is negative or above 1, else `logits`.

    Args:
        answers: Answers of a teacher, `[P, K]`.
    """
    return PROBABILITIES if ((answers >= 0) & (answers <= 1)).all() else LOGITS


def _check_probabilities(answers: np.ndarray, problem_type: str, name: str) -> None:
    wrong = ((answers < 0) | (answers > 1)).any(1)
    if problem_type != MULTI:
        wrong |= np.abs(answers.sum(1) - 1) > TOLERANCE
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"the teacher {name!r} answers {_unit(problem_type)} {row + 1} of {len(answers)} with "
            f"{answers[row].tolist()}, and probabilities are from 0 to 1"
            f"{'' if problem_type == MULTI else ' and sum to 1'}: write teacher.outputs='logits' if these are logits."
        )


def _unit(problem_type: str) -> str:
    return "word" if problem_type == TAGS else "text"


def columns_of(
    labels: Sequence[str] | None, wanted: Sequence[str], renamed: Mapping[str, str | None], name: str, K: int
) -> list[int]:
    """Return the index of the teacher's label for each label of the student.

    Labels are compared without regard to case.

    Args:
        labels: Names of the teacher's labels; None for those of the student in their order.
        wanted: Labels of the student.
        renamed: Name among `wanted` of labels of the teacher that have another name; None for labels to leave out.
        name: Name of the teacher, for errors.
        K: Number of columns of its answers.

    Raises:
        ConfigError: The student has a label that the teacher lacks, or the reverse.
    """
    if labels is None:
        if len(wanted) != K:
            raise ConfigError(
                f"the teacher {name!r} answers with {K} numbers a text, and the data has {len(wanted)} labels "
                f"({', '.join(wanted[:20])}): return one number for each label, in this order."
            )
        return list(range(K))
    places = {label: place for place, label in enumerate(labels)}
    # Labels that differ in case only are told apart by their spelling.
    ours = {label.casefold(): label for label in wanted} | {label: label for label in wanted}
    found: dict[str, int] = {}
    left: list[str] = []
    for label, place in places.items():
        meant = renamed.get(label, label)
        if meant is None:
            continue
        own = ours.get(str(meant)) or ours.get(str(meant).casefold())
        if own is None or own in found:
            left.append(label)
        else:
            found[own] = place
    missing = [label for label in wanted if label not in found]
    if left or missing:
        pairs = dict(zip(left or labels, missing or wanted, strict=False))
        raise ConfigError(
            f"the teacher {name!r} has the labels {', '.join(labels[:20])}, and the data has "
            f"{', '.join(wanted[:20])}: name the label of the data for each that differs, "
            f"teacher.label_map={pairs} (null for a label to leave out)."
        )
    return [found[label] for label in wanted]


__all__ = [
    "LOGITS",
    "PROBABILITIES",
    "TAGS",
    "TRANSLATION",
    "Labeller",
    "Teacher",
    "Translator",
    "columns_of",
    "form_of",
    "log_scores",
    "log_softmax",
]
