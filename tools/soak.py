"""Check that memory, open files and threads do not grow over many predictions in one process: `make soak`.

python tools/soak.py [--predictions 20000] [--write]
"""

import argparse
import gc
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import proofs

import hf_rnn

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from support import tiny_config

WARM_UP = 2000
MOST_GROWTH = 0.02


def resident() -> float:
    """Return the resident memory of this process in MiB, after garbage collection."""
    gc.collect()
    fields = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in fields if line.startswith("VmRSS")).split()[1]) / 1024


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--predictions", type=int, default=20_000)
    options.add_argument("--write", action="store_true", help="write the figures into docs/reliability.md")
    arguments = options.parse_args()
    draw = random.Random(0)
    words = "I do not want a refund , the lamp is broken . never mind that".split()
    with tempfile.TemporaryDirectory() as folder:
        hf_rnn.train(tiny_config("made_up_messages", folder))
        predictor = hf_rnn.Predictor.from_pretrained(folder)

        def predict(count: int) -> None:
            for _ in range(count):
                # The lengths go from one word to 2,000 words, and most texts are short.
                length = int(10 ** draw.uniform(0, 3.3))
                predictor([" ".join(draw.choices(words, k=length))])

        predict(WARM_UP)
        facts = [("megabytes in memory", resident), ("open files", lambda: len(list(Path("/proc/self/fd").iterdir())))]
        facts.append(("threads", threading.active_count))
        before, began = [fact() for _, fact in facts], time.monotonic()
        predict(arguments.predictions)
        after, seconds = [fact() for _, fact in facts], time.monotonic() - began
    rows = [
        [name, f"{a:.1f}" if a % 1 else a, f"{b:.1f}" if b % 1 else b]
        for (name, _), a, b in zip(facts, before, after, strict=True)
    ]
    growth = after[0] / before[0] - 1
    text = proofs.table(["", f"after {WARM_UP:,} predictions", f"after {arguments.predictions:,} more"], rows)
    text += f"\n\nTexts of 1 to 2,000 words, one at a time, in {seconds:.0f} s; memory grew by {growth:.1%}."
    print(text)
    if arguments.write:
        proofs.write("soak", text)
    return int(growth > MOST_GROWTH or after[1:] != before[1:])


if __name__ == "__main__":
    sys.exit(main())
