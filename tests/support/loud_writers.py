"""Language models and translators with large random weights, so that any part that is left out changes the results."""

import torch

from hf_rnn import RNNConfig, RNNForCausalLM, RNNForConditionalGeneration

V, PAD, BOS, EOS = 30, 0, 2, 3
IDS = {"pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS, "decoder_start_token_id": BOS}
# No padding, scattered padding, a row without tokens, padding on the right, padding on the left.
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 0, 1], [0, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 1, 1]])


def loud(model, size: float = 0.7):
    """Return the model in eval mode with weights of up to `size`, the same ones at each call."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-size, size, generator=generator)
    return model.eval()


def language_model(**settings) -> RNNForCausalLM:
    return loud(RNNForCausalLM(_config(**settings)))


def translator(**settings) -> RNNForConditionalGeneration:
    return loud(RNNForConditionalGeneration(_config(**settings)))


def _config(**settings) -> RNNConfig:
    return RNNConfig(**{"vocab_size": V, "embedding_size": 6, "hidden_size": 8, **IDS, **settings})
