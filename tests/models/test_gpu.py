"""Tests of the cuDNN path against the equations and of a first model on a GPU. Run them with `make gpu-test`."""

import json
import warnings

import pytest
import torch
from support import ROOT
from support.double_tagger import make as make_tagger
from support.double_translator import KINDS, V
from support.double_translator import make as make_translator
from support.recurrence import assert_close, make_mask, make_state, outputs_and_gradients
from support.small_models import classifier, language_model, tagger, translator

import hf_rnn
from hf_rnn.models.cells import CELLS
from hf_rnn.models.recurrence import Recurrence, RecurrentState
from hf_rnn.reference import naive_recurrence

pytestmark = pytest.mark.gpu
TWO_WAYS = {"bidirectional": True, "independent_directions": True}
MODELS = [
    (classifier, {"bidirectional": True, "pooling": "concat", "weight_dropout": 0.5}),
    (classifier, {"bidirectional": True, "backprop_window": 4}),
    (tagger, {"crf": True, "bidirectional": True, "character_encoder": "lstm"}),
    (language_model, {}),
    (language_model, {"num_hidden_layers": 2, "sampled_softmax": 5}),
    (language_model, TWO_WAYS),
    (translator, {"num_hidden_layers": 2, "input_feeding": False}),
    (translator, {"num_hidden_layers": 2, "input_feeding": True, "cell_type": "gru"}),
]
QUICKSTART = ROOT / "configs" / "quickstart.yaml"


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
        warnings.simplefilter("error")  # torch warns if it has to copy the weights into one buffer
        recurrence(x)[0][-1].sum().backward()


@pytest.mark.parametrize("autocast", [None, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("number", range(len(MODELS)))
def test_models_train_without_copying_weights(number, autocast):
    make, settings = MODELS[number]
    with torch.device("cuda"), warnings.catch_warnings():
        warnings.simplefilter("error")
        _, calls = make(**settings)
        for call in calls:
            with torch.autocast("cuda", autocast, enabled=autocast is not None):
                loss = call()
            loss.backward()
            assert loss.isfinite()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("H", [5, 32])
def test_cells_are_held_in_any_width_and_type(H, dtype):
    layer, x, mask = Recurrence("lstm", H, H, bidirectional=True), torch.randn(4, 9, H), make_mask("right", 4, 9)
    expected = layer(x, mask)[1].c
    found = layer.to("cuda", dtype)(x.to("cuda", dtype), mask.cuda())[1].c
    torch.testing.assert_close(found.cpu().float(), expected, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("autocast", [torch.bfloat16, torch.float16])
def test_autocast_keeps_the_type_that_was_asked_for(autocast):
    layer = Recurrence("lstm", 8, 8).cuda()
    with torch.autocast("cuda", autocast):
        assert layer(torch.randn(2, 5, 8, device="cuda"))[0][0].dtype == autocast


@pytest.mark.parametrize("shape", [(0, 5), (3, 5)])
def test_batches_without_rows_or_tokens(shape):
    config = hf_rnn.RNNConfig(vocab_size=50, bidirectional=True, pooling="concat", num_labels=2)
    model = hf_rnn.RNNForSequenceClassification(config).cuda()
    ids, mask = (torch.zeros(shape, dtype=torch.long, device="cuda") for _ in "im")
    assert model(ids, attention_mask=mask).logits.isfinite().all()


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


@pytest.mark.parametrize("pooling", ["last", "max", "mean", "attention", "concat"])
@pytest.mark.parametrize("kind", ["right", "left", "scattered"])
@pytest.mark.parametrize("dtype", [None, torch.bfloat16, torch.float16])
def test_a_step_never_waits_for_the_host(pooling, kind, dtype):
    config = hf_rnn.RNNConfig(
        vocab_size=50, hidden_size=32, bidirectional=True, pooling=pooling, embedding_dropout=0.1, weight_dropout=0.1
    )
    model = hf_rnn.RNNForSequenceClassification(config).cuda().train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    mask = make_mask(kind, 4, 20)
    batch = {
        "input_ids": torch.randint(1, 50, (4, 20)),
        "attention_mask": mask.long(),
        "labels": torch.randint(0, 2, (4,)),
    }
    batch = {name: tensor.cuda() for name, tensor in batch.items()}

    def step():
        with torch.autocast("cuda", dtype, enabled=dtype is not None):
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    step()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("weight_dropout", [0.0, 0.5])
@pytest.mark.parametrize("way", ["loaded onto it", "moved", "data parallel"])
def test_weights_stay_one_chunk_of_memory(way, weight_dropout, tmp_path):
    config = hf_rnn.RNNConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, bidirectional=True, weight_dropout=weight_dropout
    )
    hf_rnn.RNNForSequenceClassification(config).save_pretrained(tmp_path)
    where = {"device_map": "cuda"} if way == "loaded onto it" else {}
    model = hf_rnn.RNNForSequenceClassification.from_pretrained(tmp_path, **where).cuda().train()
    if way == "data parallel":
        torch.distributed.init_process_group("nccl", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
        model = torch.nn.parallel.DistributedDataParallel(model, device_ids=[0])
    batch = {"input_ids": torch.randint(1, 50, (4, 20)).cuda(), "labels": torch.randint(0, 2, (4,)).cuda()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(2):
                model(**batch).loss.backward()
    finally:
        if way == "data parallel":
            torch.distributed.destroy_process_group()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("window", [0, 1024])
def test_a_text_longer_than_cudnn_takes_is_read_whole(cell, window):
    config = hf_rnn.RNNConfig(
        vocab_size=50, hidden_size=16, cell_type=cell, bidirectional=True, backprop_window=window, num_labels=2
    )
    model = hf_rnn.RNNForSequenceClassification(config)
    ids, labels = torch.randint(1, 50, (1, 70_000)), torch.tensor([1])
    expected = model(ids, labels=labels)
    expected.loss.backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    model.zero_grad()
    found = model.cuda()(ids.cuda(), labels=labels.cuda())
    found.loss.backward()
    torch.testing.assert_close(found.logits.cpu(), expected.logits, rtol=1e-3, atol=1e-3)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad.cpu(), gradient, rtol=1e-2, atol=1e-4)


def test_the_gradients_way_is_measured_on_the_gpu():
    model = hf_rnn.RNNForSequenceClassification(hf_rnn.RNNConfig(vocab_size=50, hidden_size=16, pooling="last"))
    ids, labels = torch.randint(1, 50, (4, 30)), torch.tensor([0, 1, 0, 1])
    expected = hf_rnn.measure_gradient_flow(model, ids, labels).curves["layer 1"]
    found = hf_rnn.measure_gradient_flow(model.cuda(), ids.cuda(), labels.cuda()).curves["layer 1"]
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize("encoder", ["none", "lstm", "cnn"])
def test_a_tagger_gives_on_the_gpu_what_it_gives_on_the_cpu(encoder):
    model = make_tagger(crf=True, character_encoder=encoder)
    ids, labels = torch.randint(1, 40, (3, 9)), torch.zeros(3, 9, dtype=torch.long)
    mask = torch.tensor([[1] * 9, [0] * 4 + [1] * 5, [1] * 2 + [0] * 7])
    here = model(ids, mask, labels=labels)
    there = model.cuda()(ids.cuda(), mask.cuda(), labels=labels.cuda())
    torch.testing.assert_close(there.logits.cpu(), here.logits)
    torch.testing.assert_close(there.loss.cpu(), here.loss)


def test_a_translator_writes_on_the_gpu_what_it_writes_on_the_cpu():
    ids, mask = torch.randint(3, V, (3, 6)), torch.tensor([[1] * 6, [1, 1, 1, 0, 0, 0], [0, 1, 0, 1, 1, 1]])
    for kind in KINDS.values():
        model = make_translator(**kind)
        here = model.generate(ids, attention_mask=mask, max_new_tokens=6, num_beams=3)
        there = model.cuda().generate(ids.cuda(), attention_mask=mask.cuda(), max_new_tokens=6, num_beams=3)
        assert torch.equal(there.cpu(), here)


def test_the_quickstart_trains(tmp_path):
    pytest.importorskip("jsonargparse", reason="a run's settings are read by jsonargparse")
    results = hf_rnn.train(["--config", str(QUICKSTART), "--training.output_dir", str(tmp_path / "model")])
    # A CPU reaches 0.929 to 0.944 with seeds 0 to 4.
    assert results["validation"]["accuracy"] >= 0.9
    assert json.loads((tmp_path / "model" / "metrics.json").read_text())["test"]["accuracy"] >= 0.9
