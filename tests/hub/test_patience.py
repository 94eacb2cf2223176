"""Tests of retries: the final push of a training run waits longer for the Hub than a checkpoint does."""

import socket
import sys
import threading
from itertools import count
from pathlib import Path

import httpx
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import http_backoff
from support.hub.client import tiny_training, titles
from support.hub.server import Fault
from support.marks import proof

from hf_rnn.hub.push import kept_for_later
from hf_rnn.utils import hub_errors
from hf_rnn.utils.errors import UserError


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """Return the list of waits, which the tests do not wait for; each look at the clock takes 0.01 s."""
    waits: list[float] = []
    looks = count()
    monkeypatch.setattr(hub_errors, "sleep", waits.append)
    monkeypatch.setattr(hub_errors, "clock", lambda: sum(waits) + 0.01 * next(looks))
    return waits


def test_a_hub_that_asks_for_a_wait_gets_it_once(waits):
    request = httpx.Request("GET", "http://127.0.0.1/api/models/user/m")
    busy = httpx.Response(429, headers={"Retry-After": "60"}, request=request)

    def call() -> str:
        if not waits or forever:
            raise HfHubHTTPError("429", response=busy)
        return "done"

    forever = False
    assert hub_errors.patiently(call, "user/m") == "done"
    assert waits == [60]
    forever = True
    waits.clear()
    with pytest.raises(UserError, match="run the same command again in 60 s"):
        hub_errors.patiently(call, "user/m")
    assert waits == [60]


def test_a_server_that_refuses_and_is_then_silent(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub_errors, "LONGEST_SILENCE", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        listening = threading.Timer(0.2, silent.listen)
        listening.start()
        # The client closes its session if a connection is refused, and retries with a new session.
        with pytest.raises(hub_errors.NotServed, match=r"cannot be reached \(timed out\)"):
            hub_errors.patiently(
                lambda: http_backoff("GET", url, max_retries=1, base_wait_time=0.5), "user/m", patience=0
            )
        listening.join()


@pytest.mark.slow
def test_a_users_own_clients_stay(client):
    script = """
import huggingface_hub
made, kind = [], type(huggingface_hub.get_session())
huggingface_hub.set_client_factory(lambda: made.append(kind()) or made[-1])
import hf_rnn.utils.hub_errors
assert huggingface_hub.get_session() is made[-1]
print(len(made[-1].event_hooks["request"]))
"""
    assert client.process(sys.executable, "-c", script) == "1\n"


def test_a_push_outlasts_a_restart_and_a_training_run_does_not_wait_for_it(waits):
    def call() -> str:
        if sum(waits) < 60:
            raise httpx.ConnectError("[Errno 111] Connection refused")
        return "done"

    assert hub_errors.patiently(call, "user/m", patience=hub_errors.PATIENCE_OF_A_PUSH) == "done"
    assert waits == [1, 2, 4, 8, 16, 30]
    waits.clear()
    with pytest.raises(UserError, match=r"cannot be reached \(\[Errno 111\] Connection refused\)"):
        hub_errors.patiently(call, "user/m")
    assert waits == [1, 2, 4, 8]


def test_a_push_ends_where_the_hub_never_comes_back(waits):
    def call() -> None:
        raise httpx.ReadTimeout("The read operation timed out")

    with pytest.raises(UserError, match="cannot be reached"):
        hub_errors.patiently(call, "user/m", patience=hub_errors.PATIENCE_OF_A_PUSH)
    assert 60 < sum(waits) <= hub_errors.PATIENCE_OF_A_PUSH


def test_no_try_follows_an_error_that_is_not_the_hubs(waits):
    def call() -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        hub_errors.patiently(call, "user/m", patience=hub_errors.PATIENCE_OF_A_PUSH)
    assert not waits


@pytest.mark.slow
@pytest.mark.parametrize("kind", [503, proof("close"), proof("html")])
@pytest.mark.parametrize("step", ["POST /api/repos/create", "GET /api/models/", "HEAD .*README.md", "POST .*/commit/"])
def test_each_step_of_a_push_outlasts_a_restart(server, client, model, repo_id, step, kind):
    server.create(repo_id, files={"README.md": b"# Mine\n\nWords of mine.\n"})
    server.faults.append(Fault(kind, step, times=6))
    assert client.cli("push", model, repo_id)[0] == 0
    assert not server.faults[0].times, "the fault was never met"
    assert titles(server, repo_id) == ["Upload model", "files", "initial commit"]
    assert b"Words of mine." in server.repo(repo_id).files()["README.md"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["close", "html", "bad_json"])
def test_checkpoints_are_given_up_sooner_than_the_end(server, client, tiny_run, repo_id, tmp_path, kind):
    server.faults.append(Fault(kind, "POST .*/commit/", times=16))
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=every_save"]
    run = tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "run", num_train_epochs=2)
    assert client.cli("train", *run, *hub)[0] == 0
    # Each of the two checkpoints takes five failed tries. The final push fails six times and then succeeds.
    assert not server.faults[0].times
    assert titles(server, repo_id) == ["End of training", "initial commit"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["html", "other_json"])
def test_a_push_that_fails_in_any_way_names_the_folder(server, client, tiny_run, repo_id, tmp_path, kind):
    server.faults.append(Fault(kind, "POST .*/commit/", times=99))
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=end"]
    folder = tmp_path / "run"
    error = client.fails("train", *tiny_training(tiny_run.parent / "reviews.csv", folder, num_train_epochs=1), *hub)
    assert f"The model is complete in '{folder}': push it later, hf-rnn push {folder} {repo_id}" in error


def test_the_line_to_push_later_has_the_revision_and_replaces_a_broken_card(
    server, client, tiny_run, repo_id, tmp_path
):
    server.create(repo_id, files={"README.md": b"---\nlicense: [mit\n---\n# Mine\n"})
    hub = [f"--training.hub_model_id={repo_id}", "--training.hub_strategy=end", "--training.hub_revision=side"]
    folder = tmp_path / "run"
    run = tiny_training(tiny_run.parent / "reviews.csv", folder, num_train_epochs=1)
    error = client.fails("train", *run, "--training.push_to_hub=true", *hub)
    line = f"hf-rnn push {folder} {repo_id} --revision side --overwrite_card"
    assert error.endswith(f"The model is complete in '{folder}': push it later, {line}")
    assert error.count("hf-rnn push") == 1
    assert client.cli(*line.split()[1:])[0] == 0
    assert titles(server, repo_id, "side")[0] == "Upload model"


def test_an_error_that_nobody_foresaw_names_the_folder_too():
    with (
        pytest.raises(
            UserError,
            match=r"KeyError: 'x'\. The model is complete in 'my run': push it later, hf-rnn push 'my run' user/m",
        ),
        kept_for_later(Path("my run"), "user/m"),
    ):
        raise KeyError("x")
