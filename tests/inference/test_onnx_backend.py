"""Tests of predictors whose logits are computed by onnxruntime."""

import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from support.exported import export

from hf_rnn import DataArguments, HfRnnError, Predictor, evaluate, explain
from hf_rnn.hub.fetch import find_exported
from hf_rnn.inference import bulk, onnx_model
from hf_rnn.inference.bulk import predict_file
from hf_rnn.interchange.record import files_of

TEXTS = ["the film was not good .", "", "the soup was bad , but the lamp was lovely .", None, "unseen words only"]


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    return export(tiny_run, tmp_path_factory.mktemp("exported") / "model")


@pytest.fixture(scope="module")
def both(tiny_run, exported):
    return Predictor.from_pretrained(tiny_run), Predictor.from_pretrained(exported, backend="onnx")


def test_answers_streams_and_scores_are_those_of_torch(both):
    torch, onnx = both
    for answer, expected in zip(onnx(TEXTS, top_k=0), torch(TEXTS, top_k=0), strict=True):
        assert answer["labels"] == expected["labels"]
        assert answer["scores"] == pytest.approx(expected["scores"], abs=1e-5)
    assert list(onnx.stream(TEXTS, min_score=0.4)) == onnx(TEXTS, min_score=0.4)
    assert onnx(TEXTS[0]) == onnx(TEXTS[:1])[0]
    assert np.allclose(onnx.scores(TEXTS), torch.scores(TEXTS), atol=1e-5)
    table = pd.DataFrame({"text": TEXTS[:3]})
    assert onnx(table) == onnx(TEXTS[:3])


def test_files_and_evaluations(both, tmp_path):
    torch, onnx = both
    file = tmp_path / "a.csv"
    file.write_text("text,label\nthe film was good .,positive\nit was bad .,negative\n")
    assert predict_file(onnx, DataArguments(path=str(file)), tmp_path / "a.jsonl") == 2
    rows = [json.loads(line)["prediction"] for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert rows == onnx(["the film was good .", "it was bad ."])
    metrics, expected = (evaluate(each, DataArguments(path=str(file))) for each in (onnx, torch))
    assert metrics["accuracy"] == expected["accuracy"]


def test_an_ensemble_of_exported_models(tiny_run, exported):
    onnx = Predictor.from_pretrained(exported, others=[exported], backend="onnx")
    torch = Predictor.from_pretrained(tiny_run, others=[tiny_run])
    assert np.allclose(onnx.scores(TEXTS), torch.scores(TEXTS), atol=1e-5)


def test_what_needs_torch_says_so(both, exported):
    _, onnx = both
    message = rf"{{}} needs torch, .* backend='onnx'.*: load it with Predictor\.from_pretrained\('{exported}'\)"
    with pytest.raises(HfRnnError, match=message.format("an explanation")):
        explain(onnx.model, onnx.tokenizer, TEXTS[0])
    with pytest.raises(HfRnnError, match=message.format("a stream of text")):
        onnx.open()
    with pytest.raises(HfRnnError, match=message.format(r"model\.parameters")):
        onnx.model.parameters()


def interrupt(*_):
    raise KeyboardInterrupt


def test_an_interrupted_prediction_does_not_mix_weights(exported, tmp_path, monkeypatch):
    folder = shutil.copytree(exported, tmp_path / "both")
    shutil.copyfile(folder / "onnx" / "model.onnx", folder / "onnx" / "model_quantized.onnx")
    # The graph is the same, but its bytes are not.
    with (folder / "onnx" / "model_quantized.onnx").open("ab") as file:
        file.write(b"\x32\x01x")  # The field `doc_string` of the model.
    record = json.loads((folder / "onnx" / "hf_rnn.json").read_text())
    record["files"] = files_of(folder / "onnx")
    (folder / "onnx" / "hf_rnn.json").write_text(json.dumps(record))
    (tmp_path / "a.csv").write_text("text\n" + "the film was good .\n" * 3)
    data, output = DataArguments(path=str(tmp_path / "a.csv")), tmp_path / "a.jsonl"
    int8 = Predictor.from_pretrained(folder, backend="onnx", quantized=True)
    with monkeypatch.context() as context:
        context.setattr(bulk, "write_answers", interrupt)
        with pytest.raises(KeyboardInterrupt):
            predict_file(int8, data, output, part_rows=1)
    assert output.with_name("a.jsonl.parts").is_dir()
    with pytest.raises(HfRnnError, match="holds parts of a prediction of other rows, or by another model"):
        predict_file(Predictor.from_pretrained(folder, backend="onnx"), data, output, part_rows=1)
    assert predict_file(int8, data, output, part_rows=1) == 3


def test_options_that_the_backend_does_not_have(exported):
    with pytest.raises(HfRnnError, match="dtype='float16' is no option of backend='onnx', which has quantized"):
        Predictor.from_pretrained(exported, backend="onnx", dtype="float16")
    for name, value in (("quantized", True), ("threads", 2)):
        with pytest.raises(HfRnnError, match=f"{name}={value} needs backend='onnx': write that too"):
            Predictor.from_pretrained(exported, **{name: value})
    with pytest.raises(HfRnnError, match="revision='main' is for models on the Hub"):
        Predictor.from_pretrained(exported, backend="onnx", revision="main")


def test_errors_name_the_model_as_it_was_written(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_model, "find_exported", lambda _, **where: find_exported(str(exported)))
    with pytest.raises(HfRnnError, match=r"'user/model' has no onnx/model_quantized\.onnx"):
        Predictor.from_pretrained("user/model", backend="onnx", quantized=True)


def test_backends_that_cannot_be_used(tiny_run, exported, tmp_path, monkeypatch):
    with pytest.raises(HfRnnError, match="backend='tensorflow' is not one of torch, onnx"):
        Predictor.from_pretrained(tiny_run, backend="tensorflow")
    with pytest.raises(HfRnnError, match=r"holds no exported model: write hf-rnn export .* --output FOLDER"):
        Predictor.from_pretrained(tiny_run, backend="onnx")
    with pytest.raises(HfRnnError, match="there is no folder"):
        Predictor.from_pretrained(tmp_path / "nothing", backend="onnx")
    with pytest.raises(HfRnnError, match="device='cuda' is for backend='torch'"):
        Predictor.from_pretrained(exported, "cuda", backend="onnx")
    other = shutil.copytree(exported, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    config |= {"id2label": {"0": "good", "1": "bad"}, "label2id": {"good": 0, "bad": 1}}
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(HfRnnError, match=r"other labels than its config\.json, or other thresholds"):
        Predictor.from_pretrained(other, backend="onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "hf_rnn.runtime.model")
    monkeypatch.delitem(sys.modules, "hf_rnn.runtime.session")
    monkeypatch.delitem(sys.modules, "hf_rnn.runtime.graphs")
    monkeypatch.delitem(sys.modules, "hf_rnn.runtime.writers", raising=False)
    with pytest.raises(HfRnnError, match=r'needs onnxruntime: pip install "hf-rnn\[onnx\]"'):
        Predictor.from_pretrained(exported, backend="onnx")
