# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Wide path of a text classifier: scores of token n-grams that are added to the recurrence's logits.

The wide path is a linear model over a bag of n-grams. `hf_rnn.training.wide_path` fits it after the recurrent network
was trained; Cheng et al. 2016 call such a pair wide and deep. Its features are weighted by their naive-Bayes ratios
(Wang and Manning 2012) and their inverse document frequencies:

    logits = a · recurrent logits + (Σ_j w_j / sqrt(Σ_j s_j²) + bias) / temperature,     j over the known n-grams

With `wide_binary`, j is over the different known n-grams: a word that occurs ten times in a text counts once. The head
of the recurrent network has divided its logits by the same temperature.

Shape letters: B batch, T time, C labels, K known n-grams.
"""

from typing import Any

import torch
from torch import Tensor, nn

from .configuration_rnn import RNNConfig
from .ragged import Ragged, is_traced

# The key of an n-gram is a polynomial hash of its token ids, at BASE modulo PRIME; all products fit into 64 bits.
PRIME, BASE = 2**31 - 1, 1_103_515_245


def longer_keys(keys: Any, ids: Any) -> Any:
    """Return the keys of n-grams that are one token longer.

    Args:
        keys: Keys of n-grams, int64, a tensor or a numpy array; 0 is the key of the empty n-gram.
        ids: Ids of the tokens that follow the n-grams, of the same shape as `keys`.
    """
    return (keys * BASE + ids + 1) % PRIME


class WidePath(nn.Module):
    """Linear model of a text's n-grams, whose scores are added to the logits of the recurrence.

    Args:
        config: Configuration with `wide_ngrams` (K), `wide_order` (length in tokens of the longest n-gram) and
            `wide_binary` (True if an n-gram that occurs several times in a text counts once).
    """

    keys: Tensor
    scale: Tensor

    def __init__(self, config: RNNConfig):
        super().__init__()
        assert config.num_labels is not None
        self.config = config
        K, C = config.wide_ngrams, config.num_labels
        self.num_ngrams, self.order, self.binary = K, config.wide_order, config.wide_binary
        self.register_buffer("keys", torch.zeros(K, dtype=torch.long))
        # The scales s_j, from which the norm of a text is computed.
        self.register_buffer("scale", torch.zeros(K))
        # No gradient: trained together, the recurrence would only learn what the n-grams do not explain.
        self.weight = nn.Parameter(torch.zeros(K, C), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(C), requires_grad=False)
        self.recurrent_weight = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, logits: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return the logits of recurrence and wide path together, `[B, C]`.

        Args:
            logits: Logits of the recurrence, shape `[B, C]`.
            input_ids: Token ids, shape `[B, T]`.
            attention_mask: Mask, shape `[B, T]`, non-zero on tokens; padding may be anywhere. None: no padding.
        """
        sums, squares = self.parts(input_ids, attention_mask)
        return self.mixed(logits, sums.sum(1), squares.sum(1))

    def mixed(self, logits: Tensor, sums: Tensor, squares: Tensor) -> Tensor:
        """Return the logits of recurrence and wide path together, `[B, C]`, from sums over the text.

        Args:
            logits: Logits of the recurrence, shape `[B, C]`.
            sums: First tensor that [`parts`] returns, summed over the text, shape `[B, C]`.
            squares: Second tensor that [`parts`] returns, summed over the text, shape `[B]`.
        """
        wide = (sums / _norm(squares) + self.bias) / self.config.temperature
        return (logits * self.recurrent_weight + wide).to(logits.dtype)

    def parts(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, seen: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Sum the weights and the squared scales of the known n-grams that end at each token.

        Args:
            input_ids: Same as in [`forward`].
            attention_mask: Same as in [`forward`].
            seen: Same as in [`found`].

        Returns:
            Sums of weights `[B, T, C]` and sums of squared scales `[B, T]`. The tokens of each row come first, then
            zeros for padding.
        """
        sums = self._zeros(*input_ids.shape)
        squares = sums.new_zeros(input_ids.shape)
        for places, known in self.found(input_ids, attention_mask, seen):
            sums = sums + self.weight[places] * known.unsqueeze(-1)
            squares = squares + self.scale[places].to(sums.dtype).square() * known
        return sums, squares

    def totals_of_long(self, input_ids: Tensor, window: int) -> tuple[Tensor, Tensor]:
        """Return what [`parts`] returns, summed over a long text, `[1, C]` and `[1]`, in the memory of one window.

        Args:
            input_ids: Token ids of one text without padding, shape `[1, T]`.
            window: Window size in tokens.
        """
        sums = self._zeros(1)
        squares, seen = sums.new_zeros(1), self.nothing_seen(1)
        for start in range(0, input_ids.shape[1], window):
            # N-grams at the start of a window begin in the preceding one.
            context = min(start, self.order - 1)
            more, squared = self.parts(input_ids[:, start - context : start + window], seen=seen)
            sums, squares = sums + more[:, context:].sum(1), squares + squared[:, context:].sum(1)
        return sums, squares

    def nothing_seen(self, batch_size: int) -> Tensor | None:
        """Return `seen` of [`found`] at the beginning of texts; None if repeated n-grams count.

        Args:
            batch_size: Number of texts, B.
        """
        return self.keys.new_zeros(batch_size, self.num_ngrams + 1, dtype=torch.bool) if self.binary else None

    def found(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, seen: Tensor | None = None
    ) -> list[tuple[Tensor, Tensor]]:
        """Look up the n-grams that end at each token.

        Args:
            input_ids: Same as in [`forward`].
            attention_mask: Same as in [`forward`].
            seen: With `wide_binary`, the n-grams of the preceding parts of the texts, from [`nothing_seen`]; those of
                this part are added in place. None for whole texts.

        Returns:
            One pair for each n-gram length from 1 on: row indices in `weight`, `[B, T]`, and a mask of the known
            n-grams, `[B, T]`; with `wide_binary`, of their first occurrences. The tokens of each row come first, then
            padding.
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
                # Each n-gram extends the shorter one that ends at the preceding token.
                keys = torch.cat([torch.zeros_like(keys[:, :1]), keys[:, :-1]], dim=1)
            keys = longer_keys(keys, ids)
            places = self._place(keys)
            known = (self.keys[places] == keys) & real & (time >= order - 1)
            found.append((places, self._first(places, known, seen) if self.binary else known))
        return found

    def _first(self, places: Tensor, known: Tensor, seen: Tensor | None) -> Tensor:
        """Return the mask of the first occurrences of known n-grams, `[B, T]`; mark them in `seen`."""
        places = torch.where(known, places, self.num_ngrams)
        T = places.shape[1]
        # The position is a part of the sorted numbers: exported graphs have no stable sort.
        ordered = (places * T + torch.arange(T, device=places.device)).sort(1).values
        ordered_places, times = ordered // T, ordered % T
        new = torch.ones_like(known)
        new = torch.cat([new[:, :1], ordered_places[:, 1:] != ordered_places[:, :-1]], dim=1)
        first = torch.zeros_like(known).scatter(1, times, new) & known
        if seen is not None:
            first = first & ~seen.gather(1, places)
            seen.scatter_(1, places, torch.ones_like(known))
        return first

    def token_scores(self, input_ids: Tensor) -> Tensor:
        """Return the contribution of each token of a text to each logit, `[T, C]`.

        The score of an n-gram is split equally among its tokens. The contributions sum to the wide path's logits
        without the bias.

        Args:
            input_ids: Token ids of one text without padding, shape `[1, T]`.
        """
        # With `wide_binary`, the first occurrence of an n-gram has its whole score.
        scores = self._zeros(input_ids.shape[1])
        _, squares = self.parts(input_ids)
        for order, (places, known) in enumerate(self.found(input_ids), 1):
            shares = self.weight[places[0]] * known[0].unsqueeze(-1) / order
            for back in range(order):
                scores[: len(scores) - back] += shares[back:]
        return scores / _norm(squares.sum(1)) / self.config.temperature

    def _zeros(self, *shape: int) -> Tensor:
        """Return zeros `[…, C]` to sum scores in, in float32 even if the weights are in half precision."""
        dtype = torch.promote_types(self.weight.dtype, torch.float)
        return self.weight.new_zeros(*shape, self.weight.shape[1], dtype=dtype)

    def _place(self, keys: Tensor) -> Tensor:
        """Return the index at which each key would be inserted into the sorted `keys`, at most the last index."""
        last = self.num_ngrams - 1
        if not is_traced():
            return torch.searchsorted(self.keys, keys).clamp_max(last)
        # Bisection, since exporters do not support `searchsorted`.
        low, high = torch.zeros_like(keys), torch.full_like(keys, last)
        for _ in range(max(last, 1).bit_length()):
            middle = (low + high) // 2
            less = self.keys[middle] < keys
            low, high = torch.where(less, middle + 1, low).clamp_max(last), torch.where(less, high, middle)
        return low


def _norm(squares: Tensor) -> Tensor:
    """Return the norms of texts, `[B, 1]`, from their sums of squared scales; above 0 even without known n-grams."""
    return squares.clamp_min(1e-12).sqrt().unsqueeze(-1)


__all__ = ["BASE", "PRIME", "WidePath", "longer_keys"]
