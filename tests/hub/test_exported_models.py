"""Tests of exported models on the Hub."""

import pytest
from support.hub import calls
from support.hub.server import Fault

import hf_rnn
from hf_rnn import Predictor

TEXTS = ["the film was not good .", "it was bad"]


@pytest.mark.slow
def test_an_exported_model_is_downloaded_and_answers(server, client, tiny_run, tmp_path, repo_id):
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    folder = hf_rnn.export(tiny_run, tmp_path / "exported")
    expected = Predictor.from_pretrained(folder, backend="onnx")(TEXTS)
    assert "no such model on the Hub that you may read" in client(calls.answers_of_exported, repo_id, TEXTS)
    client(calls.push_folder, str(tiny_run), repo_id)
    answer = client(calls.answers_of_exported, repo_id, TEXTS)
    assert f"'{repo_id}' has no onnx/hf_rnn.json, so it holds no exported model" in answer
    client(calls.push_folder, str(folder), repo_id)
    assert client(calls.answers_of_exported, repo_id, TEXTS) == [expected, expected]
    names = client(calls.files_in_cache, repo_id)
    assert {"onnx/hf_rnn.json", "onnx/model.onnx", "tokenizer.json"} <= names
    assert "model.safetensors" not in names
    answer = client(calls.answers_of_exported, repo_id, TEXTS, revision="side")
    assert answer == f"'{repo_id}' has no revision 'side' on the Hub: leave revision out."
    # Without an answer of the Hub, the cached model is used.
    server.faults.append(Fault(500, ".*", times=999))
    assert client(calls.answers_of_exported, repo_id, TEXTS) == [expected, expected]
    assert "and its cache here has no such model" in client(calls.answers_of_exported, f"{repo_id}-2", TEXTS)
