# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""What is told of the course of a training: its epochs and its time."""

import time

from transformers import TrainerCallback, TrainerState
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


__all__ = ["EpochCallback", "Stopwatch", "epoch_of"]
