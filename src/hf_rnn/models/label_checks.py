# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The labels of a configuration, and checks of those that a model is given. No check makes a GPU wait."""

from typing import Any

from torch import Tensor

from .ragged import may_ask

# The label of a place that is not learnt.
IGNORED = -100


def labels_of(config: Any) -> list[str]:
    """The names of the labels 0, 1, …, in whatever order `config.id2label` lists them."""
    return [config.id2label[i] for i in sorted(config.id2label)]


def _outside(labels: Tensor, N: int) -> list[int]:
    """Return the ids among labels, of any shape, that are neither in [0, N) nor ignored; asks nothing of a GPU."""
    if not may_ask(labels):
        return []
    return labels[((labels < 0) & (labels != IGNORED)) | (labels >= N)].unique().tolist()


def check_known(labels: Tensor, C: int) -> None:
    """Raises ValueError for class indices, of any shape, that no label has; asks nothing of a GPU."""
    wrong = _outside(labels, C)
    if wrong:
        raise ValueError(
            f"labels {wrong[:5]} are not in config.id2label, which has the ids 0 to {C - 1}: "
            + (f"make the model with num_labels={max(wrong) + 1}, or " if max(wrong) >= C else "")
            + f"map the labels to those ids, and to {IGNORED} where there is none."
        )


def check_in_vocabulary(labels: Tensor, V: int) -> None:
    """Raise ValueError for labels, token ids of any shape, that a vocabulary of V has not; asks nothing of a GPU."""
    wrong = _outside(labels, V)
    if wrong:
        raise ValueError(
            f"labels {wrong[:5]} are outside the vocabulary: ids must be in [0, vocab_size={V}), or {IGNORED} for "
            "places that are not learnt."
        )


__all__ = ["IGNORED", "check_in_vocabulary", "check_known", "labels_of"]
