"""A model in the cache answers where the Hub does not answer as it should, and says so."""

import os
import subprocess
import sys

import pytest
from hub import calls
from hub.connection import STRANGERS
from hub.server import Fault

TEXT = "the film was good ."


@pytest.mark.parametrize(
    ("kind", "came"),
    [
        ("close", "cannot be reached (Server disconnected"),
        ("cut", "cannot be reached (peer closed connection"),
        ("hang", "cannot be reached (timed out"),
        ("html", "it sends a web page, 'Welcome to the hotel'"),
        ("login", "it sends a web page, 'Welcome to the hotel'"),
        ("bad_json", """it sends '{"id": "user/', which is no JSON"""),
        ("other_json", "it sends JSON of another form"),
        ("502 html", "the Hub fails (502)"),
        (500, "the Hub fails (500): run the same command again later. The Hub says: told to fail."),
        (429, "the Hub takes no more requests for now (429)"),
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
    if kind != "hang":
        assert client(calls.load, repo_id) == "hf_rnn.modeling_rnn"
        error = client.fails("predict", "user/never-here", TEXT)
        assert came in error
        assert server.url in error or isinstance(kind, int) or kind == "502 html"


def test_answers_without_the_headers_of_a_hub(server, client, model, repo_id):
    assert client.cli("push", model, repo_id)[0] == 0
    server.faults.append(Fault("bare", "HEAD", times=999))
    assert f"{server.url} does not answer as the Hub does; it sends" in client.fails("predict", repo_id, TEXT)


def test_nothing_listens(server, client, model, repo_id):
    assert client.cli("push", model, repo_id)[0] == 0
    expected = client.cli("predict", repo_id, TEXT)[1]
    variables = {**os.environ, **client.environment, "HF_ENDPOINT": "http://127.0.0.1:1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "hf_rnn.cli", "predict", repo_id, TEXT]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, expected)
    assert "the Hub at http://127.0.0.1:1 cannot be reached ([Errno 111] Connection refused)" in done.stderr
    assert "is read from the cache" in done.stderr


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
        # Now it answers nothing at all.
        server.faults.append(Fault("close", ".*", times=999))
    server.faults.clear()
    assert client.told("predict", repo_id, TEXT) == []
    assert client.cli("predict", repo_id, TEXT)[1].split("\t")[0] in ("bad", "good")


def test_a_model_that_has_not_changed_is_asked_for_once(server, client, model, repo_id):
    assert client.cli("push", model, repo_id)[0] == client.cli("predict", repo_id, TEXT)[0] == 0
    server.requests.clear()
    assert client.cli("predict", repo_id, TEXT)[0] == 0
    assert server.requests == [f"GET /api/models/{repo_id}"]
