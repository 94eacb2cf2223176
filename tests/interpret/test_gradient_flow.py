"""Tests of the gradient flow back through time."""

import json

import numpy as np
import pytest
import torch
from support import tiny_config
from transformers import Trainer, TrainingArguments

import hf_rnn
from hf_rnn import (
    GradientFlowCallback,
    RNNConfig,
    RNNForCausalLM,
    RNNForSequenceClassification,
    RNNModel,
    measure_gradient_flow,
)
from hf_rnn.interpret.gradient_flow import GradientFlow, verdict
from hf_rnn.reference import naive_recurrence
from hf_rnn.utils.errors import UserError

T = 12


def model_of(**options) -> RNNForSequenceClassification:
    config = RNNConfig(vocab_size=30, embedding_size=5, hidden_size=4, initializer_range=1.0, **options)
    return RNNForSequenceClassification(config).double()


def batch():
    return torch.randint(1, 30, (6, T)), torch.arange(6) % 2


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh"])
def test_curves_are_what_a_nudge_of_the_state_does(cell):
    """Compare the norm of the gradient of h_t with finite differences of the loss for each component of h_t."""
    model = model_of(cell_type=cell, pooling="mean").eval()
    ids, labels = batch()
    ids, labels = ids[:1], labels[:1]
    flow = measure_gradient_flow(model, ids, labels)
    recurrence, step = model.model.recurrence, 1e-6

    @torch.no_grad()
    def loss(t: int, nudge: torch.Tensor) -> float:
        x = model.model.embed_tokens(ids)
        before, state = naive_recurrence(recurrence, x[:, : t + 1])
        moved = state._replace(h=state.h + nudge)
        _, outputs = before, [before[-1][:, :t], moved.h[-1][:, None]]
        if t + 1 < T:
            outputs.append(naive_recurrence(recurrence, x[:, t + 1 :], state=moved)[0][-1])
        logits = model.classifier(torch.cat(outputs, dim=1).mean(1))
        return float(model.loss_function(labels, logits, model.config))

    for t in (0, 5, T - 1):
        nudges = step * torch.eye(4, dtype=torch.double)
        gradient = [(loss(t, nudge) - loss(t, -nudge)) / (2 * step) for nudge in nudges]
        assert flow.curves["layer 1"][T - 1 - t] == pytest.approx(np.linalg.norm(gradient), rel=1e-4)


@pytest.mark.parametrize("pooling", ["last", "max", "attention", "concat"])
@pytest.mark.parametrize(
    "directions", [{}, {"bidirectional": True}, {"bidirectional": True, "independent_directions": True}]
)
def test_each_layer_and_direction_has_a_curve(pooling, directions):
    model = model_of(num_hidden_layers=2, pooling=pooling, hidden_dropout=0.5, **directions).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    flow = measure_gradient_flow(model, *batch())
    names = ["layer 1", "layer 2"]
    if directions:
        names += [f"{name}, from right to left" for name in names]
    assert sorted(flow.curves) == sorted(names)
    assert all(len(curve) == T and np.isfinite(curve).all() and max(curve) > 0 for curve in flow.curves.values())
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert GradientFlow(**json.loads(json.dumps(flow.as_dict()))).curves == flow.curves


def test_a_language_models_curve_is_of_its_last_token():
    model = RNNForCausalLM(RNNConfig(vocab_size=30, hidden_size=8, embedding_size=8))
    ids = torch.randint(1, 30, (6, T))
    flow = measure_gradient_flow(model, ids, ids[:, 0])
    assert flow.curves["layer 1"][0] > flow.curves["layer 1"][-1] > 0


def flow_of(curve, **settings) -> GradientFlow:
    known = {"cell_type": "lstm", "forget_gate_bias": 1.0, "pooling": "last", "language_model": False}
    return GradientFlow({"layer 1": curve}, {"layer 1": {}}, {"layer 1": 0.0}, {"layer 1": {}}, known | settings)


@pytest.mark.parametrize(
    ("curve", "settings", "said"),
    [
        (
            [0.8**t for t in range(60)],
            {},
            "layer 1: the gradient falls below 1 % after 21 steps: model.forget_gate_bias=",
        ),
        ([0.8**t for t in range(60)], {"cell_type": "rnn_tanh"}, "model.cell_type='lstm'"),
        ([0.8**t for t in range(60)], {"pooling": "mean"}, r"cells that hold it longer\.$"),
        ([0.99**t for t in range(60)], {}, r"layer 1: 55\.3 % of the gradient is left after all 59 steps."),
        ([1.2**t for t in range(60)], {}, "grows .* times back in time: write training.max_grad_norm=1.0"),
        ([0.0] * 60, {}, "the gradient is zero at all time steps"),
    ],
)
def test_the_verdict_names_the_steps_and_what_helps(curve, settings, said):
    import re

    assert re.search(said, verdict(flow_of(curve, **settings))[0])


def test_dead_units_and_stuck_gates_are_seen():
    model = model_of(cell_type="rnn_relu", pooling="last")
    with torch.no_grad():
        model.model.recurrence.bias_ih_l0[:2] = -1e3
    flow = measure_gradient_flow(model, *batch())
    assert flow.dead["layer 1"] >= 0.5
    assert any("units are dead" in sentence for sentence in verdict(flow))
    model = model_of(pooling="last")
    with torch.no_grad():
        model.model.recurrence.bias_ih_l0[4:8] = 1e3
    flow = measure_gradient_flow(model, *batch())
    assert flow.gates["layer 1"]["forget"] == (0.0, 1.0)
    assert any("the forget gate is open" in sentence for sentence in verdict(flow))


def test_the_spectral_radius_is_that_of_each_gates_matrix():
    model = model_of(pooling="last")
    with torch.no_grad():
        model.model.recurrence.weight_hh_l0[4:8] *= 0.5
    radius = measure_gradient_flow(model, *batch()).radius["layer 1"]
    assert radius == pytest.approx({"input": 1.0, "forget": 0.5, "cell": 1.0, "output": 1.0}, rel=1e-6)


def test_a_run_draws_what_it_measured_and_goes_on_with_it(tiny_run, tmp_path):
    data = tiny_run.parent / "reviews.csv"
    run = tiny_config(data, tmp_path / "model", gradient_flow_steps=3)
    run["model"] |= {"pooling": "last"}
    hf_rnn.train(run)
    told = json.loads((tmp_path / "model" / "gradient_flow.json").read_text())
    steps = [flow["step"] for flow in told["flows"]]
    assert steps[:3] == [0, 3, 6]
    assert told["verdict"]
    assert (tmp_path / "model" / "gradient_flow.png").read_bytes().startswith(b"\x89PNG")
    assert "gradient_flow.png" in (tmp_path / "model" / "README.md").read_text()

    plain = tiny_config(data, tmp_path / "plain")
    plain["model"] |= {"pooling": "last"}
    hf_rnn.train(plain)
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("model", "plain"))
    assert one == other


def test_history_survives_a_checkpoint(tmp_path):
    ids, labels = batch()
    rows = [{"input_ids": row, "labels": label} for row, label in zip(ids.tolist(), labels.tolist(), strict=True)]

    def train(resume):
        torch.manual_seed(0)
        model = RNNForSequenceClassification(RNNConfig(vocab_size=30, hidden_size=4, embedding_size=4))
        callback = GradientFlowCallback(ids.tolist(), labels.tolist(), every=1)
        args = TrainingArguments(
            str(tmp_path),
            max_steps=4 if resume else 2,
            save_steps=2,
            per_device_train_batch_size=3,
            disable_tqdm=True,
            use_cpu=True,
            restore_callback_states_from_checkpoint=True,
            dataloader_pin_memory=False,
        )
        trainer = Trainer(model, args, train_dataset=rows, callbacks=[callback])
        trainer.train(resume_from_checkpoint=resume)
        (found,) = (each for each in trainer.callback_handler.callbacks if isinstance(each, GradientFlowCallback))
        return [flow.step for flow in found.flows]

    assert train(False) == [0, 1, 2]
    assert train(True) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("independent_directions", [False, True])
@pytest.mark.slow
def test_a_language_models_run_is_measured(tmp_path, independent_directions):
    both_ways = {"bidirectional": independent_directions, "independent_directions": independent_directions}
    run = {
        "task": "language_modeling",
        "data": {"path": "made_up_messages"},
        "model": {"hidden_size": 8, "embedding_size": 8, **both_ways},
        "training": {
            "output_dir": str(tmp_path / "model"),
            "max_steps": 4,
            "gradient_flow_steps": 2,
            "per_device_train_batch_size": 8,
            "eval_strategy": "no",
            "save_strategy": "no",
            "load_best_model_at_end": False,
        },
    }
    hf_rnn.train(run)
    told = json.loads((tmp_path / "model" / "gradient_flow.json").read_text())
    assert [flow["step"] for flow in told["flows"]] == [0, 2, 4]
    assert list(told["flows"][0]["curves"]) == ["layer 1"]
    assert "the gradient is zero" not in " ".join(told["verdict"])


@pytest.mark.proof
@pytest.mark.slow
def test_a_run_that_goes_on_is_measured_as_it_says_now(tiny_run, tmp_path):
    data = tiny_run.parent / "reviews.csv"

    def steps(**training):
        run = tiny_config(data, tmp_path / "model", eval_strategy="steps", save_strategy="steps", **training)
        run["training"] |= {"eval_steps": 3, "save_steps": 3}
        hf_rnn.train(run)
        told = json.loads((tmp_path / "model" / "gradient_flow.json").read_text())
        return [flow["step"] for flow in told["flows"]]

    with pytest.raises(FileNotFoundError):
        steps(max_steps=3)
    # The first part measured nothing, so that step 3 is measured. No later step is a multiple of 100.
    assert steps(max_steps=5, gradient_flow_steps=100, resume=True) == [3]
    assert steps(max_steps=9, gradient_flow_steps=3, resume=True) == [3, 6, 9]
    # Earlier measurements do not describe the model that is saved now, so that the file is not kept.
    with pytest.raises(FileNotFoundError):
        steps(max_steps=11, resume=True)


def test_what_is_no_number_is_said_to_be_none():
    model = model_of(pooling="last")
    with torch.no_grad():
        model.model.recurrence.weight_hh_l0.fill_(float("nan"))
    flow = measure_gradient_flow(model, *batch())
    assert "the gradient is NaN or infinite" in verdict(flow)[0]
    told = json.dumps(flow.as_dict(), allow_nan=False)
    assert "the gradient is NaN or infinite" in verdict(GradientFlow(**json.loads(told)))[0]


def test_what_cannot_be_measured():
    with pytest.raises(UserError, match="RNNModel does not have: pass a classifier or a language model"):
        measure_gradient_flow(RNNModel(RNNConfig(vocab_size=30)), batch()[0])
    for arguments in ((), (batch()[0],), (None, batch()[1])):
        with pytest.raises(UserError, match="pass texts of one length and their labels"):
            measure_gradient_flow(model_of(), *arguments)
    with pytest.raises(ValueError, match=r"labels \[9\] are not in config.id2label"):
        measure_gradient_flow(model_of(), batch()[0], batch()[1] * 9)
    with pytest.raises(UserError, match="every=0"):
        GradientFlowCallback(*map(torch.Tensor.tolist, batch()), every=0)
    with pytest.raises(UserError, match="nothing was measured"):
        GradientFlowCallback(*map(torch.Tensor.tolist, batch()), every=1).save("nowhere")
    with pytest.raises(UserError, match="no token"):
        measure_gradient_flow(model_of(), torch.zeros(2, 0, dtype=torch.long), torch.tensor([0, 1]))
