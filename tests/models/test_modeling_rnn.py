import copy

import pytest
import torch
from support.machine import needs_bf16
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from hf_rnn import RNNConfig, RNNForSequenceClassification, RNNModel
from hf_rnn.models.cells import CELLS
from hf_rnn.models.pooling import POOLINGS
from hf_rnn.models.recurrence import Recurrence


def loud(model: torch.nn.Module) -> torch.nn.Module:
    """Fill a model with large random weights and biases, so that mistakes are visible in its outputs."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.7)
    return model.eval()


def config(**changes) -> RNNConfig:
    fields = {"vocab_size": 50, "embedding_size": 7, "hidden_size": 6, "num_labels": 3, "bidirectional": True}
    return RNNConfig(**{**fields, **changes})


def ragged_batch(B: int = 5, T: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    """Return nonzero ids and a mask with an empty row; only the mask says where a text ends."""
    input_ids = torch.randint(1, 50, (B, T))
    lengths = torch.tensor([T, 3, 0, 5, 1][:B])
    return input_ids, (torch.arange(T) < lengths[:, None]).long()


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("cell_type", CELLS)
def test_a_text_alone_gets_the_logits_that_it_gets_in_a_batch(cell_type, pooling):
    model = loud(RNNForSequenceClassification(config(cell_type=cell_type, pooling=pooling, num_hidden_layers=2)))
    model.double()
    input_ids, mask = ragged_batch()
    logits = model(input_ids, attention_mask=mask).logits
    assert logits.std() > 0.1
    for row in range(len(input_ids)):
        alone = model(input_ids[row : row + 1, : mask[row].sum()]).logits[0]
        torch.testing.assert_close(logits[row], alone, rtol=1e-10, atol=1e-10)
    # Left padding gives the same logits as right padding.
    shifted = torch.stack([torch.roll(ids, int(9 - m.sum())) for ids, m in zip(input_ids, mask, strict=True)])
    left = model(shifted, attention_mask=mask.flip(1)).logits
    torch.testing.assert_close(logits, left, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_nan_in_padded_embeddings_reaches_no_logit_and_no_gradient(pooling):
    model = loud(RNNForSequenceClassification(config(pooling=pooling)))
    input_ids, mask = ragged_batch()
    embedded = model.model.embed_tokens(input_ids).detach()
    poisoned = torch.where(mask[..., None].bool(), embedded, torch.nan).requires_grad_()
    output = model(inputs_embeds=poisoned, attention_mask=mask, labels=torch.tensor([0, 1, 2, 0, 1]))
    assert torch.equal(output.logits, model(inputs_embeds=embedded, attention_mask=mask).logits)
    output.loss.backward()
    gradients = [poisoned.grad, *(p.grad for p in model.parameters() if p.grad is not None)]
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean", lambda row: row.mean(0)),
        ("max", lambda row: row.amax(0)),
        ("last", lambda row: torch.cat([row[-1, :6], row[0, 6:]])),
        ("concat", lambda row: torch.cat([row[-1, :6], row[0, 6:], row.amax(0), row.mean(0)])),
    ],
)
def test_pooling_reads_the_tokens_of_the_text_and_no_others(pooling, expected):
    model = loud(RNNForSequenceClassification(config(pooling=pooling)))
    input_ids, mask = ragged_batch()
    output = model.model(input_ids, attention_mask=mask)
    pooled, _ = model.pooling(output, mask)
    for row, length in enumerate(mask.sum(1)):
        tokens = output.last_hidden_state[row, :length]
        wanted = expected(tokens) if length else torch.zeros_like(pooled[row])
        torch.testing.assert_close(pooled[row], wanted)


def test_attention_pooling_returns_weights_that_sum_to_one_over_the_text():
    model = loud(RNNForSequenceClassification(config(pooling="attention")))
    input_ids, mask = ragged_batch()
    weights = model(input_ids, attention_mask=mask).pooling_weights
    assert not weights[mask == 0].any()
    torch.testing.assert_close(weights.sum(1), (mask.sum(1) > 0).float())


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("cell_type", CELLS)
@needs_bf16
def test_mixed_precision_is_close_to_full(cell_type, pooling):
    fields = {"cell_type": cell_type, "pooling": pooling, "num_hidden_layers": 2, "initializer_range": 0.5}
    model = RNNForSequenceClassification(config(**fields)).eval()
    input_ids, mask = ragged_batch()
    labels = torch.tensor([0, 1, 2, 0, 1])
    expected = model(input_ids, attention_mask=mask, labels=labels)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(input_ids, attention_mask=mask, labels=labels)
    output.loss.backward()
    torch.testing.assert_close(output.logits.float(), expected.logits, rtol=0.1, atol=0.1)
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_a_batch_of_empty_texts_has_an_answer():
    for pooling in POOLINGS:
        model = loud(RNNForSequenceClassification(config(pooling=pooling)))
        # A tokenizer returns an empty tensor of floats for [""].
        logits = model(torch.zeros(2, 0), attention_mask=torch.zeros(2, 0)).logits
        assert logits.shape == (2, 3)
        assert logits.isfinite().all()
        masked = model(torch.ones(1, 4, dtype=torch.long), attention_mask=torch.zeros(1, 4)).logits
        torch.testing.assert_close(masked[0], logits[0])


@pytest.mark.parametrize("cell_type", CELLS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_saving_and_loading_keeps_every_bit(tmp_path, cell_type, dtype):
    model = loud(RNNForSequenceClassification(config(cell_type=cell_type))).to(dtype)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").exists()
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=dtype)
    assert isinstance(loaded, RNNForSequenceClassification)
    for (name, a), (other, b) in zip(model.state_dict().items(), loaded.eval().state_dict().items(), strict=True):
        assert name == other
        assert torch.equal(a, b)
    input_ids, mask = ragged_batch()
    torch.testing.assert_close(
        model(input_ids, attention_mask=mask).logits, loaded(input_ids, attention_mask=mask).logits
    )
    assert AutoConfig.from_pretrained(tmp_path).cell_type == cell_type
    assert isinstance(AutoModel.from_pretrained(tmp_path), RNNModel)


@pytest.mark.parametrize("cell_type", CELLS)
def test_initialisation_of_each_cell(cell_type):
    model = RNNModel(config(cell_type=cell_type, hidden_size=16, forget_gate_bias=2.5))
    for name, parameter in model.recurrence.state_dict().items():
        if name.startswith("weight_hh"):
            for gate in parameter.split(16):
                torch.testing.assert_close(gate @ gate.T, torch.eye(16), atol=1e-5, rtol=0)
        elif name.startswith("weight_ih"):
            bound = (6 / (16 + parameter.shape[1])) ** 0.5
            assert 0.8 * bound < parameter.abs().max() <= bound
        elif cell_type == "lstm" and name.startswith("bias_ih"):
            assert parameter.tolist() == [0.0] * 16 + [2.5] * 16 + [0.0] * 32
        else:
            assert not parameter.any()
    assert not model.embed_tokens.weight[0].any()
    assert model.embed_tokens.weight.std().item() == pytest.approx(0.1, rel=0.2)


@pytest.mark.parametrize("cell_type", CELLS)
def test_a_missing_weight_is_initialised_and_its_siblings_are_kept(tmp_path, cell_type):
    model = loud(RNNModel(config(cell_type=cell_type, hidden_size=16)))
    state = dict(model.state_dict())
    for missing in ("recurrence.weight_hh_l0", "recurrence.bias_ih_l0_reverse"):
        del state[missing]
    # The loaded model may share the tensors that it was given, so that the test needs copies.
    expected = {name: tensor.clone() for name, tensor in state.items()}
    loaded = RNNModel.from_pretrained(None, config=model.config, state_dict=state)
    for name, kept in expected.items():
        assert torch.equal(loaded.state_dict()[name], kept), name
    gate = loaded.recurrence.weight_hh_l0[:16]
    torch.testing.assert_close(gate @ gate.T, torch.eye(16), atol=1e-5, rtol=0)
    assert set(loaded.recurrence.bias_ih_l0_reverse.tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("problem_type", ["regression", "multi_label_classification", "single_label_classification"])
def test_the_loss_of_each_problem_type_learns(problem_type):
    labels = {
        "regression": torch.tensor([[0.5, 1.0, -1.0], [2.0, 0.0, 1.0]]),
        "multi_label_classification": torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]),
        "single_label_classification": torch.tensor([2, 0]),
    }[problem_type]
    model = RNNForSequenceClassification(config(problem_type=problem_type, hidden_size=16))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    input_ids, mask = ragged_batch(2)
    losses = []
    for _ in range(60):
        loss = model(input_ids, attention_mask=mask, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]


def test_one_output_means_regression():
    model = RNNForSequenceClassification(config(num_labels=1))
    assert model(torch.tensor([[1, 2], [3, 4]]), labels=torch.tensor([1, 2])).loss.dtype == torch.float32
    assert model.config.problem_type == "regression"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"input_ids": torch.tensor([[1, 99]])},
            r"token ids \[99\] .* vocab_size=50.*resize_token_embeddings\(len\(tokenizer\)\)",
        ),
        ({"input_ids": torch.tensor([[1, -4]])}, r"token ids \[-4\]"),
        ({"input_ids": torch.ones(2, 3, dtype=torch.long), "attention_mask": torch.ones(2, 4)}, r"\(2, 4\).*\(2, 3\)"),
        ({}, "input_ids=… or inputs_embeds=…"),
        ({"input_ids": torch.tensor([[1]]), "labels": torch.tensor([3])}, r"labels \[3\] .* 0 to 2.*num_labels=4"),
        ({"input_ids": torch.tensor([[1]]), "labels": torch.tensor([0, 1])}, r"shape \(2,\), expected \[B\] = \[1\]"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        RNNForSequenceClassification(config())(**arguments)


def test_a_state_of_another_model_is_refused():
    model = RNNModel(config())
    with pytest.raises(ValueError, match=r"initial_state .*\(1, 1, 5\).*\[B, 1, 12\]"):
        model(torch.tensor([[1]]), initial_state=(torch.zeros(1, 1, 5), torch.zeros(1, 1, 5)))


def test_the_state_carries_a_text_over():
    model = loud(RNNModel(config(bidirectional=False, num_hidden_layers=2))).double()
    input_ids, _ = ragged_batch()
    whole = model(input_ids)
    first = model(input_ids[:, :4])
    state = (first.final_hidden_state, first.final_cell_state)
    second = model(input_ids[:, 4:], initial_state=state)
    torch.testing.assert_close(second.final_cell_state, whole.final_cell_state, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(second.last_hidden_state, whole.last_hidden_state[:, 4:], rtol=1e-10, atol=1e-10)


def test_outputs_have_the_shapes_that_the_docstring_gives():
    model = RNNModel(config(num_hidden_layers=3))
    output = model(*ragged_batch(), output_hidden_states=True)
    assert [tuple(h.shape) for h in output.hidden_states] == [(5, 9, 7), (5, 9, 12), (5, 9, 12), (5, 9, 12)]
    assert output.final_hidden_state.shape == output.final_cell_state.shape == (5, 3, 12)
    assert torch.equal(output.hidden_states[-1], output.last_hidden_state)
    assert isinstance(model(*ragged_batch(), return_dict=False), tuple)


def test_gradient_checkpointing_gives_the_same_gradients():
    model = RNNForSequenceClassification(config(num_hidden_layers=2, weight_dropout=0.3, hidden_dropout=0.3)).train()
    checkpointed = copy.deepcopy(model)
    # transformers 5.17 has only the older of the two names.
    getattr(checkpointed, "activation_checkpointing_enable", checkpointed.gradient_checkpointing_enable)()
    input_ids, mask = ragged_batch()
    gradients = []
    for m in (model, checkpointed):
        torch.manual_seed(5)
        m(input_ids, attention_mask=mask, labels=torch.tensor([0, 1, 2, 0, 1])).loss.backward()
        gradients.append([p.grad for p in m.parameters()])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


def test_embedding_dropout_drops_whole_words():
    model = RNNModel(config(embedding_dropout=0.5)).train()
    embedded = model.embed(torch.tensor([[4, 5, 4, 6, 7, 8, 9, 4]]))
    dropped = ~embedded[0].any(-1)
    assert dropped.any()
    assert not dropped.all()
    assert dropped[0] == dropped[2] == dropped[7]


def test_a_grown_vocabulary_reads_as_before():
    model = loud(RNNForSequenceClassification(config()))
    input_ids, mask = ragged_batch()
    before = model(input_ids, attention_mask=mask).logits
    model.resize_token_embeddings(60)
    assert model.config.vocab_size == 60
    assert torch.equal(model(input_ids, attention_mask=mask).logits, before)
    model(torch.tensor([[55]]))


def test_loading_lays_the_weights_out_for_the_device(tmp_path, monkeypatch):
    """Check that loading flattens the weights. Otherwise, cuDNN copies them at each call; see test_gpu.py."""
    RNNForSequenceClassification(RNNConfig(vocab_size=50)).save_pretrained(tmp_path)
    flattened = []
    monkeypatch.setattr(Recurrence, "flatten_parameters", lambda self: flattened.append(self.weight_ih_l0.is_meta))
    RNNForSequenceClassification.from_pretrained(tmp_path)
    assert flattened[-1] is False
    model, info = RNNForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert isinstance(model, RNNForSequenceClassification)
    assert not info["missing_keys"]


@pytest.mark.parametrize("both_ways", [False, True])
def test_gradients_go_back_through_the_last_tokens_alone(both_ways):
    fields = {"bidirectional": both_ways, "independent_directions": both_ways, "num_hidden_layers": 2}
    config = RNNConfig(vocab_size=20, embedding_size=4, hidden_size=5, pooling="concat", **fields)
    model = RNNForSequenceClassification(config).train()
    ids, mask = torch.randint(1, 20, (3, 9)), torch.ones(3, 9, dtype=torch.long)
    mask[1, 7:] = 0
    x = model.model.embed_tokens(ids).detach().requires_grad_()
    whole = model(inputs_embeds=x, attention_mask=mask).logits
    model.config.backprop_length = 4
    logits = model(inputs_embeds=x, attention_mask=mask).logits
    torch.testing.assert_close(logits, whole)
    (slope,) = torch.autograd.grad(logits.sum(), [x])
    felt = slope.abs().sum(-1)[0] > 0
    # The backward direction ends at the first token, so that gradients reach both ends of the text.
    assert felt.tolist() == ([True] * 4 + [False] if both_ways else [False] * 5) + [True] * 4
    model.eval()
    (slope,) = torch.autograd.grad(model(inputs_embeds=x).logits.sum(), [x])
    assert (slope.abs().sum(-1) > 0).all()
