# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The vectors of tokens."""

import torch.nn.functional as F
from torch import Tensor, nn


def embed(embedding: nn.Module, input_ids: Tensor, vocab_size: int, dropout: float = 0.0) -> Tensor:
    """The vectors of tokens `[B, T]`, each word of the vocabulary dropped everywhere with a probability.

    Args:
        embedding: an `nn.Embedding`, or what a client put around it, such as an adapter of PEFT.
        input_ids: `[B, T]`.
        vocab_size: V, which such a wrapper does not tell.
        dropout: the probability.

    Raises:
        ValueError: an id outside the vocabulary.
    """
    if not input_ids.numel():
        # Tokenizers hand over a batch of empty texts as floats, having seen no number in it.
        input_ids = input_ids.long()
    V = vocab_size
    try:
        embedded = embedding(input_ids)
    except IndexError:
        wrong = input_ids[(input_ids < 0) | (input_ids >= V)].unique().tolist()
        raise ValueError(
            f"token ids {wrong[:5]} are outside the vocabulary: ids must be in [0, vocab_size={V}). Use the "
            f"tokenizer that was saved with this model, or call model.resize_token_embeddings(len(tokenizer))."
        ) from None
    if dropout:
        kept = F.dropout(embedded.new_ones(V, 1), dropout)
        embedded = embedded * F.embedding(input_ids.long(), kept)
    return embedded


__all__ = ["embed"]
