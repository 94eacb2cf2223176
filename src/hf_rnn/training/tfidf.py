# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""TF-IDF baseline of scikit-learn that a text classifier is compared with."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..text.dialects import MARKS, UNSPACED
from ..text.labels import MULTI, REGRESSION

# Ratio of characters of scripts without spaces to letters and digits, above which n-grams are of characters.
WITHOUT_SPACES = 0.3
# Approximate number of texts that the ratio is computed on.
LOOKED_AT = 1000
# Maximum number of weights of the linear models together. Above it, only the most frequent n-grams are kept.
MOST_WEIGHTS = 5_000_000
# Words of two or more characters, as in scikit-learn. The default pattern of scikit-learn would split words of Indian
# scripts at each vowel, because their vowels are combining characters.
WORDS = rf"[\w{MARKS}]{{2,}}"
CHARACTERS = "characters (1 to 3)"
# 95 % of a normal distribution lie within this many standard deviations of its mean.
_95_PERCENT = 1.96


class TfidfBaseline:
    """TF-IDF of n-grams with a linear model.

    The n-grams are of 1 to 2 words, or of 1 to 3 characters for scripts without spaces. The model is a logistic
    regression (C=10), one per label for multi-label rows, or a ridge regression for regression.

    Args:
        problem_type: Problem type, as in the configuration of a model.
        labels: Number of classes.
    """

    def __init__(self, problem_type: str, labels: int):
        self.problem_type, self.labels = problem_type, labels
        self.max_features = None if labels < 4 else MOST_WEIGHTS // labels
        # One kind of features and one vectorizer per text column. One linear model, or one per label for multi-label.
        self.features: list[str] = []
        self.vectorizers: list[Any] = []
        self.models: list[Any] = []

    @property
    def most_frequent(self) -> int | None:
        """The maximum number of n-grams if it was reached in a text column; None if all n-grams were kept."""
        kept = max(len(each.vocabulary_) for each in self.vectorizers)
        return kept if kept == self.max_features else None

    @property
    def ngrams(self) -> str:
        """A description of the features, such as words (1 to 2)."""
        return " and ".join(dict.fromkeys(self.features))

    @property
    def name(self) -> str:
        """The name of the baseline in tables."""
        return f"TF-IDF + {'ridge' if self.problem_type == REGRESSION else 'logistic'} regression"

    def fit(self, columns: Sequence[Sequence[str]], targets: np.ndarray) -> TfidfBaseline:
        """Fit the vectorizers and the linear models to training rows, and return the baseline.

        Args:
            columns: The N texts and, for pairs, the N second texts.
            targets: Class indices `[N]`, multi-label indicators (0 or 1) `[N, C]`, or values `[N]`.
        """
        from sklearn.linear_model import LogisticRegression, Ridge

        features = self._fitted_features(columns)
        # Warnings are ignored: weights that have not converged after 1000 iterations are a baseline all the same.
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
        """Predict class indices `[N]`, multi-label indicators (0 or 1) `[N, C]`, or values `[N]`.

        Args:
            columns: Same as in [`fit`].
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
                    # No text has a word of two characters: continue with n-grams of characters.
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
    """Return True if the texts are in a script without spaces between words, such as Chinese, Japanese or Thai.

    Args:
        texts: Texts; of many, an evenly spaced sample is read.
    """
    some = "".join(texts[:: max(1, len(texts) // LOOKED_AT)])
    letters = sum(map(str.isalnum, some))
    return letters > 0 and len(UNSPACED.findall(some)) / letters > WITHOUT_SPACES


def margin(right: np.ndarray, other_right: np.ndarray) -> float:
    """Return half the width of the 95 % confidence interval of the difference of two accuracies on the same rows.

    Source: Agresti, Categorical Data Analysis, 3rd ed. 2013, 11.1 (matched pairs).

    Args:
        right: Boolean array `[N]`, True for the rows that the first model predicts correctly.
        other_right: The same for the second model.
    """
    n = len(right)
    only, other_only = int((right & ~other_right).sum()), int((other_right & ~right).sum())
    return _95_PERCENT * math.sqrt(max(0.0, only + other_only - (only - other_only) ** 2 / n)) / n


__all__ = ["TfidfBaseline", "is_without_spaces", "margin"]
