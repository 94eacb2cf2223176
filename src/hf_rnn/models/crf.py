# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Linear-chain conditional random field (Lafferty et al. 2001), which learns and decodes whole tag sequences."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

# Score of a transition that is not allowed. It is finite, because -inf - (-inf) would be NaN.
NEVER = -1e4


class CRF(nn.Module):
    """Scores of tag sequences, and their probabilities.

    The score of a sequence is the sum of its emissions, its transitions, and the scores of its first and last tags. Its
    probability is `exp(score) / Z`, where Z sums over all sequences. All sums are in log space and over all rows of a
    batch at once; only time is a loop.

    Args:
        num_tags: Number C of tags.
        allowed: Allowed transitions, `[C + 1, C + 1]` bool: entry [i, j] is True if tag j may follow tag i. The last
            row has the tags that may come first, and the last column those that may come last. None: all are allowed.
    """

    def __init__(self, num_tags: int, allowed: Tensor | None = None):
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(num_tags, num_tags))
        self.start = nn.Parameter(torch.zeros(num_tags))
        self.end = nn.Parameter(torch.zeros(num_tags))
        allowed = torch.ones(num_tags + 1, num_tags + 1, dtype=torch.bool) if allowed is None else allowed
        self.allowed: Tensor
        self.register_buffer("allowed", allowed.to(torch.uint8))
        # Labels for which `allowed` was set; None if it may belong to others.
        self.labels: list[str] | None = None

    def follow(self, labels: list[str], anew: bool = False) -> None:
        """Allow the transitions that the BIO scheme allows between the given labels.

        Args:
            labels: Names of the tags 0, 1, ….
            anew: True to set the transitions even if the labels are those of the last call; the buffer may have been
                loaded since.
        """
        if anew or labels != self.labels:
            if len(labels) + 1 == len(self.allowed):
                self.allowed.copy_(bio_transitions(labels))
            self.labels = labels

    def scores(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the scores of transitions `[C, C]`, of first tags `[C]` and of last tags `[C]`.

        Entries that are not allowed are [`NEVER`].
        """
        never = self.allowed == 0
        return (
            self.transitions.masked_fill(never[:-1, :-1], NEVER),
            self.start.masked_fill(never[-1, :-1], NEVER),
            self.end.masked_fill(never[:-1, -1], NEVER),
        )

    def log_partition(self, emissions: Tensor, valid: Tensor) -> Tensor:
        """Compute log Z of each row, `[B]`, by the forward algorithm; 0 for an empty row.

        Args:
            emissions: Scores of the tags at each position, `[B, T, C]`.
            valid: Mask of the tokens, `[B, T]` bool; padding is on the right.
        """
        return self._sweep(emissions, valid, torch.logsumexp)

    def log_likelihood(self, emissions: Tensor, tags: Tensor, valid: Tensor) -> Tensor:
        """Compute the log-probability of the tags of each row, `[B]`.

        An `I-x` that may not follow the tag before it is read as `B-x`. Such a row is a part of a longer text, and the
        tags as they stand would have almost no probability, whatever the parameters are.

        Args:
            emissions: Same as in [`log_partition`].
            tags: Tags, `[B, T]`. The result sums over all possible tags at a position with -100.
            valid: Same as in [`log_partition`].
        """
        tags = self.begun(tags, valid)
        known = (tags >= 0) & valid
        others = torch.ones_like(emissions, dtype=torch.bool).scatter(2, tags.clamp(min=0).unsqueeze(-1), False)
        kept = emissions.masked_fill(others & known.unsqueeze(-1), NEVER)
        return self.log_partition(kept, valid) - self.log_partition(emissions, valid)

    def begun(self, tags: Tensor, valid: Tensor) -> Tensor:
        """Replace each `I-x` that may not follow the tag before it by `B-x`, and return the tags `[B, T]`.

        Args:
            tags: Same as in [`log_likelihood`].
            valid: Same as in [`log_partition`].
        """
        C = len(self.start)
        may = self.allowed != 0
        known, now = (tags >= 0) & valid, tags.clamp(min=0)
        before = torch.cat([torch.full_like(now[:, :1], C), now[:, :-1]], dim=1)
        known_before = torch.cat([torch.ones_like(known[:, :1]), known[:, :-1]], dim=1)
        itself = torch.eye(C, dtype=torch.bool, device=tags.device)
        begins = (may[:-1, :-1] & ~itself).int().argmax(0)
        return torch.where(known & known_before & ~may[before, now], begins[now], tags)

    def marginals(self, emissions: Tensor, valid: Tensor) -> Tensor:
        """Compute the probability of each tag at each position, `[B, T, C]`; zeros in padding.

        It is the gradient of log Z.

        Args:
            emissions: Same as in [`log_partition`].
            valid: Same as in [`log_partition`].
        """
        with torch.enable_grad():
            emissions = emissions.detach().requires_grad_()
            (found,) = torch.autograd.grad(self.log_partition(emissions, valid).sum(), emissions)
        return found

    def max_marginals(self, emissions: Tensor, valid: Tensor) -> Tensor:
        """Compute the score of the best sequence through each tag at each position, relative to the best one.

        The result is in float64, except on MPS, which has no such type. In texts of thousands of words, the differences
        between sequences are smaller than the precision of float32.

        Args:
            emissions: Same as in [`log_partition`].
            valid: Same as in [`log_partition`].

        Returns:
            Scores `[B, T, C]`; 0 for the tags of the best sequence, and negative for others (Viterbi 1967).
        """
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
        """Return the best tag sequence of each row, `[B, T]`; -100 in padding.

        Args:
            emissions: Same as in [`log_partition`].
            valid: Same as in [`log_partition`].
        """
        transitions, start, end = self.scores()
        T = emissions.shape[1]
        best = start + emissions[:, 0]
        pointers = []
        for t in range(1, T):
            # Scores are kept relative to the best one: sums over a long text would lose precision.
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
        """Run the forward algorithm with `join` as its sum, and return one value per row, `[B]`."""
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
        """Compute the score of the best sequence up to each position that ends in each tag, `[B, T, C]`.

        The scores of a position are relative: the same number is subtracted from all of its tags.
        """
        best = start + emissions[:, 0]
        found = [best]
        for t in range(1, emissions.shape[1]):
            best = best - best.amax(1, keepdim=True)
            best = (best.unsqueeze(2) + transitions).amax(1) + emissions[:, t]
            found.append(best)
        return torch.stack(found, dim=1)


def bio_transitions(labels: list[str]) -> Tensor:
    """Return the transitions that the BIO scheme allows, in the form that [`CRF`] takes.

    `I-x` may follow only `B-x` and `I-x`. An `I-x` whose `B-x` is not a label may follow any tag.

    Args:
        labels: Names of the tags 0, 1, ….

    Source: "IOB2", Ramshaw and Marcus 1995.
    """
    C = len(labels)
    allowed = torch.ones(C + 1, C + 1, dtype=torch.bool)
    for j, label in enumerate(labels):
        if label.startswith("I-") and f"B-{label[2:]}" in labels:
            before = [i for i, other in enumerate(labels) if other in (label, f"B-{label[2:]}")]
            allowed[:, j] = False
            allowed[before, j] = True
    return allowed


__all__ = ["CRF", "bio_transitions"]
