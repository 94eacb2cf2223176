# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Text classification: one label, several labels, or a number for a text or a pair of texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from ..models.decisions import decide
from ..models.modeling_rnn import RNNForSequenceClassification
from ..runtime.answers import answers_of, scores_of
from ..text.arguments import DataArguments
from ..text.collation import RaggedCollator
from ..text.labels import MULTI, REGRESSION, SINGLE
from .labelled_texts import LabelledTexts
from .text_task import quotable

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from .base import PredictorLike


# Metrics of probabilities, each with False because less is better.
CALIBRATION = {"ece": False, "brier": False}


class TextClassification(LabelledTexts):
    """Task that predicts one label, several labels or a number for a text or a pair of texts.

    Args:
        data: Columns, splits and maximum length of the data.
        config: Configuration of a trained model, whose labels are used; None to learn the labels from the training
            split.
    """

    model_class = RNNForSequenceClassification
    in_order = False
    one_answer = True
    no_use = ("training.window",)

    # Encoding --------------------------------------------------------------------------------------------------------

    @staticmethod
    def texts(rows: Dataset) -> Iterator[str]:
        """Yield all texts of a split, to train a tokenizer on them.

        Args:
            rows: Rows of the split.
        """
        for column in ("text", "text_pair"):
            if column in rows.column_names:
                yield from rows[column]

    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Dataset:
        """Return `input_ids` truncated to `data.max_length`, `length`, `full_length` (before truncation), and `labels`.

        Args:
            rows: Rows of a split as `prepare` or `prepare_split` returns them.
            tokenizer: Tokenizer of the model.
        """
        columns = [name for name in ("text", "text_pair") if name in rows.column_names]
        return rows.map(
            partial(self.tokens, tokenizer),
            batched=True,
            remove_columns=columns,
            keep_in_memory=True,
            desc="tokenizing",
        )

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> RaggedCollator:
        """Return the collator: labels are class indices, or floats for several labels and for regression.

        Args:
            tokenizer: Tokenizer of the model, whose padding token is used.
        """
        return RaggedCollator(tokenizer.pad_token_id, torch.long if self.problem_type == SINGLE else torch.float)

    @property
    def id2label(self) -> dict[int, str]:
        """The names of the labels by their indices, as a configuration has them."""
        return dict(enumerate(self.label_names))

    @property
    def thresholds(self) -> dict[str, float] | None:
        """The probabilities over which labels are chosen, as the configuration of the model has them."""
        return None if self.config is None else self.config.thresholds

    def config_fields(self) -> dict:
        """Return the configuration fields that describe the labels."""
        scale = {"target_mean": self.target[0], "target_std": self.target[1]} if self.problem_type == REGRESSION else {}
        return {
            "problem_type": self.problem_type,
            "id2label": self.id2label,
            "label2id": {name: i for i, name in enumerate(self.label_names)},
            **scale,
        }

    def facts(self, prepared: DatasetDict, encoded: DatasetDict, examples: bool = True) -> dict:
        """Return the number of rows, the labels and the lengths in tokens of each split, and example texts.

        Args:
            prepared: Splits as `prepare` returns them.
            encoded: Same splits as `encode` returns them.
            examples: True to include one example text for each label.
        """
        return {
            **self.title(),
            "splits": {split: self._split_facts(rows) for split, rows in encoded.items() if split != "unlabelled"},
            "examples": self._examples(prepared["train"]) if examples else [],
            **({"pairs": True} if "text_pair" in prepared["train"].column_names else {}),
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
        """Return one example text for each label; for regression, for the first two distinct values."""
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
        """Return the number of rows, shares of labels, lengths and truncation of each split as a small table.

        Args:
            facts: Statistics as `facts` returns them.
        """
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
        """The metrics of a split, with True if greater is better. The first one selects the best checkpoint."""
        return {
            SINGLE: {"accuracy": True, "f1_macro": True, "matthews_correlation": True, **CALIBRATION},
            MULTI: {
                "f1_micro": True,
                "f1_macro": True,
                "subset_accuracy": True,
                "average_precision": True,
                **CALIBRATION,
            },
            REGRESSION: {"mse": False, "mae": False, "r2": True, "pearson": True, "spearman": True},
        }[str(self.problem_type)]

    def predicted(self, logits: np.ndarray) -> np.ndarray:
        """Return the predictions of logits.

        Args:
            logits: Logits, `[B, C]`.

        Returns:
            Class indices `[B]` for one label; 0 and 1 `[B, C]` for several labels; values `[B]` for regression.
        """
        if self.problem_type == REGRESSION:
            return logits.reshape(len(logits))
        return decide(self.scores(logits), self)

    def metrics(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Compute the metrics of logits against labels.

        Args:
            logits: Logits, `[B, C]`.
            labels: Class indices `[B]`, 0 and 1 `[B, C]`, or values `[B]`.
        """
        measured = self.measured(self.predicted(logits), labels)
        if self.problem_type == REGRESSION:
            return measured
        from .metrics import average_precision, calibration

        scores, labels = self.scores(logits), np.asarray(labels)
        found = calibration(scores, labels)
        if self.problem_type == MULTI:
            found = {"average_precision": average_precision(scores, labels), **found}
        # The metrics of each class, whose names have a slash, come last.
        return {name: measured[name] for name in measured if "/" not in name} | found | measured

    def measured(self, predicted: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Compute the metrics of predictions against labels.

        Args:
            predicted: Predictions as `predicted` returns them.
            labels: Class indices `[B]`, 0 and 1 `[B, C]`, or values `[B]`.
        """
        from .metrics import MultiLabelMetrics, RegressionMetrics, SingleLabelMetrics

        labels = np.asarray(labels)
        if self.problem_type == REGRESSION:
            return RegressionMetrics().compute(predictions=predicted.tolist(), references=labels.astype(float).tolist())
        metric = SingleLabelMetrics if self.problem_type == SINGLE else MultiLabelMetrics
        return metric(self.label_names).compute(predictions=predicted.tolist(), references=labels.astype(int).tolist())

    def judge(self, predictor: PredictorLike, rows: Dataset, batch_tokens: int) -> dict[str, float]:
        """Compute the metrics of a model on encoded rows.

        Args:
            predictor: Trained model.
            rows: Rows of a split as `encode` returns them.
            batch_tokens: Maximum number of tokens in a batch, padding included.
        """
        logits = predictor.logits(rows.with_format("numpy")["input_ids"][:], batch_tokens)
        return self.metrics(logits, np.asarray(rows["labels"]))

    def reply(
        self, predictor: PredictorLike, columns: list[list[str]], top_k: int | None, batch_tokens: int
    ) -> list[dict]:
        """Return the answer to each text or pair of texts, as `answers` returns it.

        Args:
            predictor: Trained model.
            columns: Texts of all rows and, for pairs, the second texts.
            top_k: Number of labels in an answer, as in `answers`.
            batch_tokens: Maximum number of tokens in a batch, padding included.
        """
        _, ids = self.read_and_cut(predictor.tokenizer, *columns)
        return self.answers(predictor.logits(ids, batch_tokens), top_k)

    @staticmethod
    def shown(answer: dict) -> str:
        """Return an answer as one line of text.

        Args:
            answer: Answer as `reply` returns it.
        """
        if "label" in answer:
            # An answer that abstains has no label.
            return f"{'(none)' if answer['label'] is None else answer['label']}\t{answer['score']:.4f}"
        if "value" in answer:
            return f"{answer['value']:.4f}"
        pairs = zip(answer["labels"], answer["scores"], strict=True)
        return ", ".join(f"{label} {score:.4f}" for label, score in pairs) or "(none)"

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """Return the probabilities of the labels, `[B, C]`; in regression, the values, `[B, 1]`.

        Args:
            logits: Logits, `[B, C]`.
        """
        return scores_of(logits, self.problem_type)

    def answers(self, logits: np.ndarray, top_k: int | None = 1) -> list[dict]:
        """Return the `label` and `score`, the `labels` and `scores`, or the `value` of each row.

        Args:
            logits: Logits, `[B, C]`.
            top_k: Number of labels of a row, most likely first; None for all. 1 selects the label that the model
                chooses, which with thresholds need not be the most likely one. For several labels per row, any number
                selects the labels that the model chooses.
        """
        return answers_of(logits, self, top_k)

    def with_data(self, data: DataArguments) -> TextClassification:
        """Return a task with the same labels over other data.

        Args:
            data: Columns, splits and maximum length of the other data.
        """
        task = TextClassification(data)
        task.problem_type, task.label_names, task.trained = self.problem_type, self.label_names, self.trained
        task.config = self.config
        return self.keep(task)


__all__ = ["TextClassification"]
