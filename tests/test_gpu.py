"""The cuDNN path against the equations, and a first model on a GPU. Run with `make gpu-test` where there is one."""

import json
import warnings
from pathlib import Path

import pytest
import torch
from test_recurrence import CELLS, assert_close, make_mask, make_state, outputs_and_gradients

import hf_rnn
from hf_rnn.recurrence import Recurrence, RecurrentState, naive_recurrence

pytestmark = pytest.mark.gpu
QUICKSTART = Path(__file__).parents[1] / "configs" / "quickstart.yaml"


@pytest.mark.parametrize("T", [1, 63, 1000])
@pytest.mark.parametrize("kind", ["none", "right", "left", "scattered"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell_type", CELLS)
def test_cudnn_equals_the_naive_reference(cell_type, bidirectional, kind, T):
    recurrence = Recurrence(cell_type, 3, 4, 2, bidirectional).double()
    if cell_type == "rnn_relu":
        with torch.no_grad():
            for parameter in recurrence.parameters():
                parameter.mul_(0.7)
    inputs, mask = torch.randn(3, T, 3, dtype=torch.float64), make_mask(kind, 3, T)
    state = make_state(recurrence, 3)

    def on(device):
        moved = recurrence.to(device)
        parts = [None if part is None else part.detach().to(device).requires_grad_() for part in state]
        arguments = (
            inputs.to(device).requires_grad_(),
            None if mask is None else mask.to(device),
            RecurrentState(*parts),
        )
        run = moved if device == "cuda" else lambda *a: naive_recurrence(moved, *a)
        results, gradients = outputs_and_gradients(run, moved, *arguments)
        return [r.detach().cpu() for r in results], [g.cpu() for g in gradients]

    fast, reference = on("cuda"), on("cpu")
    assert_close(fast[0], reference[0])
    assert_close(fast[1], reference[1])


def test_the_weights_of_each_kernel_call_are_one_chunk_of_memory():
    recurrence = Recurrence("lstm", 16, 32, 2, bidirectional=True).cuda()
    x = torch.randn(4, 10, 16, device="cuda", requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns of weights that it has to copy together at each call
        recurrence(x)[0][-1].sum().backward()


def test_gradients_in_eval_mode():
    recurrence = Recurrence("lstm", 5, 6).cuda().eval()
    x = torch.randn(2, 7, 5, device="cuda", requires_grad=True)
    recurrence(x)[0][0].sum().backward()
    assert x.grad.isfinite().all()


def test_nan_in_padding_reaches_nothing():
    recurrence = Recurrence("gru", 5, 6, 2, bidirectional=True).cuda()
    mask = make_mask("scattered", 4, 9).cuda()
    clean = torch.randn(4, 9, 5, device="cuda")
    poisoned = torch.where(mask[..., None], clean, torch.nan)
    assert torch.equal(recurrence(poisoned, mask)[0][-1], recurrence(clean, mask)[0][-1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_model_gives_on_the_gpu_what_it_gives_on_the_cpu(dtype):
    config = hf_rnn.RNNConfig(vocab_size=50, hidden_size=32, bidirectional=True, num_labels=3)
    model = hf_rnn.RNNForSequenceClassification(config).eval()
    input_ids, mask = torch.randint(1, 50, (4, 20)), make_mask("right", 4, 20).long()
    expected = model(input_ids, attention_mask=mask).logits
    moved = model.to("cuda", dtype)
    logits = moved(input_ids.cuda(), attention_mask=mask.cuda()).logits.float().cpu()
    tolerance = {torch.float32: 1e-4, torch.bfloat16: 0.1, torch.float16: 0.02}[dtype]
    torch.testing.assert_close(logits, expected, rtol=tolerance, atol=tolerance)


def test_the_quickstart_trains(tmp_path):
    results = hf_rnn.train(["--config", str(QUICKSTART), "--training.output_dir", str(tmp_path / "model")])
    assert results["validation"]["accuracy"] >= 0.97
    assert json.loads((tmp_path / "model" / "metrics.json").read_text())["test"]["accuracy"] >= 0.97
