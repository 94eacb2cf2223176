# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Batches of rows of similar length, so that little of a batch is padding."""

from collections.abc import Iterator, Sequence

import numpy as np

# Default number of tokens in a batch of the runtime. onnxruntime takes the same time for 2,048 to 16,384 tokens, and
# 16,384 need 50 MB more.
BATCH_TOKENS = 4096
# The number of texts that are tokenized and sorted by length together.
TEXTS_AT_ONCE = 4096


def by_tokens(lengths: Sequence[int] | np.ndarray, tokens: int) -> Iterator[np.ndarray]:
    """Yield batches of rows of similar length for prediction, longest first.

    The first batch is the largest, so memory is allocated once.

    Args:
        lengths: Lengths of the rows in tokens.
        tokens: Largest number of tokens in a batch, padding included. A longer row is a batch of its own.

    Yields:
        Indices of the rows of a batch. Each row is in exactly one batch.
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    start = 0
    while start < len(order):
        size = max(1, tokens // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size


def padded(rows: Sequence[Sequence[int]], pad_token_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of token ids as one batch, padded on the right to its longest row.

    Args:
        rows: Token ids of B rows.
        pad_token_id: Token id at padded positions. The attention mask, not this id, marks padding.

    Returns:
        Token ids and attention mask, both int64 of the shape `[B, T]`. T is at least 1, also for empty rows.
    """
    lengths = [len(row) for row in rows]
    # A batch of empty texts keeps one position. Without it, half of the parameters would get no gradient.
    input_ids = np.full((len(rows), max(1, *lengths)), pad_token_id, dtype=np.int64)
    attention_mask = np.zeros_like(input_ids)
    for ids, mask, length, row in zip(input_ids, attention_mask, lengths, rows, strict=True):
        ids[:length] = row
        mask[:length] = 1
    return input_ids, attention_mask


__all__ = ["by_tokens", "padded"]
