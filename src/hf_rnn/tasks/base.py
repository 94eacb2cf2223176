# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The protocols of a task, by what they are about: its data, its model and its answers.

[`~hf_rnn.tasks.text_task.TextTask`] implements the parts that all tasks share. The class of a task implements the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset, DatasetDict, Features
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from ..models.configuration_rnn import RNNConfig
    from ..models.pretrained_model import RNNPreTrainedModel
    from ..text.arguments import DataArguments
    from ..text.schema import Schema


class PredictorLike(Protocol):
    """The members of [`~hf_rnn.inference.predictor.Predictor`] that a task uses to evaluate a model and to answer."""

    model: Any
    tokenizer: Any

    def __call__(self, texts: Any, *, batch_tokens: int = ...) -> list[dict]:
        """Return one answer for each text."""

    def logits(self, ids: Sequence[Sequence[int]], batch_tokens: int) -> np.ndarray:
        """Return logits `[N, C]` of rows of token ids.

        Args:
            ids: the token ids of N rows.
            batch_tokens: the most tokens in a batch, padding included.
        """

    def token_logits(self, ids: Sequence[Sequence[int]], batch_tokens: int) -> list[np.ndarray]:
        """Return logits `[T, C]` of each row of token ids.

        Args:
            ids: the token ids of each row.
            batch_tokens: the most tokens in a batch, padding included.
        """

    def places(self, ids: Sequence[Sequence[int]], batch_tokens: int) -> list[np.ndarray]:
        """Return the indices of the rows of each batch.

        Args:
            ids: the token ids of each row.
            batch_tokens: the most tokens in a batch, padding included. A longer row is alone.
        """

    def batch(self, ids: Sequence[Sequence[int]], places: np.ndarray) -> dict[str, Tensor]:
        """Return rows as one padded batch on the model's device.

        Args:
            ids: the token ids of each row.
            places: the indices of the rows of the batch.
        """


class TaskData(Protocol):
    """The rows of a task: how they are read, encoded and described."""

    # Columns, splits and lengths.
    data: DataArguments
    # The name of the task, or of its kind of labels.
    problem_type: str
    label_names: list[str]
    # True if rows are read in their order; such rows are not sorted by length.
    in_order: bool
    # True if .txt files are CoNLL files; False if they are texts.
    tagged: bool
    # True for a trained model whose folder has a schema, which names the columns of training.
    has_schema: bool
    # The fingerprint of the rows that `data.test_size` held out of the training split; None before, and without.
    test_fingerprint: str | None

    def chosen_splits(self, splits: DatasetDict) -> tuple[str, str | None]:
        """Return the names of the training and the validation split; None where validation rows are held out.

        Args:
            splits: the splits, as they were read.
        """

    def hold_out_test(self, splits: DatasetDict) -> DatasetDict:
        """Return the splits, with a test split of training rows where `data.test_size` asks for one.

        Args:
            splits: the splits, as they were read.
        """

    def prepare(self, splits: DatasetDict) -> DatasetDict:
        """Return the rows of the splits train, validation and test; learn the labels from the training split.

        Args:
            splits: the splits, as they were read.
        """

    def prepare_split(self, splits: DatasetDict, split: str | None) -> Dataset:
        """Return the rows of one split, to evaluate a trained model on it.

        Args:
            splits: the splits, as they were read.
            split: the name of one of them; None for the only one, or the test split.
        """

    def schema(self, splits: DatasetDict, prepared: DatasetDict) -> Schema:
        """Return the decisions about the data, which are printed and saved.

        Args:
            splits: the splits, as they were read.
            prepared: the splits, as `prepare` returns them.
        """

    def read_rows(self, rows: list[dict], features: Features | None) -> Dataset:
        """Return some training rows of a stream as `prepare` returns them. Only tasks that can stream have it.

        Args:
            rows: the rows, as they were read.
            features: the types of their columns; None if the stream does not know them.
        """

    def text_column(self, rows: Dataset) -> str:
        """Return the name of the column of texts.

        Args:
            rows: the rows of a split, as they were read.
        """

    def texts(self, rows: Dataset) -> Iterator[str]:
        """Yield all texts of a prepared split, to train a tokenizer on them.

        Args:
            rows: the rows of the split.
        """

    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Dataset:
        """Return prepared rows as `input_ids`, with `length`, `full_length` and, where there are labels, `labels`.

        Args:
            rows: the rows of a split, as `prepare` or `prepare_split` returns them.
            tokenizer: the tokenizer of the model.
        """

    def tokens(self, tokenizer: PreTrainedTokenizerBase, batch: dict) -> dict[str, list]:
        """Return the `input_ids` of a batch of texts, with `length` and `full_length`.

        Args:
            tokenizer: the tokenizer of the model.
            batch: the texts as `text` and, for pairs, the second texts as `text_pair`.
        """

    def cut(self, rows: list[list[int]]) -> list[list[int]]:
        """Return rows of token ids, truncated to `data.max_length`.

        Args:
            rows: the token ids of each text.
        """

    def facts(self, prepared: DatasetDict, encoded: DatasetDict, examples: bool = True) -> dict:
        """Return the statistics of each split and, if `examples`, texts to quote in the model card.

        Args:
            prepared: the splits, as `prepare` returns them.
            encoded: the same splits, as `encode` returns them.
            examples: True to quote texts.
        """

    def summary(self, facts: dict) -> str:
        """Return `facts` as a small table, which is printed before training.

        Args:
            facts: the statistics, as `facts` returns them.
        """

    def with_data(self, data: DataArguments) -> Task:
        """Return the same task, with the same labels, over other data.

        Args:
            data: the columns, splits and lengths of the other data.
        """


class TaskModel(Protocol):
    """The model of a task: its class, its configuration, its tokenizer and its batches."""

    model_class: type[RNNPreTrainedModel]
    # True if a loss is the mean over the labels of tokens; False if it is the mean over rows.
    counts_tokens: bool
    # The kind of tokenizer that is trained where the run names none.
    tokenizer_kind: str
    # Keys of a run that the task ignores, besides the configuration fields that its model ignores.
    no_use: tuple[str, ...]

    def config_fields(self) -> dict:
        """Return the fields of the configuration that depend on the data."""

    def fitted(self, tokenizer: PreTrainedTokenizerBase, resumed: bool = False) -> PreTrainedTokenizerBase:
        """Return the tokenizer as models of the task need it.

        Args:
            tokenizer: the tokenizer of the run.
            resumed: True if the run continues a checkpoint.
        """

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[dict]], dict]:
        """Return the function that makes a batch of encoded rows.

        Args:
            tokenizer: the tokenizer of the model, whose padding is used.
        """


class TaskAnswers(Protocol):
    """The answers of a task: how they are measured, made of logits and shown."""

    # The name of the task, or of its kind of labels.
    problem_type: str
    # True if a text has one vector of logits; then models form an ensemble, and a text can be read as a stream.
    one_answer: bool

    @property
    def measures(self) -> dict[str, bool]:
        """The metrics of a split, each with True if greater is better. The first one selects the best checkpoint."""

    def predicted(self, logits: np.ndarray) -> np.ndarray:
        """Return the predictions of logits.

        Args:
            logits: the logits of N rows, `[N, C]`; of a tagger, `[N, T, C]`.
        """

    def metrics(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        """Return the metrics of logits against labels.

        Args:
            logits: the logits of N rows; of a translator, the ids of what was written, `[N, T]`.
            labels: the labels of the rows, padded with -100 where each token has one.
        """

    def judge(self, predictor: PredictorLike, rows: Dataset, batch_tokens: int) -> dict[str, Any]:
        """Return the metrics of a model on encoded rows.

        Args:
            predictor: the trained model.
            rows: the rows of a split, as `encode` returns them.
            batch_tokens: the most tokens in a batch, padding included.
        """

    def answers(self, logits: np.ndarray, top_k: int | None = 1) -> list[dict]:
        """Return the answer to each row of logits `[B, C]`. Only tasks with `one_answer` have it.

        Args:
            logits: the logits of B texts.
            top_k: the number of labels in an answer; None for all.
        """

    def reply(
        self, predictor: PredictorLike, columns: list[list[str]], top_k: int | None, batch_tokens: int
    ) -> list[dict]:
        """Return the answer to each row of texts, given as columns.

        Args:
            predictor: the trained model.
            columns: the texts of all rows and, for pairs, the second texts.
            top_k: the number of labels in an answer; None for all.
            batch_tokens: the most tokens in a batch, padding included.
        """

    def shown(self, answer: dict) -> str:
        """Return an answer on one line.

        Args:
            answer: one of those that `reply` returns.
        """


class Task(TaskData, TaskModel, TaskAnswers, Protocol):
    """Combine the three parts, which training, evaluation and prediction use."""

    def __init__(self, data: DataArguments, config: RNNConfig | None = None):
        """
        Args:
            data: columns, splits and lengths.
            config: the configuration of a trained model, whose labels are used; None to learn them in `prepare`.
        """


__all__ = ["PredictorLike", "Task", "TaskAnswers", "TaskData", "TaskModel"]
