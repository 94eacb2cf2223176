"""Run the property tests with many random inputs: `make fuzz`.

python tools/fuzz.py [--tries 1000] [--write]
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import proofs


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--tries", type=int, default=1000, help="of each property")
    options.add_argument("--write", action="store_true", help="write the counts into docs/reliability.md")
    arguments = options.parse_args()
    command = [sys.executable, "-m", "pytest", "-q", "--hypothesis-show-statistics", "tests/text/test_fuzz.py"]
    environment = {**os.environ, "HF_RNN_TRIES": str(arguments.tries)}
    ended = subprocess.run(command, cwd=Path(__file__).parents[1], env=environment, capture_output=True, text=True)
    print(ended.stdout[-5000:])
    if ended.returncode:
        return ended.returncode
    found = re.findall(r"::test_(\w+):.*?(\d+) passing, 0 failing", ended.stdout, re.DOTALL)
    rows = [[name.replace("_", " "), f"{int(count):,}"] for name, count in found]
    text = proofs.table(["what has to hold", "tries, all passed"], rows)
    print(text)
    if arguments.write:
        proofs.write("fuzz", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
