# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Checks of the labels given to a model; no check waits for a GPU."""

from torch import Tensor

from .ragged import may_ask

# Label index that the loss ignores, as in transformers.
IGNORED = -100


def _outside(labels: Tensor, N: int) -> list[int]:
    """Return the labels that are neither in [0, N) nor ignored; an empty list if reading them would wait for a GPU."""
    if not may_ask(labels):
        return []
    return labels[((labels < 0) & (labels != IGNORED)) | (labels >= N)].unique().tolist()


def check_known(labels: Tensor, C: int) -> None:
    """Raise ValueError for class indices that no label has; do nothing where the check would wait for a GPU.

    Args:
        labels: Class indices of any shape; -100 is allowed.
        C: Number of labels.
    """
    wrong = _outside(labels, C)
    if wrong:
        raise ValueError(
            f"labels {wrong[:5]} are not in config.id2label, which has the ids 0 to {C - 1}: "
            + (f"make the model with num_labels={max(wrong) + 1}, or " if max(wrong) >= C else "")
            + f"map the labels to those ids, and missing labels to {IGNORED}."
        )


def check_in_vocabulary(labels: Tensor, V: int) -> None:
    """Raise ValueError for token ids outside the vocabulary; do nothing where the check would wait for a GPU.

    Args:
        labels: Token ids of any shape; -100 is allowed.
        V: Size of the vocabulary.
    """
    wrong = _outside(labels, V)
    if wrong:
        raise ValueError(
            f"labels {wrong[:5]} are outside the vocabulary: ids must be in [0, vocab_size={V}), or {IGNORED} for "
            "positions without a label."
        )


__all__ = ["IGNORED", "check_in_vocabulary", "check_known"]
