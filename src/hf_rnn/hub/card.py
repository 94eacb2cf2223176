# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Model card, rendered from the files of a model's folder; the template is `model_card.md`."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ..models.cells import find_cell
from ..models.configuration_rnn import RNNConfig, __version__
from ..text.bio import is_bio
from ..utils.errors import HubError
from .card_folds import folds_section
from .card_import import import_section
from .card_merge import INVITATION, MARKER
from .card_model import FEW, SHOWN_LABELS, answers_of, architecture_table, count_parameters, pipeline_of, task_in_words
from .card_onnx import onnx_section
from .card_report import report_section
from .card_run import (
    classes_table,
    dataset_line,
    dataset_on_hub,
    options_for_others,
    preprocessing,
    scores_table,
    section,
    splits_table,
    training_table,
)
from .card_teacher import teacher_section
from .card_words import EXAMPLES, METRICS, clean, escape, figure
from .folder import EXPORT_RECORD, IMPORT_FILE, METRICS_FILE, ONNX_FOLDER, PICTURES, RUN_FILE

# The file model_card.md in the root of the project is a copy of this one; a test compares the two.
_TEMPLATE = Path(__file__).with_name("model_card.md")


def render_folder(folder: Path, model_id: str | None = None) -> str:
    """Render the model card from the files in a model's folder.

    Args:
        folder: Folder with config.json and, if a training run wrote it, run.yaml and metrics.json.
        model_id: Name of the model on the Hub; the name of the folder if None.

    Raises:
        HubError: One of the files holds something else than a mapping.
    """

    def read(name: str, parse) -> dict:
        file = folder / name
        found = parse(file.read_text(encoding="utf-8")) or {} if file.exists() else {}
        if not isinstance(found, dict):
            raise HubError(f"{str(file)!r} holds no mapping: put it back as it was, or delete it.")
        return found

    return render(
        model_id or folder.name,
        RNNConfig.from_pretrained(folder),
        read(RUN_FILE, yaml.safe_load),
        read(METRICS_FILE, json.loads) | ({"import": record} if (record := read(IMPORT_FILE, json.loads)) else {}),
        [name for name in PICTURES if (folder / name).exists()],
        read(f"{ONNX_FOLDER}/{EXPORT_RECORD}", json.loads),
    )


def render(
    model_id: str,
    config: RNNConfig,
    run: dict,
    facts: dict,
    pictures: list[str],
    exported: dict | None = None,
) -> str:
    """Render the model card from data.

    Args:
        model_id: Name by which the model is loaded.
        config: Configuration of the model.
        run: Sections of run.yaml; {} if there is none.
        facts: Contents of metrics.json, {} if there is none; and, under `import`, those of import.json.
        pictures: Names of the files of `PICTURES` that are in the same folder as the card.
        exported: Export record of the ONNX files; None if there are none.
    """
    labels = answers_of(config)
    data = facts.get("data", {})
    examples = data.get("examples", [])
    pipeline_task, answer = pipeline_of(config)
    first = examples[0] if examples else {"text": EXAMPLES.get(answer, "the text to label")}
    asked = {key: clean(first[key]) for key in ("text", "text_pair") if key in first}
    question = json.dumps(asked if len(asked) > 1 else asked["text"], ensure_ascii=False)
    card = ModelCard.from_template(
        _metadata(model_id, config, run, facts, bool(exported)),
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
        labels=", ".join(map(escape, labels[:SHOWN_LABELS])),
        examples=[
            {"label": escape(e["label"]), "text": escape(" / ".join(e[k] for k in ("text", "text_pair") if k in e))}
            for e in examples[:SHOWN_LABELS]
        ],
        more_labels=max(0, len(labels) - SHOWN_LABELS) if examples else 0,
        rest_of_labels=", ".join(map(escape, labels[SHOWN_LABELS : 5 * SHOWN_LABELS])),
        scores=scores_table(facts),
        classes=classes_table(facts, labels),
        pictures=[(name, PICTURES[name]) for name in pictures],
        folds=folds_section(facts),
        report=report_section(facts),
        teacher=teacher_section(facts),
        onnx=onnx_section(exported or {}),
        dataset=dataset_line(data, run),
        count_names=list(map(escape, labels)) if 0 < len(labels) <= FEW else [],
        splits=splits_table(data, labels),
        preprocessing=preprocessing(run),
        architecture=architecture_table(config),
        imported=import_section(facts.get("import", {})),
        training=training_table(run, facts),
        changes=options_for_others(run, data),
        limits=_limits(config, run, facts, labels),
        version=__version__,
    )
    return str(card)


def _metadata(model_id: str, config: RNNConfig, run: dict, facts: dict, has_graphs: bool) -> ModelCardData:
    card, data = section(run, "card"), facts.get("data", {})
    dataset = dataset_on_hub(run, data)
    name = clean(dataset or card.get("dataset") or data.get("title") or "unnamed")
    results = [
        EvalResult(
            task_type=pipeline_of(config)[0],
            task_name=pipeline_of(config)[0].replace("-", " ").capitalize(),
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
        for e in data.get("examples", [])[:SHOWN_LABELS]
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
        pipeline_tag=pipeline_of(config)[0],
        tags=["hf_rnn", "rnn", find_cell(config.cell_type).family, *(["onnx"] if has_graphs else [])],
        **{key: value for key, value in optional.items() if value is not None},
    )


def _summary(config: RNNConfig, data: dict, facts: dict, run: dict) -> str:
    kind = f"{'bidirectional ' if config.bidirectional else ''}{find_cell(config.cell_type).display_name}"
    article = "An" if kind.startswith("LSTM") else "A"
    text = f"{article} {kind} of {_million(count_parameters(config))} parameters that {task_in_words(config)}"
    name = section(run, "card").get("dataset") or data.get("title")
    pretrained = section(run, "model").get("pretrained")
    origin = f"fine-tuned from `{escape(Path(pretrained).name)}`" if pretrained else "trained from scratch"
    vectors = section(run, "model").get("vectors")
    origin = f"trained on the vectors of `{escape(Path(vectors).name)}`" if vectors else origin
    imported = import_section(facts.get("import", {}))
    text += f", imported from {imported['origin']}." if imported else f", {origin} on {escape(name)}." if name else "."
    split = "test" if "test" in facts else "validation"
    metric = next((m for m in facts.get(split, {}) if m in METRICS), None)
    if metric:
        text += f" On the {split} split: {METRICS[metric][0]} {figure(metric, facts[split][metric])}."
    return text


def _million(count: int) -> str:
    return f"{count / 1e6:.1f} million" if count >= 1e6 else f"{count:,}"


def _limits(config: RNNConfig, run: dict, facts: dict, labels: list[str]) -> str:
    split = "test" if "test" in facts else "validation"
    answer = pipeline_of(config)[1]
    accuracy = facts.get(split, {}).get("accuracy") if answer == "classify" else None
    lines = ["- It knows the language and the kind of text of the rows that it was trained on, and no others."]
    if labels:
        lines.append("- It always answers with its own labels, even for a text that has nothing to do with them.")
    if accuracy is not None:
        lines.append(
            f"- About {100 * (1 - accuracy):.0f} of 100 answers on rows like those of the {split} split are wrong."
        )
    if section(run, "data").get("max_length") and answer == "classify":
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
