"""Tests that traced and exported graphs do not depend on their example inputs."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.logits import Logits
from torch.func import functional_call, grad, vmap

from hf_rnn import RNNConfig, RNNForCausalLM, RNNForSequenceClassification
from hf_rnn.training.ngrams import keys_of

WHOLE = torch.ones(3, 6, dtype=torch.long)
MASKS = [WHOLE, WHOLE.tril(2), WHOLE.triu(1), torch.tensor([[1, 0, 1, 0, 1, 1]] * 3), torch.zeros_like(WHOLE)]


def logits_of(cell_type: str, bidirectional: bool, wide: bool | str = False) -> Logits:
    settings = {"vocab_size": 30, "embedding_size": 8, "hidden_size": 8, "num_hidden_layers": 2, "pooling": "concat"}
    # The keys of all n-grams of one and two tokens.
    keys = keys_of([np.array([first, second]) for first in range(30) for second in range(30)], 2)[0]
    settings |= {"wide_ngrams": len(np.unique(keys)) if wide else 0, "wide_order": 2, "wide_binary": wide == "binary"}
    model = RNNForSequenceClassification(RNNConfig(cell_type=cell_type, bidirectional=bidirectional, **settings))
    if model.wide_path is not None:
        model.wide_path.keys.copy_(torch.from_numpy(np.unique(keys)))
        model.wide_path.weight.data.normal_()
        model.wide_path.scale.uniform_(0.5, 2)
    return Logits(model.eval())


def check(graph, model: Logits) -> None:
    ids = torch.randint(0, 30, (3, 6))
    for mask in MASKS:
        assert torch.allclose(graph(ids, mask), model(ids, mask), atol=1e-5)


@pytest.mark.parametrize(("bidirectional", "wide"), [(False, False), (True, False), (True, True), (True, "binary")])
@pytest.mark.parametrize("cell_type", ["lstm", "gru"])
@pytest.mark.parametrize("with_gradients", [False, True])
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_traced_graph_reads_masks_that_its_example_had_not(with_gradients, cell_type, bidirectional, wide):
    model = logits_of(cell_type, bidirectional, wide)
    with torch.set_grad_enabled(with_gradients):
        traced = torch.jit.trace(model, (torch.ones_like(WHOLE), WHOLE))
    check(traced, model)


@pytest.mark.slow
@pytest.mark.parametrize(("bidirectional", "wide"), [(False, False), (True, False), (True, True), (True, "binary")])
@pytest.mark.parametrize("cell_type", ["lstm", "gru"])
def test_an_exported_graph_reads_masks_that_its_example_had_not(cell_type, bidirectional, wide):
    model = logits_of(cell_type, bidirectional, wide)
    check(torch.export.export(model, (torch.ones_like(WHOLE), WHOLE)).module(), model)


@pytest.mark.slow
def test_an_exported_graph_of_a_model_that_learns():
    model = logits_of("lstm", True)
    graph = torch.export.export(model, (torch.ones_like(WHOLE), WHOLE), strict=True).module()
    check(graph, model)
    found = torch.autograd.grad(graph(WHOLE, MASKS[1]).sum(), list(graph.parameters()))
    expected = torch.autograd.grad(
        model(WHOLE, MASKS[1]).sum(), [model.get_parameter(n) for n, _ in graph.named_parameters()]
    )
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


class Step(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, past_key_values):
        out = self.model(input_ids=input_ids, past_key_values=past_key_values)
        return out.logits, out.past_key_values


@pytest.mark.slow
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("cell_type", ["lstm", "gru"])
def test_an_exported_step_goes_on_from_its_own_state(cell_type, strict, tmp_path):
    model = RNNForCausalLM(RNNConfig(vocab_size=30, hidden_size=8, num_hidden_layers=2, cell_type=cell_type)).eval()
    ids = torch.randint(0, 30, (3, 8))
    with torch.no_grad():
        expected = model(ids).logits
        state = model(ids[:, :2]).past_key_values
        graph = torch.export.export(Step(model), (ids[:, 2:4], state), strict=strict)
    torch.export.save(graph, tmp_path / "step.pt2")
    step = torch.export.load(tmp_path / "step.pt2").module()
    for start in (2, 4, 6):
        logits, state = step(ids[:, start : start + 2], state)
        assert torch.allclose(logits, expected[:, start : start + 2], atol=1e-5)


def check_onnx(file, model: Logits) -> None:
    session = pytest.importorskip("onnxruntime").InferenceSession(file)
    # The last mask has another number of rows and another length than the example.
    for mask in [*MASKS, torch.ones(2, 9, dtype=torch.long).tril(6)]:
        ids = torch.randint(0, 30, mask.shape)
        (logits,) = session.run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
        assert torch.allclose(torch.from_numpy(logits), model(ids, mask), atol=1e-5)


NAMES = {"input_names": ["input_ids", "attention_mask"], "output_names": ["logits"]}


@pytest.mark.slow
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell_type", ["lstm", "gru", "rnn_tanh"])
@pytest.mark.filterwarnings("ignore")
def test_onnx_by_tracing_reads_any_mask(cell_type, bidirectional, wide, tmp_path):
    pytest.importorskip("onnx", reason="needs the extra onnx")
    model, axes = logits_of(cell_type, bidirectional, wide), {name: {0: "B", 1: "T"} for name in NAMES["input_names"]}
    with torch.no_grad():
        example, file = (torch.ones_like(WHOLE), WHOLE), str(tmp_path / "model.onnx")
        torch.onnx.export(model, example, file, dynamo=False, dynamic_axes=axes, **NAMES)
    check_onnx(file, model)


def onnx_by_exporting(file: str) -> None:
    model, size = logits_of("lstm", True), {0: torch.export.Dim("B"), 1: torch.export.Dim("T")}
    with torch.no_grad():
        example = (torch.ones_like(WHOLE), WHOLE)
        torch.onnx.export(model, example, file, dynamo=True, dynamic_shapes=(size, size), verbose=False, **NAMES)
    check_onnx(file, model)


@pytest.mark.slow
def test_onnx_by_exporting_reads_any_mask(tmp_path):
    pytest.importorskip("onnxscript", reason="needs onnxscript, which the extra dev has")
    # torch 2.13 decomposes a kernel once per process. An earlier export with a fixed length would fix the length here.
    code = "import sys, test_traced_graphs; test_traced_graphs.onnx_by_exporting(sys.argv[1])"
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    command = [sys.executable, "-c", code, str(tmp_path / "model.onnx")]
    ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]


@pytest.mark.filterwarnings("ignore:There is a performance drop because we have not yet implemented the batching rule")
def test_gradients_of_each_row_with_a_mask():
    model = logits_of("lstm", True)
    parameters, ids = dict(model.named_parameters()), torch.randint(0, 30, (3, 6))

    def loss(parameters, row, mask):
        return functional_call(model, parameters, (row[None], mask[None])).sum()

    found = vmap(grad(loss), (None, 0, 0), randomness="same")(parameters, ids, MASKS[1])
    for place in range(3):
        model.zero_grad()
        model(ids[place][None], MASKS[1][place][None]).sum().backward()
        for name, parameter in model.named_parameters():
            assert torch.allclose(found[name][place], parameter.grad, atol=1e-5)
