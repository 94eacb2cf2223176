"""Run the checks that need a GPU, on a machine without network access: contracts, tests, then a short benchmark.

make gpu-check PYTHON=python3 (or PYTHONPATH=src python3 tools/gpu_check.py); each step has 150 seconds. A step with
missing packages is left out and reported.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECONDS = 150
# Warnings are no errors here, because other versions of torch or transformers may give other warnings.
PYTEST = ["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-W", "default"]
MODELS = ("pytest", "torch", "transformers", "accelerate", "safetensors")
RUNS = (*MODELS, "datasets", "jsonargparse", "scipy", "sklearn", "yaml")
GPU_TESTS = ("tests/models/test_gpu.py", "tests/interpret/test_attribution.py")
STEPS = {
    "contracts": (MODELS, [*PYTEST, "tests/models/test_cudnn_contract.py"]),
    # The naive reference takes most of the time of the tests, so its comparisons are a step of their own.
    "equations": (MODELS, [*PYTEST, "-k", "naive_reference", "tests/models/test_gpu.py"]),
    "tests": (RUNS, [*PYTEST, "-m", "gpu", "-k", "not naive_reference", *GPU_TESTS]),
    "figures": ((*RUNS[1:], "matplotlib"), ["benchmarks/gpu.py", "--probe"]),
}


def has_gpu() -> bool:
    """Return True if torch is installed and finds a CUDA device."""
    if find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def run(name: str) -> str:
    """Run one step and return its result: passed, failed or left out."""
    needs, command = STEPS[name]
    if name != "contracts" and not has_gpu():
        return "left out: there is no CUDA device here"
    if missing := [package for package in needs if find_spec(package) is None]:
        return f"left out: {sys.executable} has no {', '.join(missing)}"
    paths = [str(ROOT / "src"), str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    try:
        code = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, timeout=SECONDS).returncode
    except subprocess.TimeoutExpired:
        return f"FAILED: not done after {SECONDS} s"
    return "passed" if code == 0 else f"FAILED: exit code {code}"


def main() -> None:
    results = {name: run(name) for name in STEPS}
    for name, result in results.items():
        print(f"{name:10}{result}")
    sys.exit(any(result.startswith("FAILED") for result in results.values()))


if __name__ == "__main__":
    main()
