"""The allocator's habit, seen in page faults."""

import platform
import subprocess
import sys

import pytest

from hf_rnn import environment

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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator takes such settings")
def test_a_step_of_training_does_not_fault_its_memory_in_again():
    def faults(habit: str) -> int:
        command = [sys.executable, "-c", FAULTS, environment.__file__, habit]
        return int(subprocess.run(command, capture_output=True, check=True).stdout)

    assert faults("kept") < 0.1 * faults("given back")
