"""Run `hf-rnn train` from a script, for `accelerate launch scripts/train.py --config FILE.yaml ...`."""

import sys

from hf_rnn.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
