# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Trainer callbacks for epochs, early stopping and training time."""

import time
from typing import Any

from transformers import EarlyStoppingCallback, Trainer, TrainerCallback, TrainerState
from transformers.trainer_callback import ExportableState


def epoch_of(state: TrainerState) -> int:
    """Return the index of the epoch that begins, from 0.

    Args:
        state: State of the Trainer.
    """
    # `state.epoch` is a sum of fractions, which may be slightly below the whole number.
    return int((state.epoch or 0) + 1e-6)


class EpochCallback(TrainerCallback):
    """Callback that calls `set_epoch` of a sampler or data set at the beginning of each epoch.

    It calls the object directly, so that wrappers of a launcher or of a resumed run around it do not matter.

    Args:
        listener: Object with a method `set_epoch`.
    """

    def __init__(self, listener):
        self.listener = listener

    def replace_in(self, trainer: Trainer) -> None:
        """Add the callback to a Trainer in the place of that of an earlier training, such as an earlier trial's.

        Args:
            trainer: Trainer to change.
        """
        trainer.remove_callback(EpochCallback)
        trainer.add_callback(self)

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.listener.set_epoch(epoch_of(state))


def best_loss(state: TrainerState) -> float:
    """Return the validation loss of the best evaluation so far; infinity if there is none.

    Args:
        state: State of the Trainer.
    """
    losses: dict[Any, float] = {row["step"]: row["eval_loss"] for row in state.log_history if "eval_loss" in row}
    return losses.get(state.best_global_step, float("inf"))


class EarlyStopping(EarlyStoppingCallback):
    """Callback that stops training after a number of evaluations without a better model.

    If the metric equals the best one, a lower validation loss counts as better. Equal metrics are frequent with few
    validation rows. In transformers, an equal metric never counts as better.
    """

    def check_metric_value(self, args, state, control, metric_value):
        super().check_metric_value(args, state, control, metric_value)
        rows = [row for row in state.log_history if "eval_loss" in row]
        if metric_value == state.best_metric and rows and rows[-1]["eval_loss"] < best_loss(state):
            self.early_stopping_patience_counter = 0


class Stopwatch(TrainerCallback, ExportableState):
    """Callback that measures the training time, including the time before the checkpoint of a resumed run."""

    def __init__(self):
        self.before = 0.0
        self.started: float | None = None

    @property
    def seconds(self) -> float:
        """The training time so far, in seconds."""
        return self.before + (time.perf_counter() - self.started if self.started is not None else 0.0)

    def on_train_begin(self, args, state, control, **kwargs):
        if not state.global_step:
            self.before = 0.0
        self.started = time.perf_counter()

    def on_train_end(self, args, state, control, **kwargs):
        self.before, self.started = self.seconds, None

    def state(self) -> dict:
        """Return the training time so far, for a checkpoint."""
        return {"args": {}, "attributes": {"before": self.seconds}}


__all__ = ["EarlyStopping", "EpochCallback", "Stopwatch", "best_loss", "epoch_of"]
