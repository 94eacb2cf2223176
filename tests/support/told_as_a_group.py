"""`hf-rnn train --config FILE`, where at the fourth step all of its processes are told to end, as by a terminal."""

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
            # As nobody's parent, which a worker that loads data would obey.
            subprocess.run(["kill", "-TERM", "--", f"-{os.getpgid(0)}"], start_new_session=True, check=True)
            # A worker that this ends has ended before the next batch is asked for.
            time.sleep(0.5)


if __name__ == "__main__":
    begin = RNNTrainer.__init__
    RNNTrainer.__init__ = lambda self, *args, **others: begin(self, *args, callbacks=[End()], **others)
    sys.exit(main(["train", "--config", sys.argv[1]]))
