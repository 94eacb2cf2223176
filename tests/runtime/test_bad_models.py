"""Tests of folders that hold no exported model, a damaged one, or one that the installed libraries do not know."""

import builtins
import json
import shutil
from pathlib import Path

import pytest

from hf_rnn import HfRnnError
from hf_rnn.interchange.record import files_of
from hf_rnn.runtime import Model
from hf_rnn.runtime.record import sha256


@pytest.fixture
def model(exported, tmp_path) -> Path:
    """Return a copy of an exported classifier that the test may change."""
    return Path(shutil.copytree(exported["one_label"], tmp_path / "model"))


def change(folder: Path, without: str = "", **entries) -> None:
    """Replace entries of the export record, or leave one out."""
    file = folder / "onnx" / "hf_rnn.json"
    record = {**json.loads(file.read_text()), **entries}
    record.pop(without, None)
    file.write_text(json.dumps(record))


def error_of(folder, **options) -> str:
    with pytest.raises(HfRnnError) as caught:
        Model.from_pretrained(folder, **options)
    assert str(caught.value).count("\n") == 0, "an error is one line"
    return str(caught.value)


def test_folders_without_a_model(tiny_run, tmp_path, exported):
    assert "there is no folder" in error_of(tmp_path / "nothing")
    assert "holds no exported model: write hf-rnn export" in error_of(tiny_run)
    (tmp_path / "empty").mkdir()
    assert "has no onnx/hf_rnn.json" in error_of(tmp_path / "empty")
    assert "has no onnx/hf_rnn.json" in error_of(exported["one_label"] / "onnx")


def test_records_that_are_damaged_incomplete_or_of_a_newer_format(model):
    change(model, format=2, hf_rnn_version="9.0")
    assert "was exported by hf_rnn 9.0 in the format 2, and this release reads the format 1: pip" in error_of(model)
    change(model, "labels", format=1)
    assert "hf_rnn.json of" in error_of(model)
    assert "is not complete (it has no 'labels'): export it again" in error_of(model)
    change(model, labels=["a", "b", "c"], task="parsing")
    assert "task is 'parsing', and should be one of text_classification, token_classification" in error_of(model)
    change(model, task="text_classification", problem_type="ranking")
    assert "problem_type is 'ranking', and should be one of single_label_classification" in error_of(model)
    for content in ("{", "[]", '"text"', ""):
        (model / "onnx" / "hf_rnn.json").write_text(content)
        assert "onnx/hf_rnn.json of" in error_of(model)
        assert "is damaged" in error_of(model)
        assert content[:1] not in ("[", '"') or "is damaged (it is not a JSON object)" in error_of(model)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"thresholds": {"zzz": 0.5}}, "thresholds has the label 'zzz', which is not one of"),
        ({"thresholds": 5}, "is not complete"),
        ({"max_length": "x"}, "max_length is 'x', and should be a whole number, 1 or greater"),
        ({"labels": []}, "labels is empty"),
        ({"files": {}}, "names no ONNX files: export it again"),
        ({"labels": ["a", "b"]}, "computes logits of 3 labels, and its record has 2"),
        ({"without": "state"}, "it has no 'state'"),
        ({"without": "generation"}, "it has no 'generation'"),
        ({"task": "language_modeling", "problem_type": None}, "generation is None, and should be an object"),
    ],
    ids=str,
)
def test_records_that_do_not_fit_the_model(model, entries, message):
    change(model, **entries)
    assert message in error_of(model)


@pytest.mark.parametrize("name", ["pad_token_id", "unk_token_id", "bos_token_id", "eos_token_id"])
def test_records_without_a_special_token(model, name):
    tokenizer = json.loads((model / "onnx" / "hf_rnn.json").read_text())["tokenizer"]
    change(model, tokenizer={key: value for key, value in tokenizer.items() if key != name})
    assert f"it has no '{name}'" in error_of(model)


def test_options_that_do_not_apply(model):
    assert "revision='main' is for models on the Hub" in error_of(model, revision="main")
    for path in (None, 5, ""):
        assert f"path={path!r} names no model: write a folder that hf-rnn export wrote, or a Hub id" in error_of(path)
    with pytest.raises(TypeError, match="quantised"):
        Model.from_pretrained(model, quantised=True)


def test_files_of_other_models_and_damaged_files(model, exported):
    for name, other in (("onnx/model.onnx", "pairs"), ("tokenizer.json", "tagger")):
        kept = (model / name).read_bytes()
        shutil.copyfile(exported[other] / name, model / name)
        assert f"{name} of {str(model)!r} is damaged, or it belongs to another model: its SHA-256 is" in error_of(model)
        (model / name).write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        assert "is damaged, or it belongs to another model" in error_of(model)
        (model / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
        assert f"{name} of {str(model)!r} is a pointer of Git LFS, not the file itself" in error_of(model)
        (model / name).unlink()
        assert f"has no {name}, which its onnx/hf_rnn.json names" in error_of(model)
        (model / name).write_bytes(kept)
    assert Model.from_pretrained(model).predict("a text")


def test_an_opset_that_the_installed_onnxruntime_does_not_know(model):
    onnx = pytest.importorskip("onnx")
    file = model / "onnx" / "model.onnx"
    graph = onnx.load(str(file))
    graph.opset_import[0].version = 999
    onnx.save(graph, str(file))
    change(model, files=files_of(file.parent), opset=999)
    error = error_of(model)
    assert "needs the ONNX opset 999, which the installed onnxruntime" in error
    assert error.endswith("does not know: pip install --upgrade onnxruntime.")
    file.write_bytes(b"not a graph")
    change(model, files=files_of(file.parent))
    assert "cannot be loaded by onnxruntime" in error_of(model)


def test_a_tokenizer_that_the_installed_library_does_not_know(model):
    file = model / "tokenizer.json"
    file.write_text(file.read_text().replace("WordLevel", "WordNet"))
    record = json.loads((model / "onnx" / "hf_rnn.json").read_text())
    change(model, tokenizer={**record["tokenizer"], "sha256": sha256(file)})
    assert "tokenizer.json of" in error_of(model)
    assert "cannot be loaded by the installed tokenizers" in error_of(model)


def test_int8_weights_are_read_if_they_are_asked_for_or_alone(model):
    assert "has no onnx/model_quantized.onnx: leave quantized out, or export" in error_of(model, quantized=True)
    file = model / "onnx" / "model_quantized.onnx"
    (model / "onnx" / "model.onnx").rename(file)
    change(model, files=files_of(file.parent))
    assert "has no onnx/model.onnx: write quantized=True" in error_of(model, quantized=False)
    assert Model.from_pretrained(model).predict("a") == Model.from_pretrained(model, quantized=True).predict("a")


@pytest.mark.parametrize("threads", [-1, 1.5, True, "2"])
def test_numbers_of_threads_that_there_are_not(model, threads):
    assert f"threads={threads!r} must be a whole number" in error_of(model, threads=threads)


def test_a_model_of_the_hub_without_the_client_of_the_hub(monkeypatch):
    find = builtins.__import__

    def without(name, *arguments, **options):
        if name.partition(".")[0] == "huggingface_hub":
            raise ImportError(name)
        return find(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert error_of("user/model").endswith('needs huggingface_hub: pip install "hf-rnn-runtime[hub]".')


def test_names_of_the_hub_that_do_not_exist_or_cannot_be_asked_for(tmp_path):
    # The tests run without a network.
    assert "and its cache here has no such model" in error_of("user/model", cache_dir=tmp_path)
    assert "no such model on the Hub that you may read" in error_of("no name at all")
