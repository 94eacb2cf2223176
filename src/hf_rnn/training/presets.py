# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Presets: rules that choose settings from the training rows, for `--preset fast | default | best`.

A preset never changes a setting that the user wrote. This file has the tables of all rules; `preset_facts` has the
formulas that they use, and `preset_conditions` the conditions under which they apply.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..text.labels import MULTI, SINGLE
from ..utils.output import say
from .class_balance import BALANCED
from .ngrams import MOST_WEIGHTS
from .preset_conditions import (
    always,
    averages,
    by_frequency,
    counts_rare_words,
    from_nothing,
    goes_on,
    has_epochs,
    has_new_head,
    has_vectors,
    has_wide_path,
    learns_vectors,
    may_add_words,
    may_count_tokens,
    may_look_ahead,
    may_train_slowly,
    may_weigh,
    on_encoder,
    trains_tokenizer,
)
from .preset_facts import Facts
from .run_config import RunConfig, with_values
from .student_sizes import SIZES

if TYPE_CHECKING:
    from datasets import Dataset

    from ..tasks import Task


@dataclass(frozen=True)
class Rule:
    """Rule that chooses the value of one setting.

    Args:
        key: Key of the setting, such as `model.hidden_size`.
        value: Function that computes the value from the facts of a run.
        why: Reason for the value, with measurements if there are any.
        when: Function that returns False if other settings of the run make the rule inapplicable.
    """

    key: str
    value: Callable[[Facts], Any]
    why: str
    when: Callable[[RunConfig], bool] = always


_DROPOUT = (
    "For classifiers, 0.2 and 0.3 gave a lower validation loss than 0.5 with few epochs at a high learning rate;"
    " taggers use the value of configs/conll2003.yaml, which was measured. With vectors, taggers have 0.25."
)
_RARE = "The wide path counts rare words too. Beside words of vectors, there are no rare tokens."
# Measured on validation rows, in single runs with GloVe of 100 dimensions.
_OF_VECTORS = (
    "Taggers of CoNLL-2003 had F1 of 89.9 after five epochs with subwords, and 92.2 with 50,000 words of the vectors in"
    " addition; with a standard deviation of 0.1 instead of 0.4, 90.8. The validation loss of classifiers on TREC"
    " (best) was 0.338 with a standard deviation of 0.1, 0.324 with 0.4, and 0.249 with the words in addition."
)
_SLOWLY = (
    "Trained at the full rate, the vectors of words in the training rows move away from those of other words. The"
    " validation loss on TREC (best) was 0.254 with a frozen embedding, and 0.252, 0.249 and 0.262 with 0.03, 0.1 and"
    " 0.3 of the rate; on SST-2 with phrases, 0.324 with a frozen embedding, and 0.311 and 0.317 with 0.1 and 0.3."
    " Taggers of CoNLL-2003 had F1 of 93.1 at the full rate, and 93.3 with 0.1, after eight epochs. Many rows teach"
    " more than the vectors know: on 22,500 reviews of IMDB, the loss of the recurrence was 0.310 with a frozen"
    " embedding, 0.270 with 0.1, and 0.218 at the full rate."
)
_WITH_VECTORS = (
    Rule("tokenizer.vector_words", lambda facts: facts.vector_words, _OF_VECTORS, may_add_words),
    Rule("model.vectors_std", lambda facts: 0.4, _OF_VECTORS, has_vectors),
    Rule("training.embedding_lr_factor", lambda facts: 0.1 if facts.has_few_words else 1.0, _SLOWLY, may_train_slowly),
)
# Bidirectionality, dropout, early stopping and weight averaging, for text classifiers and taggers.
_REGULARISED = (
    Rule(
        "model.bidirectional",
        lambda facts: facts.preset != "fast",
        "With one direction and no dropout, four classifiers lost 1 to 3 points of accuracy.",
        may_look_ahead,
    ),
    Rule(
        "model.embedding_dropout", lambda facts: 0.1, "All measured configurations in configs/ use some.", has_new_head
    ),
    Rule("model.input_dropout", lambda facts: facts.dropout, _DROPOUT, has_new_head),
    Rule("model.classifier_dropout", lambda facts: facts.dropout, _DROPOUT, has_new_head),
    Rule(
        "training.early_stopping_patience",
        lambda facts: max(facts.by_preset(2, 3, 5), math.ceil(60 / facts.steps_of_an_epoch)),
        "After so many epochs without a better one, later epochs are seldom better. An epoch of few rows has few steps,"
        " and few validation rows measure their effect badly.",
        lambda run: run.training.eval_strategy != "no",
    ),
    Rule(
        "training.averaging",
        lambda facts: "ema",
        "Averaged weights differ less from epoch to epoch than the weights themselves.",
    ),
    Rule(
        "training.averaging_decay",
        lambda facts: facts.averaging_decay,
        "The average covers about the last tenth of the steps.",
        averages,
    ),
)

_SKEW = (
    "On two sets with one row in a hundred of the rare class, its recall rose from 93.5 to 98.0 % and from 47.9 to"
    " 60.0 %; macro F1 rose from 98.3 to 99.5 % and fell from 81.4 to 79.2 %. With more than two classes, the accuracy"
    " would fall."
)
_FINE_TUNED = "Most of the measured configs/*_finetune.yaml use this value."


# Measured on validation rows.
_GOES_ON = (
    "On 1,000 other training rows of TREC, after two epochs of old rows and those of a class that is new (seed 0), F1"
    " of the new class was 0.796 with 0.005 and 0.787 with 0.002, and that of the old ones 0.850 and 0.849. A third"
    " epoch gave 0.795 and 0.856; a new model, 0.823 and 0.859."
)


TEXT_CLASSIFICATION = (
    Rule(
        "tokenizer.kind",
        lambda facts: "word",
        "With few rows, words are better than subwords; in Chinese, characters are better than subwords by 1.6 points.",
        trains_tokenizer,
    ),
    Rule(
        "tokenizer.lowercase",
        lambda facts: True,
        "A word then has the same vector at the beginning of a sentence as inside it.",
        trains_tokenizer,
    ),
    Rule(
        "tokenizer.strip_html",
        lambda facts: facts.tags > 0.01,
        "HTML tags say nothing about the label.",
        trains_tokenizer,
    ),
    Rule(
        "tokenizer.vocab_size",
        lambda facts: min(facts.by_preset(20_000, 20_000, 30_000), facts.repeated + 100),
        "Words that occur once in 20,000 rows train the vector of the unknown token. With vectors of"
        " their own, the validation loss was 0.348 instead of 0.337 on SST-2 and, with GloVe, 0.358 instead of 0.323 on"
        " TREC.",
        by_frequency,
    ),
    *_WITH_VECTORS,
    Rule("tokenizer.min_frequency", lambda facts: 2 if facts.vector_words else 1, _RARE, counts_rare_words),
    Rule("tokenizer.rare_tokens", lambda facts: 0 if facts.vector_words else 200_000, _RARE, counts_rare_words),
    Rule(
        "model.wide_ngrams",
        lambda facts: max(1, min(200_000, MOST_WEIGHTS // facts.labels)),
        "N-grams and recurrence together had a smaller validation loss than either, on IMDB, SST-2, TREC and Waimai.",
    ),
    Rule(
        "model.wide_order",
        lambda facts: 5 if facts.unspaced_letters > 0.5 else facts.by_preset(2, 3, 3),
        "Three words or Chinese characters (four were no better by validation loss), or two to save time; five"
        " letters, as in a Thai word. The fit may choose fewer if there are few rows.",
        has_wide_path,
    ),
    Rule(
        "model.embedding_size",
        lambda facts: facts.by_preset(100, 200, 300),
        "With input_dropout, the network sees only a part of each vector at a time.",
        learns_vectors,
    ),
    Rule(
        "model.hidden_size",
        lambda facts: facts.by_preset(64, 128, 256),
        "The default trains on 25,000 reviews in about six minutes on two cores.",
        from_nothing,
    ),
    Rule("model.pooling", lambda facts: "concat", _FINE_TUNED, on_encoder),
    Rule("model.weight_dropout", lambda facts: 0.2, _FINE_TUNED, on_encoder),
    Rule(
        "training.per_device_train_batch_size",
        lambda facts: facts.batch,
        "An epoch has about 150 steps, so that small data sets have enough steps.",
        lambda run: run.training.train_batch_tokens is None,
    ),
    Rule(
        "training.train_batch_tokens",
        lambda facts: facts.batch_tokens,
        "Batches of long texts take no more memory than those of short ones.",
        may_count_tokens,
    ),
    Rule(
        "training.num_train_epochs",
        lambda facts: float(facts.epochs),
        "Small data sets need many epochs for enough steps, and large ones few.",
        has_epochs,
    ),
    Rule(
        "training.learning_rate",
        lambda facts: 0.005,
        "Few epochs at a high rate overfit less than many at a low one. Validation loss of both halves, with 0.001 and"
        " dropout of 0.5, and with 0.005, dropout of 0.2 or 0.3 and half of the epochs: IMDB 0.183, 0.176; SST-2 0.355,"
        " 0.337; TREC 0.353, 0.344 (450 questions of it 0.777, 0.761); Waimai 0.263, 0.264. 0.01 was no better.",
        from_nothing,
    ),
    Rule("training.learning_rate", lambda facts: 0.002, _FINE_TUNED, on_encoder),
    Rule("training.learning_rate", lambda facts: 0.005, _GOES_ON, goes_on),
    *_REGULARISED,
    Rule(
        "training.calibrate",
        lambda facts: facts.kind in (SINGLE, MULTI),
        "Scores are then probabilities, and no prediction changes.",
    ),
    Rule(
        "training.class_weights",
        lambda facts: BALANCED if facts.is_skewed and facts.labels == 2 else None,
        _SKEW,
        may_weigh,
    ),
    Rule(
        "training.metric_for_best_model",
        lambda facts: "f1_macro" if facts.is_skewed else "average_precision" if facts.kind == MULTI else None,
        "With skewed classes, the accuracy of a model that never predicts the rare class is high. With several labels,"
        " F1 at 0.5 of rare labels is near 0 in early epochs. The mean average precision needs no threshold.",
    ),
    Rule(
        "training.thresholds",
        lambda facts: "f1" if facts.kind == MULTI else None,
        "A label of few texts seldom has a probability over 0.5.",
    ),
)
_TAGGER = "The value of configs/conll2003.yaml, which was measured."
TOKEN_CLASSIFICATION = (
    Rule(
        "tokenizer.vocab_size",
        lambda facts: 10_000,
        _TAGGER,
        trains_tokenizer,
    ),
    *_WITH_VECTORS,
    Rule("model.crf", lambda facts: True, "A CRF scores whole sequences of tags.", lambda run: run.reads_labels),
    Rule("model.character_encoder", lambda facts: "lstm", "The spelling of a word helps to recognize names."),
    Rule("model.character_embedding_size", lambda facts: 30, _TAGGER),
    Rule("model.character_hidden_size", lambda facts: 30, _TAGGER),
    Rule(
        "model.embedding_size",
        lambda facts: 100,
        _TAGGER,
        learns_vectors,
    ),
    Rule(
        "model.hidden_size",
        lambda facts: facts.by_preset(100, 200, 300),
        _TAGGER,
    ),
    Rule("training.learning_rate", lambda facts: 0.003, _TAGGER),
    Rule(
        "training.per_device_train_batch_size",
        lambda facts: facts.batch,
        _TAGGER,
        lambda run: run.training.train_batch_tokens is None,
    ),
    Rule(
        "training.num_train_epochs",
        lambda facts: float(facts.epochs),
        "Taggers still improve after twice the epochs of classifiers: configs/conll2003.yaml has ten.",
        has_epochs,
    ),
    *_REGULARISED,
)
RULES = {"text_classification": TEXT_CLASSIFICATION, "token_classification": TOKEN_CLASSIFICATION}


def choose(run: RunConfig, task: Task, rows: Dataset) -> tuple[RunConfig, str]:
    """Return a run with the values that its preset chooses, and the YAML text that reproduces it.

    Args:
        run: Run as parsed.
        task: Task of the run.
        rows: Prepared training rows.
    """
    facts = Facts.of(run, task, rows)
    chosen = {rule.key: rule.value(facts) for rule in rules_of(run)}
    if run.training.should_log and chosen:
        say(summary(facts, chosen))
    return with_values(run, chosen)


def as_begun(run: RunConfig, begun: RunConfig) -> tuple[RunConfig, str]:
    """Return a resumed run with the values that were chosen at its start, and the YAML text that reproduces it.

    A preset chose them, or they are those of a pretrained classifier.

    Args:
        run: Run as parsed.
        begun: Run as saved in its folder.
    """
    resume, overwrite = run.training.resume, run.training.overwrite
    if begun.model.keep_head and run.model.keep_head is not False:
        # The pretrained classifier, whose settings these are, may no longer exist.
        theirs = {f"model.{name}" for name in vars(begun.model)} - run.given
        run, _ = with_values(run, {key: begun.parsed[key] for key in theirs})
    chosen = {rule.key for rule in rules_of(run)}
    if run.distil.max_megabytes is not None:
        chosen |= SIZES.keys() - run.given
    run, text = with_values(run, {key: begun.parsed[key] for key in chosen})
    run.training.resume, run.training.overwrite = resume, overwrite
    return run, text


def rules_of(run: RunConfig) -> list[Rule]:
    """Return the rules for the settings that the user did not write; empty if the run has no preset or no rules exist.

    Args:
        run: Run as parsed.
    """
    if run.preset == "none" or without_rules(run):
        return []
    return [rule for rule in RULES[run.task] if rule.key not in run.given and rule.when(run)]


def without_rules(run: RunConfig) -> str | None:
    """Return the reason why no rules exist for a run, as text for an error message; None if rules exist.

    Args:
        run: Run as parsed.
    """
    if run.task not in RULES:
        return f"there are none for the task {run.task}"
    if run.data.streaming:
        return "the rows of data.streaming are not known before training"
    if run.model.pretrained is not None and run.task != "text_classification":
        return f"there are none for the task {run.task} with model.pretrained"
    return None


def summary(facts: Facts, chosen: dict[str, Any]) -> str:
    """Return a description of the chosen values in a few lines.

    Args:
        facts: Facts about the run.
        chosen: Chosen values by key.
    """
    rows = f"{facts.rows:,} rows of {facts.words:.0f} words"
    lines = [("preset", f"{facts.preset}, for {rows}, sets what is not given (preset='none' to disable):")]
    for section in ("tokenizer", "model", "training"):
        keys = [key for key, value in chosen.items() if key.startswith(section) and value is not None]
        values = [f"{key.partition('.')[2]} {chosen[key]}" for key in keys]
        if values:
            lines.append((section, " · ".join(values)))
    return "\n".join(f"{name:<11}{value}" for name, value in lines)


__all__ = ["RULES", "Rule", "as_begun", "choose", "rules_of", "without_rules"]
