# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Metrics of the tasks: functions over scikit-learn, seqeval and sacreBLEU, each wrapped in an `evaluate.Metric` class.

Unlike `evaluate.load`, they need no network. Tasks import this file only to evaluate, because `evaluate`, `sklearn` and
`scipy` are slow to import and prediction does not need them.
"""

import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import datasets
import evaluate
import numpy as np
from scipy import stats
from sklearn import metrics as sk

from ..runtime.bio import OUTSIDE
from ..utils.errors import DataError

# Number of bins of probabilities in a reliability diagram and in the expected calibration error.
CALIBRATION_BINS = 15
# Least scores for which the report gives coverage and accuracy.
LEAST_SCORES = (0.7, 0.9)


def needed(module: str, extra: str) -> Any:
    """Import a library that only one task needs for its metrics.

    Args:
        module: Module to import.
        extra: Extra of hf_rnn that installs the library.

    Raises:
        DataError: The library is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        name = module.partition(".")[0]
        raise DataError(f'the metrics need {name}: pip install {name} (or "hf-rnn[{extra}]").') from None


# Functions -----------------------------------------------------------------------------------------------------------


def single_label(predictions: Sequence[int], references: Sequence[int], labels: Sequence[str]) -> dict[str, float]:
    """Compute accuracy, macro F1, Matthews correlation, and the precision, recall, F1 and support of each class.

    Args:
        predictions: Predicted class indices, one for each row.
        references: True class indices, one for each row.
        labels: Names of the classes. A class that does not occur counts as 0 in macro F1.
    """
    f1 = sk.f1_score(references, predictions, labels=range(len(labels)), average="macro", zero_division=0)
    return {
        "accuracy": float(sk.accuracy_score(references, predictions)),
        "f1_macro": float(f1),
        "matthews_correlation": _matthews(references, predictions),
        **_per_class(references, predictions, labels),
    }


def _matthews(references: Sequence[int], predictions: Sequence[int]) -> float:
    with warnings.catch_warnings():
        # If only one class occurs, scikit-learn returns 0 with a warning about the confusion matrix.
        warnings.filterwarnings("ignore", message="A single label was found")
        return float(sk.matthews_corrcoef(references, predictions))


def multi_label(predictions: Any, references: Any, labels: Sequence[str]) -> dict[str, float]:
    """Compute subset accuracy, micro and macro F1, and the precision, recall, F1 and support of each label.

    Args:
        predictions: Predicted labels as 0 and 1, `[N, C]`.
        references: True labels as 0 and 1, `[N, C]`.
        labels: Names of the labels.
    """
    predictions, references = np.asarray(predictions), np.asarray(references)
    return {
        "subset_accuracy": float(sk.accuracy_score(references, predictions)),
        "f1_micro": float(sk.f1_score(references, predictions, average="micro", zero_division=0)),
        "f1_macro": float(sk.f1_score(references, predictions, average="macro", zero_division=0)),
        **_per_class(references, predictions, labels),
    }


def _per_class(references: Any, predictions: Any, labels: Sequence[str]) -> dict[str, float]:
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        references, predictions, labels=range(len(labels)), zero_division=0
    )
    return {
        f"{name}/{label}": float(value)
        for name, values in (("precision", precision), ("recall", recall), ("f1", f1), ("support", support))
        for label, value in zip(labels, values, strict=True)
    }


def calibration(scores: np.ndarray, references: np.ndarray) -> dict[str, float]:
    """Compute the expected calibration error and the Brier score of probabilities.

    For one label per row, the error compares the probability of the most probable class with the accuracy, in
    `CALIBRATION_BINS` bins of equal width (Guo et al. 2017). For several labels per row, it compares each probability
    with the frequency of its label. The Brier score (Brier 1950) is the mean squared error of the probabilities, summed
    over the classes if there are more than two; it is from 0 to 2 then, and from 0 to 1 otherwise.

    Args:
        scores: Probabilities, `[N, C]`.
        references: True class indices `[N]`, or true labels as 0 and 1 `[N, C]`.
    """
    if references.ndim == 2:
        confidence, right = scores.reshape(-1), references.reshape(-1)
        brier = float(np.square(scores - references).mean())
    else:
        confidence, right = scores.max(1), scores.argmax(1) == references
        errors = np.square(scores - np.eye(scores.shape[1])[references.astype(int)]).sum(1)
        brier = float(errors.mean()) / (2 if scores.shape[1] == 2 else 1)
    bins = reliability(confidence, right)
    ece = sum(rows * abs(mean - share) for rows, mean, share in bins) / max(1, len(confidence))
    return {"ece": float(ece), "brier": brier}


def average_precision(scores: np.ndarray, references: np.ndarray) -> float:
    """Compute the mean average precision over the labels that at least one row has; 0 if there is none.

    It judges the order of the scores of a label, and needs no threshold. It is NaN if a score is NaN.

    Args:
        scores: Probabilities, `[N, C]`.
        references: True labels as 0 and 1, `[N, C]`.
    """
    found = references.any(0)
    if not found.any():
        return 0.0
    if np.isnan(scores).any():
        return float("nan")  # As for the loss. The trainer stops at the next loss, and explains it.
    return float(sk.average_precision_score(references[:, found], scores[:, found]))


def reliability(confidence: np.ndarray, right: np.ndarray) -> list[tuple[int, float, float]]:
    """Return the number of rows, the mean probability and the share of right predictions of each bin that has rows.

    Args:
        confidence: Probabilities, `[N]`.
        right: True or 1 if the prediction is right, `[N]`.
    """
    place = np.clip((confidence * CALIBRATION_BINS).astype(int), 0, CALIBRATION_BINS - 1)
    parts = [place == each for each in range(CALIBRATION_BINS)]
    return [(int(p.sum()), float(confidence[p].mean()), float(right[p].mean())) for p in parts if p.any()]


def coverage_curve(confidence: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the accuracy of the most confident predictions by the share of rows that they are.

    Args:
        confidence: Score of the prediction of each row, `[N]`.
        right: True if the prediction is right, `[N]`.

    Returns:
        Share of the rows that are answered, accuracy on them, and the lowest score among them, each `[N]`.
    """
    order = np.argsort(-confidence, kind="stable")
    count = np.arange(1, len(order) + 1)
    return count / len(order), np.cumsum(right[order]) / count, confidence[order]


def coverage_table(confidence: np.ndarray, right: np.ndarray) -> list[dict[str, float]]:
    """Return the share of rows that are answered, and the accuracy on them, for some least scores.

    Args:
        confidence: Same as in [`coverage_curve`].
        right: Same as in [`coverage_curve`].
    """
    found = [(least, confidence >= least) for least in LEAST_SCORES]
    return [
        {"min_score": least, "coverage": float(some.mean()), "accuracy": float(right[some].mean())}
        for least, some in found
        if some.any()
    ]


def regression(predictions: Sequence[float], references: Sequence[float]) -> dict[str, float]:
    """Compute mean squared and absolute error, R², and Pearson and Spearman correlation.

    A correlation is 0 if the predictions or the references are constant. R² is 0 for a single row.

    Args:
        predictions: Predicted values, one for each row.
        references: True values, one for each row.
    """
    constant = len(set(predictions)) < 2 or len(set(references)) < 2
    return {
        "mse": float(sk.mean_squared_error(references, predictions)),
        "mae": float(sk.mean_absolute_error(references, predictions)),
        "r2": float(sk.r2_score(references, predictions)) if len(references) > 1 else 0.0,
        "pearson": 0.0 if constant else float(stats.pearsonr(references, predictions).statistic),
        "spearman": 0.0 if constant else float(stats.spearmanr(references, predictions).statistic),
    }


def spans(predictions: Sequence[list[str]], references: Sequence[list[str]]) -> dict[str, float]:
    """Compute precision, recall and F1 over all spans and for each kind of span, and the accuracy of tags.

    Spans are counted as in conlleval (seqeval).

    Args:
        predictions: Predicted BIO tags, one list for each row.
        references: True BIO tags, one list for each row.

    Raises:
        DataError: seqeval is not installed.
    """
    seqeval = needed("seqeval.metrics", "tagging")
    answers, tags = ([tag for row in rows for tag in row] for rows in (predictions, references))
    accuracy = {"accuracy": float(sk.accuracy_score(tags, answers)) if tags else 0.0}
    if set(answers) | set(tags) <= {OUTSIDE}:
        # Without spans, the report of seqeval would average over nothing.
        return {"f1": 0.0, "precision": 0.0, "recall": 0.0, **accuracy}
    report = seqeval.classification_report(references, predictions, output_dict=True, zero_division=0)
    names = {"precision": "precision", "recall": "recall", "f1": "f1-score", "support": "support"}
    of_all = {name: float(report["micro avg"][names[name]]) for name in ("f1", "precision", "recall")}
    of_kinds = {
        f"{name}/{kind}": float(report[kind][key])
        for name, key in names.items()
        for kind in report
        if not kind.endswith(" avg")
    }
    return {**of_all, **accuracy, **of_kinds}


def translation(predictions: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """Compute BLEU, BLEU of lower-cased texts, and chrF (sacreBLEU: Post 2018), each with its signature.

    Args:
        predictions: Generated texts, one for each row.
        references: Target texts, one for each row.

    Raises:
        DataError: sacreBLEU is not installed.
    """
    sacrebleu = needed("sacrebleu", "translation")
    # Without `force`, sacreBLEU warns about texts with a space before the full stop, which look tokenized.
    bleu, lowercase = sacrebleu.BLEU(force=True), sacrebleu.BLEU(lowercase=True, force=True)
    metrics = {"bleu": bleu, "bleu_lowercase": lowercase, "chrf": sacrebleu.CHRF()}
    scores = {name: metric.corpus_score(predictions, [references]).score for name, metric in metrics.items()}
    # A signature contains the number of references, which is known only after scoring.
    return scores | {f"{name}/signature": str(metric.get_signature()) for name, metric in metrics.items()}


# Classes -------------------------------------------------------------------------------------------------------------


class _OfflineMetric(evaluate.Metric):
    """Base class of metrics that keep rows in memory, and therefore need no experiment id."""

    description: str
    row_type: datasets.Value | datasets.Sequence

    def __init__(self) -> None:
        super().__init__(keep_in_memory=True)

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=self.description,
            citation="",
            inputs_description="",
            features=datasets.Features({"predictions": self.row_type, "references": self.row_type}),
        )


class _LabelMetric(_OfflineMetric):
    """Base class of metrics that need the names of the labels.

    Args:
        labels: Names of the labels, ordered by their ids.
    """

    def __init__(self, labels: Sequence[str]):
        self.labels = labels
        super().__init__()


class SingleLabelMetrics(_LabelMetric):
    """Metrics of [`single_label`].

    ```python
    >>> SingleLabelMetrics(["no", "yes"]).compute(predictions=[0, 1, 1], references=[0, 1, 0])["accuracy"]
    0.6666666666666666
    ```

    Args:
        labels: Names of the labels, ordered by their ids.
    """

    description = "Metrics of a classifier that gives each row one label."
    row_type = datasets.Value("int64")

    def _compute(self, predictions: Any, references: Any) -> dict[str, Any]:
        return single_label(predictions, references, self.labels)


class MultiLabelMetrics(_LabelMetric):
    """Metrics of [`multi_label`].

    Args:
        labels: Names of the labels, ordered by their ids.
    """

    description = "Metrics of a classifier that gives each row any number of labels."
    row_type = datasets.Sequence(datasets.Value("int64"))

    def _compute(self, predictions: Any, references: Any) -> dict[str, Any]:
        return multi_label(predictions, references, self.labels)


class RegressionMetrics(_OfflineMetric):
    """Metrics of [`regression`]."""

    description = "Metrics of a model that gives each row a number."
    row_type = datasets.Value("float64")

    def _compute(self, predictions: Any, references: Any) -> dict[str, Any]:
        return regression(predictions, references)


class SpanMetrics(_OfflineMetric):
    """Metrics of [`spans`]."""

    description = "Metrics of a model that finds spans of words."
    row_type = datasets.Sequence(datasets.Value("string"))

    def _compute(self, predictions: Any, references: Any) -> dict[str, Any]:
        return spans(predictions, references)


class TranslationMetrics(_OfflineMetric):
    """Metrics of [`translation`]."""

    description = "Metrics of a model that writes texts."
    row_type = datasets.Value("string")

    def _compute(self, predictions: Any, references: Any) -> dict[str, Any]:
        return translation(predictions, references)


__all__ = [
    "MultiLabelMetrics",
    "RegressionMetrics",
    "SingleLabelMetrics",
    "SpanMetrics",
    "TranslationMetrics",
    "average_precision",
    "calibration",
    "coverage_curve",
    "coverage_table",
    "reliability",
]
