"""Tests that commands use the cached model, and report it, if the Hub does not answer correctly."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from support.hub import calls
from support.hub.client import tiny_training
from support.hub.connection import STRANGERS
from support.hub.server import Fault
from support.marks import proof
from support.waiting import PATIENCE

from hf_rnn.hub.fetch import download
from hf_rnn.utils.errors import UserError

TEXT = "the film was good ."


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "came"),
    [
        ("close", "cannot be reached (Server disconnected"),
        proof("cut", "cannot be reached (peer closed connection"),
        proof("hang", "cannot be reached (timed out"),
        ("html", "it sends a web page, 'Welcome to the hotel'"),
        proof("login", "it sends a web page, 'Welcome to the hotel'"),
        proof("bad_json", """it sends '{"id": "user/', which is not JSON"""),
        ("other_json", "it sends unexpected JSON"),
        proof("no_sha", "it sends unexpected JSON, with the commit None"),
        proof("no_names", "it sends unexpected JSON, with the file name None"),
        proof("no_date", "it sends unexpected JSON, ValueError"),
        proof("404 html", "it sends a web page, 'Not here'"),
        proof("511 html", "it sends a web page, 'Log in'"),
        proof("502 html", "the Hub fails (502)"),
        (500, "the Hub fails (500): run the same command again later. The Hub says: told to fail."),
        proof(429, "the Hub takes no more requests for now (429)"),
    ],
)
def test_a_hub_that_does_not_answer_as_it_should(server, client, model, repo_id, kind, came):
    assert client.cli("push", model, repo_id)[0] == 0
    code, expected, _ = client.cli("predict", repo_id, TEXT)
    assert code == 0
    server.faults.append(Fault(kind, ".*", times=999))
    assert client.cli("predict", repo_id, TEXT)[:2] == (0, expected)
    (line,) = client.told("predict", repo_id, TEXT)
    assert came in line
    commit = server.repo(repo_id).branches["main"]
    assert f"is read from the cache, revision main as it was at commit {commit}" in line
    assert client(calls.load_directly, repo_id) == ""
    if kind != "hang":
        assert client(calls.load, repo_id) == "hf_rnn.models.modeling_rnn"
        error = client.fails("predict", "user/never-here", TEXT)
        assert came in error
        assert server.url in error or isinstance(kind, int) or kind == "502 html"


@pytest.mark.slow
def test_answers_without_the_headers_of_a_hub(server, client, model, repo_id):
    assert client.cli("push", model, repo_id)[0] == 0
    server.faults.append(Fault("bare", "HEAD", times=999))
    assert f"{server.url} does not answer as the Hub does; it sends" in client.fails("predict", repo_id, TEXT)


@pytest.mark.slow
def test_nothing_listens(server, client, model, repo_id):
    assert client.cli("push", model, repo_id)[0] == 0
    expected = client.cli("predict", repo_id, TEXT)[1]
    variables = {**os.environ, **client.environment, "HF_ENDPOINT": "http://127.0.0.1:1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "hf_rnn.cli.main", "predict", repo_id, TEXT]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (0, expected)
    assert "the Hub at http://127.0.0.1:1 cannot be reached ([Errno 111] Connection refused)" in done.stderr
    assert "is read from the cache" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["close", "bare", 404, *(kind for kind in STRANGERS if kind != "502 html")])
def test_a_newer_model_that_arrives_in_part_leaves_the_older_one(server, client, model, repo_id, kind):
    assert client.cli("push", model, repo_id)[0] == 0
    assert client.cli("predict", repo_id, TEXT)[0] == 0
    repo = server.repo(repo_id)
    older = repo.branches["main"]
    config = (model / "config.json").read_text()
    (model / "config.json").write_text(config.replace('"negative"', '"bad"').replace('"positive"', '"good"'))
    assert client.cli("push", model, repo_id)[0] == 0
    server.faults.append(Fault(kind, "(GET|HEAD) .*/resolve/.*/config.json", times=999))
    for _ in range(2):
        assert f"as it was at commit {older}" in client.told("predict", repo_id, TEXT)[-1]
        # In the second round, the Hub answers nothing at all.
        server.faults.append(Fault("close", ".*", times=999))
    server.faults.clear()
    assert client.told("predict", repo_id, TEXT) == []
    assert client.cli("predict", repo_id, TEXT)[1].split("\t")[0] in ("bad", "good")


def test_a_model_that_has_not_changed_is_asked_for_once(server, client, model, repo_id):
    assert client.cli("push", model, repo_id)[0] == client.cli("predict", repo_id, TEXT)[0] == 0
    server.requests.clear()
    assert client.cli("predict", repo_id, TEXT)[0] == 0
    assert server.requests == [f"GET /api/models/{repo_id}"]


def test_a_silent_hub_and_nothing_in_the_cache(server, client, repo_id):
    server.faults.append(Fault("hang", ".*", times=999))
    error = client(calls.load_directly, repo_id)
    assert f"{server.url} has not answered for 1 seconds, and the weights of {repo_id!r} are not in the cache" in error
    assert server.faults[0].times == 998, "one question is enough"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hang", proof("close"), proof("html")])
def test_a_tokenizer_in_the_cache(server, client, model, repo_id, kind):
    assert client.cli("push", model, repo_id)[0] == 0
    size = client(calls.size_of_tokenizer, repo_id, revision="main")
    server.faults.append(Fault(kind, ".*", times=999))
    assert client(calls.size_of_tokenizer, repo_id) == size
    assert server.faults[0].times == 998, "one question is enough"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hang", proof("close"), proof("html")])
def test_a_data_set_in_the_cache(server, client, tiny_run, tmp_path, kind):
    name = f"user/reviews-{kind}"
    server.create(name, "dataset", files={"train.csv": (tiny_run.parent / "reviews.csv").read_bytes()})
    assert client.cli("train", *tiny_training(name, tmp_path / "one", num_train_epochs=1))[0] == 0
    server.faults.append(Fault(kind, ".*", times=999))
    said = client.told("train", *tiny_training(name, tmp_path / "two", num_train_epochs=1))
    assert any(f"Until then {name!r} is read from the cache" in line for line in said)
    assert (tmp_path / "two" / "model.safetensors").read_bytes() == (
        tmp_path / "one" / "model.safetensors"
    ).read_bytes()
    # The cache does not record its revision, so it cannot replace a named revision.
    run = tiny_training(name, tmp_path / "three", num_train_epochs=1)
    server.faults[0].kind = "close"
    error = client.fails("train", *run, "--data.revision=main")
    assert f"the data set {name!r} is neither a file or folder here nor readable on the Hub: the Hub at" in error
    assert "To read a copy that you have, write --data.path FOLDER." in error


def test_a_sharded_model_of_which_a_part_was_fetched_is_not_in_the_cache(tmp_path):
    files = tmp_path / "models--user--m"
    folder = files / "snapshots" / ("a" * 40)
    folder.mkdir(parents=True)
    (files / "refs").mkdir()
    (files / "refs" / "main").write_text("a" * 40)
    shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": dict(zip("ab", shards, strict=True))})
    )
    (folder / shards[0]).write_bytes(b"")
    with pytest.raises(UserError, match=r"'user/m' is not in the cache"):
        download("user/m", cache_dir=tmp_path)
    (folder / shards[1]).write_bytes(b"")
    assert download("user/m", cache_dir=tmp_path) == folder


@pytest.mark.slow
def test_vectors_of_a_model_on_the_hub_and_in_the_cache(server, client, tiny_run, model, repo_id, tmp_path):
    assert client.cli("push", model, repo_id)[0] == 0
    options = ["--data.path", tiny_run.parent / "reviews.csv", "--tokenizer.path", model, "--model.hidden_size", "4"]
    options += ["--training.vectors_frozen_epochs", "1", "--training.max_steps", "1", "--training.disable_tqdm", "true"]

    def begin(name: str, vectors: str = repo_id) -> tuple[int, str, str]:
        return client.cli("train", *options, "--model.vectors", vectors, "--training.output_dir", tmp_path / name)

    assert begin("asked")[0] == 0
    server.faults.append(Fault(500, ".*", times=999))
    assert begin("cached")[0] == 0
    theirs = load_file(model / "model.safetensors")["model.embed_tokens.weight"]
    for name in ("asked", "cached"):
        ours = load_file(tmp_path / name / "model.safetensors")["model.embed_tokens.weight"]
        report = json.loads((tmp_path / name / "metrics.json").read_text())["run"]["vectors"]
        torch.testing.assert_close(ours[4:], report["scale"] * theirs[4:])
        assert (report["source"], report["format"], report["types"]) == (repo_id, "input embeddings", 1)
    server.faults.clear()
    error = begin("nowhere", "user/never-here")[2]
    assert "--model.vectors user/never-here" in error or "'user/never-here'" in error
    assert not (tmp_path / "nowhere").exists()
