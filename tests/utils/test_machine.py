"""Tests of memory settings, measured by page faults and resident memory."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hf_rnn.utils import machine

FAULTS = """
import resource, runpy, sys, torch
if sys.argv[2] == "kept":
    runpy.run_path(sys.argv[1])["keep_freed_memory"]()
torch.set_num_threads(1)
layer, x = torch.nn.LSTM(128, 128), torch.randn(300, 32, 128)
def step():
    layer(x)[0].sum().backward()
for _ in range(5):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator takes such settings")
def test_a_step_of_training_does_not_fault_its_memory_in_again():
    def faults(habit: str) -> int:
        command = [sys.executable, "-c", FAULTS, machine.__file__, habit]
        return int(subprocess.run(command, capture_output=True, check=True).stdout)

    assert faults("kept") < 0.1 * faults("given back")


KERNELS = """
import runpy, sys, torch
if sys.argv[2] == "few":
    runpy.run_path(sys.argv[1])["bound_kernel_caches"]()
torch.set_num_threads(1)
layer = torch.nn.LSTM(16, 16)
def resident() -> int:
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))
def step(T):
    layer(torch.randn(T, 4, 16, requires_grad=True))[0].sum().backward()
step(5)
before = resident()
for T in range(6, 306):
    step(T)
print(resident() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells what is resident there")
def test_batches_of_many_lengths_do_not_fill_the_memory_with_kernels():
    def growth(kernels: str) -> int:
        command = [sys.executable, "-c", KERNELS, machine.__file__, kernels]
        return int(subprocess.run(command, capture_output=True, check=True, env=untold).stdout)

    # A Trainer of another test may already have set these variables in this process.
    untold = {name: value for name, value in os.environ.items() if not name.endswith("CACHE_CAPACITY")}
    assert growth("few") < 0.5 * growth("all")


def test_what_the_environment_says_of_kernels_stays(monkeypatch):
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "1000")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    machine.bound_kernel_caches()
    assert os.environ["LRU_CACHE_CAPACITY"] == "1000"
    assert os.environ.pop("ONEDNN_PRIMITIVE_CACHE_CAPACITY") == "64"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), True),
        (MemoryError(), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in a ..."), False),
        (ValueError("out of memory is what this text is about"), False),
    ],
)
def test_errors_of_memory_are_told_from_others(error, expected):
    assert machine.is_out_of_memory(error) is expected
