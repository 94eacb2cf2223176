"""Tests of the attention decoder against its equations, row by row and position by position."""

from itertools import product

import pytest
import torch

from hf_rnn import RNNConfig
from hf_rnn.models.attention import AttentionDecoder, DecoderState, Memory
from hf_rnn.models.cells import CELLS
from hf_rnn.reference import naive_decoder

B, T, S, E, H, L = 3, 5, 6, 4, 3, 2


def make(**fields) -> tuple[AttentionDecoder, dict]:
    torch.manual_seed(0)
    config = RNNConfig(vocab_size=9, embedding_size=E, hidden_size=H, num_hidden_layers=L, bidirectional=True, **fields)
    decoder = AttentionDecoder(config).double().eval()
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    read = {
        "x": torch.randn(B, T, E, dtype=torch.double),
        "values": torch.randn(B, S, 2 * H, dtype=torch.double),
        "valid": torch.tensor([[1] * S, [1, 1, 0, 0, 0, 0], [0, 1, 0, 1, 1, 1]]).bool(),
        "mask": torch.tensor([[1] * T, [1, 1, 1, 0, 0], [0, 0, 1, 1, 1]]),
    }
    c = torch.randn(L, B, H, dtype=torch.double) if CELLS[config.cell_type].has_cell_state else None
    h = torch.randn(L, B, H, dtype=torch.double)
    attended, covered = torch.randn(B, E, dtype=torch.double), torch.rand(B, S, dtype=torch.double)
    return decoder, {**read, "state": DecoderState(h, c, attended, covered)}


def fast(decoder, x, values, valid, state, mask):
    attended, weights, _, after = decoder(x, decoder.attention.memory(values, valid), state, mask)
    return attended, weights, after


@pytest.mark.parametrize(
    ("cell_type", "attention_type", "input_feeding", "coverage"),
    [*product(CELLS, ["multiplicative", "additive"], [False, True], [0.0, 1.0])],
)
def test_it_computes_what_its_equations_say(cell_type, attention_type, input_feeding, coverage):
    fields = {"attention_type": attention_type, "input_feeding": input_feeding, "coverage": coverage}
    decoder, read = make(cell_type=cell_type, **fields)
    tokens = read["mask"].bool()
    found, gradients = [], []
    for compute in (fast, naive_decoder):
        inputs = {**read, "x": read["x"].clone().requires_grad_(), "values": read["values"].clone().requires_grad_()}
        attended, weights, after = compute(decoder, **inputs)
        parts = [attended[tokens], weights[tokens], after.h, *([] if after.c is None else [after.c])]
        parts += [after.attended] if input_feeding else []
        parts += [after.covered] if coverage else []
        found.append([part.detach() for part in parts])
        loss = sum((part * torch.arange(part.numel()).view_as(part).cos()).sum() for part in parts)
        wanted = [inputs["x"], inputs["values"], *decoder.parameters()]
        gradients.append(torch.autograd.grad(loss, wanted, allow_unused=True))
    for ours, naive in zip(*found, strict=True):
        torch.testing.assert_close(ours, naive)
    for ours, naive in zip(*gradients, strict=True):
        assert (ours is None) == (naive is None)
        if ours is not None:
            torch.testing.assert_close(ours, naive)


@pytest.mark.parametrize("input_feeding", [False, True])
@pytest.mark.parametrize("coverage", [0.0, 1.0])
def test_piece_by_piece_it_writes_what_it_writes_at_once(input_feeding, coverage):
    decoder, read = make(input_feeding=input_feeding, coverage=coverage)
    memory = decoder.attention.memory(read["values"], read["valid"])
    whole, weights, *_, end = decoder(read["x"], memory, read["state"])
    state, found = read["state"], []
    for t in range(T):
        *parts, _, state = decoder(read["x"][:, t : t + 1], memory, state)
        found.append(parts)
    torch.testing.assert_close(torch.cat([part[0] for part in found], dim=1), whole)
    torch.testing.assert_close(torch.cat([part[1] for part in found], dim=1), weights)
    torch.testing.assert_close(state.h, end.h)


def test_attention_adds_up_to_one_where_there_is_something_to_look_at():
    decoder, read = make()
    valid = read["valid"].clone()
    valid[1] = False
    memory = decoder.attention.memory(read["values"], valid)
    attended, weights, *_ = decoder(read["x"], memory, read["state"])
    torch.testing.assert_close(weights.sum(-1), torch.tensor([[1.0] * T, [0.0] * T, [1.0] * T]).double())
    assert (weights[~valid.unsqueeze(1).expand_as(weights)] == 0).all()
    assert attended.isfinite().all()


def test_what_stands_in_padding_is_not_read():
    decoder, read = make()
    found = []
    for filling in (0.0, 7.0):
        values = read["values"].masked_fill(~read["valid"].unsqueeze(-1), filling)
        memory = Memory(values, decoder.attention.key(values), read["valid"])
        found.append(decoder(read["x"], memory, read["state"])[0])
    torch.testing.assert_close(*found)
