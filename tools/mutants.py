"""Breaks a copy of the package in many ways: `make mutants`, or `python tools/mutants.py FILE.py ...` for those of some
files of the package. Each break must make some test fail.

The first ones are those in which transformers' own suite is known to stay green; they apply to what the package has
today. A mutant that no test notices is printed, and the exit code is 1.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutant_table import MUTANTS, Mutant

ROOT = Path(__file__).parents[1]
UNIT = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", "--tb=line"]
CONFORMANCE = [*UNIT, "-c", "tests/conformance/pytest.ini", "tests/conformance"]


def survives(mutant: Mutant) -> bool:
    """Whether all tests pass over the broken copy."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".venv", ".git", ".cache", "runs", "docs"))
        (copy / ".cache").symlink_to(ROOT / ".cache")
        file = copy / "src" / "hf_rnn" / mutant.file
        file.write_text(file.read_text().replace(mutant.old, mutant.new))
        environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "OMP_NUM_THREADS": "1"}
        command = CONFORMANCE if mutant.tests == "conformance" else [*UNIT, mutant.tests]
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise SystemExit(f"the tests for {mutant.name!r} did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.returncode == 0


def main(files: list[str]) -> int:
    """Tries the mutants of some files of the package, or all."""
    mutants = [mutant for mutant in MUTANTS if not files or mutant.file in files]
    for mutant in mutants:
        if (ROOT / "src" / "hf_rnn" / mutant.file).read_text().count(mutant.old) != 1:
            raise SystemExit(f"the mutant {mutant.name!r} does not apply: its text is not in {mutant.file} just once")
    # Failing tests catch everything: what is to notice the breaks must pass over the unbroken copy.
    for tests in dict.fromkeys(mutant.tests for mutant in mutants):
        if not survives(Mutant("the control", "__init__.py", "", "", tests)):
            raise SystemExit(f"{tests} fails over the package as it is: mend that first")
    survivors = 0
    with ThreadPoolExecutor(2) as pool:
        for mutant, survived in zip(mutants, pool.map(survives, mutants), strict=True):
            survivors += survived
            print(f"{'SURVIVED' if survived else 'caught':<10}{mutant.name} ({mutant.tests})", flush=True)
    print(f"{len(mutants) - survivors} of {len(mutants)} mutants caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
