"""A small translator in double precision, of each kind."""

import torch

from hf_rnn import RNNConfig, RNNForConditionalGeneration

V, BOS, EOS = 23, 1, 2
KINDS = {
    "plain": {},
    "feeding": {"input_feeding": True, "attention_type": "additive", "num_hidden_layers": 2},
    "coverage": {"coverage": 1.0, "cell_type": "gru"},
    "all": {"coverage": 0.5, "input_feeding": True, "cell_type": "rnn_tanh", "share_embeddings": False},
    "untied": {"tie_word_embeddings": False, "share_embeddings": False, "cell_type": "gru", "bidirectional": False},
}


def make(**fields) -> RNNForConditionalGeneration:
    torch.manual_seed(0)
    config = {
        "vocab_size": V,
        "embedding_size": 6,
        "hidden_size": 5,
        "bidirectional": True,
        "initializer_range": 1.5,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        **fields,
    }
    return RNNForConditionalGeneration(RNNConfig(**config)).double().eval()
