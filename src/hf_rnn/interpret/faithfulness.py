# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Faithfulness: how well attribution scores reflect a model (DeYoung et al. 2020, "ERASER", section 4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..text.batching import BATCH_TOKENS
from ..utils.errors import HfRnnError
from .answers import reading_mode, scores_of, target_index
from .views import Explanation

# The shares of the words of a text that are masked or kept, as in ERASER.
SHARES = (0.01, 0.05, 0.10, 0.20, 0.50)


@dataclass
class Faithfulness:
    """Faithfulness of explanations, as means over texts and over shares of words.

    Args:
        comprehensiveness: Drop of the probability of the label when the words with the highest scores are masked;
            higher is better.
        sufficiency: Drop of the probability of the label when all other words are masked; lower is better.
        texts: Number of texts.
    """

    comprehensiveness: float
    sufficiency: float
    texts: int


@torch.inference_mode()
def measure_faithfulness(
    model: Any, explanations: Explanation | Sequence[Explanation], shares: Sequence[float] = SHARES
) -> Faithfulness:
    """Measure how the probability of the label changes without the words with the highest scores, and with only these.

    Words are left out by the attention mask, so the model does not read them.

    Args:
        model: Model that was explained.
        explanations: One or several explanations, as [`explain`] returns them.
        shares: Shares of the words of each text to mask or keep, each over 0 and at most 1. The words with the highest
            scores come first.

    Raises:
        HfRnnError: There are no explanations or no shares, or a share is out of range.
    """
    for share in shares:
        if not 0 < share <= 1:
            raise HfRnnError(f"shares={share} must be greater than 0 and at most 1.")
    explanations = [explanations] if isinstance(explanations, Explanation) else explanations
    if not explanations or not shares:
        raise HfRnnError("there are no explanations, or shares, to measure: pass explain(model, tokenizer, [text, …]).")
    without, alone = [], []
    with reading_mode(model):
        for explanation in explanations:
            fall = _falls(model, explanation, shares)
            without.append(fall[0].mean())
            alone.append(fall[1].mean())
    return Faithfulness(float(np.mean(without)), float(np.mean(alone)), len(explanations))


def _falls(model: Any, explanation: Explanation, shares: Sequence[float]) -> np.ndarray:
    """Return drops of the probability, `[2, shares]`: without the words of the highest scores, and with only these."""
    ids = torch.tensor([explanation.ids], device=model.device)
    best = sorted(explanation.words, key=lambda word: -word.score)
    masks = torch.ones(1 + 2 * len(shares), len(explanation.ids), dtype=torch.long, device=model.device)
    masks[1 + len(shares) :] = 0
    for n, share in enumerate(shares):
        taken = [place for word in best[: max(1, round(share * len(best)))] for place in word.tokens]
        masks[1 + n, taken] = 0
        masks[1 + len(shares) + n, taken] = 1
    at_once = max(1, BATCH_TOKENS // len(explanation.ids))
    parts = [
        model(ids.expand(len(part), -1), attention_mask=part, return_dict=True).logits for part in masks.split(at_once)
    ]
    logits = torch.cat(parts).float()
    index = target_index(model.config, explanation.label, logits[0])
    scores = scores_of(model.config, logits)[:, index].cpu().numpy()
    return (scores[0] - scores[1:]).reshape(2, -1)


__all__ = ["Faithfulness", "measure_faithfulness"]
