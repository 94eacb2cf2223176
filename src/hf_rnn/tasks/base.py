# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Protocols of a task, for its data, its model and its answers.

[`~hf_rnn.tasks.text_task.TextTask`] implements the members that all tasks share. The class of each task implements the
others.
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
    """Members of [`~hf_rnn.inference.predictor.Predictor`] that a task uses to evaluate a model and to answer."""

    model: Any
    tokenizer: Any

    def __call__(self, texts: Any, *, batch_tokens: int = ...) -> list[dict]:
        """Return one answer for each text.

        Args:
            texts: Texts, or pairs of texts.
            batch_tokens: Maximum number of tokens in a batch, padding included.
        """

    def logits(self, ids: Sequence[Sequence[int]], batch_tokens: int) -> np.ndarray:
        """Compute the logits `[N, C]` of rows of token ids.

        Args:
            ids: Token ids of N rows.
            batch_tokens: Maximum number of tokens in a batch, padding included.
        """

    def token_logits(self, ids: Sequence[Sequence[int]], batch_tokens: int) -> list[np.ndarray]:
        """Compute the logits `[T, C]` of each row of token ids.

        Args:
            ids: Token ids of each row.
            batch_tokens: Maximum number of tokens in a batch, padding included.
        """

    def places(self, ids: Sequence[Sequence[int]], batch_tokens: int) -> list[np.ndarray]:
        """Return the indices of the rows of each batch.

        Args:
            ids: Token ids of each row.
            batch_tokens: Maximum number of tokens in a batch, padding included. A longer row forms its own batch.
        """

    def batch(self, ids: Sequence[Sequence[int]], places: np.ndarray) -> dict[str, Tensor]:
        """Return rows as one padded batch on the device of the model.

        Args:
            ids: Token ids of each row.
            places: Indices of the rows of the batch.
        """


class TaskData(Protocol):
    """Data of a task: how rows are read, encoded and described."""

    # Columns, splits and maximum length of the data.
    data: DataArguments
    # The name of the task, or of its kind of labels.
    problem_type: str
    label_names: list[str]
    # Configuration of the trained model, from which the thresholds of a text classifier are read; None before training.
    config: RNNConfig | None
    # True if rows are read in their order and not sorted by length.
    in_order: bool
    # True if .txt files are CoNLL files; False if they are plain texts.
    tagged: bool
    # True for a trained model whose folder has a schema, which names the columns used in training.
    has_schema: bool
    # Fingerprint of all rows of the training run of a trained model, as its schema has it.
    fingerprint: str | None
    # Fingerprint of the rows that `data.test_size` held out of the training split; None before, and without it.
    test_fingerprint: str | None

    def chosen_splits(self, splits: DatasetDict) -> tuple[str, str | None]:
        """Return the names of the training and the validation split; None if validation rows must be held out.

        Args:
            splits: Splits of the data set as read.
        """

    def hold_out_test(self, splits: DatasetDict) -> DatasetDict:
        """Return the splits, with a test split held out of the training split if `data.test_size` is set.

        Args:
            splits: Splits of the data set as read.
        """

    def prepare(self, splits: DatasetDict) -> DatasetDict:
        """Return the rows of the splits train, validation and test; learn the labels from the training split.

        Args:
            splits: Splits of the data set as read.
        """

    def prepare_split(self, splits: DatasetDict, split: str | None) -> Dataset:
        """Return the rows of one split, to evaluate a trained model on it.

        Args:
            splits: Splits of the data set as read.
            split: Name of the split. None selects the only split, or the test split if there are several.
        """

    def schema(self, splits: DatasetDict, prepared: DatasetDict) -> Schema:
        """Return the decisions about the data, which are printed and saved with the model.

        Args:
            splits: Splits of the data set as read.
            prepared: Splits as `prepare` returns them.
        """

    def read_rows(self, rows: list[dict], features: Features | None) -> Dataset:
        """Return training rows of a stream as `prepare` returns rows. Only tasks that can stream have it.

        Args:
            rows: Rows as read.
            features: Types of the columns; None if the stream does not know them.
        """

    def text_column(self, rows: Dataset) -> str:
        """Return the name of the column of texts.

        Args:
            rows: Rows of a split as read.
        """

    def texts(self, rows: Dataset) -> Iterator[str]:
        """Yield all texts of a prepared split, to train a tokenizer on them.

        Args:
            rows: Rows of the split.
        """

    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Dataset:
        """Return prepared rows as `input_ids`, with `length`, `full_length` and, if there are labels, `labels`.

        Args:
            rows: Rows of a split as `prepare` or `prepare_split` returns them.
            tokenizer: Tokenizer of the model.
        """

    def tokens(self, tokenizer: PreTrainedTokenizerBase, batch: dict) -> dict[str, list]:
        """Return the `input_ids` of a batch of texts, with `length` and `full_length`.

        Args:
            tokenizer: Tokenizer of the model.
            batch: Texts as `text` and, for pairs, second texts as `text_pair`.
        """

    def cut(self, rows: list[list[int]]) -> list[list[int]]:
        """Return rows of token ids, truncated to `data.max_length`.

        Args:
            rows: Token ids of each text.
        """

    def facts(self, prepared: DatasetDict, encoded: DatasetDict, examples: bool = True) -> dict:
        """Return the statistics of each split and, if `examples` is True, example texts for the model card.

        Args:
            prepared: Splits as `prepare` returns them.
            encoded: Same splits as `encode` returns them.
            examples: True to include example texts.
        """

    def summary(self, facts: dict) -> str:
        """Return `facts` as a small table, which is printed before training.

        Args:
            facts: Statistics as `facts` returns them.
        """

    def with_data(self, data: DataArguments) -> Task:
        """Return the same task with the same labels, over other data.

        Args:
            data: Columns, splits and maximum length of the other data.
        """


class TaskModel(Protocol):
    """Model of a task: its class, its configuration, its tokenizer and its batches."""

    model_class: type[RNNPreTrainedModel]
    # True if the loss is the mean over labelled tokens; False if it is the mean over rows.
    counts_tokens: bool
    # Kind of tokenizer to train if the run names none.
    tokenizer_kind: str
    # Settings of a run that the task does not support, in addition to the configuration fields that its model does not
    # read.
    no_use: tuple[str, ...]

    def config_fields(self) -> dict:
        """Return the configuration fields that depend on the data."""

    def fitted(self, tokenizer: PreTrainedTokenizerBase, resumed: bool = False) -> PreTrainedTokenizerBase:
        """Return the tokenizer as models of the task need it.

        Args:
            tokenizer: Tokenizer of the run.
            resumed: True if the run resumes from a checkpoint.
        """

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[dict]], dict]:
        """Return the function that makes a batch of encoded rows.

        Args:
            tokenizer: Tokenizer of the model, whose padding token is used.
        """


class TaskAnswers(Protocol):
    """Answers of a task: how they are evaluated, computed from logits and shown."""

    # The name of the task, or of its kind of labels.
    problem_type: str
    # True if a text has one vector of logits. Such models can form an ensemble, and can read a text as a stream.
    one_answer: bool

    @property
    def measures(self) -> dict[str, bool]:
        """The metrics of a split, each with True if greater is better. The first one selects the best checkpoint."""

    def predicted(self, logits: np.ndarray) -> np.ndarray:
        """Return the predictions of logits.

        Args:
            logits: Logits of N rows, `[N, C]`; of a tagger, `[N, T, C]`.
        """

    def metrics(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        """Compute the metrics of logits against labels.

        Args:
            logits: Logits of N rows; for translation, the generated token ids, `[N, T]`.
            labels: Labels of the rows; labels of tokens are padded with -100.
        """

    def judge(self, predictor: PredictorLike, rows: Dataset, batch_tokens: int) -> dict[str, Any]:
        """Compute the metrics of a model on encoded rows.

        Args:
            predictor: Trained model.
            rows: Rows of a split as `encode` returns them.
            batch_tokens: Maximum number of tokens in a batch, padding included.
        """

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """Return the probabilities of all labels, `[B, C]`; in regression, the values. Only text classifiers have it.

        Args:
            logits: Logits of B texts.
        """

    def answers(self, logits: np.ndarray, top_k: int | None = 1) -> list[dict]:
        """Return the answer to each row of logits `[B, C]`. Only tasks with `one_answer` have it.

        Args:
            logits: Logits of B texts.
            top_k: Number of labels in an answer; None for all.
        """

    def reply(
        self, predictor: PredictorLike, columns: list[list[str]], top_k: int | None, batch_tokens: int
    ) -> list[dict]:
        """Return the answer to each row of texts, given as columns.

        Args:
            predictor: Trained model.
            columns: Texts of all rows and, for pairs, the second texts.
            top_k: Number of labels in an answer; None for all.
            batch_tokens: Maximum number of tokens in a batch, padding included.
        """

    def shown(self, answer: dict) -> str:
        """Return an answer as one line of text.

        Args:
            answer: Answer as `reply` returns it.
        """


class Task(TaskData, TaskModel, TaskAnswers, Protocol):
    """Union of the three protocols, which training, evaluation and prediction use."""

    def __init__(self, data: DataArguments, config: RNNConfig | None = None):
        """Create the task.

        Args:
            data: Columns, splits and maximum length of the data.
            config: Configuration of a trained model, whose labels are used; None to learn the labels in `prepare`.
        """


__all__ = ["PredictorLike", "Task", "TaskAnswers", "TaskData", "TaskModel"]
