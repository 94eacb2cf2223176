# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Slow reference implementations for tests, as loops over rows, time and positions.

They share the equations in [`hf_rnn.models.cells`] with the models, and no other code. Saved models do not include this
file.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .models.attention import Attention, AttentionDecoder, DecoderState
from .models.recurrence import Recurrence, RecurrentState
from .models.wide_path import BASE, PRIME, WidePath


def naive_recurrence(
    recurrence: Recurrence,
    inputs: Tensor,
    attention_mask: Tensor | None = None,
    state: RecurrentState | None = None,
) -> tuple[tuple[Tensor, ...], RecurrentState]:
    """Compute the outputs of [`Recurrence`], without dropout, in a loop over time.

    A row whose token is padding at a step keeps its state, and its output is zero.

    Args:
        recurrence: Stack of layers with its weights.
        inputs: Same as in [`Recurrence.forward`].
        attention_mask: Same as in [`Recurrence.forward`].
        state: Same as in [`Recurrence.forward`].

    Returns:
        The outputs of each layer and the final state, as [`Recurrence.forward`] returns them.
    """
    B, T, _ = inputs.shape
    L, D, H = recurrence.num_layers, recurrence.num_directions, recurrence.hidden_size
    cell = recurrence.cell
    mask = torch.ones(B, T, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
    if state is None:
        zeros = inputs.new_zeros(L * D, B, H)
        state = RecurrentState(zeros, zeros if cell.has_cell_state else None)
    x = inputs
    outputs, final_h, final_c = [], [], []
    for layer in range(L):
        directions = []
        for direction, (w_ih, w_hh, b_ih, b_hh) in enumerate(recurrence.weights(layer)):
            h = state.h[layer * D + direction]
            c = None if state.c is None else state.c[layer * D + direction]
            out = [inputs.new_zeros(B, H)] * T
            for t in reversed(range(T)) if direction else range(T):
                token = mask[:, t, None].to(inputs.device)
                x_t = torch.where(token, x[:, t], 0)
                new_h, new_c = cell.step(F.linear(x_t, w_ih, b_ih), h, c, w_hh, b_hh)
                h = torch.where(token, new_h, h)
                c = None if c is None else torch.where(token, new_c, c)
                out[t] = torch.where(token, new_h, 0)
            directions.append(torch.stack(out, dim=1) if T else inputs.new_zeros(B, 0, H))
            final_h.append(h)
            final_c.append(c)
        x = torch.cat(directions, dim=-1)
        outputs.append(x)
    c = torch.stack(final_c) if cell.has_cell_state else None
    return tuple(outputs), RecurrentState(torch.stack(final_h), c)


def naive_decoder(
    decoder: AttentionDecoder, x: Tensor, values: Tensor, valid: Tensor, state: DecoderState, mask: Tensor
) -> tuple[Tensor, Tensor, DecoderState]:
    """Compute the outputs of [`AttentionDecoder`], without dropout, in loops over rows, time and positions.

    Args:
        decoder: Decoder with its weights.
        x: Embedded target tokens, `[B, T, E]`.
        values: Outputs of the encoder, `[B, S, M]`.
        valid: Mask of the source tokens, `[B, S]` bool.
        state: Same as in [`AttentionDecoder.forward`].
        mask: Mask of the target tokens, `[B, T]`.

    Returns:
        The attentional vectors `[B, T, E]`, the attention `[B, T, S]` and the state after the last token.
    """
    cell = decoder.recurrence.cell
    vectors, shares, states = [], [], []
    for row in range(len(x)):
        hs = [h[row] for h in state.h]
        cs = [None] * len(hs) if state.c is None else [c[row] for c in state.c]
        attended, covered = state.attended[row], state.covered[row]
        of_row: list[tuple[Tensor, Tensor]] = []
        for t in range(x.shape[1]):
            if not mask[row, t]:
                of_row.append((attended if decoder.input_feeding else torch.zeros_like(attended), covered * 0))
                continue
            below = torch.cat([x[row, t], attended]) if decoder.input_feeding else x[row, t]
            for layer in range(len(hs)):
                ((w_ih, w_hh, b_ih, b_hh),) = decoder.recurrence.weights(layer)
                hs[layer], cs[layer] = cell.step(F.linear(below, w_ih, b_ih), hs[layer], cs[layer], w_hh, b_hh)
                below = hs[layer]
            places = zip(values[row], covered, strict=True)
            scores = [_score(decoder.attention, hs[-1], value, so_far).exp() for value, so_far in places]
            share = torch.stack(scores) * valid[row]
            share = share / share.sum().clamp(min=1e-30)
            context = sum(weight * value for weight, value in zip(share, values[row], strict=True))
            attended = decoder.combine(torch.cat([hs[-1], context])).tanh()
            covered = covered + share
            of_row.append((attended, share))
        vectors.append(torch.stack([vector for vector, _ in of_row]))
        shares.append(torch.stack([share for _, share in of_row]))
        states.append((torch.stack(hs), None if state.c is None else torch.stack(cs), attended, covered))
    h, c, *rest = zip(*states, strict=True)
    end = DecoderState(torch.stack(h, 1), None if state.c is None else torch.stack(c, 1), *map(torch.stack, rest))
    return torch.stack(vectors), torch.stack(shares), end


def _score(attention: Attention, query: Tensor, value: Tensor, covered: Tensor) -> Tensor:
    """Return the attention score of one source position.

    Args:
        attention: Attention with its weights.
        query: Output of the decoder, `[H]`.
        value: Output of the encoder at this position, `[M]`.
        covered: Attention that the position has had so far, a scalar.
    """
    key = attention.key.weight @ value
    if attention.additive:
        inner = attention.query(query) + key
        if attention.coverage is not None:
            inner = inner + attention.coverage.weight[:, 0] * covered
        return inner.tanh() @ attention.energy.weight[0]
    score = query @ key / len(key) ** 0.5
    return score if attention.coverage is None else score + attention.coverage.weight[0, 0] * covered


def naive_wide_path(path: WidePath, ids: list[int]) -> Tensor:
    """Compute the logits `[C]` of the wide path for one text, in a loop over its n-grams.

    Args:
        path: Wide path with its weights.
        ids: Token ids of the text.
    """
    places = {key: place for place, key in enumerate(path.keys.tolist())}
    total, squares, seen = torch.zeros_like(path.bias), 0.0, set()
    for order in range(1, path.order + 1):
        for start in range(len(ids) - order + 1):
            key = 0
            for token in ids[start : start + order]:
                key = (key * BASE + token + 1) % PRIME
            if key in places and not (path.binary and key in seen):
                seen.add(key)
                total = total + path.weight[places[key]]
                squares += float(path.scale[places[key]]) ** 2
    return (path.bias + (total / squares**0.5 if squares else total)) / path.config.temperature


__all__ = ["naive_decoder", "naive_recurrence", "naive_wide_path"]
