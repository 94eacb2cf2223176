"""Tests of a Hub that fails temporarily or permanently."""

import pytest
from support.hub import calls
from support.hub.client import titles
from support.hub.server import Fault

STEPS = {
    "create": "POST /api/repos/create",
    "info": "GET /api/models/user/",
    "card check": "POST /api/validate-yaml",
    "preupload": "POST .*/preupload/",
    "lfs batch": "POST .*/info/lfs/objects/batch",
    "lfs upload": "PUT /lfs/",
    "lfs verify": "POST /lfs/.*/verify",
    "commit": "POST .*/commit/",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [429, 500, "cut"])
@pytest.mark.parametrize("step", STEPS)
def test_a_push_gets_over_a_failure_that_passes(server, client, model, repo_id, step, kind):
    server.faults.append(Fault(kind, STEPS[step], retry_after=0))
    code, _, error = client.cli("push", model, repo_id)
    assert (code, error) == (0, "")
    assert not server.faults[0].times, "the fault was never met"
    assert titles(server, repo_id) == ["Upload model", "initial commit"]
    assert server.repo(repo_id).files()["model.safetensors"] == (model / "model.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(500, "POST .*/commit/", times=99), "the Hub fails (500)"),
        (Fault(429, "POST .*/commit/", times=99, retry_after=0), "no more requests for now (429)"),
        (Fault("cut", "POST .*/commit/", times=99), "cannot be reached"),
        (Fault("wrong_hash", "PUT|POST /lfs/[0-9a-f]*$", times=99), "is not the one that was announced"),
        (Fault("race", "POST .*/commit/", times=99), "other commits to"),
        (Fault(400, "POST .*/commit/", times=99), "the Hub refused (400): told to fail"),
    ],
    ids=lambda value: str(value.kind) if isinstance(value, Fault) else "",
)
def test_a_push_that_fails_changes_nothing_and_the_same_command_goes_on(server, client, model, repo_id, fault, message):
    server.faults.append(fault)
    assert message in client.fails("push", model, repo_id)
    assert "model.safetensors" not in server.repo(repo_id).files()
    assert "Upload model" not in titles(server, repo_id)
    server.faults.clear()
    assert client.cli("push", model, repo_id)[0] == 0
    assert titles(server, repo_id).count("Upload model") == 1


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_hub_that_never_answers_is_asked_again(server, client, model, repo_id, step):
    server.faults.append(Fault("hang", STEPS[step]))
    assert client.cli("push", model, repo_id)[0] == 0
    assert titles(server, repo_id) == ["Upload model", "initial commit"]


def test_a_commit_whose_answer_was_lost_is_not_made_twice(server, client, model, repo_id):
    server.faults.append(Fault("lost", "POST .*/commit/"))
    assert client.cli("push", model, repo_id)[0] == 0
    assert titles(server, repo_id) == ["Upload model", "initial commit"]


def test_a_push_that_loses_a_race_builds_on_the_winner(server, client, model, repo_id):
    server.faults.append(Fault("race", "POST .*/commit/"))
    assert client.cli("push", model, repo_id)[0] == 0
    assert titles(server, repo_id) == ["Upload model", "the other was faster", "initial commit"]
    assert server.repo(repo_id).files()["RACE.md"] == b"first"


@pytest.mark.slow
@pytest.mark.parametrize("kind", [429, 500, "cut", "wrong_hash"])
@pytest.mark.parametrize("step", ["GET /api/models/user/", "(HEAD|GET) .*/resolve/.*config.json", "GET /cdn/"])
def test_loading_gets_over_a_failure_that_passes(server, client, model, repo_id, step, kind):
    if kind == "wrong_hash" and "api" in step:
        pytest.skip("there is no hash of an answer of the API")
    assert client.cli("push", model, repo_id)[0] == 0
    server.faults.append(Fault(kind, step, retry_after=0))
    code, out, _ = client.cli("predict", repo_id, "the film was good .")
    assert not server.faults[0].times, "the fault was never met"
    assert (code, out) == (0, client.cli("predict", model, "the film was good .")[1])


def test_bytes_that_are_wrong_each_time_are_never_loaded(server, client, model, repo_id):
    assert client.cli("push", model, repo_id)[0] == 0
    server.faults.append(Fault("wrong_hash", "GET /cdn/", times=99))
    assert "arrives damaged each time" in client.fails("predict", repo_id, "the film was good .")
    assert "differs from the file that was pushed" in client(calls.load, repo_id)


@pytest.mark.slow
def test_a_model_in_the_cache_answers_where_the_hub_never_does(server, client, model, repo_id):
    assert client.cli("push", model, repo_id)[0] == 0
    code, expected, _ = client.cli("predict", repo_id, "the film was good .")
    assert code == 0
    server.faults.append(Fault("hang", ".*", times=99))
    assert client.cli("predict", repo_id, "the film was good .")[:2] == (0, expected)
