"""Tests on a CPU that models keep cuDNN's contracts and that the host does not wait for a GPU in a step."""

import copy

import pytest
import torch
from support.cudnn_contract import Waits, like_cudnn
from support.small_models import V, classifier, config, ids, language_model, mask, tagger, translator
from torch.optim.swa_utils import AveragedModel

import hf_rnn
from hf_rnn.models.cells import CELLS
from hf_rnn.models.recurrence import Recurrence, RecurrentLayer
from hf_rnn.models.recurrent_cache import RNNCache
from hf_rnn.models.sampled_softmax import sampled_softmax_loss

DTYPES = [None, torch.bfloat16]


def check(model, calls, dtype) -> None:
    """Check forward and backward passes in training and evaluation: they keep the contracts without waits."""
    with like_cudnn() as seen:
        for train in (True, False):
            model.train(train)
            for call in calls:
                waits = Waits()
                with torch.autocast("cpu", dtype=dtype, enabled=dtype is not None), waits:
                    loss = call()
                with waits:
                    loss.backward()
                assert not waits.found
                assert torch.isfinite(loss)
    assert set(seen) == {str(dtype or torch.float32)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell_type", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_hidden_layers", [1, 2])
def test_classifiers(cell_type, bidirectional, num_hidden_layers, dtype):
    for settings in (
        {"pooling": "last"},
        {"pooling": "concat", "weight_dropout": 0.1, "input_dropout": 0.1},
        {"pooling": "attention", "embedding_dropout": 0.1},
        {"pooling": "concat", "independent_directions": bidirectional, "output_dropout": 0.1},
    ):
        shape = {"cell_type": cell_type, "bidirectional": bidirectional, "num_hidden_layers": num_hidden_layers}
        check(*classifier(**shape, **settings), dtype)


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16])
@pytest.mark.parametrize("settings", [{"backprop_window": 4}, {"backprop_length": 4, "bidirectional": False}])
def test_classifiers_that_read_windows(settings, dtype):
    check(*classifier(**{"bidirectional": True, "num_hidden_layers": 2} | settings), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("character_encoder", ["none", "lstm", "cnn"])
@pytest.mark.parametrize("crf", [False, True])
def test_taggers(crf, character_encoder, dtype):
    check(*tagger(crf=crf, character_encoder=character_encoder, bidirectional=True), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell_type", ["lstm", "gru"])
@pytest.mark.parametrize("num_hidden_layers", [1, 2])
@pytest.mark.parametrize("both", [False, True])
def test_language_models(cell_type, num_hidden_layers, both, dtype):
    for settings in ({}, {"sampled_softmax": 5, "weight_dropout": 0.1}):
        directions = {"bidirectional": both, "independent_directions": both}
        shape = {"cell_type": cell_type, "num_hidden_layers": num_hidden_layers}
        check(*language_model(**directions, **shape, **settings), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("input_feeding", [False, True])
@pytest.mark.parametrize("num_hidden_layers", [1, 2])
def test_translators(num_hidden_layers, input_feeding, dtype):
    for cell_type in ("lstm", "gru"):
        check(*translator(cell_type=cell_type, input_feeding=input_feeding, num_hidden_layers=num_hidden_layers), dtype)


@pytest.mark.parametrize("how", [{}, {"num_beams": 3}])
@pytest.mark.parametrize(
    "settings", [{"num_hidden_layers": 2}, {"bidirectional": True, "independent_directions": True}]
)
def test_batches_are_written(settings, how):
    model = hf_rnn.RNNForCausalLM(config(**settings)).eval()
    with like_cudnn():
        model.generate(ids(3, 5), attention_mask=torch.ones(3, 5), max_new_tokens=4, do_sample=False, **how)
    model = hf_rnn.RNNForConditionalGeneration(
        config(num_hidden_layers=2, bidirectional=True, decoder_start_token_id=1, eos_token_id=2)
    ).eval()
    with like_cudnn():
        model.generate(ids(3, 5), attention_mask=torch.ones(3, 5), max_new_tokens=4, do_sample=False, **how)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("copied", [lambda m: m, copy.deepcopy, lambda m: AveragedModel(m).module])
def test_weights_are_laid_into_one_buffer_whatever_took_them_apart(copied, dtype):
    with like_cudnn():
        model = copied(hf_rnn.RNNForSequenceClassification(config(num_hidden_layers=2, bidirectional=True)).to(dtype))
        before = {name: value.clone() for name, value in model.state_dict().items()}
        model(ids(2, 5))
        places = [weight.data_ptr() for weight in model.parameters()]
        model(ids(2, 5))
    assert [weight.data_ptr() for weight in model.parameters()] == places
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_text_longer_than_cudnn_reads():
    layer = Recurrence("lstm", 2, 2)
    with like_cudnn(), torch.no_grad():
        (out,), _ = layer(torch.zeros(1, 70_000, 2))
    assert out.shape == (1, 70_000, 2)


def test_what_holds_cells_makes_the_input_no_odd_width(monkeypatch):
    widths, run = [], RecurrentLayer._run_kernel
    monkeypatch.setattr(
        RecurrentLayer, "_run_kernel", lambda self, x, *rest: (widths.append(x.shape[-1]), run(self, x, *rest))[1]
    )
    layer, x = Recurrence("lstm", 8, 8, 2), torch.randn(3, 5, 8)
    (_, expected), held = layer(x, mask(3, 5))
    with like_cudnn():
        (_, out), state = layer(x, mask(3, 5))
    assert widths == [9, 9, 16, 16]
    torch.testing.assert_close((out, *state), (expected, *held))


def test_answers_are_the_same_on_the_branches_for_a_gpu():
    """Compare the branches for a GPU with those for a CPU, which read other values of the data."""
    torch.manual_seed(0)
    for model, calls in (classifier(bidirectional=True), tagger(character_encoder="lstm"), translator()):
        model.eval()
        for call in calls:
            torch.manual_seed(1)
            expected = call()
            torch.manual_seed(1)
            with like_cudnn():
                assert torch.allclose(call(), expected, atol=1e-5)


def test_the_sampled_softmax_is_the_same_without_questions():
    x, targets = torch.randn(50, 8, requires_grad=True), torch.randint(0, V, (50,))
    targets[::7] = -100
    weight, bias = torch.randn(V, 8, requires_grad=True), torch.zeros(V)
    found = []
    for asking in (True, False):
        torch.manual_seed(1)
        kept = targets != -100 if asking else torch.ones_like(targets, dtype=torch.bool)
        if asking:
            loss = sampled_softmax_loss(x[kept], targets[kept], weight, bias, 30)
        else:
            with like_cudnn():
                loss = sampled_softmax_loss(x, targets, weight, bias, 30)
        found.append([loss, *torch.autograd.grad(loss, (x, weight))])
    for with_questions, without in zip(*found, strict=True):
        assert torch.allclose(with_questions, without, atol=1e-4)


def test_a_cache_of_strided_states_is_read():
    model = hf_rnn.RNNForCausalLM(config(num_hidden_layers=2)).eval()
    state = tuple(torch.zeros(2, 3, 8).transpose(0, 1) for _ in "hc")
    with like_cudnn():
        model(ids(3, 4), past_key_values=RNNCache(state, 4))
