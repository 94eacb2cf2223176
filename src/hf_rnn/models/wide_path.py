# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The wide path of a text classifier: scores of n-grams of tokens, beside the recurrence.

A bag of n-grams is a linear model, which is fitted as one (`hf_rnn.training.wide_path`), and not by the optimizer of
the recurrent network: Cheng et al. 2016 call the pair wide and deep. Its features are weighted by their naive-Bayes
ratios (Wang and Manning 2012) and their inverse document frequencies:

    logits = a · recurrent logits + Σ_j w_j / sqrt(Σ_j s_j²) + bias,     j over the known n-grams of the text

Shape letters: B batch, T time, C labels, K n-grams that are known.
"""

from typing import Any

import torch
from torch import Tensor, nn

from .configuration_rnn import RNNConfig
from .ragged import Ragged, is_traced

# An n-gram is known by the polynomial of its token ids at BASE modulo a prime: all products fit into 64 bits.
PRIME, BASE = 2**31 - 1, 1_103_515_245


def longer_keys(keys: Any, ids: Any) -> Any:
    """Return the keys of n-grams that are one token longer.

    Args:
        keys: of n-grams, int64; 0 for those of no token. A tensor, or an array of numpy.
        ids: of the tokens that follow them, of the same shape.
    """
    return (keys * BASE + ids + 1) % PRIME


class WidePath(nn.Module):
    """Add the scores of the n-grams of a text to the logits of the recurrence.

    Args:
        config: with `wide_ngrams`, K, and `wide_order`, the tokens of the longest n-gram.
    """

    keys: Tensor
    scale: Tensor

    def __init__(self, config: RNNConfig):
        super().__init__()
        assert config.num_labels is not None
        K, C = config.wide_ngrams, config.num_labels
        self.num_ngrams, self.order = K, config.wide_order
        self.register_buffer("keys", torch.zeros(K, dtype=torch.long))
        # The norm of a text is over these.
        self.register_buffer("scale", torch.zeros(K))
        # No gradient: an optimizer that trains the recurrence on what n-grams cannot tell starves it.
        self.weight = nn.Parameter(torch.zeros(K, C), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(C), requires_grad=False)
        self.recurrent_weight = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, logits: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return the logits `[B, C]` of both halves.

        Args:
            logits: `[B, C]` of the recurrence.
            input_ids: `[B, T]`.
            attention_mask: `[B, T]`, non-zero where there is a token; padding may stand anywhere.
        """
        sums, squares = self.parts(input_ids, attention_mask)
        return self.mixed(logits, sums.sum(1), squares.sum(1))

    def mixed(self, logits: Tensor, sums: Tensor, squares: Tensor) -> Tensor:
        """Return the logits `[B, C]` of both halves.

        Args:
            logits: `[B, C]` of the recurrence.
            sums, squares: `[B, C]` and `[B]`, what [`parts`] returns, added up over the text.
        """
        wide = sums / _norm(squares) + self.bias
        return (logits * self.recurrent_weight + wide).to(logits.dtype)

    def parts(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return what the n-grams that end at each token add to a text: of their weights, `[B, T, C]`, and of their
        squared scales, `[B, T]`; zeros where there is no token.

        Args:
            input_ids, attention_mask: as in [`forward`]. The tokens of a row stand in front in what is returned.
        """
        sums = self._zeros(*input_ids.shape)
        squares = sums.new_zeros(input_ids.shape)
        for places, known in self.found(input_ids, attention_mask):
            sums = sums + self.weight[places] * known.unsqueeze(-1)
            squares = squares + self.scale[places].to(sums.dtype).square() * known
        return sums, squares

    def totals_of_long(self, input_ids: Tensor, window: int) -> tuple[Tensor, Tensor]:
        """Return what [`parts`] returns, added up, `[1, C]` and `[1]`, in the memory of one window.

        Args:
            input_ids: `[1, T]`, one text without padding.
            window: tokens that are in memory at once.
        """
        sums = self._zeros(1)
        squares = sums.new_zeros(1)
        for start in range(0, input_ids.shape[1], window):
            # N-grams reach back into the window before.
            context = min(start, self.order - 1)
            more, squared = self.parts(input_ids[:, start - context : start + window])
            sums, squares = sums + more[:, context:].sum(1), squares + squared[:, context:].sum(1)
        return sums, squares

    def found(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> list[tuple[Tensor, Tensor]]:
        """Return, for each order from 1 on, the places `[B, T]` in `weight` of the n-grams that end at each token, and
        a mask `[B, T]` of those that are known. The tokens of a row stand in front there, without padding.

        Args:
            input_ids, attention_mask: as in [`forward`].
        """
        ids = input_ids.long()
        ragged = None if attention_mask is None else Ragged.from_mask(attention_mask)
        if ragged is not None and ragged.to_front is not None:
            ids = ids.gather(1, ragged.to_front)
        real = torch.ones_like(ids, dtype=torch.bool) if ragged is None else ragged.valid
        time = torch.arange(ids.shape[1], device=ids.device)
        keys, found = torch.zeros_like(ids), []
        for order in range(1, self.order + 1):
            if order > 1:
                # They extend the n-grams that end at the token before.
                keys = torch.cat([torch.zeros_like(keys[:, :1]), keys[:, :-1]], dim=1)
            keys = longer_keys(keys, ids)
            places = self._place(keys)
            found.append((places, (self.keys[places] == keys) & real & (time >= order - 1)))
        return found

    def token_scores(self, input_ids: Tensor) -> Tensor:
        """Return how much each token of a text adds to each logit, `[T, C]`: an n-gram's score belongs to its tokens
        in equal parts. Without the bias, the scores add up to the wide path's logits.

        Args:
            input_ids: `[1, T]`, without padding.
        """
        scores = self._zeros(input_ids.shape[1])
        _, squares = self.parts(input_ids)
        for order, (places, known) in enumerate(self.found(input_ids), 1):
            shares = self.weight[places[0]] * known[0].unsqueeze(-1) / order
            for back in range(order):
                scores[: len(scores) - back] += shares[back:]
        return scores / _norm(squares.sum(1))

    def _zeros(self, *shape: int) -> Tensor:
        """Zeros `[…, C]` to add up scores in, whatever half precision the weights have."""
        dtype = torch.promote_types(self.weight.dtype, torch.float)
        return self.weight.new_zeros(*shape, self.weight.shape[1], dtype=dtype)

    def _place(self, keys: Tensor) -> Tensor:
        """Return the places at which keys would stand among the sorted ones, the last place at most."""
        last = self.num_ngrams - 1
        if not is_traced():
            return torch.searchsorted(self.keys, keys).clamp_max(last)
        # By bisection: exporters do not know `searchsorted`.
        low, high = torch.zeros_like(keys), torch.full_like(keys, last)
        for _ in range(max(last, 1).bit_length()):
            middle = (low + high) // 2
            less = self.keys[middle] < keys
            low, high = torch.where(less, middle + 1, low).clamp_max(last), torch.where(less, high, middle)
        return low


def _norm(squares: Tensor) -> Tensor:
    """Return the norms `[B, 1]` of texts; not 0 where no n-gram is known."""
    return squares.clamp_min(1e-12).sqrt().unsqueeze(-1)


__all__ = ["BASE", "PRIME", "WidePath", "longer_keys"]
