# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Sentences and tables of a model card about the training run: data, preprocessing, training and scores."""

from pathlib import Path

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from ..text.arguments import BUILT_IN, DataArguments
from ..utils.errors import looks_local
from .card_model import FEW
from .card_words import METRICS, escape, figure

# Training defaults of the settings that the card always shows. They are copies, because hub/ cannot import training/;
# a test compares the two.
DEFAULTS = {
    "train_batch_tokens": None,
    "per_device_train_batch_size": 32,
    "gradient_accumulation_steps": 1,
    "window": 70,
    "load_best_model_at_end": True,
    "max_steps": -1,
    "learning_rate": 2e-3,
    "lr_scheduler_type": "cosine",
    "weight_decay": 0.0,
    "seed": 42,
}
# Training defaults of the settings that the card shows only if the run changed them.
OPTIONAL = {
    "gradual_unfreezing": False,
    "freeze_vectors": False,
    "vectors_frozen_epochs": 0,
    "layer_lr_decay": 1.0,
    "embedding_lr_factor": 1.0,
    "averaging": None,
    "entropy_minimisation": 0.0,
    "adversarial": 0.0,
    "virtual_adversarial": 0.0,
    "perturbation": 0.1,
    "class_weights": None,
    "focal_gamma": 0.0,
    "balanced_sampling": False,
}


def section(run: dict, name: str) -> dict:
    """Return a section of run.yaml, or {} if the run has none.

    Args:
        run: Sections of run.yaml; {} if there is none.
        name: Name of the section.
    """
    return run.get(name) or {}


def _built_in(run: dict) -> bool:
    return section(run, "data").get("path", BUILT_IN) == BUILT_IN


def dataset_on_hub(run: dict, data: dict) -> str | None:
    """Return the Hub id of the data set; None if there is none or the Hub does not allow the name.

    Args:
        run: Sections of run.yaml; {} if there is none.
        data: Section `data` of metrics.json; {} if there is none.
    """
    name = section(run, "card").get("dataset") or data.get("hub_id")
    try:
        validate_repo_id(name)
    except HFValidationError:
        return None
    return name


def dataset_line(data: dict, run: dict) -> str:
    """Return the sentences about the training data.

    Args:
        data: Section `data` of metrics.json; {} if there is none.
        run: Sections of run.yaml; {} if there is none.
    """
    name = dataset_on_hub(run, data)
    if name:
        words = f"[{escape(name)}](https://huggingface.co/datasets/{name})"
    else:
        words = "synthetic messages that hf_rnn generates" if _built_in(run) else escape(data.get("title", ""))
    revision = f", revision {escape(data['revision'])}" if data.get("revision") else ""
    test = " The test rows were not used in training." if "test" in data.get("splits", {}) else ""
    streamed = ""
    if section(run, "data").get("streaming"):
        most = section(run, "data").get("streaming_sample", DataArguments.streaming_sample)
        streamed = f" Training read a stream of rows; these figures are of the first {most:,} rows of each split."
    return f"Trained on {words}{revision}.{test}{streamed}"


def splits_table(data: dict, labels: list[str]) -> list[list[str]]:
    """Return a row for each split: name, number of rows, rows of each label if there are few, lengths in tokens.

    Args:
        data: Section `data` of metrics.json; {} if there is none.
        labels: Labels of a classifier, or entity types of a tagger; [] for other models.
    """
    rows = []
    for split, facts in data.get("splits", {}).items():
        counts = [f"{facts['labels'].get(label, 0):,}" for label in labels] if 0 < len(labels) <= FEW else []
        tokens = [f"{facts['tokens'][key]:,}" for key in ("half", "95 %", "longest")]
        rows.append([escape(split), f"{facts['rows']:,}", *counts, *tokens])
    return rows


def preprocessing(run: dict) -> str:
    """Return the sentences about tokenization and truncation.

    Args:
        run: Sections of run.yaml; {} if there is none.
    """
    tokenizer, data = section(run, "tokenizer"), section(run, "data")
    if tokenizer.get("path") or (section(run, "model").get("pretrained") and not tokenizer.get("kind")):
        text = "Tokens are those of an existing tokenizer"
    else:
        kind = {
            "bpe": "byte-level BPE",
            "unigram": "unigram",
            "word": "words",
            "wordpiece": "words, rare ones in pieces",
            "whitespace": "words between spaces",
            "char": "characters",
        }
        usual = "wordpiece" if run.get("task") == "token_classification" else "bpe"
        text = f"Tokens: {kind.get(tokenizer.get('kind') or usual, 'words')}, learnt from the training rows"
        words = tokenizer.get("vector_words")
        text += f" and from the first {words:,} words of the vectors" if words else ""
        text += ", lower-cased" if tokenizer.get("lowercase") else ""
        text += ", HTML tags left out" if tokenizer.get("strip_html") else ""
        text += ", digits read as 0" if data.get("normalize_digits") else ""
    most = data.get("max_length")
    if run.get("task") == "translation":
        longer = f" Training pairs with a text of more than {most:,} tokens were left out." if most else ""
        return f"{text}. Texts are read whole.{longer}"
    where = {"head": "its beginning", "tail": "its end", "head_tail": "half from its beginning and half from its end"}
    cut = where.get(data.get("truncation", "head_tail"), "a part")
    return text + (f". A longer text is truncated to {most:,} tokens: {cut}." if most else ". Texts are read whole.")


def training_table(run: dict, facts: dict) -> list[tuple[str, str]]:
    """Return the rows of the training table, as pairs of name and value; none without a training run.

    Args:
        run: Sections of run.yaml; {} if there is none.
        facts: Contents of metrics.json; {} if there is none.
    """
    about, settings = facts.get("run"), section(run, "training")
    if not about:
        return []

    def setting(name: str):
        return settings.get(name, DEFAULTS[name])

    minutes, tokens = about["train_seconds"] / 60, setting("train_batch_tokens")
    spent = f"{minutes:.1f} minutes" if minutes >= 1 else f"{about['train_seconds']:.0f} seconds"
    per_batch = tokens or setting("per_device_train_batch_size")
    batch = per_batch * about["world_size"]
    if about.get("task") == "language_modeling":
        filled = f"streams of {setting('gradient_accumulation_steps') * setting('window')} tokens"
    else:
        batch, filled = batch * setting("gradient_accumulation_steps"), "tokens" if tokens else "rows"
    more = [f"`{name}` {settings[name]}" for name, usual in OPTIONAL.items() if settings.get(name, usual) != usual]
    vectors = about.get("vectors")
    best = ", the best of them kept" if setting("load_best_model_at_end") else ""
    streamed = section(run, "data").get("streaming")
    return [
        ("steps", f"{setting('max_steps'):,}") if streamed else ("epochs", f"{about['epochs']:g}{best}"),
        (f"{filled} in a batch", f"{batch}"),
        ("learning rate", f"{setting('learning_rate'):g}, {escape(setting('lr_scheduler_type'))} schedule"),
        ("weight decay", f"{setting('weight_decay'):g}"),
        *([("vectors at the start", _vectors(vectors))] if vectors else []),
        *([("besides", ", ".join(more))] if more else []),
        ("seed", f"{setting('seed')}"),
        *([("settings", _search(facts["tune"]))] if "tune" in facts else []),
        ("time", f"{spent} on {escape(about['hardware'])}"),
        ("versions", escape(", ".join(f"{name} {version}" for name, version in about["versions"].items()))),
        ("date", escape(about["date"])),
    ]


def _search(search: dict) -> str:
    """Return the description of a search of settings."""
    name = METRICS[search["metric"]][0].lower() if search["metric"] in METRICS else search["metric"]
    return (
        f"chosen from {len(search['trials'])} trials by {name} on the validation split in "
        f"{search['minutes_used']:.1f} minutes; the validation figures above are therefore too good"
    )


def _vectors(report: dict) -> str:
    """Return the description of the pretrained word vectors that a run started with."""
    added = report.get("added_later")
    later = f"; {added:,} words that no row has were added after the training" if added else ""
    trained = " in training" if added else ""
    return (
        f"{escape(report['source'])} ({escape(report['format'])}, width {report['width']}), found for "
        f"{report['types']:.1%} of the vocabulary{trained} and {report['tokens']:.1%} of the running tokens of the "
        f"training split{later}"
    )


def scores_table(facts: dict) -> dict | None:
    """Return the evaluated splits and a row for each metric; None if there are none.

    Args:
        facts: Contents of metrics.json; {} if there is none.
    """
    splits = [split for split in ("validation", "test") if split in facts]
    names = [metric for metric in METRICS if splits and metric in facts[splits[0]]]
    if not names:
        return None
    return {
        "splits": splits,
        "rows": [(METRICS[m][0], [figure(m, facts[split][m]) for split in splits]) for m in names],
    }


def classes_table(facts: dict, labels: list[str]) -> dict | None:
    """Return precision, recall, F1 and support of each label, and their split; None if there are none.

    Args:
        facts: Contents of metrics.json; {} if there is none.
        labels: Labels of a classifier, or entity types of a tagger; [] for other models.
    """
    split = "test" if "test" in facts else "validation"
    found = facts.get(split, {})
    parts = ("precision", "recall", "f1")
    rows = [
        [escape(label), *(f"{found[f'{part}/{label}']:.2%}" for part in parts), f"{found[f'support/{label}']:,.0f}"]
        for label in labels
        if f"f1/{label}" in found
    ]
    return {"split": split, "rows": rows} if rows else None


def options_for_others(run: dict, data: dict) -> str:
    """Return the options that readers of the card must change to repeat the run.

    These are paths that exist only on the machine of the author.

    Args:
        run: Sections of run.yaml; {} if there is none.
        data: Section `data` of metrics.json; {} if there is none.
    """
    options = ""
    if not (data.get("hub_id") or _built_in(run)):
        options += f" --data.path {dataset_on_hub(run, data) or 'YOUR-COPY'}"
    for name in ("pretrained", "vectors"):
        path = section(run, "model").get(name)
        if path and (looks_local(path) or Path(path).exists()):
            options += f" --model.{name} YOUR-COPY"
    return options
