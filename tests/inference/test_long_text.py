"""Tests that texts of any length are read with the memory of one window."""

import os
import subprocess
import sys

import pytest
import torch
from support.marks import proof

from hf_rnn import RNNConfig, RNNForSequenceClassification
from hf_rnn.inference.long_text import logits_of
from hf_rnn.models.pooling import POOLINGS

ONE_WAY, BOTH_WAYS = {}, {"bidirectional": True}
TWO_STACKS = {"bidirectional": True, "independent_directions": True}


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh"])
@pytest.mark.parametrize("directions", [ONE_WAY, BOTH_WAYS, TWO_STACKS], ids=["one way", "both ways", "two stacks"])
def test_windows_give_the_answer_of_the_whole(pooling, cell, directions):
    torch.manual_seed(0)
    config = RNNConfig(
        vocab_size=40,
        embedding_size=5,
        hidden_size=4,
        num_hidden_layers=3,
        cell_type=cell,
        pooling=pooling,
        **directions,
    )
    model = RNNForSequenceClassification(config).double().eval()
    for length in (1, 16, 17, 100):
        ids = torch.randint(1, 40, (length,)).tolist()
        with torch.inference_mode():
            expected = model(torch.tensor([ids])).logits
        torch.testing.assert_close(logits_of(model, ids, window=16), expected, rtol=0, atol=1e-12)


PEAK = """
import re, sys
from pathlib import Path
from hf_rnn import DataArguments, Predictor, RNNConfig, RNNForSequenceClassification, TextClassification
from hf_rnn import train_tokenizer
words = [f"w{i}" for i in range(900)]
tokenizer = train_tokenizer(words, "word", vocab_size=1000, min_frequency=1, show_progress=False)
sizes = dict(vocab_size=1000, embedding_size=64, hidden_size=64)
config = RNNConfig(bidirectional=sys.argv[2] == "both", pooling="concat", **sizes)
model = RNNForSequenceClassification(config).eval()
predictor = Predictor(model, tokenizer, TextClassification(DataArguments(), config))
predictor([" ".join(words[i % 900] for i in range(int(sys.argv[1])))])
print(re.findall(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for the peak of a process")
@pytest.mark.parametrize("directions", [proof("one"), "both"])
def test_a_long_text_takes_the_memory_of_a_short_one(directions):
    def peak(tokens: int) -> int:
        command = [sys.executable, "-c", PEAK, str(tokens), directions]
        alone = {**os.environ, "OMP_NUM_THREADS": "1"}
        return int(subprocess.run(command, capture_output=True, text=True, check=True, env=alone).stdout)

    assert peak(150_000) < 1.2 * peak(10_000)
