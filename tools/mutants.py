"""Break a copy of the package in many ways and check that each break makes a test fail: `make mutants`.

python tools/mutants.py [FILE.py ...] [--only WORDS] [--first N] tries the mutants of some files of the package, the
mutants whose names contain some words, or the first mutants. The exit code is 1 if a mutant passes all its tests.

The first mutants are known to pass transformers' own test suite.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutant import Mutant
from mutant_table import MUTANTS

ROOT = Path(__file__).parents[1]
WORKERS = 2
PYTEST = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", "--tb=line"]
CONFORMANCE = [*PYTEST, "-c", "tests/conformance/pytest.ini", "tests/conformance"]
LEFT_OUT = shutil.ignore_patterns(".*_cache", ".venv", ".git", ".cache", ".hypothesis", "runs", "docs", "__pycache__")


def passes(tests: str, mutant: Mutant | None = None) -> bool:
    """Return True if the tests pass on a copy of the project, with the mutant applied if there is one."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        (copy / ".cache").symlink_to(ROOT / ".cache")
        if mutant is not None:
            file = copy / "src" / "hf_rnn" / mutant.file
            file.write_text(mutant.apply(file.read_text(encoding="utf-8")), encoding="utf-8")
        paths = os.pathsep.join(str(copy / name) for name in ("src", "tests", "tools"))
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        command = CONFORMANCE if tests == "conformance" else [*PYTEST, tests]
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise SystemExit(f"{tests} did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.returncode == 0


def main() -> int:
    """Try the mutants that the command line asks for, and print the result of each."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("files", nargs="*", help="files of the package, such as models/crf.py; all by default")
    options.add_argument("--only", default="", help="words in the name of a mutant")
    options.add_argument("--first", type=int, help="number of mutants to try")
    arguments = options.parse_args()
    mutants = [m for m in MUTANTS if (not arguments.files or m.file in arguments.files) and arguments.only in m.name]
    mutants = mutants[: arguments.first]
    for mutant in mutants:
        mutant.apply((ROOT / "src" / "hf_rnn" / mutant.file).read_text(encoding="utf-8"))
    began, survivors = time.monotonic(), 0
    with ThreadPoolExecutor(WORKERS) as pool:
        # Tests that already fail without a mutant would seem to catch all mutants.
        suites = list(dict.fromkeys(mutant.tests for mutant in mutants))
        for tests, passed in zip(suites, pool.map(passes, suites), strict=True):
            if not passed:
                raise SystemExit(f"{tests} fails over the package as it is: mend that first")
        outcomes = pool.map(lambda mutant: passes(mutant.tests, mutant), mutants)
        for mutant, survived in zip(mutants, outcomes, strict=True):
            survivors += survived
            print(f"{'SURVIVED' if survived else 'caught':<10}{mutant.name} ({mutant.tests})", flush=True)
    caught, seconds = len(mutants) - survivors, time.monotonic() - began
    print(f"{caught} of {len(mutants)} mutants caught, in {seconds:.0f} s")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
