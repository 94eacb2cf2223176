# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Sampled softmax: the loss over a large vocabulary, estimated from a sample of its words."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .label_checks import IGNORED
from .ragged import may_ask


def sampled_softmax_loss(x: Tensor, targets: Tensor, weight: Tensor, bias: Tensor, num_samples: int) -> Tensor:
    """Compute the sum of cross-entropies over the right words and a sample of others.

    The logarithm of the probability that a word is in the sample is subtracted from its logit. The gradient then tends
    to that of the full softmax as the sample grows.

    Words are drawn by Zipf's law over their ids: P(k) = log((k + 2) / (k + 1)) / log(V + 1).

    Args:
        x: Inputs of the output layer, `[N, E]`.
        targets: Right words, `[N]`; the loss ignores -100.
        weight: Weight of the output layer, `[V, E]`.
        bias: Bias of the output layer, `[V]`.
        num_samples: Number of draws; a word that is drawn twice counts once.

    Source: Bengio and Senécal 2008, Jean et al. 2015.
    """
    V = weight.shape[0]
    uniform = torch.rand(num_samples, device=x.device, dtype=torch.float64)
    drawn = ((uniform * math.log(V + 1)).exp() - 1).long().clamp(max=V - 1).sort().values
    again = F.pad(drawn[1:] == drawn[:-1], (1, 0))

    def log_expected(ids: Tensor) -> Tensor:
        p = (ids + 1.0).reciprocal().log1p() / math.log(V + 1)
        return (-torch.expm1(num_samples * torch.log1p(-p))).log()

    ignored = targets == IGNORED
    targets = targets.masked_fill(ignored, 0)
    # The layer is indexed only once: the backward pass of each indexing allocates a gradient of the whole vocabulary.
    if may_ask(x):
        drawn, again = drawn[~again], again[~again]
        ids, place = torch.cat([drawn, targets]).unique(return_inverse=True)
    else:
        # Counting the distinct words would wait for the GPU. Repeated words are indexed again here and masked below.
        ids = torch.cat([drawn, targets])
        place = torch.arange(len(ids), device=ids.device)
    weight, bias = weight[ids], bias[ids]
    of_drawn, of_right = place[: len(drawn)], place[len(drawn) :]
    right = (x * weight[of_right]).sum(-1).float() + bias[of_right] - log_expected(targets)
    others = F.linear(x, weight[of_drawn], bias[of_drawn]).float() - log_expected(drawn)
    others = others.masked_fill((drawn == targets[:, None]) | again, -torch.inf)
    nats = torch.logsumexp(torch.cat([right[:, None], others], dim=1), dim=1) - right
    return nats.masked_fill(ignored, 0).sum()


__all__ = ["sampled_softmax_loss"]
