# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""What happens at the beginning of an epoch."""

from transformers import TrainerCallback, TrainerState


def epoch_of(state: TrainerState) -> int:
    """The number of the epoch that begins, from 0 on. A sum of fractions may end a little below the whole number."""
    return int((state.epoch or 0) + 1e-6)


class EpochCallback(TrainerCallback):
    """Tells a sampler or a data set the epoch, through whatever a launcher or a resumed run has wrapped around it."""

    def __init__(self, listener):
        self.listener = listener

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.listener.set_epoch(epoch_of(state))


__all__ = ["EpochCallback", "epoch_of"]
