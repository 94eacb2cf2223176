"""`scripts/train.py`, in which one process ends early.

HF_RNN_END names the rank, the step, the kind of end, and a file. The file prevents a second early end.
"""

import os
import signal
import sys
from pathlib import Path

from transformers import TrainerCallback

from hf_rnn.cli.main import main
from hf_rnn.training.trainer import RNNTrainer


class End(TrainerCallback):
    def __init__(self):
        rank, step, self.how, done = os.environ["HF_RNN_END"].split(",")
        self.rank, self.step, self.done = int(rank), int(step), Path(done)

    def on_step_begin(self, args, state, control, **kwargs):
        if args.process_index != self.rank or state.global_step != self.step or self.done.exists():
            return
        self.done.touch()
        if self.how == "error":
            raise RuntimeError("the worker's own trouble")
        # The launcher is the parent process, and passes SIGTERM on to its workers.
        os.kill(os.getppid() if self.how == "SIGTERM" else os.getpid(), signal.Signals[self.how])


if __name__ == "__main__":
    begin = RNNTrainer.__init__
    RNNTrainer.__init__ = lambda self, *args, **others: begin(self, *args, callbacks=[End()], **others)
    sys.exit(main(["train", *sys.argv[1:]]))
