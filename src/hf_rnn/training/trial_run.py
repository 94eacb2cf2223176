# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Training runs of a search: a trial, which saves no model, and the run that saves the model of the chosen trial."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from datasets import DatasetDict
from transformers import TrainerCallback

from ..hub.folder import TRIALS_FILE
from ..utils.output import hushed, unsaid
from .later_words import adds_later, later_words, size_of
from .run import Run
from .run_folder import saved_bytes

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ..tasks import Task
    from ..text.schema import Schema
    from ..text.vector_reader import VectorReader
    from .run_config import RunConfig
    from .trainer import RNNTrainer

# Number of tokenizers whose encoded rows are kept for later trials.
KEPT = 3
# Number of equal parts of a training. Trials with different numbers of epochs are compared at the end of a part.
PARTS = 10


class TooLarge(Exception):
    """The saved model of a trial is larger than allowed."""


class OutOfTime(Exception):
    """The time of the search ended during a trial."""


@dataclass
class SharedRows:
    """Rows that all trials of a search read.

    Args:
        task: Task of the search.
        prepared: Prepared splits.
        schema: Decisions about the data.
        encoded: Tokenizer, encoded splits and order of rows by the settings of the tokenizer.
        bags: Fitted n-grams by the settings of the tokenizer. They do not depend on the recurrent network.
    """

    task: Task
    prepared: DatasetDict
    schema: Schema
    encoded: dict[str, tuple] = field(default_factory=dict)
    bags: dict[str, dict] = field(default_factory=dict)


class TrialWatch(TrainerCallback):
    """Callback that reports the evaluations of a trial to optuna, and stops a trial that is pruned or out of time.

    Args:
        trial: Trial of the study.
        metric: Name of the metric.
        is_greater_better: True if a greater metric is better.
        seconds_left: Function that returns the number of seconds that the training may still take.
        after_evaluation: Function to call after each evaluation.
    """

    def __init__(
        self,
        trial: Any,
        metric: str,
        is_greater_better: bool,
        seconds_left: Callable[[], float],
        after_evaluation: Callable[[], None],
    ):
        self.trial, self.metric, self.better = trial, metric, max if is_greater_better else min
        self.seconds_left, self.after_evaluation = seconds_left, after_evaluation
        self.progress = 0.0
        self.part = 0
        self.best: float | None = None

    def on_step_end(self, args, state, control, **kwargs):
        self.progress = state.global_step / state.max_steps
        if self.seconds_left() <= 0:
            raise OutOfTime

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        from optuna import TrialPruned

        self.after_evaluation()
        value = metrics[f"eval_{self.metric}"]
        # The checkpoint of the best evaluation is the one that is kept.
        self.best = value if self.best is None else self.better(self.best, value)
        part = int(PARTS * self.progress)
        if part > self.part:
            self.part = part
            self.trial.report(self.best, part)
            if part < PARTS and self.trial.should_prune():
                raise TrialPruned


class _SearchRun(Run):
    """Run on the rows that a search has read.

    Args:
        config: Parsed configuration.
        text: YAML text that reproduces the run.
        rows: Rows of the search.
        source: Rows in memory that replace `data.path`; None for `data.path`.
    """

    def __init__(self, config: RunConfig, text: str, rows: SharedRows, source: Any = None):
        super().__init__(config, text, source)
        self.rows = rows

    def _read(self) -> tuple[Task, DatasetDict, None, Schema]:
        # The metrics of this run must not use the thresholds of an earlier trial.
        self.rows.task.config = None
        return self.rows.task, self.rows.prepared, None, self.rows.schema

    def _encode(
        self, task: Task, prepared: DatasetDict, vectors: VectorReader | None
    ) -> tuple[PreTrainedTokenizerBase, DatasetDict, dict]:
        self.bags = self.rows.bags.setdefault(self._tokens, {})
        return super()._encode(task, prepared, vectors)

    @property
    def _tokens(self) -> str:
        """The settings that decide about the tokens of the rows."""
        return repr((self.config.tokenizer, self.config.model.pretrained))


class TrialRun(_SearchRun):
    """Training run of a trial. It prints nothing, does not read the test split, and keeps its checkpoint only.

    Args:
        config: Parsed configuration.
        text: YAML text that reproduces the run.
        rows: Rows of the search.
        watch: Callback that watches the trial.
        most_bytes: Maximum size of the saved model.
    """

    def __init__(self, config: RunConfig, text: str, rows: SharedRows, watch: TrialWatch, most_bytes: float):
        super().__init__(config, text, rows)
        self.watch, self.most_bytes = watch, most_bytes
        # Size of the saved model, or, before training, of its part that is known.
        self.bytes = 0
        self.training_seconds = 0.0
        # Words that the saved model has in addition to the trained one.
        self.later: list[str] = []

    def train(self) -> dict:
        with hushed():
            return super().train()

    def _read(self) -> tuple[Task, DatasetDict, None, Schema]:
        task, prepared, _, schema = super()._read()
        return task, DatasetDict({name: rows for name, rows in prepared.items() if name != "test"}), None, schema

    def _encode(
        self, task: Task, prepared: DatasetDict, vectors: VectorReader | None
    ) -> tuple[PreTrainedTokenizerBase, DatasetDict, dict]:
        encoded = self.rows.encoded
        while len(encoded) >= KEPT and self._tokens not in encoded:
            oldest = next(iter(encoded))
            del encoded[oldest], self.rows.bags[oldest]
        fresh = encoded.get(self._tokens) or super()._encode(task, prepared, vectors)
        self.bags = self.rows.bags[self._tokens]
        self.later = later_words(self.config, fresh[0], vectors) if vectors and adds_later(self.config) else []
        return encoded.setdefault(self._tokens, fresh)

    def _add_later_words(self, trainer: RNNTrainer, task: Task, prepared: DatasetDict, tokenizer: Any, *others: Any):
        return tokenizer  # No row of a trial has these words. The chosen run adds them.

    def _trainer(self, task: Task, tokenizer: PreTrainedTokenizerBase, *others: Any) -> RNNTrainer:
        trainer = super()._trainer(task, tokenizer, *others)
        # The wide path is still missing, so the saved model is at least as large as this.
        self._check_size(trainer, tokenizer)
        trainer.add_callback(self.watch)
        trainer.stop.how_to_go_on = "the same search again, without training.overwrite"
        return trainer

    def _finish(self, trainer: RNNTrainer, tokenizer: PreTrainedTokenizerBase, *others: Any) -> None:
        self.training_seconds = trainer.train_seconds
        self._check_size(trainer, tokenizer)

    def _check_size(self, trainer: RNNTrainer, tokenizer: PreTrainedTokenizerBase) -> None:
        """Measure the files of the model, and raise [`TooLarge`] if they are too large."""
        with TemporaryDirectory() as folder:
            trainer.accelerator.unwrap_model(trainer.model).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            self.bytes = saved_bytes(Path(folder)) + size_of(self.later, trainer.model)
        if self.bytes > self.most_bytes:
            raise TooLarge


class ChosenRun(_SearchRun):
    """Run that resumes from the checkpoint of the chosen trial, which is finished, and saves its model with a report.

    Args:
        config: Parsed configuration.
        text: YAML text that reproduces the run.
        rows: Rows of the search.
        source: Rows in memory that replace `data.path`; None for `data.path`.
        entry: Function that returns the entry `tune` of metrics.json.
        table: Rows of the table of trials.
    """

    def __init__(
        self,
        config: RunConfig,
        text: str,
        rows: SharedRows,
        source: Any,
        entry: Callable[[], dict],
        table: list[dict],
    ):
        with unsaid("hf_rnn.training.resuming", "resumes from"):
            super().__init__(config, text, rows, source)
        self.entry, self.table = entry, table

    def train(self) -> dict:
        # The search has printed the decisions about data and settings.
        with hushed():
            return super().train()

    def _evaluate(self, *arguments: Any) -> tuple[dict, dict]:
        results, predicted = super()._evaluate(*arguments)
        return {**results, "tune": self.entry()}, predicted

    def _finish(self, *arguments: Any) -> None:
        with hushed(False):
            super()._finish(*arguments)

    def _write(self, saving: Path, *others: Any) -> None:
        super()._write(saving, *others)
        names = list(dict.fromkeys(name for row in self.table for name in row))
        with open(saving / TRIALS_FILE, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.table)


__all__ = ["ChosenRun", "OutOfTime", "SharedRows", "TooLarge", "TrialRun", "TrialWatch"]
