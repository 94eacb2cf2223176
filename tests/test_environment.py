"""The allocator's habit, seen in page faults."""

import subprocess
import sys

import pytest

from hf_rnn.environment import keep_freed_memory

FAULTS = """
import resource, sys, torch
from hf_rnn import RNNConfig, RNNForSequenceClassification
from hf_rnn.environment import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
torch.set_num_threads(1)
model = RNNForSequenceClassification(RNNConfig(vocab_size=50, embedding_size=128, hidden_size=128))
batch = {"input_ids": torch.randint(1, 50, (32, 300)), "labels": torch.randint(0, 2, (32,))}
def step():
    model(**batch).loss.backward()
for _ in range(5):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not keep_freed_memory(), reason="only glibc's allocator takes such settings")
def test_a_step_of_training_does_not_fault_its_memory_in_again():
    faults = {
        habit: int(subprocess.run([sys.executable, "-c", FAULTS, habit], capture_output=True, check=True).stdout)
        for habit in ("given back", "kept")
    }
    assert faults["kept"] < 0.1 * faults["given back"]
