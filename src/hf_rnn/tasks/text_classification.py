# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Text classification: one label, several labels, or a number for a text or a pair of texts."""

import logging
from collections import Counter
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from transformers import PreTrainedTokenizerBase

from ..configuration_rnn import RNNConfig
from ..data import (
    DataArguments,
    RaggedCollator,
    choose_columns,
    of_one_kind,
)
from ..errors import UserError, check_choice, nearest
from ..metrics import MultiLabelMetrics, RegressionMetrics, SingleLabelMetrics
from ..modeling_rnn import RNNForSequenceClassification
from ..tokenization import token_ids
from .text_task import SEQ2SEQ, TAGGING, TextTask, quotable, softmax

logger = logging.getLogger(__name__)

SINGLE, MULTI, REGRESSION = PROBLEM_TYPES = (
    "single_label_classification",
    "multi_label_classification",
    "regression",
)
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
    no_use = (
        *SEQ2SEQ,
        *TAGGING,
        "model.sampled_softmax",
        "model.output_dropout",
        "model.activation_regularization",
        "model.temporal_activation_regularization",
        "model.tie_word_embeddings",
        "training.window",
    )

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

    # Reading ---------------------------------------------------------------------------------------------------------

    def prepare(self, splits: DatasetDict) -> DatasetDict:
        """Rows of `text`, `text_pair` where there are pairs, and `labels`, in the splits train, validation and, where
        the data set has one with labels, test.

        Raises:
            UserError: no such split or column, or labels that cannot be learnt or are not the model's.
        """
        train_name, validation_name = self.chosen_splits(splits)
        columns = choose_columns(splits[train_name], self.data)
        train = self._labelled(splits[train_name], train_name, columns)
        feature = splits[train_name].features[columns[1]]
        feature = getattr(feature, "feature", feature)
        if isinstance(feature, ClassLabel):
            self.label_names = list(feature.names)
        self._learn_labels(train, gaps=len(train) < len(splits[train_name]))
        train = self._encode_labels(train, train_name)
        if validation_name is not None:
            rows = self._labelled(splits[validation_name], validation_name, columns)
            validation = self._encode_labels(rows, validation_name)
        else:
            by = "labels" if self.problem_type == SINGLE else None
            train, validation = self.hold_out(train, train_name, by)
        prepared = DatasetDict(train=train, validation=validation)
        if self.data.unlabelled_splits:
            prepared["unlabelled"] = self.texts_alone(splits, self.data.unlabelled_splits)
        test_name = self.data.test_split
        if test_name in splits and self._is_unlabelled(splits[test_name], columns[1]):
            logger.warning(f"the split {test_name} has no labels and is left out.")
        elif test_name in splits:
            prepared["test"] = self._encode_labels(self._labelled(splits[test_name], test_name, columns), test_name)
        return prepared

    def prepare_split(self, splits: DatasetDict, split: str | None) -> Dataset:
        """The labelled rows of one split, for evaluating a trained model; a data set of one split needs no name.

        Raises:
            UserError: no such split or column, or labels that are not the model's.
        """
        split = self.split_to_read(splits, split)
        columns = choose_columns(splits[split], self.data)
        if self._is_unlabelled(splits[split], columns[1]):
            raise UserError(f"the split {split!r} of {self.data.path!r} has no labels to compare with.")
        return self._encode_labels(self._labelled(splits[split], split, columns), split)

    def read_rows(self, rows: list[dict], features: Features | None) -> Dataset:
        """Those of some training rows that have a label, of whatever kinds a file's columns are read as.

        Args:
            features: of the columns, where they are known.
        """
        data, known = self.data, features or {}
        names = {data.text_column: "text", data.text_pair_column: "text_pair", data.label_column: "labels"}
        columns = {new: [row[old] for row in rows] for old, new in names.items() if old is not None}
        labels = {"labels": of_one_kind(columns.pop("labels"))}
        kind = known.get(data.label_column) or Dataset.from_dict(labels).features["labels"]
        kinds = Features({**{name: Value("string") for name in columns}, "labels": kind})
        texts = {name: ["" if text is None else str(text) for text in column] for name, column in columns.items()}
        read = _with_class_names(Dataset.from_dict({**texts, **labels}, features=kinds))
        return self._encode_labels(read.select(_with_label(read)), "train")

    @staticmethod
    def _is_unlabelled(rows: Dataset, column: str) -> bool:
        return column not in rows.column_names or set(map(str, rows[column])) <= {str(UNLABELLED), "None"}

    def _labelled(self, rows: Dataset, split: str, columns: tuple[str, str]) -> Dataset:
        """The columns under their own names; rows without a label left out, missing texts read as empty ones."""
        text, label = columns
        names = {text: "text", label: "labels"}
        if self.data.text_pair_column:
            names[self.data.text_pair_column] = "text_pair"
        missing = [name for name in names if name not in rows.column_names]
        if missing:
            raise UserError(f"the split {split!r} has no column {missing[0]!r}, only {', '.join(rows.column_names)}.")
        if not self.data.text_column or not self.data.label_column:
            logger.info(f"{split}: the text is column {text!r}, the label is column {label!r}.")
        rows = rows.select_columns(list(names))
        rows = _with_class_names(rows.rename_columns({old: new for old, new in names.items() if old != new}))
        kept = _with_label(rows)
        if not kept:
            raise UserError(f"the split {split!r} of {self.data.path!r} has no row with a label in column {label!r}.")
        if len(kept) < len(rows):
            logger.warning(f"{split}: {len(rows) - len(kept)} rows without a label were left out.")
            rows = rows.select(kept)
        return rows

    def _learn_labels(self, rows: Dataset, gaps: bool) -> None:
        """Finds the problem type and the names of the labels; keeps those that the configuration gives."""
        values = list(rows["labels"])
        first = values[0]
        if self.problem_type is None:
            # A column of whole numbers with gaps is read as floats.
            whole = isinstance(first, float) and gaps and all(value.is_integer() for value in values)
            self.problem_type = (
                MULTI if isinstance(first, list) else REGRESSION if isinstance(first, float) and not whole else SINGLE
            )
        if self.problem_type == REGRESSION:
            self.label_names = ["value"]
            return
        seen = sorted(
            {self._plain(v) for value in values for v in (value if isinstance(value, list) else [value])}, key=_order
        )
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

    @staticmethod
    def _plain(value):
        return int(value) if isinstance(value, float) and value.is_integer() else value

    def _label_id(self, value, split: str) -> int:
        """A label by its name, else by its number; by its number first where the configuration names the numbers."""
        value = self._plain(value)
        is_position = isinstance(value, int) and 0 <= value < len(self.label_names)
        if is_position and self.data.label_names:
            return value
        if str(value) in self.label_names:
            return self.label_names.index(str(value))
        if is_position and not any(name.lstrip("-").isdigit() for name in self.label_names):
            return value
        near = nearest(value, self.label_names)
        raise UserError(
            f"the split {split!r} of {self.data.path!r} has the label {value!r}, which is not in id2label "
            f"({', '.join(self.label_names[:20])})"
            + (f"; the nearest is {near!r}" if near else "")
            + ": correct the rows, or name all labels with --data.label_names '[…]'"
            + (" and train anew." if self.trained else ".")
        )

    def _encode_labels(self, rows: Dataset, split: str) -> Dataset:
        values = rows["labels"]
        if self.problem_type == REGRESSION:
            try:
                encoded: list = [float(value) for value in values]
            except (TypeError, ValueError):
                wrong = next(v for v in values if not isinstance(v, (int, float)))
                raise UserError(
                    f"the split {split!r} has the label {wrong!r}, and regression needs numbers: write "
                    "--data.problem_type single_label_classification."
                ) from None
            if not np.isfinite(encoded).all():
                wrong = int(np.argmin(np.isfinite(encoded)))
                raise UserError(f"row {wrong} of the split {split!r} has the label {values[wrong]!r}: leave it empty.")
            feature = Value("float32")
        elif self.problem_type == MULTI:
            vectors = np.zeros((len(rows), len(self.label_names)), dtype=np.float32)
            for row, value in zip(vectors, values, strict=True):
                if isinstance(value, list) and len(set(value)) < len(value):
                    raise UserError(
                        f"the split {split!r} has the labels {value}, one of them twice: a list holds the labels of "
                        "the row themselves, such as [0, 2], not a 0 or 1 for each class."
                    )
                for one in value if isinstance(value, list) else [value]:
                    row[self._label_id(one, split)] = 1
            encoded, feature = vectors.tolist(), List(Value("float32"))
        else:
            encoded, feature = [self._label_id(value, split) for value in values], Value("int64")
        columns = {
            name: ["" if value is None else str(value) for value in rows[name]]
            for name in rows.column_names
            if name != "labels"
        }
        features = Features({**{name: Value("string") for name in columns}, "labels": feature})
        return Dataset.from_dict({**columns, "labels": encoded}, features=features)

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
        return {
            "problem_type": self.problem_type,
            "id2label": dict(enumerate(self.label_names)),
            "label2id": {name: i for i, name in enumerate(self.label_names)},
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
        ids = self.cut(token_ids(predictor.tokenizer, *columns))
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

    def with_data(self, data: DataArguments) -> "TextClassification":
        """The same labels over other data."""
        task = TextClassification(data)
        task.problem_type, task.label_names, task.trained = self.problem_type, self.label_names, self.trained
        return task


def _with_class_names(rows: Dataset) -> Dataset:
    """Class numbers that carry names in the data set are read as those names; -1, its mark for no label, as none."""
    feature = rows.features["labels"]
    inner = getattr(feature, "feature", feature)
    if not isinstance(inner, ClassLabel):
        return rows

    def named(value):
        if isinstance(value, list):
            return [inner.int2str(one) for one in value]
        return None if value in (None, UNLABELLED) else inner.int2str(value)

    plain = List(Value("string")) if inner is not feature else Value("string")
    labels = [named(value) for value in rows["labels"]]
    return rows.remove_columns("labels").add_column("labels", labels, feature=plain)


def _with_label(rows: Dataset) -> list[int]:
    return [place for place, value in enumerate(rows["labels"]) if value is not None]


def _order(value) -> tuple[bool, object]:
    """Numbers before strings, each in their own order."""
    return isinstance(value, str), value


__all__ = ["TextClassification"]
