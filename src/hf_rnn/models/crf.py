# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""A linear-chain conditional random field (Lafferty et al. 2001): tags are learnt and decoded together."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

# The score of what cannot be: far below all others, and a number, so that nothing becomes NaN.
NEVER = -1e4


class CRF(nn.Module):
    """The scores of sequences of tags: those of the tags at each place, of each tag after another, and of the tags that
    begin and end. The probability of a sequence is its share in the sum over all, `exp(score) / Z`.

    All sums are in log space, over all rows of a batch at once; only time is a loop.

    Args:
        num_tags: C.
        allowed: `[C + 1, C + 1]` bool, whether tag j may follow tag i; the last row says which tags may begin, and the
            last column which may end. None: all may.
    """

    def __init__(self, num_tags: int, allowed: Tensor | None = None):
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(num_tags, num_tags))
        self.start = nn.Parameter(torch.zeros(num_tags))
        self.end = nn.Parameter(torch.zeros(num_tags))
        allowed = torch.ones(num_tags + 1, num_tags + 1, dtype=torch.bool) if allowed is None else allowed
        self.allowed: Tensor
        self.register_buffer("allowed", allowed.to(torch.uint8))
        # The labels of which `allowed` is known to be the scheme.
        self.labels: list[str] | None = None

    def follow(self, labels: list[str], anew: bool = False) -> None:
        """Allows what the BIO scheme allows of some labels.

        Args:
            labels: the names of the tags 0, 1, ….
            anew: do so even if `allowed` was that of the same labels; it may have been loaded since.
        """
        if anew or labels != self.labels:
            if len(labels) + 1 == len(self.allowed):
                self.allowed.copy_(bio_transitions(labels))
            self.labels = labels

    def scores(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of transitions `[C, C]`, beginnings and ends `[C]`; what is not allowed has none."""
        never = self.allowed == 0
        return (
            self.transitions.masked_fill(never[:-1, :-1], NEVER),
            self.start.masked_fill(never[-1, :-1], NEVER),
            self.end.masked_fill(never[:-1, -1], NEVER),
        )

    def log_partition(self, emissions: Tensor, valid: Tensor) -> Tensor:
        """log Z of each row, `[B]`, by the forward algorithm; 0 for an empty row.

        Args:
            emissions: scores of the tags at each place, `[B, T, C]`.
            valid: `[B, T]` bool, right-padded.
        """
        return self._sweep(emissions, valid, torch.logsumexp)

    def log_likelihood(self, emissions: Tensor, tags: Tensor, valid: Tensor) -> Tensor:
        """log P of the tags of each row, `[B]`.

        Args:
            emissions, valid: as in [`log_partition`].
            tags: `[B, T]`; -100 where the tag is not known, and the sum is over all that it may be. A tag that may not
                follow the one before it, `I-x`, is read as the one that begins, `B-x`: such a row is part of a longer
                text, and no parameter could make its own tags likely.
        """
        tags = self.begun(tags, valid)
        known = (tags >= 0) & valid
        others = torch.ones_like(emissions, dtype=torch.bool).scatter(2, tags.clamp(min=0).unsqueeze(-1), False)
        kept = emissions.masked_fill(others & known.unsqueeze(-1), NEVER)
        return self.log_partition(kept, valid) - self.log_partition(emissions, valid)

    def begun(self, tags: Tensor, valid: Tensor) -> Tensor:
        """Tags `[B, T]`, with the other tag that may stand before it, `B-x`, for each `I-x` that may not follow the
        tag before it; arguments as in [`log_likelihood`]."""
        C = len(self.start)
        may = self.allowed != 0
        known, now = (tags >= 0) & valid, tags.clamp(min=0)
        before = torch.cat([torch.full_like(now[:, :1], C), now[:, :-1]], dim=1)
        known_before = torch.cat([torch.ones_like(known[:, :1]), known[:, :-1]], dim=1)
        itself = torch.eye(C, dtype=torch.bool, device=tags.device)
        begins = (may[:-1, :-1] & ~itself).int().argmax(0)
        return torch.where(known & known_before & ~may[before, now], begins[now], tags)

    def marginals(self, emissions: Tensor, valid: Tensor) -> Tensor:
        """P of each tag at each place, `[B, T, C]`; zeros in padding. They are the gradient of log Z."""
        with torch.enable_grad():
            emissions = emissions.detach().requires_grad_()
            (found,) = torch.autograd.grad(self.log_partition(emissions, valid).sum(), emissions)
        return found

    def max_marginals(self, emissions: Tensor, valid: Tensor) -> Tensor:
        """The score of the best sequence that has a tag at a place, less that of the best sequence of all, `[B, T, C]`:
        0 for the tags of the best one (Viterbi 1967). In 64 bits where the device has them: in texts of thousands of
        words, sequences differ by less than 32 bits can tell."""
        if emissions.device.type != "mps":
            emissions = emissions.double()
        transitions, start, end = (scores.to(emissions.dtype) for scores in self.scores())
        before = self._best(emissions, valid, transitions, start)
        lengths = valid.sum(1, keepdim=True)
        time = torch.arange(emissions.shape[1], device=emissions.device)
        reverse = torch.where(valid, lengths - 1 - time, time).unsqueeze(-1).expand_as(emissions)
        after = self._best(emissions.gather(1, reverse), valid, transitions.T, end).gather(1, reverse)
        found = before + after - emissions
        return found - found.amax(-1, keepdim=True)

    def decode(self, emissions: Tensor, valid: Tensor) -> Tensor:
        """The best sequence of tags of each row, `[B, T]`; -100 in padding."""
        transitions, start, end = self.scores()
        T = emissions.shape[1]
        best = start + emissions[:, 0]
        pointers = []
        for t in range(1, T):
            # Relative to the best one, since sums over long texts are too large to be told apart.
            best = best - best.amax(1, keepdim=True)
            score, pointer = (best.unsqueeze(2) + transitions).max(1)
            best = torch.where(valid[:, t, None], score + emissions[:, t], best)
            pointers.append(pointer)
        tag = (best + end).argmax(1)
        tags = [tag]
        for t in range(T - 1, 0, -1):
            came_from = pointers[t - 1].gather(1, tag.unsqueeze(1)).squeeze(1)
            tag = torch.where(valid[:, t], came_from, tag)
            tags.append(tag)
        return torch.stack(tags[::-1], dim=1).masked_fill(~valid, -100)

    def _sweep(self, emissions: Tensor, valid: Tensor, join: Callable[[Tensor, int], Tensor]) -> Tensor:
        transitions, start, end = self.scores()
        B, T, _ = emissions.shape
        if T == 0:
            return emissions.new_zeros(B)
        alpha = start + emissions[:, 0]
        for t in range(1, T):
            step = join(alpha.unsqueeze(2) + transitions, 1) + emissions[:, t]
            alpha = torch.where(valid[:, t, None], step, alpha)
        total = join(alpha + end, 1)
        return torch.where(valid[:, 0], total, 0)

    @staticmethod
    def _best(emissions: Tensor, valid: Tensor, transitions: Tensor, start: Tensor) -> Tensor:
        """At each place, for each tag, the score of the best sequence up to it, `[B, T, C]`, less a number that is the
        same for all tags of the place."""
        best = start + emissions[:, 0]
        found = [best]
        for t in range(1, emissions.shape[1]):
            best = best - best.amax(1, keepdim=True)
            best = (best.unsqueeze(2) + transitions).amax(1) + emissions[:, t]
            found.append(best)
        return torch.stack(found, dim=1)


def bio_transitions(labels: list[str]) -> Tensor:
    """Which tags of the BIO scheme may follow which, as [`CRF`] takes it: `I-x` after `B-x` and `I-x` alone ("IOB2",
    Ramshaw and Marcus 1995)."""
    C = len(labels)
    allowed = torch.ones(C + 1, C + 1, dtype=torch.bool)
    for j, label in enumerate(labels):
        if label.startswith("I-") and f"B-{label[2:]}" in labels:
            before = [i for i, other in enumerate(labels) if other in (label, f"B-{label[2:]}")]
            allowed[:, j] = False
            allowed[before, j] = True
    return allowed


__all__ = ["CRF", "bio_transitions"]
