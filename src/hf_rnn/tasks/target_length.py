# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Largest lengths of generated texts, one for each text of a batch."""

from typing import Any

import torch
from transformers import StoppingCriteria


class LengthOfText(StoppingCriteria):
    """Criterion that ends each text at its own largest length.

    Args:
        limits: Largest number of tokens of each text, `[B]`, the start token included.
    """

    def __init__(self, limits: torch.Tensor):
        self.limits = limits

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Return which rows end here, `[N]` bool; the beams of a text are adjacent.

        Args:
            input_ids: Token ids, `[N, T]`.
            scores: Ignored.
            **kwargs: Ignored.
        """
        beams = len(input_ids) // len(self.limits)
        return input_ids.shape[1] >= self.limits.to(input_ids.device).repeat_interleave(beams)


__all__ = ["LengthOfText"]
