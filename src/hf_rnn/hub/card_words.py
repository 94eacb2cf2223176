# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Names of metrics and architectures in a model card, and functions that format texts and figures for it."""

import html
import re
import unicodedata

# Metrics by their keys in metrics.json, with their names in a card and on the Hub.
METRICS = {
    "perplexity": ("perplexity per token", "perplexity"),
    "word_perplexity": ("perplexity per word", "perplexity"),
    "f1": ("F1 of spans", "f1"),
    "precision": ("precision of spans", "precision"),
    "recall": ("recall of spans", "recall"),
    "f1_written": ("F1 of spans, text written normally", "f1"),
    "precision_written": ("precision of spans, text written normally", "precision"),
    "recall_written": ("recall of spans, text written normally", "recall"),
    "bleu": ("BLEU", "sacrebleu"),
    "bleu_lowercase": ("BLEU of lower-cased texts", "sacrebleu"),
    "chrf": ("chrF", "chrf"),
    "accuracy": ("accuracy", "accuracy"),
    "accuracy_written": ("accuracy, text written normally", "accuracy"),
    "f1_macro": ("macro F1", "f1"),
    "f1_micro": ("micro F1", "f1"),
    "matthews_correlation": ("Matthews correlation", "matthews_correlation"),
    "subset_accuracy": ("subset accuracy", "accuracy"),
    "average_precision": ("mean average precision", "average_precision"),
    "ece": ("expected calibration error", "ece"),
    "brier": ("Brier score", "brier_score"),
    "mse": ("mean squared error", "mse"),
    "mae": ("mean absolute error", "mae"),
    "r2": ("R²", "r_squared"),
    "pearson": ("Pearson correlation", "pearsonr"),
    "spearman": ("Spearman correlation", "spearmanr"),
}
_TWO_DIGITS = ("perplexity", "word_perplexity", "bleu", "bleu_lowercase", "chrf")
# Architectures, with their pipelines and the variable that holds the pipeline in the card's example.
KINDS = {
    "RNNModel": ("feature-extraction", "read"),
    "RNNForCausalLM": ("text-generation", "write"),
    "RNNForSequenceClassification": ("text-classification", "classify"),
    "RNNForTokenClassification": ("token-classification", "tag"),
    "RNNForConditionalGeneration": ("translation", "translate"),
}
EXAMPLES = {
    "write": "the text to continue",
    "tag": "the text whose words are tagged",
    "translate": "the text to translate",
}
_SHARES = "accuracy f1 precision recall f1_macro f1_micro subset_accuracy average_precision ece".split()


def clean(text: object) -> str:
    """Return a text on one line, without control characters and without marks that change the text direction.

    Args:
        text: Any value; it is converted with `str`.
    """
    kept = (c for c in str(text) if unicodedata.category(c) not in ("Cc", "Cs", "Co") or c.isspace())
    return " ".join(re.sub("[\u202a-\u202e\u2066-\u2069]", "", "".join(kept)).split())


def escape(text: object) -> str:
    """Escape a text for Markdown, so that it cannot create markup, links, table cells or HTML.

    Args:
        text: Any value; it is converted with `str`.
    """
    plain = re.sub(r"([\\`*_\[\]|~$@])", r"\\\1", clean(text))
    plain = html.escape(plain, quote=False)
    return re.sub(r"(?i)(www)\.", r"\1\\.", plain.replace("://", "\\://"))


def figure(metric: str, value: float) -> str:
    """Format the value of a metric with its usual number of digits, as a percentage where that is usual.

    Args:
        metric: Key of the metric in metrics.json.
        value: Value of the metric.
    """
    if metric in _TWO_DIGITS:
        return f"{value:.2f}"
    return f"{value:.2%}" if metric.removesuffix("_written") in _SHARES else f"{value:.4f}"


__all__ = ["EXAMPLES", "KINDS", "METRICS", "clean", "escape", "figure"]
