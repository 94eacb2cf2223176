"""Tests that ONNX files are pushed with the model to which they belong, and with no other."""

import json

import pytest
from support.hub.client import WHOLE


@pytest.mark.slow
def test_an_export_is_pushed_in_one_commit_and_does_not_outlive_its_model(server, client, model, repo_id, tmp_path):
    code, out, err = client.cli("export", model, "--output", tmp_path / "exported", "--push", repo_id)
    assert code == 0, err
    repo = server.repo(repo_id)
    assert len(repo.history()) == 2, "one commit after the first"
    files = repo.files()
    assert set(files) == {*WHOLE, "onnx/model.onnx", "onnx/hf_rnn.json"}
    assert files["onnx/model.onnx"] == (tmp_path / "exported" / "onnx" / "model.onnx").read_bytes()
    card = files["README.md"].decode()
    assert f"hf-rnn-run {repo_id} " in card
    assert "| onnx/model.onnx | " in card
    assert "- onnx\n" in card
    assert f"pushed     {server.url}/{repo_id}/commit/{repo.history()[0].oid}" in out
    # A model on the Hub, exported and pushed to the same repository. Its weights are downloaded, its graphs are not.
    code, _, err = client.cli("export", repo_id, "--output", tmp_path / "again", "--push")
    assert code == 0, err
    record = json.loads(server.repo(repo_id).files()["onnx/hf_rnn.json"])
    assert set(record["files"]) == {"model.onnx"}
    # The weights of another push are those of another model.
    assert client.cli("push", model, repo_id)[0] == 0
    assert set(server.repo(repo_id).files()) == WHOLE


@pytest.mark.slow
def test_a_push_that_fails_leaves_the_exported_folder(server, client, model, tmp_path):
    server.create("user/taken", files={"config.json": b'{"model_type": "bert"}'})
    error = client.fails("export", model, "--output", tmp_path / "exported", "--push", "user/taken")
    assert "the name 'user/taken' is taken by a model of type 'bert'" in error
    assert (tmp_path / "exported" / "onnx" / "model.onnx").is_file()
    assert f"The model is complete in '{tmp_path / 'exported'}': push it later, hf-rnn push " in error
    assert "onnx/model.onnx" not in server.repo("user/taken").files()
    nobody = client.fails("export", model, "--output", tmp_path / "no", "--push", "user/new", token="")
    assert "there is no token to write to the Hub with" in nobody
    assert not (tmp_path / "no").exists()
