# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The mean of a model's weights over the steps of its training, in place of the last ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_multi_avg_fn
from transformers import TrainerCallback

AVERAGINGS = ("ema", "swa", "nt_asgd")
RAW_FILE, STEPS = "raw_weights.safetensors", "steps"


class WeightAverage(TrainerCallback):
    """A mean of the weights after each step, which is measured and saved in place of the weights themselves.

    `ema`: a moving average, each step weighing `averaging_decay` times as much as the one after it (Polyak and Juditsky
    1992), and for the first steps the mean of all. `swa`: the mean of all steps from the share `averaging_start` of
    them on (Izmailov et al. 2018). `nt_asgd`: the mean of all steps since an evaluation that was no better than one of
    those more than `averaging_patience` evaluations before it (Merity et al. 2018, algorithm 1).
    """

    def __init__(self) -> None:
        self.begun = False
        self.count = 0
        self.mean: list[Tensor] = []
        self.raw: list[Tensor] = []

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if args.averaging == "ema" or (
            args.averaging == "swa" and state.global_step > args.averaging_start * state.max_steps
        ):
            self.begun = True
        if self.begun:
            self._add(model, args.averaging_decay if args.averaging == "ema" else 1.0)

    @torch.no_grad()
    def _add(self, model: nn.Module, decay: float) -> None:
        weights = [parameter.detach() for parameter in model.parameters()]
        if not self.count:
            self.mean = [weight.clone() for weight in weights]
        else:
            # The mean of all steps, as long as it gives the newest one more than the moving average would.
            of_all = 1 / (self.count + 1) >= 1 - decay
            add = get_swa_multi_avg_fn() if of_all else get_ema_multi_avg_fn(decay)
            add(self.mean, weights, self.count)
        self.count += 1

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        if args.averaging != "nt_asgd" or self.begun:
            return
        name = args.metric_for_best_model
        name = name if name.startswith("eval_") else f"eval_{name}"
        seen = [row[name] for row in state.log_history if name in row]
        long_ago = seen[: -args.averaging_patience - 1]
        if long_ago:
            self.begun = seen[-1] < max(long_ago) if args.greater_is_better else seen[-1] > min(long_ago)

    def on_train_end(self, args, state, control, model=None, **kwargs):
        # The best checkpoint, where it was loaded, holds a mean already.
        if not (args.load_best_model_at_end and state.best_model_checkpoint) and self.count:
            _put(self.mean, model)
        self.begun, self.count = False, 0

    @contextmanager
    def in_place(self, model: nn.Module) -> Iterator[None]:
        """The model has the mean for its weights, where there is one, until the block ends."""
        # A Trainer evaluates several data sets by calling itself.
        if not self.count or self.raw:
            yield
            return
        self.raw = [parameter.detach().clone() for parameter in model.parameters()]
        _put(self.mean, model)
        try:
            yield
        finally:
            _put(self.raw, model)
            self.raw = []

    def save(self, model: nn.Module, folder: str | Path) -> None:
        """Into a checkpoint, whose model is the mean: the weights that training goes on from. Inside `in_place`."""
        if self.begun:
            weights = self.raw or [parameter.detach() for parameter in model.parameters()]
            raw = {name: weight for (name, _), weight in zip(model.named_parameters(), weights, strict=True)}
            save_file({**raw, STEPS: torch.tensor(self.count)}, Path(folder, RAW_FILE))

    def load(self, model: nn.Module, folder: str | Path) -> None:
        """Out of a checkpoint that was loaded into the model."""
        file = Path(folder, RAW_FILE)
        if file.exists():
            raw = load_file(file)
            self.begun, self.count = True, int(raw.pop(STEPS))
            self.mean = [parameter.detach().clone() for parameter in model.parameters()]
            _put([raw[name] for name, _ in model.named_parameters()], model)


@torch.no_grad()
def _put(weights: list[Tensor], model: nn.Module) -> None:
    # Copied, since cuDNN wants the weights to stay where they lie.
    for parameter, weight in zip(model.parameters(), weights, strict=True):
        parameter.copy_(weight)


__all__ = ["AVERAGINGS", "WeightAverage"]
