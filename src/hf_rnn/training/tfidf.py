# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The baseline that a text classifier is compared with: TF-IDF of n-grams and a linear model of scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..text.dialects import UNSPACED
from ..text.labels import MULTI, REGRESSION

# The share of the characters that are written without spaces above which n-grams are of characters.
WITHOUT_SPACES = 0.3
# Texts that are looked at for it.
LOOKED_AT = 1000
# Weights of a linear model; above, only the most frequent n-grams have one.
MOST_WEIGHTS = 5_000_000


class TfidfBaseline:
    """TF-IDF of n-grams (words, 1 to 2; characters, 1 to 3, of texts without spaces) with logistic regression
    (C=10), or with ridge regression for values. Several labels are told apart one by one.

    Args:
        problem_type: as in the configuration of a model.
        labels: number of classes.
    """

    def __init__(self, problem_type: str, labels: int):
        self.problem_type, self.labels = problem_type, labels
        self.ngrams, self.max_features = "words (1 to 2)", None if labels < 4 else MOST_WEIGHTS // labels
        # A vectorizer for each column of texts, and a linear model for each label.
        self.vectorizers: list[Any] = []
        self.models: list[Any] = []

    @property
    def most_frequent(self) -> int | None:
        """The number of n-grams that were kept of more; None where all were."""
        kept = max(len(each.vocabulary_) for each in self.vectorizers)
        return kept if kept == self.max_features else None

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

        if is_without_spaces(columns[0]):
            self.ngrams = "characters (1 to 3)"
        features = self._features(columns, fitted=False)
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
        features = self._features(columns, fitted=True)
        answers = [
            np.full(features.shape[0], model) if np.isscalar(model) else model.predict(features)
            for model in self.models
        ]
        return np.stack(answers, 1) if self.problem_type == MULTI else answers[0]

    def _features(self, columns: Sequence[Sequence[str]], fitted: bool) -> Any:
        from scipy.sparse import hstack

        if fitted:
            return hstack(
                [each.transform(texts) for each, texts in zip(self.vectorizers, columns, strict=True)], format="csr"
            )
        try:
            return self._fit_vectorizers(columns)
        except ValueError:
            # Texts of single letters and signs have no word of two letters.
            self.ngrams = "characters (1 to 3)"
            return self._fit_vectorizers(columns)

    def _fit_vectorizers(self, columns: Sequence[Sequence[str]]) -> Any:
        from scipy.sparse import hstack
        from sklearn.feature_extraction.text import TfidfVectorizer

        characters = self.ngrams.startswith("characters")
        how: Any = {"analyzer": "char", "ngram_range": (1, 3)} if characters else {"ngram_range": (1, 2)}
        self.vectorizers = [TfidfVectorizer(sublinear_tf=True, max_features=self.max_features, **how) for _ in columns]
        return hstack(
            [each.fit_transform(texts) for each, texts in zip(self.vectorizers, columns, strict=True)], format="csr"
        )


def is_without_spaces(texts: Sequence[str]) -> bool:
    """Return True for texts in a script that puts no spaces between words, such as Chinese, Japanese or Thai.

    Args:
        texts: of which some, from beginning to end, are looked at.
    """
    some = "".join(texts[:: max(1, len(texts) // LOOKED_AT)])
    letters = sum(map(str.isalnum, some))
    return letters > 0 and len(UNSPACED.findall(some)) / letters > WITHOUT_SPACES


__all__ = ["TfidfBaseline", "is_without_spaces"]
