"""`hf-rnn train --config FILE`, in which all processes get a SIGTERM at the fourth step."""

import os
import subprocess
import sys
import time

from transformers import TrainerCallback

from hf_rnn.cli.main import main
from hf_rnn.training.trainer import RNNTrainer


class End(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == 3:
            # A data-loading worker exits quietly on a SIGTERM from its parent, so another process sends the signal.
            subprocess.run(["kill", "-TERM", "--", f"-{os.getpgid(0)}"], start_new_session=True, check=True)
            # A worker that the signal ends must end before the trainer asks for the next batch.
            time.sleep(0.5)


if __name__ == "__main__":
    begin = RNNTrainer.__init__
    RNNTrainer.__init__ = lambda self, *args, **others: begin(self, *args, callbacks=[End()], **others)
    sys.exit(main(["train", "--config", sys.argv[1]]))
