# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The metrics of the tasks: functions over scikit-learn, seqeval and sacreBLEU, each behind an `evaluate.Metric` class.

They need no network, and `evaluate.load` does. Tasks import this file only when they measure, because `evaluate`,
`sklearn` and `scipy` are slow to import and answers do without them.
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

from ..text.bio import OUTSIDE
from ..utils.errors import UserError


def needed(module: str, extra: str) -> Any:
    """Import a library that measures one task only.

    Args:
        module: the module to import.
        extra: the extra of hf_rnn that installs it.

    Raises:
        UserError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        name = module.partition(".")[0]
        raise UserError(f'this is measured by {name}: pip install {name} (or "hf-rnn[{extra}]").') from None


# Functions -----------------------------------------------------------------------------------------------------------


def single_label(predictions: Sequence[int], references: Sequence[int], labels: Sequence[str]) -> dict[str, float]:
    """Compute accuracy, macro F1 and Matthews correlation, and the metrics of each class.

    Args:
        predictions, references: class indices, one for each row.
        labels: the names of the classes. Classes that do not occur count as 0 in the macro mean.
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
        # One class among few rows, of answers and labels, is 0 there, with a warning about its confusion matrix.
        warnings.filterwarnings("ignore", message="A single label was found")
        return float(sk.matthews_corrcoef(references, predictions))


def multi_label(predictions: Any, references: Any, labels: Sequence[str]) -> dict[str, float]:
    """Compute subset accuracy, micro and macro F1, and the metrics of each label.

    Args:
        predictions, references: 0 and 1, `[N, C]`.
        labels: the names of the labels.
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


def regression(predictions: Sequence[float], references: Sequence[float]) -> dict[str, float]:
    """Compute mean squared and absolute error, R², and Pearson and Spearman correlation.

    A correlation is 0 if one side is constant, and R² is 0 for one row.

    Args:
        predictions, references: values, one for each row.
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
    """Compute precision, recall and F1 of whole spans, of all and of each kind, and the accuracy of tags.

    Spans are counted as conlleval counts them (seqeval).

    Args:
        predictions, references: BIO tags, a list for each row.

    Raises:
        UserError: seqeval is not installed.
    """
    seqeval = needed("seqeval.metrics", "tagging")
    answers, tags = ([tag for row in rows for tag in row] for rows in (predictions, references))
    accuracy = {"accuracy": float(sk.accuracy_score(tags, answers)) if tags else 0.0}
    if set(answers) | set(tags) <= {OUTSIDE}:
        # The report of seqeval would average over no kinds of spans.
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
        predictions, references: texts, one for each row.

    Raises:
        UserError: sacreBLEU is not installed.
    """
    sacrebleu = needed("sacrebleu", "translation")
    # Without `force`, sacreBLEU warns of texts whose full stop stands apart, as if they were tokenized.
    bleu, lowercase = sacrebleu.BLEU(force=True), sacrebleu.BLEU(lowercase=True, force=True)
    metrics = {"bleu": bleu, "bleu_lowercase": lowercase, "chrf": sacrebleu.CHRF()}
    scores = {name: metric.corpus_score(predictions, [references]).score for name, metric in metrics.items()}
    # A signature names the number of references, which is known only after a score.
    return scores | {f"{name}/signature": str(metric.get_signature()) for name, metric in metrics.items()}


# Classes -------------------------------------------------------------------------------------------------------------


class _OfflineMetric(evaluate.Metric):
    """Keep the rows in memory, which needs no experiment id."""

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
    """
    Args:
        labels: the names of the labels, in the order of their ids.
    """

    def __init__(self, labels: Sequence[str]):
        self.labels = labels
        super().__init__()


class SingleLabelMetrics(_LabelMetric):
    """The metrics of [`single_label`].

    ```python
    >>> SingleLabelMetrics(["no", "yes"]).compute(predictions=[0, 1, 1], references=[0, 1, 0])["accuracy"]
    0.6666666666666666
    ```"""

    description = "Metrics of a classifier that gives each row one label."
    row_type = datasets.Value("int64")

    def _compute(self, predictions: Any, references: Any) -> dict[str, Any]:
        return single_label(predictions, references, self.labels)


class MultiLabelMetrics(_LabelMetric):
    """The metrics of [`multi_label`]."""

    description = "Metrics of a classifier that gives each row any number of labels."
    row_type = datasets.Sequence(datasets.Value("int64"))

    def _compute(self, predictions: Any, references: Any) -> dict[str, Any]:
        return multi_label(predictions, references, self.labels)


class RegressionMetrics(_OfflineMetric):
    """The metrics of [`regression`]."""

    description = "Metrics of a model that gives each row a number."
    row_type = datasets.Value("float64")

    def _compute(self, predictions: Any, references: Any) -> dict[str, Any]:
        return regression(predictions, references)


class SpanMetrics(_OfflineMetric):
    """The metrics of [`spans`]."""

    description = "Metrics of a model that finds spans of words."
    row_type = datasets.Sequence(datasets.Value("string"))

    def _compute(self, predictions: Any, references: Any) -> dict[str, Any]:
        return spans(predictions, references)


class TranslationMetrics(_OfflineMetric):
    """The metrics of [`translation`]."""

    description = "Metrics of a model that writes texts."
    row_type = datasets.Value("string")

    def _compute(self, predictions: Any, references: Any) -> dict[str, Any]:
        return translation(predictions, references)


__all__ = ["MultiLabelMetrics", "RegressionMetrics", "SingleLabelMetrics", "SpanMetrics", "TranslationMetrics"]
