# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Embedding lookup with dropout of whole words."""

import torch.nn.functional as F
from torch import Tensor, nn


def embed(embedding: nn.Module, input_ids: Tensor, vocab_size: int, dropout: float = 0.0) -> Tensor:
    """Return the embeddings of tokens, `[B, T, E]`, optionally with dropout of vocabulary entries.

    Dropout removes an entry of the vocabulary everywhere in the batch.

    Args:
        embedding: `nn.Embedding`, or a wrapper around one, such as a PEFT adapter.
        input_ids: Token ids, `[B, T]`.
        vocab_size: Size V of the vocabulary, which a wrapper does not have as an attribute.
        dropout: Probability that an entry is dropped; 0 for none.

    Raises:
        ValueError: If an id is outside the vocabulary.
    """
    if not input_ids.numel():
        # Tokenizers return a batch of empty texts as a float tensor, because it has no number to infer a type from.
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
