# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Recurrent decoder with attention over the encoder's outputs.

Shapes: B batch, T target positions, S source positions, E embedding, H hidden, M width of the encoder's outputs, L
layers.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .configuration_rnn import RNNConfig
from .recurrence import Recurrence, RecurrentState, locked_dropout


class Memory(NamedTuple):
    """Encoder outputs, prepared for attention."""

    values: Tensor  # [B, S, M], the encoder's outputs
    keys: Tensor  # [B, S, H]
    valid: Tensor | None  # [B, S] bool, True on tokens; None if there is no padding


class DecoderState(NamedTuple):
    """State of a decoder after a token."""

    h: Tensor  # [L, B, H]
    c: Tensor | None  # [L, B, H], the LSTM's; None for a cell without cell state
    attended: Tensor  # [B, E], the last attentional vector, which input feeding reads
    covered: Tensor  # [B, S], the sum of all attention so far


class Attention(nn.Module):
    r"""Attention: a distribution over source positions, and the mean of the encoder's outputs weighted by it.

    The score of position s for the query h is vᵀ tanh(W h + U m_s) (`"additive"`, Bahdanau et al. 2015) or
    hᵀ U m_s / √H (`"multiplicative"`, Luong et al. 2015; scaled as in Vaswani et al. 2017). With coverage (Tu et al.
    2016, See et al. 2017), the sum of a position's attention so far is one more input of its score.

    Args:
        config: Configuration; `attention_type` and `coverage` select the score.
    """

    def __init__(self, config: RNNConfig):
        super().__init__()
        H, M = config.hidden_size, config.output_size
        self.additive = config.attention_type == "additive"
        self.key = nn.Linear(M, H, bias=False)
        self.query = nn.Linear(H, H) if self.additive else None
        self.energy = nn.Linear(H, 1, bias=False) if self.additive else None
        self.coverage = nn.Linear(1, H if self.additive else 1, bias=False) if config.coverage else None

    def memory(self, values: Tensor, valid: Tensor | None) -> Memory:
        """Prepare the encoder's outputs for attention.

        Args:
            values: Outputs of the encoder, shape `[B, S, M]`.
            valid: Mask, shape `[B, S]`, bool, True on tokens; None: no padding.
        """
        return Memory(values, self.key(values), valid)

    def forward(self, query: Tensor, memory: Memory, covered: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compute the attention of each query, and the mean of the encoder's outputs weighted by it.

        Args:
            query: Queries, shape `[B, T, H]`.
            memory: Memory, as [`memory`] returns it.
            covered: Sum of all attention so far, shape `[B, S]`; required with coverage, where T is 1.

        Returns:
            The means `[B, T, M]` and the distributions `[B, T, S]`; zeros for a source text without tokens.
        """
        so_far = None
        if self.coverage is not None:
            assert covered is not None
            so_far = self.coverage(covered.unsqueeze(-1))
        if self.query is not None and self.energy is not None:
            inner = self.query(query).unsqueeze(2) + memory.keys.unsqueeze(1)
            if so_far is not None:
                inner = inner + so_far.unsqueeze(1)
            scores = self.energy(inner.tanh()).squeeze(-1)
        else:
            # Not `.mT`, which torch's older exporter of ONNX graphs does not support.
            scores = query @ memory.keys.transpose(1, 2) * query.shape[-1] ** -0.5
            if so_far is not None:
                scores = scores + so_far.transpose(1, 2)
        if memory.valid is not None:
            scores = scores.masked_fill(~memory.valid.unsqueeze(1), torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1)
        if memory.valid is not None:
            # In a row without tokens, softmax gives every padding position the same weight.
            weights = weights * memory.valid.unsqueeze(1)
        return weights @ memory.values, weights


class AttentionDecoder(nn.Module):
    """Decoder: a recurrent stack over the target text, with [`Attention`] over the source text.

    The output h_t after each token is the query of attention, which returns a context c_t. The attentional vector is
    tanh(W [h_t; c_t]), of width E (Luong et al. 2015). With input feeding, the next step reads this vector together
    with the next token.

    Without input feeding, the stack reads all tokens in one call of the fused kernel. Without coverage, attention is
    also computed for all tokens at once. Otherwise the decoder loops over time.

    Args:
        config: Configuration of the model.
    """

    def __init__(self, config: RNNConfig):
        super().__init__()
        E, H, M = config.embedding_size, config.hidden_size, config.output_size
        self.input_feeding, self.coverage = config.input_feeding, config.coverage > 0
        self.recurrence = Recurrence(
            config.cell_type,
            2 * E if self.input_feeding else E,
            H,
            num_layers=config.num_hidden_layers,
            hidden_dropout=config.hidden_dropout,
            weight_dropout=config.weight_dropout,
        )
        self.begin_h = nn.Linear(M, H)
        self.begin_c = nn.Linear(M, H) if self.recurrence.cell.has_cell_state else None
        self.attention = Attention(config)
        self.combine = nn.Linear(H + M, E)

    def begin(self, final_h: Tensor, final_c: Tensor | None, memory: Memory) -> DecoderState:
        """Return the state before the first token.

        Args:
            final_h: Final hidden states of the encoder's layers, shape `[B, L, M]`.
            final_c: Final cell states of the encoder's layers, shape `[B, L, M]`; None for a cell without cell state.
            memory: Memory, as `attention.memory` returns it.
        """
        h = self.begin_h(final_h).tanh().transpose(0, 1)
        c = None if self.begin_c is None else self.begin_c(final_c).tanh().transpose(0, 1)
        B, S = memory.values.shape[:2]
        return DecoderState(h, c, h.new_zeros(B, self.combine.out_features), h.new_zeros(B, S))

    def forward(
        self, x: Tensor, memory: Memory, state: DecoderState, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...], DecoderState]:
        """Read tokens of the target text.

        Args:
            x: Embedded tokens, shape `[B, T, E]`.
            memory: Memory, as `attention.memory` returns it.
            state: State from [`begin`], or the state that was returned for the preceding tokens.
            mask: Mask, shape `[B, T]`, non-zero on tokens; None: no padding. Padding leaves the state unchanged.

        Returns:
            The attentional vectors `[B, T, E]`, the attention `[B, T, S]`, the outputs of each layer `[B, T, H]`, and
            the state after the last token.
        """
        if self.input_feeding:
            return self._step_by_step(x, memory, state, mask)
        outputs, final = self.recurrence(x, mask, RecurrentState(state.h, state.c))
        covered = state.covered
        if self.coverage:
            found = []
            for t in range(x.shape[1]):
                looked = self.attention(outputs[-1][:, t : t + 1], memory, covered)
                found.append(looked)
                covered = covered + (looked[1] if mask is None else looked[1] * (mask[:, t, None, None] != 0))[:, 0]
            context, weights = (torch.cat(part, dim=1) for part in zip(*found, strict=True))
        else:
            context, weights = self.attention(outputs[-1], memory)
        attended = self.combine(torch.cat([outputs[-1], context], dim=-1)).tanh()
        return attended, weights, outputs, DecoderState(final.h, final.c, state.attended, covered)

    def _step_by_step(
        self, x: Tensor, memory: Memory, state: DecoderState, mask: Tensor | None
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...], DecoderState]:
        """Compute what [`forward`] returns, with input feeding.

        Dropout masks, of weights and between layers, are the same in all steps. The tokens' part of the gates is
        computed for all steps at once.

        Raises:
            ValueError: There is an adapter around the recurrence, which would have no effect here.
        """
        recurrence, (B, T, E) = self.recurrence, x.shape
        if not isinstance(recurrence, Recurrence):
            raise ValueError(
                f"decoder.recurrence is wrapped in a {type(recurrence).__name__}, which acts only when the layer is "
                "called. A decoder with input_feeding=True reads its weights without a call: adapt only the encoder, "
                "target_parameters=['model.recurrence.weight_hh_l0'], or train a decoder with input_feeding=False."
            )
        cell = recurrence.cell
        first, *upper = [recurrence.dropped_weights(layer)[0] for layer in range(recurrence.num_layers)]
        w_x, w_fed = first[0].split(E, dim=1)
        from_tokens = F.linear(x, w_x, first[2])
        ones = x.new_ones(B, 1, recurrence.hidden_size)
        between = [locked_dropout(ones, recurrence.hidden_dropout, self.training)[:, 0] for _ in upper]
        hs: list[Tensor] = list(state.h)
        cs: list[Tensor | None] = [None] * len(hs) if state.c is None else list(state.c)
        attended, covered = state.attended, state.covered
        found = []
        for t in range(T):
            held = None if mask is None else mask[:, t, None] == 0
            before = (hs, cs, attended)
            gates = F.linear(attended, w_fed) + from_tokens[:, t]
            hs, cs = [], []
            for layer, weights in enumerate([first, *upper]):
                if layer:
                    gates = F.linear(hs[-1] * between[layer - 1], weights[0], weights[2])
                h, c = cell.step(gates, before[0][layer], before[1][layer], weights[1], weights[3])
                hs.append(h)
                cs.append(c)
            context, weights = self.attention(hs[-1].unsqueeze(1), memory, covered)
            attended = self.combine(torch.cat([hs[-1], context.squeeze(1)], dim=-1)).tanh()
            if held is not None:
                hs = [torch.where(held, *pair) for pair in zip(before[0], hs, strict=True)]
                cs = [
                    None if b is None or c is None else torch.where(held, b, c)
                    for b, c in zip(before[1], cs, strict=True)
                ]
                weights, attended = weights.masked_fill(held.unsqueeze(1), 0), torch.where(held, before[2], attended)
            covered = covered + weights.squeeze(1)
            found.append((attended, weights.squeeze(1), *hs))
        vectors, shares, *outputs = (torch.stack(part, dim=1) for part in zip(*found, strict=True))
        cell_states = [c for c in cs if c is not None]
        final = DecoderState(
            torch.stack(hs), torch.stack(cell_states) if cell.has_cell_state else None, attended, covered
        )
        return vectors, shares, tuple(outputs), final


__all__ = ["AttentionDecoder", "DecoderState", "Memory"]
