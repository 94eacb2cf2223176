# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Parity of a model and its exported graph: the largest difference of their logits, with padding of all kinds."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ..runtime.batching import by_tokens
from ..utils.errors import HfRnnError

# Texts that are compared, the largest difference allowed, and the most tokens of a batch, padding included.
TEXTS, LIMIT, TOKENS = 200, 1e-4, 4096
# A longer text is compared up to this token: it would need much memory, and not say more.
LONGEST = 16384
# Texts that are compared one by one, without padding.
ALONE = 10
# Length of the longest made-up text.
MADE_UP = 60

Batch = tuple[np.ndarray, np.ndarray]


def made_up_rows(vocab_size: int, count: int = TEXTS) -> list[list[int]]:
    """Return rows of random token ids, the same at each call; the first one is empty.

    Args:
        vocab_size: Number of token ids.
        count: Number of rows.
    """
    random = np.random.default_rng(0)
    return [random.integers(0, vocab_size, length * MADE_UP // max(1, count - 1)).tolist() for length in range(count)]


def differences(
    model: Any,
    graph: Callable[[np.ndarray, np.ndarray], np.ndarray],
    rows: Sequence[Sequence[int]],
    longest: int = LONGEST,
    batch_tokens: int = TOKENS,
) -> dict[str, float]:
    """Return the largest difference of the logits of a model and of its graph, by the kind of padding.

    A difference is relative to the logit if that is greater than 1, since float32 has seven digits; in regression, it
    is relative to the standard deviation of the targets at least.

    Args:
        model: Model in float32 on the CPU, in eval mode, or another function whose output has `logits`.
        graph: Function of token ids and mask, `[B, T]`, that returns the logits.
        rows: Token ids of each text.
        longest: Number of tokens of a text that are compared.
        batch_tokens: Maximum number of tokens in a batch, padding included.
    """
    cut = [list(row[:longest]) for row in rows]
    vocab_size, unit = model.config.vocab_size + model.config.num_rare_tokens, float(model.config.target_std)
    random, found = np.random.default_rng(0), {}
    for padding in PADDINGS:
        largest = 0.0
        for ids, mask in _batches(cut, padding, batch_tokens, vocab_size, random):
            with torch.inference_mode():
                expected = model(torch.from_numpy(ids), torch.from_numpy(mask)).logits.float().numpy()
            exported = graph(ids, mask)
            if exported.shape != expected.shape:
                raise HfRnnError(
                    f"the exported graph returns logits of shape {list(exported.shape)} instead of "
                    f"{list(expected.shape)}: the model has a part that depends on the number or the length of texts, "
                    "such as a pooling of your own; write it with operations that torch can trace."
                )
            size = np.maximum(np.abs(expected), unit)
            difference = np.abs(exported.astype(np.float64) - expected) / size
            # NaN in one of the two is a difference; a maximum would hide it.
            largest = max(largest, float(np.where(np.isnan(difference), np.inf, difference).max(initial=0)))
        found[padding] = largest
    return found


def _right(length: int, width: int, random: np.random.Generator) -> np.ndarray:
    return np.arange(length)


def _left(length: int, width: int, random: np.random.Generator) -> np.ndarray:
    return np.arange(width - length, width)


def _scattered(length: int, width: int, random: np.random.Generator) -> np.ndarray:
    return np.sort(random.permutation(width)[:length])


# Positions of the tokens of a row of a given length in a batch of a given width, by the kind of padding.
PADDINGS = {"none": _right, "right": _right, "left": _left, "scattered": _scattered}


def _batches(
    rows: list[list[int]], padding: str, batch_tokens: int, vocab_size: int, random: np.random.Generator
) -> Iterator[Batch]:
    """Yield batches of token ids and masks, `[B, T]`. Each batch with padding has an empty row too."""
    if padding == "none":
        filled = [row for row in rows if row]
        # The shortest, the longest and some between; each is a batch.
        picked = [*sorted(filled, key=len)[:: max(1, len(filled) // ALONE)], max(filled, key=len, default=[0])]
        yield from ((np.array([row]), np.ones((1, len(row)), dtype=np.int64)) for row in picked)
        return
    for places in by_tokens([len(row) for row in rows], batch_tokens):
        batch = [*(rows[number] for number in places), []]
        width = max(map(len, batch)) + 3
        # Arbitrary ids stand under the padding, because the mask alone says what padding is.
        ids = random.integers(0, vocab_size, (len(batch), width))
        mask = np.zeros_like(ids)
        for of_row, of_mask, row in zip(ids, mask, batch, strict=True):
            positions = PADDINGS[padding](len(row), width, random)
            of_row[positions], of_mask[positions] = row, 1
        yield ids, mask


__all__ = ["LIMIT", "TEXTS", "differences", "made_up_rows"]
