# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Text classification: one label, several labels, or a number for a text or a pair of texts."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from ..models.configuration_rnn import RNNConfig
from ..models.modeling_rnn import RNNForSequenceClassification
from ..text.arguments import DataArguments
from ..text.collation import RaggedCollator
from ..text.columns import Columns, check_no_written_lists, find_columns, text_of
from ..text.labels import (
    MULTI,
    PROBLEM_TYPES,
    REGRESSION,
    SINGLE,
    LabelForm,
    find_form,
    in_order,
    warn_of_likeness,
    without_missing,
)
from ..text.schema import Schema
from ..utils.errors import UserError, check_choice, nearest
from .text_task import TextTask, quotable, softmax

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict, Features

logger = logging.getLogger(__name__)

UNLABELLED = -1


class TextClassification(TextTask):
    """Everything about the task that training, evaluation and prediction have to ask.

    Args:
        data: which columns, splits and lengths.
        config: of a trained model, whose labels then hold; None to learn them from the training split.
    """

    model_class = RNNForSequenceClassification
    in_order = False
    one_answer = True
    no_use = ("training.window",)

    def __init__(self, data: DataArguments, config: RNNConfig | None = None):
        super().__init__(data)
        if data.problem_type is not None:
            check_choice("data.problem_type", data.problem_type, PROBLEM_TYPES)
        self.problem_type = data.problem_type
        self.label_names = list(data.label_names or [])
        if len(set(self.label_names)) < len(self.label_names):
            raise UserError(f"data.label_names={self.label_names} names a label twice: give each class its own name.")
        if config is not None:
            self.problem_type = config.problem_type or (REGRESSION if config.num_labels == 1 else SINGLE)
            self.label_names = list(config.id2label.values())
        self.trained = config is not None
        self.columns: Columns | None = None
        self.form: LabelForm | None = None
        # Mean and standard deviation of the values of a regression in training.
        self.target = (0.0, 1.0)
        self._known: dict[str, int] = {}
        # True if numbers are places in `data.label_names`, and not names there.
        self.by_place = False

    # Reading ---------------------------------------------------------------------------------------------------------

    def prepare(self, splits: DatasetDict) -> DatasetDict:
        """Rows of `text`, `text_pair` where there are pairs, and `labels`, in the splits train, validation and, where
        the data set has one with labels, test.

        Raises:
            UserError: no such split or column, or labels that cannot be learnt or are not the model's.
        """
        from datasets import ClassLabel, DatasetDict

        train_name, validation_name = self.chosen_splits(splits)
        self.columns = find_columns(splits[train_name], self.data)
        texts, values = self._labelled(splits[train_name], train_name)
        feature = splits[train_name].features[self._label_columns()[0]]
        feature = getattr(feature, "feature", feature)
        if isinstance(feature, ClassLabel):
            self.label_names = list(feature.names)
        values = self._learn_labels(values, train_name, len(splits[train_name]))
        train = self._encode_labels(texts, values, train_name)
        if validation_name is not None:
            validation = self._read(splits, validation_name)
        else:
            by = "labels" if self.problem_type == SINGLE else None
            train, validation = self.hold_out(train, train_name, by)
        prepared = DatasetDict(train=train, validation=validation)
        if self.data.unlabelled_splits:
            prepared["unlabelled"] = self.texts_alone(splits, self.data.unlabelled_splits)
        test_name = self.data.test_split
        if test_name in splits and self._is_unlabelled(splits[test_name]):
            logger.warning(f"the split {test_name} has no labels and is left out.")
        elif test_name in splits:
            prepared["test"] = self._read(splits, test_name)
        return prepared

    def prepare_split(self, splits: DatasetDict, split: str | None) -> Dataset:
        """The labelled rows of one split, for evaluating a trained model; a data set of one split needs no name.

        Raises:
            UserError: no such split or column, or labels that are not the model's.
        """
        split = self.split_to_read(splits, split)
        self.columns = find_columns(splits[split], self.data)
        if self._is_unlabelled(splits[split]):
            raise UserError(f"the split {split!r} of {self.data.path!r} has no labels to compare with.")
        return self._read(splits, split)

    def read_rows(self, rows: list[dict], features: Features | None) -> Dataset:
        """Return the training rows that have a label.

        Args:
            features: of the columns, where they are known.
        """
        from datasets import Dataset, Features

        names = [name for name in (self.columns.text, self.columns.text_pair, *self._label_columns()) if name]
        columns: dict[str, list] = {name: [row.get(name) for row in rows] for name in names}
        features = Features({name: features[name] for name in names}) if features else None
        read = Dataset.from_dict(columns, features=features) if features else _Columns(columns)
        values = self._values(read)
        kept = [place for place, value in enumerate(values) if value is not None]
        texts = {
            new: [text_of(columns[old][place], self._where(old)) for place in kept]
            for new, old in self._text_columns().items()
        }
        parsed = self._parsed([values[place] for place in kept], "train")
        return self._encode_labels(texts, parsed, "train")

    def schema(self, splits: DatasetDict, prepared: DatasetDict) -> Schema:
        """The columns that were found, and how the labels are written."""
        columns = self.columns
        self.chosen = {
            "text_column": columns.text,
            "text_pair_column": columns.text_pair,
            "label_column": columns.label,
        }
        labels = [] if self.problem_type == REGRESSION else self.label_names
        separator = self.form.separator if self.form.kind == "joined" else None
        schema = super().schema(splits, prepared)
        return replace(schema, labels=labels, label_form=str(self.form), label_separator=separator)

    def _text_columns(self) -> dict[str, str]:
        """The columns of texts, by what they are called from here on."""
        found = {"text": self.columns.text, "text_pair": self.columns.text_pair}
        return {new: old for new, old in found.items() if old is not None}

    def _label_columns(self) -> list[str]:
        label = self.columns.label
        return label if isinstance(label, list) else [label]

    def _where(self, column: str | None = None) -> str:
        return f"the column {column or ', '.join(self._label_columns())!r} of {self.data.path!r}"

    def _read(self, splits: DatasetDict, split: str) -> Dataset:
        """The rows of a split whose labels are to be compared."""
        texts, values = self._labelled(splits[split], split)
        if self.form is None:
            _, self.form = find_form(values, len(values), self._data_of_labels(), self.problem_type, self._where())
        parsed = self._parsed(values, split)
        if self.trained:
            self.by_place = self._are_places(parsed)
        return self._encode_labels(texts, parsed, split)

    def _values(self, rows: Any) -> list[Any]:
        """The labels of some rows, classes by their names; None where one is missing."""
        columns = [without_missing(_by_names(rows, name)) for name in self._label_columns()]
        if not isinstance(self.columns.label, list):
            return columns[0]
        return [None if None in row else list(row) for row in zip(*columns, strict=True)]

    def _is_unlabelled(self, rows: Dataset) -> bool:
        if not set(self._label_columns()) <= set(rows.column_names):
            # Without its text column too, a split has other columns than training, of which `_labelled` tells.
            return set(self._text_columns().values()) <= set(rows.column_names)
        return set(map(str, self._values(rows))) <= {str(UNLABELLED), "None"}

    def _labelled(self, rows: Dataset, split: str) -> tuple[dict[str, list[str]], list[Any]]:
        """The texts and the labels of the rows that have one; missing texts are read as empty ones."""
        wanted = [*self._text_columns().values(), *self._label_columns()]
        missing = [name for name in wanted if name not in rows.column_names]
        if missing:
            raise UserError(
                f"the split {split!r} has no column {missing[0]!r}, only {', '.join(rows.column_names)}. Give all "
                "splits the same columns, or leave this one out, --data.test_split null."
            )
        values = self._values(rows)
        kept = [place for place, value in enumerate(values) if value is not None]
        if not kept:
            raise UserError(
                f"the split {split!r} of {self.data.path!r} has no row with a label in column "
                f"{', '.join(self._label_columns())!r}."
            )
        if len(kept) < len(rows):
            logger.warning(f"{split}: {len(rows) - len(kept)} rows without a label were left out.")
            rows, values = rows.select(kept), [values[place] for place in kept]
        texts = {
            new: [text_of(value, self._where(old)) for value in rows[old]] for new, old in self._text_columns().items()
        }
        for new, old in self._text_columns().items():
            check_no_written_lists(texts[new], self._where(old))
        return texts, values

    def _data_of_labels(self) -> DataArguments:
        return replace(self.data, label_column=self.columns.label)

    def _learn_labels(self, values: list[Any], split: str, rows: int) -> list[Any]:
        """Find the problem type and the names of the labels, keep those that the configuration gives, and return the
        values as they are meant."""
        where = self._where()
        self.problem_type, self.form = find_form(values, rows, self._data_of_labels(), self.problem_type, where)
        values = self._parsed(values, split)
        if self.problem_type == REGRESSION:
            self.label_names = ["value"]
            self._learn_scale(values)
            return values
        seen = list(self.form.classes) if self.form.classes else in_order(_classes_in(values))
        if len(seen) < 2 and len(self.label_names) < 2:
            raise UserError(
                f"all rows of {self.data.path!r} have the label {seen[0] if seen else None!r}: a classifier needs two "
                "classes or more. Is --data.label_column the right one?"
            )
        if self.problem_type == SINGLE and len(seen) > 50 and len(seen) > len(values) / 2:
            raise UserError(
                f"{len(seen)} different labels in {len(values)} rows: that is a value or a text, not a class. Write "
                "--data.label_column NAME for another column, or --data.problem_type regression."
            )
        if not self.label_names:
            self.label_names = [str(v) for v in seen]
        self.by_place = self._are_places(values)
        warn_of_likeness([str(v) for v in seen], where)
        return values

    def _learn_scale(self, values: list[float]) -> None:
        with np.errstate(over="ignore"):
            mean, std = float(np.mean(values)), float(np.std(values))
        if not np.isfinite([mean, std]).all():
            raise UserError(f"the values of {self._where()} are too great to be learnt: divide them by a power of ten.")
        self.target = (mean, std if std > 0 else 1.0)

    def _parsed(self, values: Sequence[Any], split: str) -> list[Any]:
        """Parse values that are not missing by the form of the labels."""
        parsed = []
        for value in values:
            try:
                parsed.append(self.form.parse(value))
            except (ValueError, TypeError):
                needs = (
                    "and regression needs numbers: write --data.problem_type single_label_classification"
                    if self.problem_type == REGRESSION
                    else f"and the others are {self.form}: correct it, or leave it empty"
                )
                raise UserError(
                    f"the split {split!r} of {self.data.path!r} has the label {value!r}, {needs}."
                ) from None
        return parsed

    def _label_id(self, value: Any, split: str) -> int:
        """A label by its name; a number by its place in `data.label_names`, where they are given."""
        value = _plain(value)
        number = value if type(value) is int else int(value) if _is_whole(value) else None
        given = self.data.label_names or []
        if number is not None and self.by_place and 0 <= number < len(given):
            value = given[number]
        for spelling in self._spellings(value):
            if spelling in self._places:
                return self._places[spelling]
        near = nearest(value, self.label_names)
        named = ", ".join(self.label_names[:20])
        if number is not None and given:
            raise UserError(
                f"the split {split!r} of {self.data.path!r} has the label {value!r}, and the numbers of "
                f"data.label_names ({', '.join(given[:20])}) are 0 to {len(given) - 1}: number the labels from 0 on, "
                "or name them in the rows."
            )
        if number is not None and not any(_is_whole(name) for name in self.label_names):
            raise UserError(
                f"the split {split!r} of {self.data.path!r} has the label {value!r}, which is not in id2label "
                f"({named}), and data.label_names does not say which number is which class: write --data.label_names "
                f"'[{named}]' if 0 is {self.label_names[0]!r}, or the names in another order."
            )
        raise UserError(
            f"the split {split!r} of {self.data.path!r} has the label {value!r}, which is not in id2label "
            f"({named})"
            + (f"; the nearest is {near!r}" if near else "")
            + ": correct the rows, or name all labels with --data.label_names '[…]'"
            + (" and train anew." if self.trained else ".")
        )

    @property
    def _old_spelling(self) -> bool:
        """True if labels may be spelled as an older release read them from the same file: True for true, 1 for 01."""
        return self.trained and not self.has_schema

    @property
    def _places(self) -> dict[str, int]:
        if len(self._known) != len(self.label_names):
            self._known = {name: place for place, name in enumerate(self.label_names)}
        return self._known

    def _spellings(self, value: Any) -> list[str]:
        """Return the ways to write the name of a label; a boolean has several."""
        text = str(value)
        if isinstance(value, bool) or (self._old_spelling and text.lower() in ("true", "false")):
            return [text, text.lower(), text.capitalize(), text.upper()]
        return [text, str(int(text))] if self._old_spelling and _is_whole(text) else [text]

    def _are_places(self, values: list[Any]) -> bool:
        """Return whether numbers among the labels are places in `data.label_names`: where all can be, or some label is
        no name."""
        labels = set(map(str, _classes_in(values)))
        count = len(self.data.label_names or [])
        all_count = not self.form.classes and all(_is_whole(label) and 0 <= int(label) < count for label in labels)
        return all_count or not labels <= set(self.label_names)

    def _encode_labels(self, texts: dict[str, list[str]], values: list[Any], split: str) -> Dataset:
        """Rows with numbers for labels; the values are those that the form of the labels parsed."""
        from datasets import Dataset, Features, List, Value

        if self.problem_type == REGRESSION:
            encoded, feature = values, Value("float32")
        elif self.problem_type == MULTI:
            vectors = np.zeros((len(values), len(self.label_names)), dtype=np.float32)
            for row, labels in zip(vectors, values, strict=True):
                for label in labels:
                    row[self._label_id(label, split)] = 1
            encoded, feature = vectors.tolist(), List(Value("float32"))
        else:
            encoded, feature = [self._label_id(value, split) for value in values], Value("int64")
        features = Features({**{name: Value("string") for name in texts}, "labels": feature})
        return Dataset.from_dict({**texts, "labels": encoded}, features=features)

    # Encoding --------------------------------------------------------------------------------------------------------

    @staticmethod
    def texts(rows: Dataset) -> Iterator[str]:
        """All texts of a split, for training a tokenizer."""
        for column in ("text", "text_pair"):
            if column in rows.column_names:
                yield from rows[column]

    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Dataset:
        """`input_ids`, cut to `max_length`; their `length` and, before the cut, `full_length`; `labels`."""
        columns = [name for name in ("text", "text_pair") if name in rows.column_names]
        return rows.map(
            partial(self.tokens, tokenizer),
            batched=True,
            remove_columns=columns,
            keep_in_memory=True,
            desc="tokenizing",
        )

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> RaggedCollator:
        return RaggedCollator(tokenizer.pad_token_id, torch.long if self.problem_type == SINGLE else torch.float)

    def config_fields(self) -> dict:
        """What the model's configuration has to know of the labels."""
        scale = {"target_mean": self.target[0], "target_std": self.target[1]} if self.problem_type == REGRESSION else {}
        return {
            "problem_type": self.problem_type,
            "id2label": dict(enumerate(self.label_names)),
            "label2id": {name: i for i, name in enumerate(self.label_names)},
            **scale,
        }

    def facts(self, prepared: DatasetDict, encoded: DatasetDict, examples: bool = True) -> dict:
        """What there is to say of the data: rows, labels and lengths in tokens of each split, a text of each label.

        Args:
            prepared: as `prepare` gives it.
            encoded: the same rows, as `encode` gives them.
            examples: whether to quote texts.
        """
        return {
            **self.title(),
            "splits": {split: self._split_facts(rows) for split, rows in encoded.items() if split != "unlabelled"},
            "examples": self._examples(prepared["train"]) if examples else [],
        }

    def _split_facts(self, rows: Dataset) -> dict:
        labels = np.asarray(rows["labels"])
        counts: dict[int, int] = Counter(labels.tolist()) if self.problem_type == SINGLE else {}
        if self.problem_type == MULTI:
            counts = dict(enumerate(labels.sum(0).astype(int).tolist()))
        facts = self.length_facts(rows)
        facts["labels"] = {name: counts.get(i, 0) for i, name in enumerate(self.label_names) if counts}
        if self.problem_type == REGRESSION:
            facts["values"] = {"from": float(labels.min()), "to": float(labels.max()), "mean": float(labels.mean())}
        return facts

    def _examples(self, rows: Dataset) -> list[dict]:
        """For each label the first text that is neither a scrap nor long; the shortest one, cut, where none is."""
        columns = [name for name in ("text", "text_pair") if name in rows.column_names]
        by_label: dict[str, list[dict]] = {}
        for labels, *texts in zip(rows["labels"], *(rows[name] for name in columns), strict=True):
            if self.problem_type == REGRESSION:
                names = [f"{labels:g}"] if len(by_label) < 2 else []
            elif self.problem_type == MULTI:
                names = [name for name, holds in zip(self.label_names, labels, strict=True) if holds]
            else:
                names = [self.label_names[labels]]
            for name in names:
                by_label.setdefault(name, []).append(dict(zip(columns, texts, strict=True)))

        order = list(by_label) if self.problem_type == REGRESSION else self.label_names
        return [{"label": name, **quotable(by_label[name])} for name in order if name in by_label]

    def summary(self, facts: dict) -> str:
        """Rows, balance of the labels, lengths and what is cut off, as a small table."""
        lines = [self.length_summary(split, of_split) for split, of_split in facts["splits"].items()]
        train = facts["splits"]["train"]
        if "values" in train:
            lines.append("values     from {from:g} to {to:g}, mean {mean:g}".format(**train["values"]))
        else:
            shares = [f"{name} {count / train['rows']:.1%}" for name, count in list(train["labels"].items())[:20]]
            lines.append(f"labels     {' · '.join(shares)}" + (" · …" if len(self.label_names) > 20 else ""))
        return "\n".join(lines)

    # Judging ---------------------------------------------------------------------------------------------------------

    @property
    def measures(self) -> dict[str, bool]:
        """The metrics of a whole split, and of each whether greater is better; by the first the best model is kept."""
        return {
            SINGLE: {"accuracy": True, "f1_macro": True, "matthews_correlation": True},
            MULTI: {"f1_micro": True, "f1_macro": True, "subset_accuracy": True},
            REGRESSION: {"mse": False, "mae": False, "r2": True, "pearson": True, "spearman": True},
        }[self.problem_type]

    def predicted(self, logits: np.ndarray) -> np.ndarray:
        """`[B]` class indices, `[B, C]` of 0 and 1 (probability over one half), or `[B]` values."""
        if self.problem_type == SINGLE:
            return logits.argmax(-1)
        return (logits > 0).astype(int) if self.problem_type == MULTI else logits.reshape(len(logits))

    def metrics(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        from .metrics import MultiLabelMetrics, RegressionMetrics, SingleLabelMetrics

        metric = {SINGLE: SingleLabelMetrics, MULTI: MultiLabelMetrics, REGRESSION: RegressionMetrics}[
            self.problem_type
        ]
        predicted = self.predicted(logits)
        dtype = float if self.problem_type == REGRESSION else int
        names = None if self.problem_type == REGRESSION else self.label_names
        return metric(names).compute(
            predictions=predicted.tolist(), references=np.asarray(labels).astype(dtype).tolist()
        )

    def judge(self, predictor, rows: Dataset, batch_tokens: int) -> dict[str, float]:
        """The metrics of a model on encoded rows."""
        logits = predictor.logits(rows.with_format("numpy")["input_ids"][:], batch_tokens)
        return self.metrics(logits, np.asarray(rows["labels"]))

    def reply(self, predictor, columns: list[list[str]], top_k: int | None, batch_tokens: int) -> list[dict]:
        """[`answers`] for texts, or pairs of them."""
        _, ids = self.read_and_cut(predictor.tokenizer, *columns)
        return self.answers(predictor.logits(ids, batch_tokens), top_k)

    @staticmethod
    def shown(answer: dict) -> str:
        """An answer on one line."""
        if "label" in answer:
            return f"{answer['label']}\t{answer['score']:.4f}"
        if "value" in answer:
            return f"{answer['value']:.4f}"
        pairs = zip(answer["labels"], answer["scores"], strict=True)
        return ", ".join(f"{label} {score:.4f}" for label, score in pairs)

    def answers(self, logits: np.ndarray, top_k: int | None = 1) -> list[dict]:
        """What the user reads for each row: `label` and `score`, `labels` with `scores`, or `value`.

        Args:
            logits: `[B, C]`.
            top_k: how many labels a row gets in single-label tasks; None for all, best first. With several labels per
                row: None for all, else those over one half.
        """
        if self.problem_type == REGRESSION:
            return [{"value": float(value)} for value in logits.reshape(len(logits))]
        if self.problem_type == MULTI:
            scores = 1 / (1 + np.exp(-logits))
        else:
            scores = softmax(logits)
        answers = []
        for row in scores:
            order = np.argsort(-row).tolist()
            if top_k is not None:
                order = [i for i in order if row[i] > 0.5] if self.problem_type == MULTI else order[:top_k]
            names, values = [self.label_names[i] for i in order], [float(row[i]) for i in order]
            if self.problem_type == SINGLE and top_k == 1:
                answers.append({"label": names[0], "score": values[0]})
            else:
                answers.append({"labels": names, "scores": values})
        return answers

    def with_data(self, data: DataArguments) -> TextClassification:
        """The same labels over other data."""
        task = TextClassification(data)
        task.problem_type, task.label_names, task.trained = self.problem_type, self.label_names, self.trained
        return self.keep(task)


class _Columns(dict):
    """Columns of some rows whose kinds nobody says."""

    features: dict = {}


def _by_names(rows: Any, column: str) -> list[Any]:
    """The labels of a column; class numbers that carry names in the data set are those names, and -1, its mark for no
    label, is none."""
    from datasets import ClassLabel

    feature = rows.features.get(column)
    inner = getattr(feature, "feature", feature)
    if not isinstance(inner, ClassLabel):
        return list(rows[column])

    def named(value):
        if isinstance(value, list):
            return [inner.int2str(one) for one in value]
        return None if value in (None, UNLABELLED) else inner.int2str(value)

    return [named(value) for value in rows[column]]


def _classes_in(values: Iterable[Any]) -> list[Any]:
    """Return each class of some labels once, in their order."""
    return list({_plain(one): None for value in values for one in (value if isinstance(value, list) else [value])})


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_whole(value: Any) -> bool:
    """Return whether a label is written as a whole number."""
    text = str(value)
    return (text[1:] if text[:1] in "+-" else text).isdecimal() and text.isascii()


__all__ = ["TextClassification"]
