"""Helpers for runs that receive signals."""

import os

from transformers import TrainerCallback

import hf_rnn
from hf_rnn.training.trainer import RNNTrainer


class Signal(TrainerCallback):
    """Callback that sends signals to its own process at one moment of the training."""

    def __init__(self, moment: str, step: int, *signals: int):
        self.moment, self.step, self.signals = moment, step, signals

    def on_event(self, args, state, control, moment: str, **kwargs):
        if moment == self.moment and state.global_step == self.step:
            for number in self.signals:
                os.kill(os.getpid(), number)

    def on_step_begin(self, *args, **kwargs):
        self.on_event(*args, moment="step", **kwargs)

    def on_prediction_step(self, *args, **kwargs):
        self.on_event(*args, moment="evaluation", **kwargs)


def train_with(callback, run: dict, monkeypatch):
    begin = RNNTrainer.__init__
    with monkeypatch.context() as patch:
        patch.setattr(
            RNNTrainer, "__init__", lambda self, *args, **others: begin(self, *args, callbacks=[callback], **others)
        )
        return hf_rnn.train(run)
