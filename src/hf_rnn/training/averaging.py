# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Weight averaging within a run: EMA, SWA and NT-ASGD."""

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
    """Callback that averages the weights over training steps; the mean is evaluated and saved instead of the weights.

    - `ema`: exponential moving average. A step counts `averaging_decay` times as much as the step after it (Polyak and
      Juditsky 1992). For the first steps it is the plain mean of all steps.
    - `swa`: mean of all steps after the fraction `averaging_start` of the training (Izmailov et al. 2018).
    - `nt_asgd`: mean of all steps after an evaluation that is worse than the best one that lies more than
      `averaging_patience` evaluations before it (Merity et al. 2018, algorithm 1).
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
        if not self.count:
            self.mean = [parameter.detach().clone() for parameter in model.parameters()]
        else:
            # A frozen weight has not changed, so its mean is the weight itself.
            pairs = [
                (mean, weight.detach())
                for mean, weight in zip(self.mean, model.parameters(), strict=True)
                if weight.requires_grad
            ]
            means, weights = map(list, zip(*pairs, strict=True))
            # EMA starts as the mean of all steps, as long as that gives the newest step more weight than EMA does.
            of_all = 1 / (self.count + 1) >= 1 - decay
            add = get_swa_multi_avg_fn() if of_all else get_ema_multi_avg_fn(decay)
            add(means, weights, self.count)
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
        # If the Trainer has loaded the best checkpoint, the model already has the mean of that step.
        if not (args.load_best_model_at_end and state.best_model_checkpoint) and self.count:
            _put(self.mean, model)
        self.begun, self.count = False, 0

    @contextmanager
    def in_place(self, model: nn.Module) -> Iterator[None]:
        """Put the mean into the model inside the block, if there is one, and restore the weights after it.

        Args:
            model: Model that is trained.
        """
        # The Trainer calls `evaluate` recursively for several data sets: the inner call finds the mean in place.
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
        """Write the weights that training continues from into a checkpoint, whose model file has the mean.

        Call it inside [`in_place`]. Nothing is written before averaging has begun.

        Args:
            model: Model that is trained.
            folder: Folder of the checkpoint.
        """
        if self.begun:
            weights = self.raw or [parameter.detach() for parameter in model.parameters()]
            raw = {name: weight for (name, _), weight in zip(model.named_parameters(), weights, strict=True)}
            save_file({**raw, STEPS: torch.tensor(self.count)}, Path(folder, RAW_FILE))

    def load(self, model: nn.Module, folder: str | Path) -> None:
        """Restore the mean and the weights from a checkpoint whose model file is loaded into the model.

        Args:
            model: Model with the weights of the checkpoint, that is, the mean.
            folder: Folder of the checkpoint. Without a file of [`save`] in it, nothing changes.
        """
        file = Path(folder, RAW_FILE)
        if file.exists():
            raw = load_file(file)
            self.begun, self.count = True, int(raw.pop(STEPS))
            self.mean = [parameter.detach().clone() for parameter in model.parameters()]
            _put([raw[name] for name, _ in model.named_parameters()], model)


@torch.no_grad()
def _put(weights: list[Tensor], model: nn.Module) -> None:
    # Copied in place, because cuDNN needs the weights to keep their memory addresses.
    for parameter, weight in zip(model.parameters(), weights, strict=True):
        parameter.copy_(weight)


__all__ = ["AVERAGINGS", "WeightAverage"]
