# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""What a data set, a head and a metric have to do with each other: one file per task, one row here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from ..utils.errors import UserError, check_choice

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset, DatasetDict, Features
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from ..models.configuration_rnn import RNNConfig
    from ..models.modeling_rnn import RNNPreTrainedModel
    from ..text.arguments import DataArguments
    from ..text.schema import Schema


class Reader(Protocol):
    """What a task asks of the model that answers: [`~hf_rnn.inference.predictor.Predictor`] gives it."""

    model: Any
    tokenizer: Any

    def __call__(self, texts: Any, *, batch_tokens: int = ...) -> list[dict]: ...
    def logits(self, ids: Sequence[Sequence[int]], batch_tokens: int) -> np.ndarray: ...
    def token_logits(self, ids: Sequence[Sequence[int]], batch_tokens: int) -> list[np.ndarray]: ...
    def places(self, ids: Sequence[Sequence[int]], batch_tokens: int) -> list[np.ndarray]: ...
    def batch(self, ids: Sequence[Sequence[int]], places: np.ndarray) -> dict[str, Tensor]: ...


class Task(Protocol):
    """What training, evaluation and prediction ask of a task; [`TextClassification`] says what each part gives."""

    model_class: type[RNNPreTrainedModel]
    data: DataArguments
    problem_type: str
    label_names: list[str]
    # Whether a row is read after the one before it: then rows are not sorted by length.
    in_order: bool
    # Whether a text has one vector of logits: then several models can answer as one, and a text as it arrives.
    one_answer: bool
    # Whether a loss is the mean over labels of tokens, and not over rows.
    counts_tokens: bool
    # True if .txt files are CoNLL files, and not texts.
    tagged: bool
    # The kind of tokenizer that is trained where none is named.
    tokenizer_kind: str
    # True for a trained model that knows which columns it was trained on.
    has_schema: bool
    # Keys of a run that the task does not read, beside the fields that its model does not.
    no_use: tuple[str, ...]

    def __init__(self, data: DataArguments, config: RNNConfig | None = None): ...
    def prepare(self, splits: DatasetDict) -> DatasetDict: ...
    def prepare_split(self, splits: DatasetDict, split: str | None) -> Dataset: ...
    def schema(self, splits: DatasetDict, prepared: DatasetDict) -> Schema: ...
    def read_rows(self, rows: list[dict], features: Features | None) -> Dataset: ...
    def text_column(self, rows: Dataset) -> str: ...
    def texts(self, rows: Dataset) -> Iterator[str]: ...
    def fitted(self, tokenizer: PreTrainedTokenizerBase, resumed: bool = False) -> PreTrainedTokenizerBase: ...
    def encode(self, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Dataset: ...
    def tokens(self, tokenizer: PreTrainedTokenizerBase, batch: dict) -> dict[str, list]: ...
    def cut(self, rows: list[list[int]]) -> list[list[int]]: ...
    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[dict]], dict]: ...
    def config_fields(self) -> dict: ...
    def facts(self, prepared: DatasetDict, encoded: DatasetDict, examples: bool = True) -> dict: ...
    def summary(self, facts: dict) -> str: ...
    @property
    def measures(self) -> dict[str, bool]: ...
    def predicted(self, logits: np.ndarray) -> np.ndarray: ...
    def judge(self, predictor: Reader, rows: Dataset, batch_tokens: int) -> dict[str, Any]: ...
    def metrics(self, logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]: ...
    def answers(self, logits: np.ndarray, top_k: int | None = 1) -> list[dict]: ...
    def reply(
        self, predictor: Reader, columns: list[list[str]], top_k: int | None, batch_tokens: int
    ) -> list[dict]: ...
    def shown(self, answer: dict) -> str: ...
    def with_data(self, data: DataArguments) -> Task: ...


# The file and the class of each task.
TASKS = {
    "text_classification": (".text_classification", "TextClassification"),
    "token_classification": (".token_classification", "TokenClassification"),
    "translation": (".translation", "Translation"),
    "language_modeling": (".language_modeling", "LanguageModeling"),
}


def task_class(name: str) -> type[Task]:
    """The class that a configuration's `task` names.

    Raises:
        UserError: there is no such task.
    """
    check_choice("task", name, TASKS)
    module, cls = TASKS[name]
    return getattr(import_module(module, __name__), cls)


def task_of(architecture: str, name: str) -> type[Task]:
    """The task whose model a class is.

    Args:
        architecture: the class, by its name in `config.json`.
        name: by which the user knows the model.

    Raises:
        UserError: a model without a head.
    """
    for task in map(task_class, TASKS):
        if task.model_class.__name__ == architecture:
            return task
    raise UserError(
        f"{name!r} is an {architecture}, which answers nothing: name a model that was trained on a task, or train one "
        f"on it, hf-rnn train --model.pretrained {name}."
    )
