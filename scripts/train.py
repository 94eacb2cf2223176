"""For `accelerate launch scripts/train.py --config FILE.yaml ...`: the same as `hf-rnn train`."""

import sys

from hf_rnn.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
