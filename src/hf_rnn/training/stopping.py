# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Callback that saves a complete checkpoint when training receives a stop signal."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from accelerate.utils import reduce
from transformers import TrainerCallback

from ..utils.output import WORDING
from ..utils.processes import leave_processes

SIGNALS = (signal.SIGTERM, signal.SIGINT)
# A launcher and a terminal may both pass on one signal. Repeats within this time count as the same signal.
SECONDS_OF_ONE_WISH = 1.0
# Number of steps between the checks of all processes, because a check makes a GPU wait for the host.
STEPS_BETWEEN_QUESTIONS = 10


class GracefulStop(TrainerCallback):
    """Callback that saves a checkpoint on SIGTERM or SIGINT, and then ends the process.

    The checkpoint is written after the current step or evaluation. The process ends with exit code 143 on SIGTERM. On
    SIGINT it raises [`KeyboardInterrupt`], and the command line exits with code 130. A second signal ends the process
    at once. If one of several processes receives the signal, all stop after the same step.
    """

    def __init__(self) -> None:
        # Command that resumes the run, for the message after a stop.
        self.how_to_go_on = "trainer.train(resume_from_checkpoint=True)"
        self.received: int | None = None
        self.agreed = 0
        self.at = 0.0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals inside the block if it runs in the main thread of the program.

        A signal that arrives after the last step is delivered again at the end of the block.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self.received, self.agreed, self.process = None, 0, os.getpid()
        before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self.received:
            # Training has ended before a checkpoint could be written, so the signal is delivered again.
            os.kill(os.getpid(), self.received)

    def _receive(self, number: int, frame) -> None:
        if os.getpid() != self.process or (self.received and time.monotonic() - self.at > SECONDS_OF_ONE_WISH):
            # A data loading worker received the signal, or the signal was repeated.
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif not self.received:
            self.received, self.at = number, time.monotonic()

    def _told(self, args, step: int | None = None) -> bool:
        """Return True if any process has received a signal.

        With several processes on an accelerator, the answer is updated only every few steps; without `step`, always.
        """
        if args.world_size == 1:
            self.agreed = self.received or 0
        elif step is None or args.device.type == "cpu" or step % STEPS_BETWEEN_QUESTIONS == 0:
            told = torch.tensor([float(self.received == number) for number in SIGNALS], device=args.device)
            counts = reduce(told, "sum").tolist()
            self.agreed = next((number for number, count in zip(SIGNALS, counts, strict=True) if count), 0)
        return bool(self.agreed)

    def on_step_end(self, args, state, control, **kwargs):
        if self._told(args, state.global_step):
            control.should_save = True

    def on_epoch_end(self, args, state, control, **kwargs):
        if self._told(args):
            control.should_save = True

    def on_evaluate(self, args, state, control, **kwargs):
        if self._told(args) and state.global_step:
            control.should_save = True

    def on_save(self, args, state, control, **kwargs):
        if not self.agreed:
            return
        if state.is_world_process_zero:
            name = signal.Signals(self.agreed).name
            words = f"stopped by {name}; checkpoint-{state.global_step} in {args.output_dir} is complete. To resume: "
            print(WORDING.get()(words + self.how_to_go_on), file=sys.stderr, flush=True)
        leave_processes()
        if self.agreed == signal.SIGINT:
            raise KeyboardInterrupt("stopped after a checkpoint")
        raise SystemExit(128 + self.agreed)


def _end_with_parent() -> None:
    """Exit when the parent process sends SIGTERM; ignore SIGTERM from other processes."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


def start_worker(number: int, then: Callable[[int], None] | None = None) -> None:
    """Initialize a data loading worker so that it ignores stop signals, except SIGTERM from the training process.

    Terminals and clusters send signals to workers too. Training needs its workers until it has written the checkpoint.

    Args:
        number: Index of the worker.
        then: Function to call with `number` afterwards; None for none.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_parent, daemon=True).start()
    if then is not None:
        then(number)


__all__ = ["GracefulStop", "start_worker"]
