"""Tests of the export of trained models: the folder, the record, parity, int8 weights, and what cannot be exported."""

import json
import os
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from support import files, tagging, tiny_config, translating, write_jsonl
from support.exporting import classifier
from tokenizers import Tokenizer

import hf_rnn
from hf_rnn.cli.main import main
from hf_rnn.hub.card import render_folder
from hf_rnn.hub.folder import ONNX_FILES, model_files
from hf_rnn.hub.push import push
from hf_rnn.interchange import export as exporting
from hf_rnn.interchange import output_folder
from hf_rnn.interchange.measuring import check_loss
from hf_rnn.interchange.output_folder import replaced
from hf_rnn.interchange.parity import differences, made_up_rows
from hf_rnn.interchange.validation import validation_rows
from hf_rnn.runtime.model import Model
from hf_rnn.runtime.record import sha256
from hf_rnn.runtime.session import Session
from hf_rnn.tasks import task_class
from hf_rnn.text.arguments import DataArguments
from hf_rnn.utils.errors import DataError, HfRnnError, HubError

TEXTS = ["the film was good .", "", "the film was not good ."]


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory) -> Path:
    """Return an export with float32 and int8 weights, which no test changes."""
    return hf_rnn.export(tiny_run, tmp_path_factory.mktemp("exported") / "model", int8=True, max_loss=5)


@pytest.fixture
def earlier(exported, tmp_path) -> Path:
    """Return a copy of an export that the test may change."""
    return Path(shutil.copytree(exported, tmp_path / "earlier" / "model"))


def read_record(folder: Path) -> dict:
    return json.loads((folder / "onnx" / "hf_rnn.json").read_text())


def answer(folder: Path, texts: list[str]) -> np.ndarray:
    """Return the logits of texts from the exported files alone."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding()
    read = tokenizer.encode_batch(texts)
    graph = Session(folder / "onnx" / "model.onnx")
    return graph.logits(np.array([each.ids for each in read]), np.array([each.attention_mask for each in read]))


def test_the_folder_answers_as_the_model(tiny_run, exported):
    assert files(exported) >= {"config.json", "tokenizer.json", "model.safetensors", "README.md", "schema.json"}
    assert files(exported / "onnx") == {"model.onnx", "model_quantized.onnx", "hf_rnn.json"}
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
    assert list(record["files"]) == ["model.onnx", "model_quantized.onnx"]
    assert record["files"]["model.onnx"] == {"sha256": sha256(file), "bytes": file.stat().st_size}
    assert record["model_files"] == {name: sha256(tiny_run / name) for name in ("config.json", "model.safetensors")}
    found = record.pop("parity")
    assert found["texts"] == 30
    assert found["source"] == "validation rows of reviews"
    assert set(found["by_padding"]) == {"none", "right", "left", "scattered"}
    assert found["largest"] == max(found["by_padding"].values()) < found["limit"] == 1e-4
    about = {name: value for name, value in record.items() if name not in ("files", "model_files", "quantization")}
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
    card = (tmp_path / "exported" / "README.md").read_text()
    assert "hf-rnn-run exported --file pairs.jsonl" in card
    assert 'hf-rnn-run exported "' not in card


TRAINED = {
    "tagger": lambda folder: tagging.run(folder / "train.jsonl", folder / "model", num_train_epochs=2),
    "translator": lambda folder: translating.run(folder / "train.jsonl", folder / "model", num_train_epochs=2),
    "language model": lambda folder: {
        **tiny_config(folder / "train.jsonl", folder / "model", window=10, per_device_train_batch_size=4),
        "task": "language_modeling",
    },
}
ROWS = {
    "tagger": tagging.sentences,
    "translator": translating.pairs,
    "language model": lambda count, seed=0: [{"text": row["en"]} for row in translating.pairs(count, seed)],
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "task", "metric", "graphs"),
    [
        ("tagger", "token_classification", "f1", ["model"]),
        ("translator", "translation", "bleu", ["decoder_model", "encoder_model"]),
        ("language model", "language_modeling", "perplexity", ["model"]),
    ],
)
def test_models_of_other_tasks_with_int8_weights(kind, task, metric, graphs, tmp_path):
    write_jsonl(tmp_path / "train.jsonl", ROWS[kind](60))
    write_jsonl(tmp_path / "validation.jsonl", ROWS[kind](20, 1))
    hf_rnn.train(TRAINED[kind](tmp_path))
    output = hf_rnn.export(
        tmp_path / "model",
        tmp_path / "exported",
        int8=True,
        embeddings="pq",
        max_loss=100,
        data=tmp_path / "validation.jsonl",
    )
    record = read_record(output)
    assert (record["task"], record["problem_type"]) == (task, None)
    assert sorted(record["files"]) == sorted(f"{graph}{end}.onnx" for graph in graphs for end in ("", "_quantized"))
    assert record["parity"]["texts"] == record["quantization"]["rows"] == len(ROWS[kind](20))
    about = record["quantization"]
    assert (about["metric"], about["embeddings"], about["max_loss"]) == (metric, "pq", 100)
    assert len(about.get("graphs", [about])) == len(graphs)
    if kind == "tagger":
        assert (record["labels"], record["bio"]) == (tagging.TAGS, True)
    model, text = Model.from_pretrained(output, quantized=True), "one two three ."
    answer = model.generate(text, seed=1) if kind == "language model" else model.predict([text])
    assert answer
    assert (
        "The quantized files have weights in int8, and the embedding by product" in (output / "README.md").read_text()
    )


def test_an_earlier_export_is_replaced_and_nothing_else(tiny_run, earlier, monkeypatch):
    (earlier / "notes.txt").write_text("mine")
    with pytest.raises(HfRnnError, match=r"holds an earlier export, which would be replaced, and also notes\.txt"):
        hf_rnn.export(tiny_run, earlier)
    assert (earlier / "notes.txt").read_text() == "mine"
    (earlier / "notes.txt").unlink()
    with pytest.raises(HfRnnError, match="exists already and is no earlier export: name a new folder"):
        hf_rnn.export(tiny_run, tiny_run)
    monkeypatch.chdir(earlier)
    with pytest.raises(HfRnnError, match=r"'\.' is replaced by an export, and the command runs inside it"):
        hf_rnn.export(tiny_run, ".")
    monkeypatch.chdir(earlier.parent)
    assert hf_rnn.export(tiny_run, "model") == Path("model")
    assert files(earlier / "onnx") == {"model.onnx", "hf_rnn.json"}
    assert [file.name for file in earlier.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("format", ["onnx", "torch", "keras"])
def test_missing_parent_folders_are_made(tiny_run, tmp_path, format):
    plain = tmp_path / "plain"
    classifier(vocab_size=300).save_pretrained(plain)
    hf_rnn.load_tokenizer(str(tiny_run)).save_pretrained(plain)
    source, name = (tiny_run, "model") if format == "onnx" else (plain, "model.keras")
    output = hf_rnn.export(source, tmp_path / "a" / "b" / name, format=format)
    assert [file.name for file in output.parent.iterdir()] == [name]
    (tmp_path / "file").touch()
    with pytest.raises(HfRnnError, match=r"the folder '.*file' cannot be made \(.*\): name another output"):
        hf_rnn.export(source, tmp_path / "file" / name, format=format)


def test_parent_folders_are_removed_again_if_the_export_fails(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(KeyboardInterrupt), replaced(tmp_path / "a" / "b" / "c" / "model"):
        raise KeyboardInterrupt
    assert [file.name for file in tmp_path.rglob("*")] == ["a"]


def test_int8_files_of_an_earlier_export_are_not_removed_in_silence(tiny_run, earlier, capsys):
    assert main(["export", str(tiny_run), "--output", str(earlier)]) == 0
    line = "removed    model_quantized.onnx of the earlier export: write --int8 to write such files again"
    assert line in capsys.readouterr().out.splitlines()
    assert main(["export", str(tiny_run), "--output", str(earlier)]) == 0
    assert "removed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "cause"),
    [
        ([{"text": f"film {n}", "points": n + 0.5} for n in range(20)], "has 'text', 'points'"),
        ([{"words": f"film {n}", "also": f"lamp {n}"} for n in range(20)], "has 'words', 'also'"),
    ],
)
def test_other_data_without_the_columns_of_training(tiny_run, tmp_path, capsys, rows, cause):
    write_jsonl(tmp_path / "other.jsonl", rows)
    command = ["export", str(tiny_run), "--output", str(tmp_path / "model"), "--data", str(tmp_path / "other.jsonl")]
    assert main(command) == 1
    said = capsys.readouterr().err
    assert cause in said
    assert "other.jsonl' to those of training, 'text', 'label'." in said
    assert "column NAME" not in said


@pytest.mark.parametrize("kind", ["tagger", "translator", "language model"])
def test_columns_of_other_tasks(kind, tmp_path):
    write_jsonl(tmp_path / "other.jsonl", [{"x": n, "y": n} for n in range(20)])
    task = {"tagger": "token_classification", "translator": "translation", "language model": "language_modeling"}[kind]
    predictor = SimpleNamespace(task=task_class(task)(DataArguments(text_column="source", label_column="target")))
    with pytest.raises(HfRnnError, match=r"Rename the columns of .* to those of training, 'source', 'target'") as said:
        validation_rows(predictor, tmp_path / "other.jsonl")
    assert "data." not in str(said.value)


def test_a_file_of_the_model_that_holds_a_list(tiny_run, tmp_path):
    folder = shutil.copytree(tiny_run, tmp_path / "model")
    (folder / "import.json").write_text("[1]")
    with pytest.raises(HubError, match=r"import\.json' holds no mapping: put it back as it was, or delete it"):
        render_folder(folder)


def test_the_text_of_people_in_the_card_of_an_earlier_export_is_kept(tiny_run, earlier):
    card = earlier / "README.md"
    card.write_text(card.read_text().replace("\n# model\n", "\n# model\n\nMeant for reviews of films.\n"))
    hf_rnn.export(tiny_run, earlier)
    assert "\n# model\n\nMeant for reviews of films.\n" in card.read_text()
    assert "model_quantized.onnx" not in card.read_text()
    card.write_bytes(b"\xff")
    before = read_record(earlier)
    with pytest.raises(HubError, match=r"README\.md is not UTF-8"):
        hf_rnn.export(tiny_run, earlier)
    assert read_record(earlier) == before


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_an_earlier_export_outlives_a_move_that_fails(error, earlier, monkeypatch):
    move = os.replace

    def fails(source, target):
        if Path(target) == earlier and Path(source).name == "new":
            raise error
        move(source, target)

    before = read_record(earlier)
    monkeypatch.setattr(output_folder.os, "replace", fails)
    with pytest.raises(type(error)), replaced(earlier) as folder:
        (folder / "onnx").mkdir()
    assert read_record(earlier) == before
    assert [file.name for file in earlier.parent.iterdir()] == ["model"]


def test_an_earlier_export_outlives_a_process_that_ended_between_two_moves(earlier, tiny_run, monkeypatch):
    before = read_record(earlier)
    left = earlier.parent / ".model.abc.exporting"
    left.mkdir()
    os.replace(earlier, left / "old")
    monkeypatch.setattr(exporting, "LIMIT", -1.0)
    with pytest.raises(HfRnnError, match="differs from the model"):
        hf_rnn.export(tiny_run, earlier)
    assert read_record(earlier) == before
    assert [file.name for file in earlier.parent.iterdir()] == ["model"]


def test_two_exports_to_one_folder_do_not_disturb_each_other(tmp_path):
    with replaced(tmp_path / "model") as one:
        (one / "one").touch()
        with replaced(tmp_path / "model") as other:
            (other / "other").touch()
        assert files(tmp_path / "model") == {"other"}
        assert files(one) == {"one"}
    assert files(tmp_path / "model") == {"one"}
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_weights_in_half_precision_are_exported_in_float32(tiny_run, tmp_path):
    folder = shutil.copytree(tiny_run, tmp_path / "model")
    hf_rnn.RNNForSequenceClassification.from_pretrained(folder).bfloat16().save_pretrained(folder)
    output = hf_rnn.export(folder, tmp_path / "exported")
    graph = onnx.load(str(output / "onnx" / "model.onnx")).graph
    assert {each.data_type for each in graph.initializer if each.dims} <= {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.INT64,
    }


def test_without_its_data_a_model_is_compared_on_random_token_ids(tiny_run, tmp_path, caplog):
    folder = shutil.copytree(tiny_run, tmp_path / "model")
    run = yaml.safe_load((folder / "run.yaml").read_text())
    run["data"]["path"] = "./gone.csv"
    (folder / "run.yaml").write_text(yaml.safe_dump(run))
    record = read_record(hf_rnn.export(folder, tmp_path / "exported"))
    assert record["parity"]["source"] == "texts of random token ids"
    assert record["parity"]["texts"] == 200
    assert "texts of random token ids, because validation rows cannot be read: there is no file" in caplog.text
    with pytest.raises(HfRnnError, match=r"\(there is no file .*[^.]\): name labelled rows, data=PATH, or"):
        hf_rnn.export(folder, tmp_path / "int8", int8=True)
    with pytest.raises(DataError, match=r"there is no file or folder './nowhere\.csv'"):
        hf_rnn.export(folder, tmp_path / "int8", data="./nowhere.csv")
    for name in ("run.yaml", "schema.json", "metrics.json"):
        (folder / name).unlink()
    record = read_record(hf_rnn.export(folder, tmp_path / "alone"))
    assert record["parity"]["source"] == "texts of random token ids"
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


def test_what_int8_weights_lose_is_measured_and_written(tiny_run, exported):
    record = read_record(exported)
    about = record["quantization"]
    assert (about["metric"], about["rows"], about["embeddings"], about["max_loss"]) == ("accuracy", 30, "int8", 5)
    assert about["lost"] == pytest.approx(100 * (about["before"] - about["after"]))
    validation = json.loads((tiny_run / "metrics.json").read_text())["validation"]
    assert about["before"] == pytest.approx(validation["accuracy"])
    assert about["bytes_after"] < about["bytes_before"]
    for name in record["files"]:
        (metadata,) = onnx.load(str(exported / "onnx" / name)).metadata_props
        assert json.loads(metadata.value)["labels"] == ["negative", "positive"]
    model = Model.from_pretrained(exported, quantized=True)
    assert np.allclose(model.scores(TEXTS), Model.from_pretrained(exported).scores(TEXTS), atol=0.05)
    card = (exported / "README.md").read_text()
    assert "| onnx/model_quantized.onnx | " in card
    assert "on 30 validation rows of reviews" in card
    assert "- onnx\n" in card
    assert render_folder(exported, "model") == card


def test_a_great_loss_of_int8_weights_is_refused(tiny_run, tmp_path, monkeypatch):
    measured = iter([{"accuracy": 0.9}, {"accuracy": 0.875}])
    monkeypatch.setattr(exporting, "measure", lambda *_: next(measured))
    message = r"lose 2\.50 points, and 0\.5 are allowed: accuracy 90\.00% → 87\.50% \(2\.50 .*worse.* max_loss=3\."
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
    word = "unchanged" if not found.lost else "worse" if found.lost > 0 else "better"
    assert found.text.endswith(f"{word})")
    assert not re.search(r"[+-]\d", found.text)


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
        ({"embeddings": "pq"}, "embeddings='pq' is an option of int8 graphs: write int8=True too, or leave it out"),
        ({"max_loss": 1}, "max_loss=1 is an option of int8 graphs"),
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
    graphs = {"onnx/model.onnx", "onnx/model_quantized.onnx", "onnx/hf_rnn.json"}
    assert set(model_files(exported)) - set(model_files(tiny_run)) == graphs
    assert set(ONNX_FILES) >= {"onnx/encoder_model.onnx", "onnx/decoder_model_quantized.onnx"}


def change(file: Path, **entries) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **entries}))


def with_other_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["classifier.out_proj.weight"] += 1
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (with_other_weights, r"model\.safetensors of .* has changed since the export.*export it again, hf-rnn export"),
        (
            lambda folder: change(folder / "config.json", thresholds={"negative": 0.4}),
            r"config\.json of .* has changed since the export.* or delete '.*onnx'",
        ),
        (
            lambda folder: (folder / "onnx" / "model_quantized.onnx").write_bytes(b"damaged"),
            r"onnx/model_quantized\.onnx of .* is damaged, or it belongs to another model",
        ),
        (
            lambda folder: (folder / "onnx" / "model.onnx").write_text("version https://git-lfs.github.com/spec/v1"),
            r"onnx/model\.onnx of .* is a pointer of Git LFS",
        ),
        (lambda folder: (folder / "onnx" / "hf_rnn.json").unlink(), r"has onnx/model\.onnx and no onnx/hf_rnn\.json"),
        (
            lambda folder: change(folder / "onnx" / "hf_rnn.json", parity={}),
            r"onnx/hf_rnn\.json is not complete \(KeyError: 'largest'\): export the model again",
        ),
        (
            lambda folder: change(folder / "onnx" / "hf_rnn.json", model_files=None),
            r"onnx/hf_rnn\.json of .* is not complete \(it has no 'model_files'\)",
        ),
    ],
)
def test_onnx_files_of_another_model_are_not_pushed(damage, message, earlier):
    damage(earlier)
    with pytest.raises(HfRnnError, match=message):
        push(earlier, "user/model")


def test_onnx_files_of_the_model_may_be_pushed(earlier, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setattr("hf_rnn.hub.push.get_token", lambda: None)
    with pytest.raises(HubError, match="there is no token to write to the Hub with"):
        push(earlier, "user/model")


def test_the_command(tiny_run, tmp_path, capsys):
    options = ["--int8", "--embeddings", "pq", "--max_loss", "50"]
    assert main(["export", str(tiny_run), "--output", str(tmp_path / "exported"), *options]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[1].startswith("int8       accuracy ")
    assert out[0].startswith("parity     ")
    assert out[0].endswith("the largest difference of logits on 30 validation rows of reviews")
    assert out[-1] == f"the exported model is in {tmp_path / 'exported'}"
    assert main(["export", str(tiny_run), "--output", str(tmp_path / "other"), "--push"]) == 1
    assert "is a folder, so --push needs a name: write --push USER/NAME" in capsys.readouterr().err
    assert main(["export", str(tiny_run)]) == 1
    assert "--output" in capsys.readouterr().err
