# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The card of a model, from what its folder knows; the template is `model_card.md`."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from torch import device

from ..auto import MODELS, architecture
from ..models.configuration_rnn import DROPOUTS, RNNConfig, __version__
from ..text.arguments import BUILT_IN, DataArguments
from ..text.bio import OUTSIDE, is_bio, kind_of
from ..utils.errors import looks_local
from .card_merge import INVITATION, MARKER
from .card_words import CELLS, EXAMPLES, KINDS, METRICS, clean, escape, shown
from .folder import METRICS_FILE, PICTURES, RUN_FILE

# In a checkout this is a link to the file at the project's top.
_TEMPLATE = Path(__file__).with_name("model_card.md")
# Settings of training that the card names even where run.yaml does not, with their defaults there.
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
    "gradual_unfreezing": False,
    "layer_lr_decay": 1.0,
    "averaging": None,
    "entropy_minimisation": 0.0,
    "adversarial": 0.0,
    "virtual_adversarial": 0.0,
    "perturbation": 0.1,
}
# Those that it names only where they are no defaults.
_BESIDES = tuple(DEFAULTS)[10:]
_SHOWN_LABELS = 20
# So many labels fit on a line.
_FEW = 6


def render_folder(folder: Path, model_id: str | None = None) -> str:
    """The card of a model's folder.

    Args:
        folder: with config.json and, where a run made it, run.yaml and metrics.json.
        model_id: on the Hub; the folder's name where there is none.
    """

    def read(name: str, parse) -> dict:
        file = folder / name
        return parse(file.read_text(encoding="utf-8")) or {} if file.exists() else {}

    return render(
        model_id or folder.name,
        RNNConfig.from_pretrained(folder),
        read(RUN_FILE, yaml.safe_load),
        read(METRICS_FILE, json.loads),
        [name for name in PICTURES if (folder / name).exists()],
    )


def render(
    model_id: str,
    config: RNNConfig,
    run: dict,
    facts: dict,
    pictures: list[str],
) -> str:
    """
    Args:
        model_id: as it is loaded by.
        config: of the model.
        run: the sections of its run.yaml, or {}.
        facts: what its metrics.json holds, or {}.
        pictures: those of `PICTURES` that stand beside the card.
    """
    labels = _labels(config)
    data = facts.get("data", {})
    examples = data.get("examples", [])
    pipeline_task, answer = _kind(config)
    first = examples[0] if examples else {"text": EXAMPLES.get(answer, "the text to label")}
    asked = {key: clean(first[key]) for key in ("text", "text_pair") if key in first}
    question = json.dumps(asked if len(asked) > 1 else asked["text"], ensure_ascii=False)
    card = ModelCard.from_template(
        _metadata(model_id, config, run, facts),
        template_path=str(_TEMPLATE),
        title=clean(model_id).rpartition("/")[2],
        invitation=INVITATION,
        marker=MARKER,
        model_id=clean(model_id),
        pipeline_task=pipeline_task,
        answer=answer,
        options=', aggregation_strategy="simple"' if answer == "tag" and is_bio(config.id2label.values()) else "",
        question=question,
        summary=_summary(config, data, facts, run),
        labels=", ".join(map(escape, labels[:_SHOWN_LABELS])),
        examples=[
            {"label": escape(e["label"]), "text": escape(" / ".join(e[k] for k in ("text", "text_pair") if k in e))}
            for e in examples[:_SHOWN_LABELS]
        ],
        more_labels=max(0, len(labels) - _SHOWN_LABELS) if examples else 0,
        rest_of_labels=", ".join(map(escape, labels[_SHOWN_LABELS : 5 * _SHOWN_LABELS])),
        scores=_scores(facts),
        classes=_classes(facts, labels),
        pictures=[(name, PICTURES[name]) for name in pictures],
        dataset=_dataset(data, run),
        count_names=list(map(escape, labels)) if 0 < len(labels) <= _FEW else [],
        splits=_splits(data, labels),
        preprocessing=_preprocessing(run),
        architecture=_architecture(config),
        training=_training(run, facts),
        changes=_own_places(run, data),
        limits=_limits(config, run, facts, labels),
        version=__version__,
    )
    return str(card)


# The parts of the page ------------------------------------------------------------------------------------------------


def _metadata(model_id: str, config: RNNConfig, run: dict, facts: dict) -> ModelCardData:
    card, data = _section(run, "card"), facts.get("data", {})
    dataset = _hub_dataset(run, data)
    name = clean(dataset or card.get("dataset") or data.get("title") or "unnamed")
    results = [
        EvalResult(
            task_type=_kind(config)[0],
            task_name=_kind(config)[0].replace("-", " ").capitalize(),
            dataset_type=name if dataset else re.sub(r"[^\w.-]+", "-", name).strip("-") or "unnamed",
            dataset_name=name,
            dataset_split=split,
            metric_type=METRICS[metric][1],
            metric_name=METRICS[metric][0],
            metric_value=round(value, 6),
        )
        for split in ("test", "validation")
        for metric, value in facts.get(split, {}).items()
        if metric in METRICS
    ]
    widget = [
        {**{k: clean(e[k]) for k in ("text", "text_pair") if k in e}, "example_title": clean(e["label"])}
        for e in data.get("examples", [])[:_SHOWN_LABELS]
    ]
    optional: dict[str, Any] = {
        "language": card.get("language"),
        "license": card.get("license"),
        "datasets": [dataset] if dataset else None,
        "metrics": sorted({result.metric_type for result in results}) or None,
        "eval_results": results or None,
        "model_name": clean(model_id).rpartition("/")[2] if results else None,
        "widget": widget or None,
    }
    return ModelCardData(
        library_name="transformers",
        pipeline_tag=_kind(config)[0],
        tags=["hf_rnn", "rnn", config.cell_type.partition("_")[0]],
        **{key: value for key, value in optional.items() if value is not None},
    )


def _section(run: dict, name: str) -> dict:
    return run.get(name) or {}


def _built_in(run: dict) -> bool:
    return _section(run, "data").get("path", BUILT_IN) == BUILT_IN


def _million(count: int) -> str:
    return f"{count / 1e6:.1f} million" if count >= 1e6 else f"{count:,}"


def _architecture_of(config: RNNConfig) -> str:
    name = architecture(config)
    return name if name in KINDS else "RNNForSequenceClassification"


def _kind(config: RNNConfig) -> tuple[str, str]:
    return KINDS[_architecture_of(config)]


def _is_classifier(config: RNNConfig) -> bool:
    return _kind(config)[1] == "classify"


def _labels(config: RNNConfig) -> list[str]:
    """What a model answers with: labels, or the kinds of spans that it finds."""
    if _kind(config)[1] == "tag":
        return list(dict.fromkeys(kind_of(tag) for tag in config.id2label.values() if tag != OUTSIDE))
    return list(config.id2label.values()) if _is_classifier(config) and not _is_regression(config) else []


def _is_regression(config: RNNConfig) -> bool:
    return config.problem_type == "regression" or (config.problem_type is None and config.num_labels == 1)


def _count(config: RNNConfig) -> int:
    with device("meta"):
        return sum(parameter.numel() for parameter in MODELS[_architecture_of(config)](config).parameters())


def _summary(config: RNNConfig, data: dict, facts: dict, run: dict) -> str:
    kind = f"{'bidirectional ' if config.bidirectional else ''}{CELLS[config.cell_type]}"
    article = "An" if kind.startswith("LSTM") else "A"
    labels = list(map(escape, _labels(config)))
    if _kind(config)[1] == "write":
        task = "tells the next token of a text, writes, and lends its encoder to classifiers"
    elif _kind(config)[1] == "tag":
        task = f"finds {', '.join(labels[:_SHOWN_LABELS])} in a text, word by word"
    elif _kind(config)[1] == "translate":
        task = "reads a text and writes another, looking back at the first"
    elif not _is_classifier(config):
        task = "gives a text's tokens and their whole vectors"
    elif _is_regression(config):
        task = "gives a text a number"
    elif config.problem_type == "multi_label_classification":
        task = f"gives a text any of {len(labels)} labels"
    elif len(labels) <= _FEW:
        task = f"labels a text {', '.join(labels[:-1])} or {labels[-1]}"
    else:
        task = f"gives a text one of {len(labels)} labels"
    text = f"{article} {kind} of {_million(_count(config))} parameters that {task}"
    name = _section(run, "card").get("dataset") or data.get("title")
    pretrained = _section(run, "model").get("pretrained")
    origin = f"fine-tuned from `{escape(Path(pretrained).name)}`" if pretrained else "trained from nothing"
    text += f", {origin} on {escape(name)}." if name else "."
    split = "test" if "test" in facts else "validation"
    metric = next((m for m in facts.get(split, {}) if m in METRICS), None)
    if metric:
        text += f" On the {split} split: {METRICS[metric][0]} {shown(metric, facts[split][metric])}."
    return text


def _scores(facts: dict) -> dict | None:
    splits = [split for split in ("validation", "test") if split in facts]
    names = [metric for metric in METRICS if splits and metric in facts[splits[0]]]
    if not names:
        return None
    return {
        "splits": splits,
        "rows": [(METRICS[m][0], [shown(m, facts[split][m]) for split in splits]) for m in names],
    }


def _classes(facts: dict, labels: list[str]) -> dict | None:
    split = "test" if "test" in facts else "validation"
    found = facts.get(split, {})
    parts = ("precision", "recall", "f1")
    rows = [
        [escape(label), *(f"{found[f'{part}/{label}']:.2%}" for part in parts), f"{found[f'support/{label}']:,.0f}"]
        for label in labels
        if f"f1/{label}" in found
    ]
    return {"split": split, "rows": rows} if rows else None


def _own_places(run: dict, data: dict) -> str:
    """Options of the run again, for what stood in a folder that nobody else has."""
    options = ""
    if not (data.get("hub_id") or _built_in(run)):
        options += f" --data.path {_hub_dataset(run, data) or 'YOUR-COPY'}"
    pretrained = (run.get("model") or {}).get("pretrained")
    if pretrained and (looks_local(pretrained) or Path(pretrained).exists()):
        options += " --model.pretrained YOUR-COPY"
    return options


def _hub_dataset(run: dict, data: dict) -> str | None:
    """The data set's name on the Hub; None for one that the Hub would not allow."""
    name = _section(run, "card").get("dataset") or data.get("hub_id")
    try:
        validate_repo_id(name)
    except HFValidationError:
        return None
    return name


def _dataset(data: dict, run: dict) -> str:
    name = _hub_dataset(run, data)
    if name:
        words = f"[{escape(name)}](https://huggingface.co/datasets/{name})"
    else:
        words = "reviews that hf_rnn makes up" if _built_in(run) else escape(data.get("title", ""))
    revision = f", revision {escape(data['revision'])}" if data.get("revision") else ""
    test = " The test rows played no part in training." if "test" in data.get("splits", {}) else ""
    streamed = ""
    if _section(run, "data").get("streaming"):
        most = _section(run, "data").get("streaming_sample", DataArguments.streaming_sample)
        streamed = f" Training read a stream of rows; what stands here is of the first {most:,} rows of each split."
    return f"Trained on {words}{revision}.{test}{streamed}"


def _splits(data: dict, labels: list[str]) -> list[list[str]]:
    rows = []
    for split, facts in data.get("splits", {}).items():
        counts = [f"{facts['labels'].get(label, 0):,}" for label in labels] if 0 < len(labels) <= _FEW else []
        tokens = [f"{facts['tokens'][key]:,}" for key in ("half", "95 %", "longest")]
        rows.append([escape(split), f"{facts['rows']:,}", *counts, *tokens])
    return rows


def _preprocessing(run: dict) -> str:
    tokenizer, data = _section(run, "tokenizer"), _section(run, "data")
    if tokenizer.get("path") or (_section(run, "model").get("pretrained") and not tokenizer.get("kind")):
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
        text = f"Tokens: {kind.get(tokenizer.get('kind') or 'bpe', 'words')}, learnt from the training rows"
        text += ", lower-cased" if tokenizer.get("lowercase") else ""
        text += ", HTML tags left out" if tokenizer.get("strip_html") else ""
    most = data.get("max_length")
    if run.get("task") == "translation":
        longer = f" Training pairs with a text of more than {most:,} tokens were left out." if most else ""
        return f"{text}. Texts are read whole.{longer}"
    where = {"head": "its beginning", "tail": "its end", "head_tail": "half from its beginning and half from its end"}
    cut = where.get(data.get("truncation", "head_tail"), "a part")
    return text + (f". Of a longer text {most:,} tokens are kept: {cut}." if most else ". Texts are read whole.")


def _architecture(config: RNNConfig) -> list[tuple[str, str]]:
    dropouts = {name: getattr(config, name) for name in DROPOUTS if getattr(config, name)}
    directions = "two directions" if config.bidirectional else "one direction"
    if config.independent_directions:
        directions = "two stacks of one direction each"
    top = {
        "classify": [("pooling", f"`{config.pooling}`")],
        "tag": [
            ("characters", "not read" if config.character_encoder == "none" else config.character_encoder.upper()),
            ("tags", "chosen together, by a conditional random field" if config.crf else "chosen one by one"),
        ],
        "translate": [
            (
                "decoder",
                f"{config.num_hidden_layers} × {CELLS[config.cell_type]} of {config.hidden_size}, "
                f"{config.attention_type} attention" + (", input feeding" if config.input_feeding else ""),
            )
        ],
    }.get(_kind(config)[1], [])
    return [
        ("parameters", f"{_count(config):,}"),
        ("embedding", f"{config.vocab_size:,} entries of {config.embedding_size}"),
        (
            "recurrent layers",
            f"{config.num_hidden_layers} × {CELLS[config.cell_type]} of {config.hidden_size}, {directions}",
        ),
        *top,
        ("dropout", ", ".join(f"`{name}` {value:g}" for name, value in dropouts.items()) or "none"),
    ]


def _training(run: dict, facts: dict) -> list[tuple[str, str]]:
    about, settings = facts.get("run"), _section(run, "training")
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
    more = [f"`{name}` {settings[name]}" for name in _BESIDES if settings.get(name, DEFAULTS[name]) != DEFAULTS[name]]
    best = ", the best of them kept" if setting("load_best_model_at_end") else ""
    streamed = _section(run, "data").get("streaming")
    return [
        ("steps", f"{setting('max_steps'):,}") if streamed else ("epochs", f"{about['epochs']:g}{best}"),
        (f"{filled} in a batch", f"{batch}"),
        ("learning rate", f"{setting('learning_rate'):g}, {escape(setting('lr_scheduler_type'))} schedule"),
        ("weight decay", f"{setting('weight_decay'):g}"),
        *([("besides", ", ".join(more))] if more else []),
        ("seed", f"{setting('seed')}"),
        ("time", f"{spent} on {escape(about['hardware'])}"),
        ("versions", escape(", ".join(f"{name} {version}" for name, version in about["versions"].items()))),
        ("date", escape(about["date"])),
    ]


def _limits(config: RNNConfig, run: dict, facts: dict, labels: list[str]) -> str:
    split = "test" if "test" in facts else "validation"
    answer = _kind(config)[1]
    accuracy = facts.get(split, {}).get("accuracy") if answer == "classify" else None
    lines = ["- It knows the language and the kind of text of the rows that it was trained on, and no others."]
    if labels:
        lines.append("- It always answers with its own labels, for a text that has nothing to do with them too.")
    if accuracy is not None:
        lines.append(
            f"- About {100 * (1 - accuracy):.0f} of 100 answers on rows like those of the {split} split are wrong."
        )
    if _section(run, "data").get("max_length") and answer == "classify":
        lines.append("- `hf-rnn predict` cuts long texts as in training; `pipeline` reads them whole.")
    if answer == "translate":
        lines.append("- It may leave out what a text says, add to it or say the contrary, in sentences that read well.")
        return "\n".join(lines)
    if answer == "write":
        lines.append("- What it writes is likely text, not true text.")
        return "\n".join(lines)
    lines.append(
        "- The score is the model's own, not a measured probability. Words that the training rows hold only with one "
        "label, names of people and places among them, weigh in its answers: do not decide about people by it."
    )
    return "\n".join(lines)


__all__ = ["render", "render_folder"]
