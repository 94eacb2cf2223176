# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Sentences and tables of a model card about the model itself: its answers and its architecture."""

from ..auto import architecture, model_without_weights
from ..models.cells import find_cell
from ..models.configuration_rnn import DROPOUTS, RNNConfig, fields_read_by
from ..runtime.bio import OUTSIDE, kind_of
from ..text.labels import is_regression
from .card_words import KINDS, escape

# The maximum number of labels in a list of the card, and in a sentence or the header of a table.
SHOWN_LABELS, FEW = 20, 6


def _architecture_of(config: RNNConfig) -> str:
    name = architecture(config)
    return name if name in KINDS else "RNNForSequenceClassification"


def pipeline_of(config: RNNConfig) -> tuple[str, str]:
    """Return the name of the pipeline for a model, and the variable that holds the pipeline in the card's example.

    Args:
        config: Configuration of the model.
    """
    return KINDS[_architecture_of(config)]


def is_classifier(config: RNNConfig) -> bool:
    """Return True for a text classifier, regression included.

    Args:
        config: Configuration of the model.
    """
    return pipeline_of(config)[1] == "classify"


def answers_of(config: RNNConfig) -> list[str]:
    """Return the labels of a classifier, or the entity types that a tagger finds; none for other models.

    Args:
        config: Configuration of the model.
    """
    if pipeline_of(config)[1] == "tag":
        return list(dict.fromkeys(kind_of(tag) for tag in config.id2label.values() if tag != OUTSIDE))
    return list(config.id2label.values()) if is_classifier(config) and not is_regression(config) else []


def count_parameters(config: RNNConfig) -> int:
    """Return the number of parameters of a model, without allocating memory for them.

    Args:
        config: Configuration of the model.
    """
    return sum(parameter.numel() for parameter in model_without_weights(_architecture_of(config), config).parameters())


def task_in_words(config: RNNConfig) -> str:
    """Return the description of a model's task, to follow the words "A model that".

    Args:
        config: Configuration of the model.
    """
    labels = list(map(escape, answers_of(config)))
    if pipeline_of(config)[1] == "write":
        return "predicts the next token of a text, generates text, and can be the pretrained encoder of classifiers"
    if pipeline_of(config)[1] == "tag":
        return f"finds {', '.join(labels[:SHOWN_LABELS])} in a text, word by word"
    if pipeline_of(config)[1] == "translate":
        return "generates a text from another one, with attention to it"
    if not is_classifier(config):
        return "encodes the tokens of a text, and the whole text, as vectors"
    if is_regression(config):
        return "predicts a number for a text"
    if config.problem_type == "multi_label_classification":
        return f"gives a text any of {len(labels)} labels"
    if len(labels) <= FEW:
        return f"labels a text {', '.join(labels[:-1])} or {labels[-1]}"
    return f"gives a text one of {len(labels)} labels"


def _decisions(config: RNNConfig) -> str:
    """Return the description of temperature and thresholds; an empty text without them."""
    parts = [f"logits divided by the temperature {config.temperature:g}"] if config.temperature != 1 else []
    thresholds = list((config.thresholds or {}).items())
    if thresholds:
        shown = ", ".join(f"{escape(name)} {value:.3g}" for name, value in thresholds[:SHOWN_LABELS])
        parts.append(f"chosen over the probabilities {shown}{', …' if len(thresholds) > SHOWN_LABELS else ''}")
    return "; ".join(parts)


def architecture_table(config: RNNConfig) -> list[tuple[str, str]]:
    """Return the rows of the architecture table, as pairs of name and value.

    Args:
        config: Configuration of the model.
    """
    read = fields_read_by(_architecture_of(config))
    dropouts = {name: getattr(config, name) for name in DROPOUTS if name in read and getattr(config, name)}
    directions = "two directions" if config.bidirectional else "one direction"
    if config.independent_directions:
        directions = "two stacks of one direction each"
    layers = f"{config.num_hidden_layers} × {find_cell(config.cell_type).display_name} of {config.hidden_size}"
    wide = f"{config.wide_ngrams:,} n-grams of up to {config.wide_order} tokens"
    wide += ", each counted once per text" * config.wide_binary
    # Rows for some architectures only, by the field of the configuration that they show.
    rows = {
        "pooling": ("pooling", f"`{config.pooling}`"),
        "character_encoder": (
            "characters",
            "not read" if config.character_encoder == "none" else config.character_encoder.upper(),
        ),
        "temperature": ("labels", _decisions(config)),
        "crf": ("tags", "chosen together, by a conditional random field" if config.crf else "chosen one by one"),
        "attention_type": (
            "decoder",
            f"{layers}, {config.attention_type} attention{', input feeding' * config.input_feeding}",
        ),
    }
    return [
        ("parameters", f"{count_parameters(config):,}"),
        ("embedding", f"{config.vocab_size:,} entries of {config.embedding_size}"),
        ("recurrent layers", f"{layers}, {directions}"),
        *(row for name, row in rows.items() if name in read and row[1]),
        *([("wide path", wide)] if config.wide_ngrams else []),
        ("dropout", ", ".join(f"`{name}` {value:g}" for name, value in dropouts.items()) or "none"),
    ]
