"""Tests that windows of a text give the gradients of the whole text with the memory of one window."""

import copy
import os
import subprocess
import sys

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from support import tiny_config
from support.machine import needs_bf16

import hf_rnn
from hf_rnn import RNNConfig, RNNForSequenceClassification
from hf_rnn.models import recurrence, recurrence_cpu
from hf_rnn.models.pooling import POOLINGS

ONE_WAY, BOTH_WAYS = {}, {"bidirectional": True}
TWO_STACKS = {"bidirectional": True, "independent_directions": True}
DROPOUT = dict.fromkeys(("embedding_dropout", "input_dropout", "hidden_dropout", "weight_dropout"), 0.3)
RIGHT = [1] * 20 + [0] * 17
LEFT, SCATTERED, NONE = RIGHT[::-1], [1, 0, 1] * 12 + [0], [0] * 37


def model_of(**options) -> RNNForSequenceClassification:
    torch.manual_seed(0)
    config = RNNConfig(
        vocab_size=40, embedding_size=5, hidden_size=4, num_hidden_layers=2, initializer_range=1.0, **options
    )
    return RNNForSequenceClassification(config).double().train()


def in_windows(model, window=7, **options):
    windowed = copy.deepcopy(model)
    windowed.config.backprop_window = window
    for name, value in options.items():
        setattr(windowed.config, name, value)
    return windowed


def learn(model, batch):
    # If dropout removes all inputs of a layer, maxima tie and have no unique gradient. This seed avoids ties.
    torch.manual_seed(3)
    output = model(**batch, labels=torch.arange(len(batch["attention_mask"])) % 2)
    output.loss.backward()
    return output, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def batch_of(*masks):
    mask = torch.tensor(masks)
    return {"input_ids": torch.randint(1, 40, mask.shape) * mask, "attention_mask": mask}


@pytest.mark.parametrize("dropout", [{}, DROPOUT], ids=["plain", "dropout"])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh"])
@pytest.mark.parametrize("directions", [ONE_WAY, BOTH_WAYS, TWO_STACKS], ids=["one way", "both ways", "two stacks"])
def test_gradients_are_those_of_the_whole(pooling, cell, directions, dropout):
    model = model_of(cell_type=cell, pooling=pooling, **directions, **dropout)
    batch = batch_of([1] * 37, RIGHT, LEFT, SCATTERED, NONE)
    whole, expected = learn(model, batch)
    read, gradients = learn(in_windows(model), batch)
    torch.testing.assert_close(read.logits, whole.logits, rtol=0, atol=1e-12)
    assert gradients.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(gradients[name], expected[name], rtol=0, atol=1e-12, msg=name)
    if pooling == "attention":
        torch.testing.assert_close(read.pooling_weights, whole.pooling_weights, rtol=0, atol=1e-12)


def test_gradients_reach_embedded_tokens():
    model = model_of(**BOTH_WAYS)
    batch = batch_of([1] * 37, LEFT)
    grads = []
    for each in (model, in_windows(model)):
        embedded = model.model.embed_tokens(batch["input_ids"]).detach().requires_grad_()
        each(inputs_embeds=embedded, attention_mask=batch["attention_mask"]).logits.square().sum().backward()
        grads.append(embedded.grad)
    torch.testing.assert_close(grads[1], grads[0], rtol=0, atol=1e-12)


def test_the_vector_of_padding_stays_where_it_is():
    model, batch = model_of(**BOTH_WAYS), batch_of([1] * 37)
    # Here the padding id is also a token, because the mask keeps it.
    batch["input_ids"][0, 3:9] = model.config.pad_token_id
    _, expected = learn(model, batch)
    _, gradients = learn(in_windows(model), batch)
    assert not gradients["model.embed_tokens.weight"][0].any()
    torch.testing.assert_close(
        gradients["model.embed_tokens.weight"], expected["model.embed_tokens.weight"], rtol=0, atol=1e-12
    )


def test_frozen_parts_stay_without_gradient():
    model = in_windows(model_of(**BOTH_WAYS))
    model.model.embed_tokens.requires_grad_(False)
    model.model.recurrence.weight_hh_l0.requires_grad_(False)
    _, gradients = learn(model, batch_of([1] * 37))
    assert "model.embed_tokens.weight" not in gradients
    assert "model.recurrence.weight_hh_l0" not in gradients
    assert gradients["model.recurrence.weight_hh_l1"].any()


def test_truncated_gradients_end_where_a_window_begins():
    model = model_of(pooling="last")
    batch = batch_of([1] * 37)
    _, gradients = learn(in_windows(model, truncate_backprop=True), batch)
    # With 37 tokens in windows of 7, the last window has two tokens. Only these two receive gradients.
    touched = gradients["model.embed_tokens.weight"].any(1).nonzero().flatten().tolist()
    assert set(touched) <= set(batch["input_ids"][0, 35:].tolist())
    with torch.no_grad():
        early = model.model(batch["input_ids"][:, :35])
    state = (early.final_hidden_state, early.final_cell_state)
    end = model.model(batch["input_ids"][:, 35:], initial_state=state)
    pooled, _ = model.pooling(end, None)
    model.loss_function(torch.tensor([0]), model.classifier(pooled), model.config).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=0, atol=1e-12, msg=name)


@pytest.mark.parametrize("directions", [ONE_WAY, BOTH_WAYS, TWO_STACKS], ids=["one way", "both ways", "two stacks"])
def test_truncated_answers_are_those_of_the_whole(directions):
    model = model_of(**directions)
    batch = batch_of([1] * 37, RIGHT)
    whole, _ = learn(model, batch)
    read, gradients = learn(in_windows(model, truncate_backprop=True), batch)
    torch.testing.assert_close(read.logits, whole.logits, rtol=0, atol=1e-12)
    assert gradients["model.recurrence.weight_hh_l0"].any()


@pytest.mark.parametrize("pooling", ["concat", "attention"])
@needs_bf16
def test_autocast_is_that_of_the_pass(pooling):
    model, batch = model_of(pooling=pooling).float(), batch_of([1] * 37, RIGHT)
    with torch.autocast("cpu", torch.bfloat16):
        _, expected = learn(model, batch)
        _, gradients = learn(in_windows(model), batch)
    for name in expected:
        # Sums of few terms that nearly cancel are less exact in bfloat16.
        assert (gradients[name] - expected[name]).norm() < 0.15 * expected[name].norm(), name


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradient_checkpointing_beside_windows_changes_nothing(reentrant):
    model, batch = model_of(**BOTH_WAYS), batch_of([1] * 37, RIGHT)
    _, expected = learn(model, batch)
    windowed = in_windows(model)
    enable = getattr(windowed, "activation_checkpointing_enable", windowed.gradient_checkpointing_enable)
    enable({"use_reentrant": reentrant})
    _, gradients = learn(windowed, batch)
    for name in expected:
        torch.testing.assert_close(gradients[name], expected[name], rtol=0, atol=1e-12, msg=name)


def test_copies_for_several_gpus_learn_all_that_the_model_has():
    model = model_of(pooling="attention", **BOTH_WAYS)
    batch = batch_of([1] * 37, RIGHT)
    _, expected = learn(model, batch)
    windowed = in_windows(model)
    # DataParallel makes such copies on each GPU: their weights are attributes and not parameters.
    modules = {module: module._replicate_for_data_parallel() for module in windowed.modules()}
    for module, copy_ in modules.items():
        for name, child in module._modules.items():
            setattr(copy_, name, None if child is None else modules[child])
        for name, parameter in module._parameters.items():
            setattr(copy_, name, None if parameter is None else parameter.clone())
    learn(modules[windowed], batch)
    gradients = {name: parameter.grad for name, parameter in windowed.named_parameters()}
    for name in expected:
        torch.testing.assert_close(gradients[name], expected[name], rtol=0, atol=1e-12, msg=name)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_text_longer_than_a_kernel_takes_is_read_in_parts(cell, monkeypatch):
    model = model_of(cell_type=cell, **BOTH_WAYS)
    batch = batch_of([1] * 37, LEFT)
    whole, expected = learn(model, batch)
    monkeypatch.setitem(recurrence.LONGEST, "cpu", 10)
    monkeypatch.setattr(recurrence_cpu, "ENABLED", False)
    model.zero_grad()
    read, gradients = learn(model, batch)
    torch.testing.assert_close(read.logits, whole.logits, rtol=0, atol=1e-12)
    for name in expected:
        torch.testing.assert_close(gradients[name], expected[name], rtol=0, atol=1e-12, msg=name)


@pytest.mark.slow
def test_a_run_learns_in_windows_what_it_learns_without(tiny_run, tmp_path):
    def weights(**model):
        config = tiny_config(tiny_run.parent / "reviews.csv", tmp_path / f"{len(model)} more")
        config["model"] |= {"input_dropout": 0.1, **model}
        hf_rnn.train(config)
        return RNNForSequenceClassification.from_pretrained(config["training"]["output_dir"])

    whole, read = weights(), weights(backprop_window=5)
    assert read.config.backprop_window == 5
    for name, parameter in whole.named_parameters():
        torch.testing.assert_close(read.get_parameter(name), parameter, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"backprop_window": -1}, "backprop_window=-1"),
        ({"truncate_backprop": True}, "backprop_window=1024"),
        ({"backprop_window": 8, "backprop_length": 8}, "leave one"),
    ],
)
def test_settings_that_do_not_go_together(options, said):
    with pytest.raises(StrictDataclassError, match=said):
        RNNConfig(**options)


PEAK = """
import re, sys
from pathlib import Path
import torch
from hf_rnn import RNNConfig, RNNForSequenceClassification
sizes = dict(vocab_size=1000, embedding_size=64, hidden_size=64)
model = RNNForSequenceClassification(RNNConfig(bidirectional=True, backprop_window=512, **sizes)).train()
ids = torch.randint(1, 1000, (1, int(sys.argv[1])))
model(ids, labels=torch.tensor([1])).loss.backward()
print(re.findall(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[0])
"""


@pytest.mark.proof
@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux for the peak of a process")
def test_training_on_a_long_text_takes_the_memory_of_a_window():
    def peak(tokens: int) -> int:
        command = [sys.executable, "-c", PEAK, str(tokens)]
        alone = {**os.environ, "OMP_NUM_THREADS": "1"}
        return int(subprocess.run(command, capture_output=True, text=True, check=True, env=alone).stdout)

    # Without windows, 40,000 tokens take about 200 MB more.
    assert peak(40_000) < peak(1000) + 60_000
