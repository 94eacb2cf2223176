# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The baseline that a text classifier is compared with: TF-IDF of n-grams and a linear model of scikit-learn."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..text.dialects import MARKS, UNSPACED
from ..text.labels import MULTI, REGRESSION

# The share of the characters that are written without spaces above which n-grams are of characters.
WITHOUT_SPACES = 0.3
# Texts that are looked at for it.
LOOKED_AT = 1000
# Weights of a linear model; above, only the most frequent n-grams have one.
MOST_WEIGHTS = 5_000_000
# Words as scikit-learn has them, of two characters or more. Its own pattern ends a word at each vowel of the scripts of
# India, which are combining characters.
WORDS = rf"[\w{MARKS}]{{2,}}"
CHARACTERS = "characters (1 to 3)"
# Two standard deviations hold 95 % of a normal distribution.
_95_PERCENT = 1.96


class TfidfBaseline:
    """TF-IDF of n-grams (words, 1 to 2; characters, 1 to 3, of texts without spaces) with logistic regression
    (C=10), or with ridge regression for values. Several labels are told apart one by one.

    Args:
        problem_type: as in the configuration of a model.
        labels: number of classes.
    """

    def __init__(self, problem_type: str, labels: int):
        self.problem_type, self.labels = problem_type, labels
        self.max_features = None if labels < 4 else MOST_WEIGHTS // labels
        # The features and a vectorizer for each column of texts, and a linear model for each label.
        self.features: list[str] = []
        self.vectorizers: list[Any] = []
        self.models: list[Any] = []

    @property
    def most_frequent(self) -> int | None:
        """The number of n-grams that were kept of more; None where all were."""
        kept = max(len(each.vocabulary_) for each in self.vectorizers)
        return kept if kept == self.max_features else None

    @property
    def ngrams(self) -> str:
        """The features, in words."""
        return " and ".join(dict.fromkeys(self.features))

    @property
    def name(self) -> str:
        """The name of the baseline in tables."""
        return f"TF-IDF + {'ridge' if self.problem_type == REGRESSION else 'logistic'} regression"

    def fit(self, columns: Sequence[Sequence[str]], targets: np.ndarray) -> TfidfBaseline:
        """Learn from training rows.

        Args:
            columns: the texts and, of pairs, the second texts.
            targets: class indices `[N]`, 0 and 1 `[N, C]`, or values `[N]`.
        """
        from sklearn.linear_model import LogisticRegression, Ridge

        features = self._fitted_features(columns)
        # If 1000 steps do not suffice, the weights so far are a baseline all the same.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self.problem_type == REGRESSION:
                self.models = [Ridge().fit(features, targets)]
            else:
                each = targets.T if self.problem_type == MULTI else [targets]
                self.models = [
                    LogisticRegression(C=10, max_iter=1000).fit(features, of_label) if np.ptp(of_label) else of_label[0]
                    for of_label in np.asarray(each).astype(int)
                ]
        return self

    def predict(self, columns: Sequence[Sequence[str]]) -> np.ndarray:
        """Return class indices `[N]`, 0 and 1 `[N, C]`, or values `[N]`.

        Args:
            columns: as in `fit`.
        """
        features = _beside(each.transform(texts) for each, texts in zip(self.vectorizers, columns, strict=True))
        answers = [
            np.full(features.shape[0], model) if np.isscalar(model) else model.predict(features)
            for model in self.models
        ]
        return np.stack(answers, 1) if self.problem_type == MULTI else answers[0]

    def _fitted_features(self, columns: Sequence[Sequence[str]]) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer

        how: dict[str, Any] = {
            "words (1 to 2)": {"ngram_range": (1, 2), "token_pattern": WORDS},
            CHARACTERS: {"ngram_range": (1, 3), "analyzer": "char"},
        }
        matrices = []
        for texts in columns:
            for features in [CHARACTERS] if is_without_spaces(texts) else how:
                vectorizer = TfidfVectorizer(sublinear_tf=True, max_features=self.max_features, **how[features])
                try:
                    matrices.append(vectorizer.fit_transform(texts))
                except ValueError:
                    # Texts of single letters and signs have no word of two letters.
                    if features == CHARACTERS:
                        raise
                    continue
                self.features.append(features)
                self.vectorizers.append(vectorizer)
                break
        return _beside(matrices)


def _beside(matrices: Iterable[Any]) -> Any:
    from scipy.sparse import hstack

    return hstack(list(matrices), format="csr")


def is_without_spaces(texts: Sequence[str]) -> bool:
    """Return True for texts in a script that puts no spaces between words, such as Chinese, Japanese or Thai.

    Args:
        texts: of which some, from beginning to end, are looked at.
    """
    some = "".join(texts[:: max(1, len(texts) // LOOKED_AT)])
    letters = sum(map(str.isalnum, some))
    return letters > 0 and len(UNSPACED.findall(some)) / letters > WITHOUT_SPACES


def margin(right: np.ndarray, other_right: np.ndarray) -> float:
    """Return half the width of the 95 % interval of the difference of two accuracies on the same rows.

    Source: Agresti, Categorical Data Analysis, 3rd ed. 2013, 11.1 (matched pairs).

    Args:
        right, other_right: `[N]`, True for rows that each answers rightly.
    """
    n = len(right)
    only, other_only = int((right & ~other_right).sum()), int((other_right & ~right).sum())
    return _95_PERCENT * math.sqrt(max(0.0, only + other_only - (only - other_only) ** 2 / n)) / n


__all__ = ["TfidfBaseline", "is_without_spaces", "margin"]
