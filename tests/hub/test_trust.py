"""Tests that the content of a repository is neither executed nor trusted."""

import json
from pathlib import Path

import pytest
from support.hub import calls
from support.hub.client import only_a_pickle, tiny_training
from support.hub.server import Fault
from support.marks import proof

import hf_rnn


def test_a_repository_of_pickles_is_refused_by_transformers_loaders_too(server, client, model, repo_id):
    only_a_pickle(model)
    server.create(repo_id, files={file.name: file.read_bytes() for file in model.iterdir() if file.is_file()})
    assert "has its weights only as a pickle (pytorch_model.bin)" in client(calls.load, repo_id)
    assert not any("cdn" in request and "GET" in request for request in server.requests[-4:]), "it was downloaded"


def test_a_file_of_weights_by_its_name_is_a_safetensors_file(model):
    only_a_pickle(model)
    with pytest.raises(OSError, match=r"name a .safetensors file"):
        hf_rnn.RNNForSequenceClassification.from_pretrained(str(model / "pytorch_model.bin"))


def test_a_damaged_shard_is_not_loaded(server, client, model, repo_id):
    loaded = hf_rnn.RNNForSequenceClassification.from_pretrained(model)
    (model / "model.safetensors").unlink()
    loaded.save_pretrained(model, max_shard_size="4KB")
    assert client.cli("push", model, repo_id)[0] == 0
    server.faults.append(Fault("wrong_hash", "GET /cdn/", after=1))
    assert "differs from the file that was pushed" in client(calls.load, repo_id)


def test_code_of_a_repository_runs_neither_by_itself_nor_where_hf_rnn_is_installed(server, client, model, repo_id):
    ran = model / "ran"
    evil = f"open({str(ran)!r}, 'w')\nclass RNNConfig: pass\n".encode()
    config = json.loads((model / "config.json").read_text()) | {
        "trust_remote_code": True,
        "auto_map": {"AutoConfig": "evil.RNNConfig", "AutoModelForSequenceClassification": "evil.RNNConfig"},
    }
    files = {file.name: file.read_bytes() for file in model.iterdir() if file.is_file()}
    tokenizer = json.loads((model / "tokenizer_config.json").read_text())
    tokenizer["auto_map"] = {"AutoTokenizer": ["modeling_rnn.Tokenizer", None]}
    changed = {"config.json": json.dumps(config).encode(), "evil.py": evil, "modeling_rnn.py": evil}
    changed["tokenizer_config.json"] = json.dumps(tokenizer).encode()
    server.create(repo_id, files={**files, **changed})
    assert client(calls.load, repo_id) == "hf_rnn.models.modeling_rnn"
    assert client(calls.load, repo_id, trust_remote_code=True) == "hf_rnn.models.modeling_rnn"
    client.cli("predict", repo_id, "some text")
    assert not ran.exists()


@pytest.mark.slow
def test_a_token_stands_in_no_file_that_a_run_writes_or_pushes(server, client, tiny_run, repo_id, tmp_path):
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=checkpoint"]
    run = tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "run", num_train_epochs=1, save_total_limit=5)
    code, out, error = client.cli("train", *run, *hub, "--training.hub_token=hf_writer", token="")
    assert code == 0
    assert "hf_writer" not in out + error
    written = [file for file in (tmp_path / "run").rglob("*") if file.is_file()]
    assert any(file.name == "optimizer.pt" for file in written)
    assert not any(file.name == "training_args.bin" for file in written)
    assert not [file for file in written if b"hf_writer" in file.read_bytes()]
    assert not [path for path, data in server.repo(repo_id).files().items() if b"hf_writer" in data]


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [proof("../../outside.txt"), "last-checkpoint/../../../outside.txt", proof("/tmp/outside-hf-rnn.txt")],
)
def test_no_file_of_a_repository_leaves_its_folder(server, client, tiny_run, repo_id, tmp_path, path):
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=checkpoint"]
    data = tiny_run.parent / "reviews.csv"
    assert client.cli("train", *tiny_training(data, tmp_path / "a" / "run", num_train_epochs=1), *hub)[0] == 0
    repo = server.repo(repo_id)
    newest = repo.history()[0].files
    repo.add({**newest, path: newest["run.yaml"]}, "evil", "user")
    run = tiny_training(data, tmp_path / "b" / "c" / "run", num_train_epochs=1)
    assert client.cli("train", *run, *hub, "--training.resume=true")[0] == 0
    client.cli("predict", repo_id, "some text")
    assert not list(tmp_path.rglob("outside*"))
    assert not list(client.home.rglob("outside*"))
    assert not Path("/tmp/outside-hf-rnn.txt").exists()


@pytest.mark.slow
def test_a_state_that_names_a_strange_place_touches_nothing_there(server, client, tiny_run, repo_id, tmp_path):
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=checkpoint"]
    data = tiny_run.parent / "reviews.csv"
    assert client.cli("train", *tiny_training(data, tmp_path / "a", num_train_epochs=1), *hub)[0] == 0
    repo = server.repo(repo_id)
    newest = repo.history()[0].files
    state = json.loads(newest["last-checkpoint/trainer_state.json"].data)
    changed = json.dumps({**state, "best_model_checkpoint": "/somewhere/.."}).encode()
    server.create(
        repo_id, files={**{p: b.data for p, b in newest.items()}, "last-checkpoint/trainer_state.json": changed}
    )
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").write_text("mine")
    client.cli(
        "train", *tiny_training(data, tmp_path / "b" / "run", num_train_epochs=1), *hub, "--training.resume=true"
    )
    assert (tmp_path / "b" / "mine.txt").read_text() == "mine"
