"""Tests of the fast path against the equations and against torch's packed sequences."""

import itertools

import pytest
import torch
from support.recurrence import EXACT, assert_close, make_mask, make_state, outputs_and_gradients
from torch import nn

from hf_rnn.models import recurrence as recurrence_module
from hf_rnn.models import recurrence_cpu
from hf_rnn.models.cells import CELLS
from hf_rnn.models.recurrence import Recurrence, RecurrentState, locked_dropout
from hf_rnn.reference import naive_recurrence


@pytest.mark.parametrize("T", [0, 1, 63, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["none", "right", "left", "scattered"])
@pytest.mark.parametrize("L", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell_type", CELLS)
def test_equals_the_naive_reference(cell_type, bidirectional, L, kind, T):
    torch.manual_seed(T)
    recurrence = Recurrence(cell_type, 3, 4, L, bidirectional).double()
    if cell_type == "rnn_relu":
        # The activations are unbounded and grow over a thousand steps. Contracting weights prevent this.
        with torch.no_grad():
            for parameter in recurrence.parameters():
                parameter.mul_(0.7)
    inputs = torch.randn(3, T, 3, dtype=torch.float64, requires_grad=True)
    mask, state = make_mask(kind, 3, T), make_state(recurrence, 3)
    actual = outputs_and_gradients(recurrence, recurrence, inputs, mask, state)

    def naive(inputs, mask, state):
        return naive_recurrence(recurrence, inputs, mask, state)

    expected = outputs_and_gradients(naive, recurrence, inputs, mask, state)
    assert_close(actual[0], expected[0])
    assert_close(actual[1], expected[1])
    with torch.no_grad():  # GRU and plain RNN take another path without gradients
        outputs, final = recurrence(inputs, mask, state)
    assert_close([*outputs, *(part for part in final if part is not None)], expected[0])


@pytest.mark.parametrize(("cell_type", "bidirectional", "L"), list(itertools.product(CELLS, [False, True], [1, 2])))
def test_equals_torch_over_packed_sequences_from_its_own_state_dict(cell_type, bidirectional, L):
    options = {"num_layers": L, "batch_first": True, "bidirectional": bidirectional}
    torch_class = {"lstm": nn.LSTM, "gru": nn.GRU}.get(cell_type, nn.RNN)
    if torch_class is nn.RNN:
        options["nonlinearity"] = cell_type.removeprefix("rnn_")
    theirs = torch_class(5, 6, **options).double()
    ours = Recurrence(cell_type, 5, 6, L, bidirectional).double()
    ours.load_state_dict(theirs.state_dict())
    inputs = torch.randn(4, 9, 5, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([9, 4, 1, 7])

    def packed(inputs, mask, state):
        rows = nn.utils.rnn.pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        outputs, final = theirs(rows)
        outputs, _ = nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)
        h, c = final if cell_type == "lstm" else (final, None)
        return (outputs,), RecurrentState(h, c)

    def top(inputs, mask, state):
        outputs, final = ours(inputs, mask, state)
        return outputs[-1:], final

    mask = torch.arange(9) < lengths[:, None]
    actual = outputs_and_gradients(top, ours, inputs, mask, None)
    expected = outputs_and_gradients(packed, theirs, inputs, mask, None)
    assert_close(actual[0], expected[0])
    assert_close(actual[1], expected[1])


@pytest.mark.parametrize("cell_type", CELLS)
@pytest.mark.parametrize("kind", ["right", "left", "scattered"])
def test_a_row_alone_equals_the_row_in_a_batch(cell_type, kind):
    recurrence = Recurrence(cell_type, 5, 6, 2, bidirectional=True).double()
    inputs = torch.randn(6, 11, 5, dtype=torch.float64)
    mask = make_mask(kind, 6, 11)
    outputs, final = recurrence(inputs, mask)
    for row in range(6):
        alone, alone_final = recurrence(inputs[row, mask[row]][None])
        torch.testing.assert_close(outputs[-1][row, mask[row]], alone[-1][0], rtol=EXACT, atol=EXACT)
        torch.testing.assert_close(final.h[:, row], alone_final.h[:, 0], rtol=EXACT, atol=EXACT)
        if cell_type == "lstm":
            torch.testing.assert_close(final.c[:, row], alone_final.c[:, 0], rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("cell_type", CELLS)
@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 1e30])
def test_what_stands_in_padding_reaches_nothing(cell_type, poison):
    recurrence = Recurrence(cell_type, 5, 6, 2, bidirectional=True)
    mask = make_mask("scattered", 4, 9)
    clean = torch.randn(4, 9, 5)
    poisoned = torch.where(mask[..., None], clean, poison).requires_grad_()
    outputs, final = recurrence(poisoned, mask)
    expected, expected_final = recurrence(clean, mask)
    assert torch.equal(outputs[-1], expected[-1])
    assert torch.equal(final.h, expected_final.h)
    (outputs[-1].sum() + sum(part.sum() for part in final if part is not None)).backward()
    gradients = [poisoned.grad, *(p.grad for p in recurrence.parameters())]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert not poisoned.grad[~mask].any()


def test_padded_places_hold_zeros_and_an_empty_row_keeps_its_state():
    recurrence = Recurrence("lstm", 5, 6, 2, bidirectional=True)
    mask = torch.tensor([[1, 1, 0], [0, 0, 0]])
    state = RecurrentState(torch.randn(4, 2, 6), torch.randn(4, 2, 6))
    outputs, final = recurrence(torch.randn(2, 3, 5), mask, state)
    assert not outputs[-1][0, 2].any()
    assert not outputs[-1][1].any()
    assert torch.equal(final.h[:, 1], state.h[:, 1])
    assert torch.equal(final.c[:, 1], state.c[:, 1])


def test_reading_in_two_pieces_equals_reading_at_once():
    recurrence = Recurrence("lstm", 5, 6, 2).double()
    inputs = torch.randn(3, 10, 5, dtype=torch.float64)
    whole, end = recurrence(inputs)
    first, state = recurrence(inputs[:, :4])
    second, final = recurrence(inputs[:, 4:], state=state)
    torch.testing.assert_close(torch.cat([first[-1], second[-1]], 1), whole[-1], rtol=EXACT, atol=EXACT)
    torch.testing.assert_close(final.c, end.c, rtol=EXACT, atol=EXACT)


def test_the_fused_kernel_is_what_runs(monkeypatch):
    calls = []
    lstm = torch._VF.lstm
    monkeypatch.setattr(torch._VF, "lstm", lambda *args: calls.append(args[0].shape) or lstm(*args))
    mask = make_mask("right", 4, 9)
    Recurrence("lstm", 5, 6, 2, bidirectional=True)(torch.randn(4, 9, 5), mask, output_cell_state=False)
    assert calls == [(4, 9, 5), (4, 9, 5), (4, 9, 12), (4, 9, 12)]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (RecurrentState(torch.zeros(1, 5, 6), torch.zeros(1, 5, 6)), r"\(1, 5, 6\), expected .* \(1, 2, 6\)"),
        (RecurrentState(torch.zeros(1, 2, 6)), r"state of a lstm is \(h, c\)"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(state, message):
    with pytest.raises(ValueError, match=message):
        Recurrence("lstm", 5, 6)(torch.zeros(2, 3, 5), state=state)


def test_locked_dropout_is_the_same_at_each_step_and_keeps_the_mean():
    x = torch.ones(200, 7, 50)
    dropped = locked_dropout(x, 0.4, training=True)
    assert torch.equal(dropped, dropped[:, :1].expand_as(x))
    assert dropped.mean().item() == pytest.approx(1, abs=0.03)
    assert locked_dropout(x, 0.4, training=False) is x


def test_weight_dropout_acts_on_the_recurrent_matrices_in_training_only():
    recurrence = Recurrence("lstm", 5, 6, weight_dropout=0.5)
    one_step, many = torch.randn(2, 1, 5), torch.randn(2, 8, 5)
    # From a zero state, the first step does not depend on the hidden-to-hidden matrix.
    assert torch.equal(recurrence(one_step)[0][0], recurrence(one_step)[0][0])
    assert not torch.equal(recurrence(many)[0][0], recurrence(many)[0][0])
    recurrence.eval()
    assert torch.equal(recurrence(many)[0][0], recurrence(many)[0][0])


def test_dropout_between_layers_does_not_touch_the_outputs_of_the_top_layer():
    recurrence = Recurrence("gru", 5, 6, 2, hidden_dropout=0.5)
    outputs, _ = recurrence(torch.randn(2, 8, 5))
    again, _ = recurrence(torch.randn(2, 8, 5))
    assert outputs[-1].ne(0).all()
    assert not torch.equal(outputs[1], again[1])


# GRU and plain RNN in training on a CPU ------------------------------------------------------------------------------


@pytest.fixture
def by_hand(monkeypatch):
    """Return a list that records each call of our own loop over time."""
    calls = []

    def spy(cell_pass, *arguments):
        calls.append(cell_pass)
        return recurrence_cpu.through_time(cell_pass, *arguments)

    monkeypatch.setattr(recurrence_module, "through_time", spy)
    return calls


@pytest.mark.parametrize("cell_type", CELLS)
def test_which_cells_are_run_by_hand(cell_type, by_hand):
    recurrence = Recurrence(cell_type, 3, 4, 2, bidirectional=True)
    x = torch.randn(2, 5, 3)
    with torch.no_grad():
        recurrence(x)
    assert by_hand == []
    recurrence(x)
    assert by_hand == ([] if cell_type == "lstm" else [CELLS[cell_type].cpu_pass] * 2)


@pytest.mark.parametrize("block", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell_type", ["gru", "rnn_tanh", "rnn_relu"])
def test_blocks_of_any_number_of_steps_give_the_same(cell_type, bidirectional, block, by_hand, monkeypatch):
    recurrence = Recurrence(cell_type, 3, 4, 2, bidirectional).double()
    gates = {"gru": 3}.get(cell_type, 1)
    monkeypatch.setattr(
        recurrence_cpu, "CACHE", block * gates * 4 * 3 * 8 * recurrence.num_directions
    )  # gates x H x B x bytes of a number
    inputs = torch.randn(3, 7, 3, dtype=torch.float64, requires_grad=True)
    mask, state = make_mask("right", 3, 7), make_state(recurrence, 3)
    actual = outputs_and_gradients(recurrence, recurrence, inputs, mask, state)
    expected = outputs_and_gradients(
        lambda *arguments: naive_recurrence(recurrence, *arguments), recurrence, inputs, mask, state
    )
    assert_close(actual[0], expected[0])
    assert_close(actual[1], expected[1])
    assert len(by_hand) == 2


@pytest.mark.parametrize("cell_type", ["gru", "rnn_tanh", "rnn_relu"])
def test_the_backward_pass_may_run_twice_over_one_graph(cell_type, by_hand):
    recurrence = Recurrence(cell_type, 3, 4)
    x = torch.randn(2, 5, 3, requires_grad=True)
    loss = recurrence(x)[0][0].sum()
    first = torch.autograd.grad(loss, [x, *recurrence.parameters()], retain_graph=True)
    assert_close(torch.autograd.grad(loss, [x, *recurrence.parameters()]), first)
    assert by_hand


@pytest.mark.parametrize("cell_type", ["gru", "rnn_tanh"])
def test_frozen_weights_and_frozen_inputs(cell_type, by_hand):
    recurrence = Recurrence(cell_type, 3, 4)
    x = torch.randn(2, 5, 3, requires_grad=True)
    weights, (of_x, *_) = (
        list(recurrence.parameters()),
        torch.autograd.grad(recurrence(x)[0][0].sum(), [x, *recurrence.parameters()]),
    )
    of_weights = torch.autograd.grad(recurrence(x.detach())[0][0].sum(), weights)
    recurrence.requires_grad_(False)
    assert_close(torch.autograd.grad(recurrence(x)[0][0].sum(), [x]), [of_x])
    recurrence.requires_grad_(True)
    assert_close(of_weights, torch.autograd.grad(recurrence(x)[0][0].sum(), weights))


@pytest.mark.parametrize("cell_type", ["gru", "rnn_tanh", "rnn_relu"])
def test_by_hand_under_autocast_stays_near_full_precision(cell_type, by_hand):
    torch.manual_seed(0)
    recurrence = Recurrence(cell_type, 16, 16, bidirectional=True)
    x, mask = torch.randn(4, 50, 16), make_mask("right", 4, 50)

    def run():
        out = recurrence(x, mask)[0][0]
        return [out.detach(), *torch.autograd.grad(out.float().mean(), list(recurrence.parameters()))]

    expected = run()
    with torch.autocast("cpu", torch.bfloat16):
        actual = run()
    assert actual[0].dtype == torch.bfloat16
    assert all(part.dtype == torch.float32 for part in actual[1:])
    for a, e in zip(actual, expected, strict=True):
        assert (a - e).norm() < 0.05 * e.norm()
    assert len(by_hand) == 2


def test_a_second_derivative_is_refused_in_words():
    recurrence = Recurrence("gru", 3, 4)
    x = torch.randn(2, 5, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="create_graph=True"):
        torch.autograd.grad(recurrence(x)[0][0].sum(), [x], create_graph=True)


# torch's forward-mode differentiation itself uses a function that torch deprecates.
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell_type", CELLS)
def test_transforms_of_functions_reach_through_padding(cell_type, bidirectional):
    recurrence = Recurrence(cell_type, 3, 4, 1, bidirectional).double()
    x = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1]])

    def total(x):
        return recurrence(x, mask)[0][0].sum()

    (plain,) = torch.autograd.grad(total(x), [x])
    torch.testing.assert_close(torch.func.grad(total)(x.detach()), plain)
    _, slope = torch.func.jvp(total, (x.detach(),), (torch.ones_like(x),))
    torch.testing.assert_close(slope, plain.sum())


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\[2, 9\].*\[B, T\] = \[2, 5\]"):
        Recurrence("lstm", 3, 4)(torch.randn(2, 5, 3), torch.ones(2, 9))


def test_transforms_of_functions_and_second_derivatives_get_torchs_own_kernel(by_hand, monkeypatch):
    recurrence = Recurrence("gru", 3, 4)
    x = torch.randn(2, 5, 3)
    plain = torch.autograd.grad(recurrence(leaf := x.clone().requires_grad_())[0][0].sum(), [leaf])[0]
    assert len(by_hand) == 1
    transformed = torch.func.grad(lambda x: recurrence(x)[0][0].sum())(x)
    torch.testing.assert_close(transformed, plain)
    monkeypatch.setattr(recurrence_cpu, "ENABLED", False)
    (first,) = torch.autograd.grad(recurrence(leaf)[0][0].sum(), [leaf], create_graph=True)
    first.sum().backward()
    assert len(by_hand) == 1
    assert recurrence.weight_hh_l0.grad.abs().sum() > 0
