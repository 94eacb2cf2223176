"""Tests of the registry of cells: a new entry works everywhere, and an unknown name is an error."""

import pytest
import torch
import torch.nn.functional as F
from huggingface_hub.errors import StrictDataclassError
from support.recurrence import assert_close, make_mask, make_state, outputs_and_gradients
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from hf_rnn import RNNConfig, RNNForConditionalGeneration, RNNForSequenceClassification, measure_gradient_flow
from hf_rnn.hub.card_model import architecture_table
from hf_rnn.interpret.gradient_flow import verdict
from hf_rnn.models.attention import AttentionDecoder
from hf_rnn.models.cells import CELLS, Cell
from hf_rnn.models.recurrence import Recurrence
from hf_rnn.reference import naive_recurrence

# Examples of cells that torch has no kernel for -------------------------------------------------------------------


def mgu_step(from_x: Tensor, h: Tensor, c: None, w_hh: Tensor, b_hh: Tensor) -> tuple[Tensor, None]:
    """Compute one step of the minimal gated unit (Zhou et al. 2016)."""
    (x_f, x_n), (u_f, u_n), (b_f, b_n) = from_x.chunk(2, dim=-1), w_hh.chunk(2), b_hh.chunk(2)
    f = (x_f + F.linear(h, u_f, b_f)).sigmoid()
    n = (x_n + F.linear(f * h, u_n, b_n)).tanh()
    return (1 - f) * h + f * n, None


def leaky_lstm_step(from_x: Tensor, h: Tensor, c: Tensor, w_hh: Tensor, b_hh: Tensor) -> tuple[Tensor, Tensor]:
    """Compute one step of an LSTM whose input and forget gates add up to one, without an output gate."""
    f, g = (from_x + F.linear(h, w_hh, b_hh)).chunk(2, dim=-1)
    c = f.sigmoid() * c + (1 - f.sigmoid()) * g.tanh()
    return c.tanh(), c


NEW = {
    "mgu": Cell("mgu", "minimal gated unit", mgu_step, blocks=("forget", "new"), gates=("forget",)),
    "leaky_lstm": Cell(
        "leaky_lstm",
        "leaky LSTM",
        leaky_lstm_step,
        blocks=("forget", "cell"),
        gates=("forget",),
        bias_fields={"forget": "forget_gate_bias"},
        has_cell_state=True,
    ),
}


@pytest.fixture(params=NEW)
def new_cell(request, monkeypatch) -> Cell:
    monkeypatch.setitem(CELLS, request.param, NEW[request.param])
    return NEW[request.param]


def config(cell: Cell, **fields) -> RNNConfig:
    sizes = {"vocab_size": 30, "embedding_size": 5, "hidden_size": 4, "num_hidden_layers": 2}
    return RNNConfig(cell_type=cell.name, bidirectional=True, **sizes, **fields)


@pytest.mark.parametrize("kind", ["none", "right", "left", "scattered"])
@pytest.mark.parametrize("T", [0, 1, 13])
def test_a_new_cell_equals_its_reference(new_cell, kind, T):
    recurrence = Recurrence(new_cell.name, 3, 4, 2, bidirectional=True).double()
    assert recurrence.weight_hh_l0.shape == (8, 4)
    inputs = torch.randn(3, T, 3, dtype=torch.float64, requires_grad=True)
    mask, state = make_mask(kind, 3, T), make_state(recurrence, 3)
    actual = outputs_and_gradients(recurrence, recurrence, inputs, mask, state)
    expected = outputs_and_gradients(lambda *args: naive_recurrence(recurrence, *args), recurrence, inputs, mask, state)
    assert_close(actual[0], expected[0])
    assert_close(actual[1], expected[1])


def test_a_new_cell_begins_with_the_biases_that_its_entry_names(new_cell):
    model = RNNForSequenceClassification(config(new_cell, forget_gate_bias=2.5))
    begins = 2.5 if new_cell.bias_fields else 0.0
    assert model.model.recurrence.bias_ih_l0.tolist() == [begins] * 4 + [0.0] * 4
    assert not model.model.recurrence.bias_hh_l0.any()


@pytest.mark.parametrize("window", [0, 4])
def test_a_model_of_a_new_cell_learns_and_is_saved_and_loaded(new_cell, window, tmp_path):
    model = RNNForSequenceClassification(config(new_cell, backprop_window=window, num_labels=2))
    ids, labels = torch.randint(1, 30, (8, 9)), torch.arange(8) % 2
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        loss = model(ids, labels=labels).loss
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    model.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    torch.testing.assert_close(loaded(ids).logits, model.eval()(ids).logits)


@pytest.mark.parametrize("input_feeding", [False, True])
def test_a_decoder_of_a_new_cell_writes(new_cell, input_feeding):
    begins = {"decoder_start_token_id": 1, "eos_token_id": 2}
    model = RNNForConditionalGeneration(config(new_cell, input_feeding=input_feeding, **begins)).eval()
    ids, labels = torch.randint(3, 30, (2, 7)), torch.randint(3, 30, (2, 5))
    written = model.generate(ids, max_new_tokens=4, do_sample=False)
    assert written.shape[0] == 2
    model(ids, labels=labels).loss.backward()
    assert all(parameter.grad is not None for parameter in model.decoder.recurrence.parameters())


def test_gradient_flow_and_card_know_a_new_cell(new_cell):
    model = RNNForSequenceClassification(config(new_cell, num_labels=2))
    flow = measure_gradient_flow(model, torch.randint(1, 30, (4, 9)), torch.arange(4) % 2)
    assert list(flow.gates["layer 1"]) == list(new_cell.gates)
    assert list(flow.radius["layer 1"]) == list(new_cell.blocks)
    assert verdict(flow)
    assert ("recurrent layers", f"2 × {new_cell.display_name} of 4, two directions") in architecture_table(model.config)


# Unknown names ----------------------------------------------------------------------------------------------------

SAID = "cell_type='gruu' must be one of lstm, gru, rnn_tanh, rnn_relu: write cell_type='gru'"


def changed_later() -> RNNConfig:
    """Return a configuration with an unknown cell type, set after the configuration checked its fields."""
    changed = RNNConfig(vocab_size=9)
    object.__setattr__(changed, "cell_type", "gruu")
    return changed


def run_changed() -> None:
    recurrence = Recurrence("gru", 3, 4)
    recurrence.layers[0].cell_type = "gruu"
    recurrence(torch.zeros(1, 2, 3))


def naive_changed() -> None:
    recurrence = Recurrence("gru", 3, 4)
    recurrence.cell_type = "gruu"
    naive_recurrence(recurrence, torch.zeros(1, 2, 3))


@pytest.mark.parametrize(
    "use",
    [
        lambda: RNNConfig(cell_type="gruu"),
        lambda: Recurrence("gruu", 3, 4),
        lambda: RNNForSequenceClassification(changed_later()),
        lambda: AttentionDecoder(changed_later()),
        lambda: architecture_table(changed_later()),
        run_changed,
        naive_changed,
    ],
    ids=["configuration", "recurrence", "model", "decoder", "card", "layer", "reference"],
)
def test_an_unknown_cell_is_refused_everywhere(use):
    with pytest.raises((ValueError, StrictDataclassError), match=SAID):
        use()


def test_each_cell_is_listed_under_its_name_and_names_its_gates_among_its_blocks():
    for name, cell in CELLS.items():
        assert cell.name == name
        assert {*cell.gates, *cell.bias_fields} <= {*cell.blocks}
        assert set(cell.bias_fields.values()) <= {*RNNConfig.__annotations__}
