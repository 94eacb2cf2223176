# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The callbacks of a training: its epochs, its time, and its early end."""

import time
from typing import Any

from transformers import EarlyStoppingCallback, TrainerCallback, TrainerState
from transformers.trainer_callback import ExportableState


def epoch_of(state: TrainerState) -> int:
    """The number of the epoch that begins, from 0 on. A sum of fractions may end a little below the whole number."""
    return int((state.epoch or 0) + 1e-6)


class EpochCallback(TrainerCallback):
    """Tells a sampler or a data set the epoch, through whatever a launcher or a resumed run has wrapped around it."""

    def __init__(self, listener):
        self.listener = listener

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.listener.set_epoch(epoch_of(state))


def best_loss(state: TrainerState) -> float:
    """Return the validation loss of the best evaluation so far; infinity before the first.

    Args:
        state: of the training.
    """
    losses: dict[Any, float] = {row["step"]: row["eval_loss"] for row in state.log_history if "eval_loss" in row}
    return losses.get(state.best_global_step, float("inf"))


class EarlyStopping(EarlyStoppingCallback):
    """End a training after some evaluations without a better model. Of equal metrics, which a few validation rows give
    often, the one with the lower loss is better: transformers counts both as no better."""

    def check_metric_value(self, args, state, control, metric_value):
        super().check_metric_value(args, state, control, metric_value)
        rows = [row for row in state.log_history if "eval_loss" in row]
        if metric_value == state.best_metric and rows and rows[-1]["eval_loss"] < best_loss(state):
            self.early_stopping_patience_counter = 0


class Stopwatch(TrainerCallback, ExportableState):
    """The seconds that a training took, with those before the checkpoint that it goes on from."""

    def __init__(self):
        self.before = 0.0
        self.started: float | None = None

    @property
    def seconds(self) -> float:
        return self.before + (time.perf_counter() - self.started if self.started is not None else 0.0)

    def on_train_begin(self, args, state, control, **kwargs):
        if not state.global_step:
            self.before = 0.0
        self.started = time.perf_counter()

    def on_train_end(self, args, state, control, **kwargs):
        self.before, self.started = self.seconds, None

    def state(self) -> dict:
        return {"args": {}, "attributes": {"before": self.seconds}}


__all__ = ["EarlyStopping", "EpochCallback", "Stopwatch", "best_loss", "epoch_of"]
