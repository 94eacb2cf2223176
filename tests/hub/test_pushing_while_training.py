"""Tests of checkpoints on the Hub and of runs that resume from them."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from support.hub import calls
from support.hub.client import WHOLE, tiny_training, titles
from support.hub.server import Fault

from hf_rnn.training.remote_checkpoint import fetch_checkpoint
from hf_rnn.utils.errors import UserError


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "pushes", "folders"),
    [
        ("end", ["End of training"], set()),
        ("every_save", ["End of training", "epoch 2", "epoch 1"], set()),
        ("checkpoint", ["End of training", "epoch 2", "epoch 1"], {"last-checkpoint"}),
        ("all_checkpoints", ["End of training", "epoch 2", "epoch 1"], {"checkpoint-9", "checkpoint-18"}),
    ],
)
def test_each_strategy_pushes_what_it_says(server, client, tiny_run, repo_id, tmp_path, strategy, pushes, folders):
    run = tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "run", num_train_epochs=2)
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", f"--training.hub_strategy={strategy}"]
    assert client.cli("train", *run, *hub)[0] == 0
    done = [title.removeprefix("Training in progress, ") for title in titles(server, repo_id)]
    assert done == [*pushes, "initial commit"]
    files = server.repo(repo_id).files()
    assert {path for path in files if "/" not in path} == WHOLE
    assert {path.partition("/")[0] for path in files if "/" in path} - {"best-checkpoint"} == folders
    assert not any(path.endswith("training_args.bin") for path in files)
    assert files["model.safetensors"] == (tmp_path / "run" / "model.safetensors").read_bytes()
    if folders:
        run = tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "elsewhere", num_train_epochs=2)
        assert client.cli("train", *run, *hub, "--training.resume=true")[0] == 0
        assert (tmp_path / "elsewhere" / "model.safetensors").read_bytes() == files["model.safetensors"]


@pytest.mark.slow
def test_training_killed_after_its_second_push_goes_on_elsewhere(server, client, tiny_run, repo_id, tmp_path):
    data = tiny_run.parent / "reviews.csv"
    assert client.cli("train", *tiny_training(data, tmp_path / "uncut"))[0] == 0
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=checkpoint"]
    server.faults.append(Fault("hang", "POST .*/commit/", after=2))
    command = [sys.executable, "-m", "hf_rnn.cli.main", "train", *tiny_training(data, tmp_path / "killed"), *hub]
    variables = {**os.environ, **server.environment(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    with (tmp_path / "log").open("w") as log:
        training = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
        server.wait_for(lambda: ("model", repo_id) in server.repos and len(titles(server, repo_id)) == 3)
        training.kill()
        training.wait()
    server.faults.clear()
    shutil.rmtree(tmp_path / "killed")
    elsewhere = tiny_training(data, tmp_path / "elsewhere")
    code, _, error = client.cli("train", *elsewhere, *hub, "--training.resume=true")
    assert (code, error) == (0, "")
    uncut, resumed = (json.loads((tmp_path / n / "metrics.json").read_text()) for n in ("uncut", "elsewhere"))
    assert resumed["validation"] == uncut["validation"]
    assert resumed["run"]["best_step"] == uncut["run"]["best_step"]
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("uncut", "elsewhere")]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
    assert titles(server, repo_id)[0] == "End of training"


@pytest.mark.slow
def test_a_run_that_goes_on_elsewhere_warns_of_nothing(server, client, tiny_run, repo_id, tmp_path):
    data = tiny_run.parent / "reviews.csv"
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=checkpoint"]
    worst = {"metric_for_best_model": "accuracy", "greater_is_better": "false"}
    assert client.cli("train", *tiny_training(data, tmp_path / "first", num_train_epochs=2, **worst), *hub)[0] == 0
    shutil.rmtree(tmp_path / "first")
    copy = shutil.copy(data, tmp_path / "copy.csv")
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "README.md").write_text("# A card without metadata\n")
    again = tiny_training(copy, tmp_path / "second", num_train_epochs=3, **worst)
    assert client.told("train", *again, *hub, "--training.resume=true") == [
        f"the run in {tmp_path / 'second'} resumes from checkpoint-18.",
        "30 rows of train were set aside as the validation split (data.validation_from='random').",
        f"pushed: {server.url}/{repo_id}/commit/{server.repo(repo_id).branches['main']}",
    ]


@pytest.mark.slow
def test_the_best_checkpoint_comes_along_with_the_newest(server, client, tiny_run, repo_id, tmp_path):
    data = tiny_run.parent / "reviews.csv"
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=checkpoint"]
    # The lowest accuracy counts as the best, so that the best checkpoint is an early one.
    worst = {"metric_for_best_model": "accuracy", "greater_is_better": "false", "num_train_epochs": 3}
    assert client.cli("train", *tiny_training(data, tmp_path / "first", **worst), *hub)[0] == 0
    assert json.loads((tmp_path / "first" / "metrics.json").read_text())["run"]["best_step"] < 27
    assert "best-checkpoint/model.safetensors" in server.repo(repo_id).files()
    again = tiny_training(data, tmp_path / "second", **worst)
    assert client.cli("train", *again, *hub, "--training.resume=true")[0] == 0
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "second"))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.mark.slow
def test_a_run_goes_on_elsewhere_more_than_once_with_its_data_in_another_place(
    server, client, tiny_run, repo_id, tmp_path
):
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=checkpoint"]
    first = tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "first", num_train_epochs=2)
    assert client.cli("train", *first, *hub)[0] == 0
    copy = shutil.copy(tiny_run.parent / "reviews.csv", tmp_path / "copy.csv")
    again = tiny_training(copy, tmp_path / "second", num_train_epochs=2)
    for _ in range(2):
        assert client.cli("train", *again, *hub, "--training.resume=true")[::2] == (0, "")


@pytest.mark.slow
def test_checkpoints_of_an_earlier_run_are_not_gone_on_with(server, client, tiny_run, repo_id, tmp_path):
    server.create(repo_id, files={"checkpoint-100/trainer_state.json": b"{}", "last-checkpoint/old.bin": b"old"})
    hub = [
        "--training.push_to_hub=true",
        f"--training.hub_model_id={repo_id}",
        "--training.hub_strategy=all_checkpoints",
    ]
    run = tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "run", num_train_epochs=2)
    assert client.cli("train", *run, *hub)[0] == 0
    folders = {path.partition("/")[0] for path in server.repo(repo_id).files() if "/" in path}
    assert folders == {"checkpoint-9", "checkpoint-18"}


@pytest.mark.slow
def test_a_checkpoint_that_no_run_made_is_not_fetched(server, client, tiny_run, repo_id, tmp_path):
    server.create(repo_id, files={"last-checkpoint/trainer_state.json": b"{}"})
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.resume=true"]
    error = client.fails("train", *tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "run"), *hub)
    assert "has a checkpoint but no run.yaml" in error
    assert not list((tmp_path / "run").glob("checkpoint*"))


def test_a_push_that_fails_while_training_does_not_end_it(server, client, tiny_run, repo_id, tmp_path):
    server.faults.append(Fault(500, "POST .*/commit/", times=10))
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=every_save"]
    run = tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "run", num_train_epochs=3)
    assert client.cli("train", *run, *hub)[0] == 0
    assert titles(server, repo_id) == ["End of training", "Training in progress, epoch 3", "initial commit"]


@pytest.mark.slow
def test_a_last_push_that_fails_names_the_line_to_push_later(server, client, tiny_run, repo_id, tmp_path):
    server.faults.append(Fault(500, "POST .*/commit/", times=9))
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}", "--training.hub_strategy=end"]
    folder = tmp_path / "run"
    error = client.fails("train", *tiny_training(tiny_run.parent / "reviews.csv", folder, num_train_epochs=1), *hub)
    assert f"later, hf-rnn push {folder} {repo_id}" in error
    assert client.cli("push", folder, repo_id)[0] == 0


@pytest.mark.slow
def test_the_trainer_by_itself_pushes_a_card_with_its_metrics(server, client, repo_id, tmp_path):
    rows = ["text,label", *["a bad film,negative", "a good film,positive", "a fine film,positive"] * 100]
    (tmp_path / "reviews.csv").write_text("\n".join(rows))
    data = str(tmp_path / "reviews.csv")
    message, accuracies = client(calls.trainer_pushes, str(tmp_path / "run"), data, repo_id)
    assert message == "End of training"
    assert min(accuracies) < accuracies[-1], "the best by this run's measure is not the last"
    card = server.repo(repo_id).files()["README.md"].decode()
    assert f"| accuracy | {min(accuracies):.2%} |" in card
    assert "language: en" in card
    assert "- mine\n" in card
    assert titles(server, repo_id) == ["End of training", "initial commit"]


def test_a_run_is_refused_before_training_where_it_cannot_be_pushed(client, tiny_run, repo_id, tmp_path):
    run = tiny_training(tiny_run.parent / "reviews.csv", tmp_path / "run")
    hub = ["--training.push_to_hub=true", f"--training.hub_model_id={repo_id}"]
    assert "may only read" in client.fails("train", *run, *hub, token="hf_reader")
    assert not (tmp_path / "run" / "config.json").exists()
    error = client.fails("train", *run, *hub, "--training.resume=true")
    assert "is not on the Hub" in error
    assert "has not pushed anything yet, leave out training.resume" in error


@pytest.mark.slow
def test_a_push_that_cannot_begin_does_not_end_training(server, client, tiny_run, repo_id, tmp_path):
    data = str(tiny_run.parent / "reviews.csv")
    pushed, _ = client(calls.trainer_pushes, str(tmp_path / "run"), data, repo_id, first_push_fails=True)
    assert pushed == "End of training"
    progress = [title for title in titles(server, repo_id) if title.startswith("Training in progress")]
    assert len(progress) == 3, "the first of four is left out"


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "advice"), [("close", False), (None, True)])
def test_without_an_answer_nothing_is_said_of_a_run_that_pushed_nothing(
    server, client, repo_id, tmp_path, kind, advice
):
    if kind:
        server.faults.append(Fault(kind, ".*", times=99))
    with pytest.raises(UserError) as raised:
        client(fetch_checkpoint, repo_id, tmp_path)
    assert ("If the run has not pushed anything yet, leave out" in str(raised.value)) == advice
