"""Tests of the export of trained models: the folder, the record, parity, int8 weights, and what cannot be exported."""

import json
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
import torch
import yaml
from support import files, tagging, write_jsonl
from support.exporting import classifier
from tokenizers import Tokenizer

import hf_rnn
from hf_rnn.cli.main import main
from hf_rnn.hub.card import render_folder
from hf_rnn.hub.folder import ONNX_FILES, model_files
from hf_rnn.interchange import export as exporting
from hf_rnn.interchange.measuring import check_loss
from hf_rnn.interchange.parity import differences, made_up_rows
from hf_rnn.runtime.model import Model
from hf_rnn.runtime.record import sha256
from hf_rnn.runtime.session import Session
from hf_rnn.utils.errors import DataError, HfRnnError, HubError

TEXTS = ["the film was good .", "", "the film was not good ."]


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory) -> Path:
    return hf_rnn.export(tiny_run, tmp_path_factory.mktemp("exported") / "model")


def read_record(folder: Path) -> dict:
    return json.loads((folder / "onnx" / "hf_rnn.json").read_text())


def answer(folder: Path, texts: list[str]) -> np.ndarray:
    """Return the logits of texts from the exported files alone."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding()
    read = tokenizer.encode_batch(texts)
    graph = Session(folder / "onnx" / "model.onnx")
    return graph.logits(np.array([each.ids for each in read]), np.array([each.attention_mask for each in read]))


@pytest.fixture
def quantized(monkeypatch):
    """Replace the quantization by one that multiplies all weights by a factor."""
    factor = {"by": 1.0}

    def quantize(source: Path, target: Path, embeddings: str) -> dict:
        graph = onnx.load(str(source))
        for weight in graph.graph.initializer:
            if weight.data_type == onnx.TensorProto.FLOAT:
                scaled = (onnx.numpy_helper.to_array(weight) * factor["by"]).astype(np.float32)
                weight.CopyFrom(onnx.numpy_helper.from_array(scaled, weight.name))
        onnx.save(graph, str(target))
        return {"tensors": 1}

    module = ModuleType("hf_rnn.interchange.quantization")
    module.quantize = quantize
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return factor


def test_the_folder_answers_as_the_model(tiny_run, exported):
    assert files(exported) >= {"config.json", "tokenizer.json", "model.safetensors", "README.md", "schema.json"}
    assert files(exported / "onnx") == {"model.onnx", "hf_rnn.json"}
    assert [file.name for file in exported.parent.iterdir()] == ["model"]
    predictor = hf_rnn.Predictor.from_pretrained(tiny_run)
    _, ids = predictor.task.read_and_cut(predictor.tokenizer, TEXTS)
    assert np.allclose(answer(exported, TEXTS), predictor.logits(ids), atol=1e-5)
    assert hf_rnn.Predictor.from_pretrained(exported)(TEXTS) == predictor(TEXTS)
    for runner in (Model.from_pretrained(exported), hf_rnn.Predictor.from_pretrained(exported, backend="onnx")):
        for found, expected in zip(runner(TEXTS), predictor(TEXTS), strict=True):
            assert found == {**expected, "score": pytest.approx(expected["score"], abs=1e-5)}


def test_the_record(tiny_run, exported):
    record = read_record(exported)
    file = exported / "onnx" / "model.onnx"
    assert record["files"] == {"model.onnx": {"sha256": sha256(file), "bytes": file.stat().st_size}}
    found = record.pop("parity")
    assert found["texts"] == 30
    assert found["source"] == "validation rows of reviews"
    assert set(found["by_padding"]) == {"none", "right", "left", "scattered"}
    assert found["largest"] == max(found["by_padding"].values()) < found["limit"] == 1e-4
    about = {name: value for name, value in record.items() if name not in ("files", "quantization")}
    assert about == {
        "format": 1,
        "hf_rnn_version": hf_rnn.__version__,
        "architecture": "RNNForSequenceClassification",
        "task": "text_classification",
        "problem_type": "single_label_classification",
        "labels": ["negative", "positive"],
        "thresholds": None,
        "temperature": 1.0,
        "max_length": None,
        "truncation": "head_tail",
        "reads_pairs": False,
        "text_columns": ["text"],
        "bio": None,
        "tokenizer": {
            "file": "tokenizer.json",
            "sha256": sha256(exported / "tokenizer.json"),
            "pad_token_id": 0,
            "unk_token_id": 1,
            "bos_token_id": 2,
            "eos_token_id": 3,
        },
        "generation": None,
        "state": [],
        "opset": 17,
    }
    (metadata,) = onnx.load(str(file)).metadata_props
    assert metadata.key == "hf_rnn"
    assert json.loads(metadata.value) == about
    assert str(tiny_run.parent) not in (exported / "onnx" / "hf_rnn.json").read_text()


def test_the_data_of_the_run_are_found_from_the_new_folder(tiny_run, exported):
    path = yaml.safe_load((exported / "run.yaml").read_text())["data"]["path"]
    assert (exported / path).resolve() == (tiny_run.parent / "reviews.csv").resolve()


def test_settings_of_decisions_and_texts_are_in_the_record(tiny_run, tmp_path):
    folder = shutil.copytree(tiny_run, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config |= {"thresholds": {"negative": 0.25}, "temperature": 1.5}
    (folder / "config.json").write_text(json.dumps(config))
    run = yaml.safe_load((folder / "run.yaml").read_text())
    run["data"] |= {"max_length": 3, "truncation": "tail", "path": str(tiny_run.parent / "reviews.csv")}
    (folder / "run.yaml").write_text(yaml.safe_dump(run))
    record = read_record(hf_rnn.export(folder, tmp_path / "exported"))
    assert record["thresholds"] == {"negative": 0.25}
    assert record["temperature"] == 1.5
    assert (record["max_length"], record["truncation"]) == (3, "tail")
    predictor = hf_rnn.Predictor.from_pretrained(folder)
    assert np.allclose(
        answer(tmp_path / "exported", ["film"]), predictor.logits(predictor.tokenizer(["film"])["input_ids"])
    )


def test_a_model_of_pairs(tiny_run, tmp_path):
    folder = shutil.copytree(tiny_run, tmp_path / "model")
    run = yaml.safe_load((folder / "run.yaml").read_text())
    run["data"] |= {"text_pair_column": "claim", "path": "./gone.csv"}
    (folder / "run.yaml").write_text(yaml.safe_dump(run))
    record = read_record(hf_rnn.export(folder, tmp_path / "exported"))
    assert record["reads_pairs"]
    assert record["text_columns"] == ["text", "claim"]


@pytest.mark.slow
def test_a_tagger(tmp_path):
    write_jsonl(tmp_path / "train.jsonl", tagging.sentences(60))
    write_jsonl(tmp_path / "validation.jsonl", tagging.sentences(20, 1))
    hf_rnn.train(tagging.run(tmp_path / "train.jsonl", tmp_path / "model", num_train_epochs=2))
    record = read_record(hf_rnn.export(tmp_path / "model", tmp_path / "exported", data=tmp_path / "validation.jsonl"))
    assert record["task"] == "token_classification"
    assert record["problem_type"] is None
    assert record["labels"] == tagging.TAGS
    assert record["bio"] is True
    assert record["parity"]["texts"] == 20


def test_an_earlier_export_is_replaced_and_nothing_else(tiny_run, tmp_path):
    output = hf_rnn.export(tiny_run, tmp_path / "exported")
    (output / "onnx" / "model_quantized.onnx").write_bytes(b"old")
    hf_rnn.export(tiny_run, output)
    assert not (output / "onnx" / "model_quantized.onnx").exists()
    (output / "notes.txt").write_text("mine")
    with pytest.raises(HfRnnError, match=r"holds an earlier export, which would be replaced, and also notes\.txt"):
        hf_rnn.export(tiny_run, output)
    assert (output / "notes.txt").read_text() == "mine"
    with pytest.raises(HfRnnError, match="exists already and is no earlier export: name a new folder"):
        hf_rnn.export(tiny_run, tiny_run)
    with pytest.raises(HfRnnError, match="'no' of 'no/model' does not exist: make it first"):
        hf_rnn.export(tiny_run, "no/model")


def test_an_earlier_export_outlives_a_move_that_fails(exported, tiny_run, monkeypatch):
    move = os.replace

    def fails(source, target):
        if Path(target) == exported and ".exporting" in str(source):
            raise OSError("no space left")
        move(source, target)

    before = read_record(exported)
    monkeypatch.setattr(exporting.os, "replace", fails)
    with pytest.raises(OSError, match="no space left"):
        hf_rnn.export(tiny_run, exported)
    assert read_record(exported) == before
    assert [file.name for file in exported.parent.iterdir()] == ["model"]
    # A process that ended between the two moves left the earlier export under another name.
    monkeypatch.undo()
    move(exported, exported.with_name(".model.replaced"))
    monkeypatch.setattr(exporting, "LIMIT", -1.0)
    with pytest.raises(HfRnnError, match="differs from the model"):
        hf_rnn.export(tiny_run, exported)
    assert read_record(exported) == before


def test_weights_in_half_precision_are_exported_in_float32(tiny_run, tmp_path):
    folder = shutil.copytree(tiny_run, tmp_path / "model")
    hf_rnn.RNNForSequenceClassification.from_pretrained(folder).bfloat16().save_pretrained(folder)
    output = hf_rnn.export(folder, tmp_path / "exported")
    graph = onnx.load(str(output / "onnx" / "model.onnx")).graph
    assert {each.data_type for each in graph.initializer if each.dims} <= {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.INT64,
    }


def test_without_its_data_a_model_is_compared_on_made_up_texts(tiny_run, tmp_path, caplog):
    folder = shutil.copytree(tiny_run, tmp_path / "model")
    run = yaml.safe_load((folder / "run.yaml").read_text())
    run["data"]["path"] = "./gone.csv"
    (folder / "run.yaml").write_text(yaml.safe_dump(run))
    record = read_record(hf_rnn.export(folder, tmp_path / "exported"))
    assert record["parity"]["source"] == "made-up texts of random tokens"
    assert record["parity"]["texts"] == 200
    assert "made-up texts of random tokens, because validation rows cannot be read: there is no file" in caplog.text
    with pytest.raises(HfRnnError, match=r"measured on validation rows, and they cannot be read \(there is no file"):
        hf_rnn.export(folder, tmp_path / "int8", int8=True)
    with pytest.raises(DataError, match=r"there is no file or folder './nowhere\.csv'"):
        hf_rnn.export(folder, tmp_path / "int8", data="./nowhere.csv")
    for name in ("run.yaml", "schema.json", "metrics.json"):
        (folder / name).unlink()
    record = read_record(hf_rnn.export(folder, tmp_path / "alone"))
    assert record["parity"]["source"] == "made-up texts of random tokens"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["alone", "exported", "model"]


def test_a_difference_fails_the_export_and_leaves_no_files(tiny_run, exported, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "LIMIT", -1.0)
    with pytest.raises(HfRnnError, match=r"differs from the model by .* on 30 validation rows of reviews \(limit"):
        hf_rnn.export(tiny_run, tmp_path / "model")
    assert not list(tmp_path.iterdir())
    before = read_record(exported)
    with pytest.raises(HfRnnError, match="differs from the model"):
        hf_rnn.export(tiny_run, exported)
    assert read_record(exported) == before
    assert [file.name for file in exported.parent.iterdir()] == ["model"]


def test_differences_of_all_kinds_are_seen():
    model = classifier(bidirectional=True)
    rows = made_up_rows(40, 20)

    def of_model(ids, mask):
        with torch.inference_mode():
            return model(torch.from_numpy(ids), torch.from_numpy(mask)).logits.numpy()

    def ignores_masks(ids, mask):
        return of_model(ids, np.ones_like(mask))

    def fails_at_empty_rows(ids, mask):
        return np.where(mask.any(1, keepdims=True), of_model(ids, mask), np.nan)

    assert max(differences(model, of_model, rows).values()) == 0
    found = differences(model, ignores_masks, rows)
    assert found.pop("none") == 0
    assert min(found.values()) > 0.1
    assert differences(model, fails_at_empty_rows, rows)["right"] == np.inf
    with pytest.raises(HfRnnError, match=r"logits of shape \[1, 2\] instead of \[1, 3\].*a pooling of your own"):
        differences(model, lambda ids, mask: of_model(ids, mask)[:, :2], rows)


def test_a_long_text_is_compared_up_to_a_number_of_tokens():
    widths = []
    model = classifier()

    def graph(ids, mask):
        widths.append(ids.shape[1])
        with torch.inference_mode():
            return model(torch.from_numpy(ids), torch.from_numpy(mask)).logits.numpy()

    assert max(differences(model, graph, [[1] * 50, [2] * 4], longest=5).values()) == 0
    assert max(widths) == 5 + 3


def test_what_int8_weights_lose_is_measured_and_written(tiny_run, tmp_path, quantized, capsys):
    quantized["by"] = 1.001
    output = hf_rnn.export(tiny_run, tmp_path / "exported", int8=True, max_loss=3)
    assert "int8       accuracy " in capsys.readouterr().out
    record = read_record(output)
    assert set(record["files"]) == {"model.onnx", "model_quantized.onnx"}
    about = record["quantization"]
    assert about["metric"] == "accuracy"
    assert about["rows"] == 30
    assert about["lost"] == pytest.approx(100 * (about["before"] - about["after"]))
    validation = json.loads((tiny_run / "metrics.json").read_text())["validation"]
    assert about["before"] == pytest.approx(validation["accuracy"])
    for name in record["files"]:
        (metadata,) = onnx.load(str(output / "onnx" / name)).metadata_props
        assert json.loads(metadata.value)["labels"] == ["negative", "positive"]
    card = (output / "README.md").read_text()
    assert "| onnx/model_quantized.onnx | " in card
    assert "on 30 validation rows of reviews" in card
    assert "- onnx\n" in card
    assert render_folder(output, "exported") == card


def test_a_great_loss_of_int8_weights_is_refused(tiny_run, tmp_path, quantized, monkeypatch):
    measured = iter([{"accuracy": 0.9}, {"accuracy": 0.875}])
    monkeypatch.setattr(exporting, "measure", lambda *_: next(measured))
    message = (
        r"int8 weights lose 2\.50 points, and 0\.5 are allowed: accuracy 90\.00% → 87\.50% \(-2\.50.* max_loss=3\."
    )
    with pytest.raises(HfRnnError, match=message):
        hf_rnn.export(tiny_run, tmp_path / "exported", int8=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("metric", "greater", "before", "after", "lost"),
    [
        ("accuracy", True, 0.9, 0.905, -0.5),
        ("bleu", True, 38.9, 38.6, 0.3),
        ("perplexity", False, 100.0, 100.4, 0.4),
        ("mse", False, 0.0, 0.0, 0.0),
    ],
)
def test_a_loss_in_points_or_percent(metric, greater, before, after, lost):
    found = check_loss({metric: greater, "other": True}, {metric: before}, {metric: after}, 0.5)
    assert found.lost == pytest.approx(lost)
    assert "-0.00" not in found.text


@pytest.mark.parametrize(
    ("metric", "greater", "before", "after", "message"),
    [
        ("accuracy", True, 0.9, float("nan"), "lose nan points"),
        ("perplexity", False, 100.0, 120.0, r"lose 20\.00 %, and 0\.5 are allowed: perplexity per token"),
        ("mse", False, 0.0, 0.1, "lose inf %"),
    ],
)
def test_a_loss_that_is_too_great(metric, greater, before, after, message):
    with pytest.raises(HfRnnError, match=message):
        check_loss({metric: greater}, {metric: before}, {metric: after}, 0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embeddings": "int4"}, "embeddings='int4' is not one of int8, pq: did you mean embeddings='int8'"),
        ({"max_loss": -1}, "max_loss=-1 is a loss in points: write a number from 0 on"),
        ({"max_loss": float("nan")}, "max_loss=nan is a loss in points"),
        ({"push": "bad name!!"}, "bad name!!"),
    ],
)
def test_wrong_arguments(tiny_run, tmp_path, settings, message):
    with pytest.raises(HfRnnError, match=message):
        hf_rnn.export(tiny_run, tmp_path / "exported", **settings)
    assert not list(tmp_path.iterdir())


def test_what_is_no_model(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(HfRnnError, match="holds no model that can be loaded"):
        hf_rnn.export(tmp_path / "empty", tmp_path / "exported")
    with pytest.raises(HubError, match="there is no folder"):
        hf_rnn.export(tmp_path / "nowhere", tmp_path / "exported")
    assert [file.name for file in tmp_path.iterdir()] == ["empty"]


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package(tiny_run, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(HfRnnError, match=rf'exporting needs {package}: pip install "hf-rnn\[onnx\]"'):
        hf_rnn.export(tiny_run, tmp_path / "exported")
    assert not list(tmp_path.iterdir())


def test_an_onnxruntime_that_does_not_know_the_operators(tmp_path):
    graph = onnx.helper.make_graph([], "empty", [], [])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 999)])
    onnx.save(model, str(tmp_path / "model.onnx"))
    with pytest.raises(HfRnnError, match=r"model\.onnx cannot be loaded by .* pip install --upgrade onnxruntime"):
        Session(tmp_path / "model.onnx")


def test_a_push_includes_the_graphs(exported, tiny_run):
    assert set(model_files(exported)) - set(model_files(tiny_run)) == {"onnx/model.onnx", "onnx/hf_rnn.json"}
    assert set(ONNX_FILES) >= {"onnx/encoder_model.onnx", "onnx/decoder_model_quantized.onnx"}


def test_the_command(tiny_run, tmp_path, capsys):
    assert main(["export", str(tiny_run), "--output", str(tmp_path / "exported")]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("parity     ")
    assert out[0].endswith("the largest difference of logits on 30 validation rows of reviews")
    assert out[-1] == f"the exported model is in {tmp_path / 'exported'}"
    assert main(["export", str(tiny_run), "--output", str(tmp_path / "other"), "--push"]) == 1
    assert "is a folder, so --push needs a name: write --push USER/NAME" in capsys.readouterr().err
    assert main(["export", str(tiny_run)]) == 1
    assert "--output" in capsys.readouterr().err
