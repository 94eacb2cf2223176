"""Texts of any length, in the memory of a window."""

import pytest
import torch

from hf_rnn import RNNConfig, RNNForSequenceClassification
from hf_rnn.configuration_rnn import POOLINGS
from hf_rnn.long_text import logits_of

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
