# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Metrics as `evaluate.Metric` classes over scikit-learn, which need no network (`evaluate.load` does)."""

from importlib import import_module
from typing import Any

import datasets
import evaluate
import numpy as np
from sklearn import metrics as sk

from ..text.bio import OUTSIDE
from ..utils.errors import UserError


def needed(module: str, extra: str) -> Any:
    """A library that measures one task alone; raises [`UserError`] where it is not installed."""
    try:
        return import_module(module)
    except ImportError:
        name = module.partition(".")[0]
        raise UserError(f'this is measured by {name}: pip install {name} (or "hf-rnn[{extra}]").') from None


class _OfflineMetric(evaluate.Metric):
    """Keeps its rows in memory and needs no experiment id: made anew for each evaluation, in every process."""

    description = ""
    row_type: datasets.Value | datasets.Sequence

    def __init__(self, labels: list[str] | None = None, **kwargs):
        self.labels = labels
        super().__init__(keep_in_memory=True, **kwargs)

    def _info(self):
        return evaluate.MetricInfo(
            description=self.description,
            citation="",
            inputs_description="",
            features=datasets.Features({"predictions": self.row_type, "references": self.row_type}),
        )


def _per_class(references, predictions, labels: list[str]) -> dict[str, float]:
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        references, predictions, labels=range(len(labels)), zero_division=0
    )
    return {
        f"{name}/{label}": float(value)
        for name, values in (("precision", precision), ("recall", recall), ("f1", f1), ("support", support))
        for label, value in zip(labels, values, strict=True)
    }


class SingleLabelMetrics(_OfflineMetric):
    """Accuracy, macro F1, Matthews correlation; precision, recall, F1 and support of each class.

    ```python
    >>> SingleLabelMetrics(labels=["no", "yes"]).compute(predictions=[0, 1, 1], references=[0, 1, 0])["accuracy"]
    ```"""

    description = "Metrics of a classifier that gives each row one label."
    row_type = datasets.Value("int64")

    def _compute(self, predictions, references):
        labels = self.labels or [str(i) for i in range(max(*predictions, *references) + 1)]
        return {
            "accuracy": float(sk.accuracy_score(references, predictions)),
            "f1_macro": float(
                sk.f1_score(references, predictions, labels=range(len(labels)), average="macro", zero_division=0)
            ),
            "matthews_correlation": float(sk.matthews_corrcoef(references, predictions)),
            **_per_class(references, predictions, labels),
        }


class MultiLabelMetrics(_OfflineMetric):
    """Subset accuracy, micro and macro F1; precision, recall, F1 and support of each label. Rows are 0/1 vectors."""

    description = "Metrics of a classifier that gives each row any number of labels."
    row_type = datasets.Sequence(datasets.Value("int64"))

    def _compute(self, predictions, references):
        predictions, references = np.asarray(predictions), np.asarray(references)
        labels = self.labels or [str(i) for i in range(references.shape[1])]
        f1 = {
            f"f1_{average}": float(sk.f1_score(references, predictions, average=average, zero_division=0))
            for average in ("micro", "macro")
        }
        return {
            "subset_accuracy": float(sk.accuracy_score(references, predictions)),
            **f1,
            **_per_class(references, predictions, labels),
        }


class RegressionMetrics(_OfflineMetric):
    """Mean squared and absolute error, R², Pearson and Spearman correlation (0 where one side is constant)."""

    description = "Metrics of a model that gives each row a number."
    row_type = datasets.Value("float64")

    def _compute(self, predictions, references):
        from scipy import stats

        constant = len(set(predictions)) < 2 or len(set(references)) < 2
        return {
            "mse": float(sk.mean_squared_error(references, predictions)),
            "mae": float(sk.mean_absolute_error(references, predictions)),
            "r2": float(sk.r2_score(references, predictions)) if len(references) > 1 else 0.0,
            "pearson": 0.0 if constant else float(stats.pearsonr(references, predictions).statistic),
            "spearman": 0.0 if constant else float(stats.spearmanr(references, predictions).statistic),
        }


class SpanMetrics(_OfflineMetric):
    """F1, precision and recall of whole spans, as conlleval counts them (seqeval), of all and of each kind; accuracy of
    tags. Rows are lists of BIO tags."""

    description = "Metrics of a model that finds spans of words."
    row_type = datasets.Sequence(datasets.Value("string"))

    def _compute(self, predictions, references):
        seqeval = needed("seqeval.metrics", "tagging")
        found = dict.fromkeys(("f1", "precision", "recall"), 0.0)
        agree = [
            a == b for row, known in zip(predictions, references, strict=True) for a, b in zip(row, known, strict=True)
        ]
        accuracy = sum(agree) / max(1, len(agree))
        if not any(tag != OUTSIDE for row in (*predictions, *references) for tag in row):
            # The report would average over no kinds of spans.
            return {**found, "accuracy": accuracy}
        report = seqeval.classification_report(references, predictions, output_dict=True, zero_division=0)
        names = {"precision": "precision", "recall": "recall", "f1": "f1-score", "support": "support"}
        found = {name: report["micro avg"][names[name]] for name in found} | {"accuracy": accuracy}
        kinds = [kind for kind in report if not kind.endswith(" avg")]
        found |= {f"{name}/{kind}": report[kind][key] for name, key in names.items() for kind in kinds}
        return {name: float(value) for name, value in found.items()}


class TranslationMetrics(_OfflineMetric):
    """BLEU, of the texts as they stand and of lower-cased ones, and chrF (sacreBLEU: Post 2018); and how each was
    computed, such as `bleu/signature`. Rows are texts."""

    description = "Metrics of a model that writes texts."
    row_type = datasets.Value("string")

    def _compute(self, predictions, references):
        sacrebleu = needed("sacrebleu", "translation")
        # `force`: texts whose last word stands apart from the stop are not always tokenized ones.
        bleu, lowercase = sacrebleu.BLEU(force=True), sacrebleu.BLEU(lowercase=True, force=True)
        metrics = {"bleu": bleu, "bleu_lowercase": lowercase, "chrf": sacrebleu.CHRF()}
        scores = {name: metric.corpus_score(predictions, [references]).score for name, metric in metrics.items()}
        # Only now do they know of how many references.
        return scores | {f"{name}/signature": str(metric.get_signature()) for name, metric in metrics.items()}


__all__ = ["MultiLabelMetrics", "RegressionMetrics", "SingleLabelMetrics", "SpanMetrics", "TranslationMetrics"]
