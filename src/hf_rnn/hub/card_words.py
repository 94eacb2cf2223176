# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The words of a model's card for metrics and architectures, and the form of a user's text and of a figure in it."""

import html
import re
import unicodedata

# Our metrics, the words for them in a card, and their names on the Hub.
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
    "mse": ("mean squared error", "mse"),
    "mae": ("mean absolute error", "mae"),
    "r2": ("R²", "r_squared"),
    "pearson": ("Pearson correlation", "pearsonr"),
    "spearman": ("Spearman correlation", "spearmanr"),
}
_TWO_DIGITS = ("perplexity", "word_perplexity", "bleu", "bleu_lowercase", "chrf")
# Architectures, their pipelines, and the variable of the pipeline in the card's example.
KINDS = {
    "RNNModel": ("feature-extraction", "read"),
    "RNNForCausalLM": ("text-generation", "write"),
    "RNNForSequenceClassification": ("text-classification", "classify"),
    "RNNForTokenClassification": ("token-classification", "tag"),
    "RNNForConditionalGeneration": ("translation", "translate"),
}
EXAMPLES = {
    "write": "the text to go on with",
    "tag": "the text whose words are tagged",
    "translate": "the text to translate",
}
_SHARES = ("accuracy", "f1", "precision", "recall", "f1_macro", "f1_micro", "subset_accuracy")


def clean(text: object) -> str:
    """Return a user's text on one line, without characters that control or turn the text around it.

    Args:
        text: any value; its `str` is taken.
    """
    kept = (c for c in str(text) if unicodedata.category(c) not in ("Cc", "Cs", "Co") or c.isspace())
    return " ".join(re.sub("[\u202a-\u202e\u2066-\u2069]", "", "".join(kept)).split())


def escape(text: object) -> str:
    """Return Markdown that shows a user's text and nothing more: no markup, link, table cell or HTML.

    Args:
        text: any value; its `str` is taken.
    """
    plain = re.sub(r"([\\`*_\[\]|~$@])", r"\\\1", clean(text))
    plain = html.escape(plain, quote=False)
    return re.sub(r"(?i)(www)\.", r"\1\\.", plain.replace("://", "\\://"))


def figure(metric: str, value: float) -> str:
    """Return a figure in the form that is usual for its metric.

    Args:
        metric: by its name in metrics.json.
        value: the figure.
    """
    if metric in _TWO_DIGITS:
        return f"{value:.2f}"
    return f"{value:.2%}" if metric.removesuffix("_written") in _SHARES else f"{value:.4f}"


__all__ = ["EXAMPLES", "KINDS", "METRICS", "clean", "escape", "figure"]
