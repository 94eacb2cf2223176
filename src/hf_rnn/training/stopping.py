# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Training that is told to stop saves a whole checkpoint first."""

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

from ..utils.processes import leave_processes

SIGNALS = (signal.SIGTERM, signal.SIGINT)
# A launcher and a terminal may both pass on the same wish.
SECONDS_OF_ONE_WISH = 1.0
# Asking the other processes makes a GPU wait for the host.
STEPS_BETWEEN_QUESTIONS = 10


class GracefulStop(TrainerCallback):
    """On SIGTERM or SIGINT saves a checkpoint after the step, or the evaluation, that is under way, and ends the
    process with the exit code of the signal (143; for SIGINT [`KeyboardInterrupt`], which the command line ends with
    130). A second signal ends it at once. Of several processes any may be told; all stop after the same step.
    """

    def __init__(self) -> None:
        # The line that goes on with the run, for those who are told that it stopped.
        self.how_to_go_on = "trainer.train(resume_from_checkpoint=True)"
        self.received: int | None = None
        self.agreed = 0
        self.at = 0.0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Signals are taken care of inside the block, in a program's main thread."""
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
            # It came too late for a checkpoint: the training has ended.
            os.kill(os.getpid(), self.received)

    def _receive(self, number: int, frame) -> None:
        if os.getpid() != self.process or (self.received and time.monotonic() - self.at > SECONDS_OF_ONE_WISH):
            # A worker that loads data, or a wish that was repeated.
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif not self.received:
            self.received, self.at = number, time.monotonic()

    def _told(self, args, step: int | None = None) -> bool:
        """Whether any process was told to stop."""
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
            print(
                f"stopped by {name}; checkpoint-{state.global_step} in {args.output_dir} is whole. To go on: "
                f"{self.how_to_go_on}",
                file=sys.stderr,
                flush=True,
            )
        leave_processes()
        if self.agreed == signal.SIGINT:
            raise KeyboardInterrupt("stopped after a checkpoint")
        raise SystemExit(128 + self.agreed)


def _end_with_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


def start_worker(number: int, then: Callable[[int], None] | None = None) -> None:
    """What a process begins with that loads data for a training: a terminal and a cluster send their signals to it too,
    and without it the training could not go on to its checkpoint. It ends when the training tells it to."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_parent, daemon=True).start()
    if then is not None:
        then(number)


__all__ = ["GracefulStop", "start_worker"]
