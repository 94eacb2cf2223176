# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Progress bars and log lines of a training run."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from transformers import PrinterCallback, ProgressCallback, Trainer

from ..utils.output import progress_bars, say

# Figures that the Trainer logs for itself, and those of the whole run, which `hf-rnn train` prints at its end.
_LEFT_OUT = ("epoch", "total_flos", "grad_norm")
_TIMES = ("_runtime", "_per_second")


def log_line(logs: dict[str, Any], step: int) -> str | None:
    """Return what the Trainer logs as one line; None for the summary of a run.

    Args:
        logs: Figures by name, as the Trainer logs them.
        step: Number of optimizer steps so far.
    """
    if "train_runtime" in logs:
        return None
    shown = {name: value for name, value in logs.items() if name not in _LEFT_OUT and not name.endswith(_TIMES)}
    is_evaluation = any(name.startswith("eval_") for name in shown)
    figures = [
        f"{name.removeprefix('eval_')} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in shown.items()
    ]
    place = [f"step {step:,}", f"epoch {logs['epoch']:.2f}"] if "epoch" in logs else [f"step {step:,}"]
    return " · ".join([*place, *(["validation"] if is_evaluation else []), *figures]) if figures else None


class LogPrinter(PrinterCallback):
    """Callback that prints log lines where there are no progress bars."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        line = log_line(logs or {}, state.global_step)
        if state.is_local_process_zero and line:
            say(line)


class LoggingBar(ProgressCallback):
    """Progress bars of transformers, with log lines above them."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        line = log_line(logs or {}, state.global_step)
        if state.is_world_process_zero and self.training_bar is not None and line:
            self.training_bar.write(line)


def use_log_lines(trainer: Trainer) -> None:
    """Let a Trainer log lines in the place of dicts. The table of a notebook stays.

    Args:
        trainer: Trainer to change.
    """
    for theirs, ours in ((PrinterCallback, LogPrinter), (ProgressCallback, LoggingBar)):
        if any(type(each) is theirs for each in trainer.callback_handler.callbacks):
            trainer.remove_callback(theirs)
            trainer.add_callback(ours)


def bars_as_asked(train: Callable[[Any], dict]) -> Callable[[Any], dict]:
    """Decorate the method that trains: with `disable_tqdm`, no library shows progress bars meanwhile.

    Args:
        train: Method of an object whose `args` are training arguments.
    """

    @wraps(train)
    def wrapped(run: Any) -> dict:
        with progress_bars(not run.args.disable_tqdm):
            return train(run)

    return wrapped


__all__ = ["LogPrinter", "LoggingBar", "bars_as_asked", "log_line", "use_log_lines"]
