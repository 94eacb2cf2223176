"""Tests of runs that resume after they were interrupted, stopped or moved."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from support import ROOT, assert_same_run, files, tiny_config
from support.marks import proof
from support.signals import Signal, train_with
from support.waiting import PATIENCE
from transformers import TrainerCallback

import hf_rnn
from hf_rnn.cli.main import main
from hf_rnn.training.checkpoints import seal
from hf_rnn.training.trainer import RNNTrainer
from hf_rnn.utils.errors import UserError


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"resume": True}, "no checkpoint to resume from"),
        ({"resume": True, "overwrite": True}, "exclude each other"),
    ],
)
def test_resuming_needs_a_checkpoint(tiny_run, tmp_path, training, message):
    with pytest.raises(UserError, match=message):
        hf_rnn.train(tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "model", **training))


@pytest.mark.parametrize(
    ("section", "changes"), [("model", {"hidden_size": 5}), ("data", {"path": "made_up_messages"})]
)
def test_resuming_with_something_else_is_refused_and_changes_nothing(tiny_run, tmp_path, section, changes):
    folder = tmp_path / "model"
    shutil.copytree(tiny_run, folder)
    before = {name: (folder / name).read_bytes() for name in files(folder)}
    config = tiny_config(tiny_run.parent / "reviews.csv", folder, resume=True)
    config[section] |= changes
    with pytest.raises(
        UserError, match=rf"begun with another {section} section: resume it with hf-rnn train --config .*run.yaml"
    ):
        hf_rnn.train(config)
    assert {name: (folder / name).read_bytes() for name in files(folder)} == before


class Stop(TrainerCallback):
    """Callback that interrupts the training after some epochs, as in a power cut."""

    def __init__(self, epoch: int):
        self.epoch = epoch

    def on_epoch_begin(self, args, state, control, **kwargs):
        if state.epoch >= self.epoch:
            raise KeyboardInterrupt


BY_STEPS = {"save_strategy": "steps", "eval_strategy": "steps", "save_steps": 4, "eval_steps": 4}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("training", "stop"),
    # An epoch has 9 steps by rows and 11 by tokens. The last checkpoint is at step 16 or 20, within the second epoch.
    [({}, 1), (BY_STEPS, 2), ({"train_batch_tokens": 400, **BY_STEPS}, 2)],
    ids=["by rows, after an epoch", "by rows, within an epoch", "by tokens, within an epoch"],
)
def test_a_run_that_was_cut_goes_on_and_ends_as_one_that_was_not(training, stop, tiny_run, tmp_path, monkeypatch):
    data = tiny_run.parent / "reviews.csv"
    # The best model could be older than the interruption, so that the test compares the last models.
    training = {**training, "load_best_model_at_end": False}
    hf_rnn.train(tiny_config(data, tmp_path / "whole", num_train_epochs=3, **training))
    cut = tiny_config(data, tmp_path / "cut", num_train_epochs=3, **training)
    trainer_init = hf_rnn.training.run.RNNTrainer.__init__
    with monkeypatch.context() as patch:
        patch.setattr(
            hf_rnn.training.run.RNNTrainer,
            "__init__",
            lambda self, *args, **kwargs: trainer_init(self, *args, callbacks=[Stop(stop)], **kwargs),
        )
        with pytest.raises(KeyboardInterrupt):
            hf_rnn.train(cut)
    assert "model.safetensors" not in files(tmp_path / "cut")
    cut["training"]["resume"] = True
    resumed = hf_rnn.train(cut)
    assert resumed["run"]["epochs"] == 3
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.proof
@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    compute_loss = RNNTrainer.compute_loss

    def break_down(self, *arguments, **others):
        loss = compute_loss(self, *arguments, **others)
        return loss * float("nan") if self.state.global_step == 5 else loss

    run = tiny_config(
        "made_up_messages", tmp_path / "run", save_strategy="steps", save_steps=2, eval_strategy="steps", eval_steps=2
    )
    monkeypatch.setattr(RNNTrainer, "compute_loss", break_down)
    with pytest.raises(UserError, match=r"became nan by step 6 .*Resume from checkpoint-4 with training.resume=True"):
        hf_rnn.train(run)
    monkeypatch.setattr(RNNTrainer, "compute_loss", compute_loss)
    run["training"]["resume"] = True
    assert hf_rnn.train(run)["run"]["epochs"] == 1


@pytest.mark.slow
def test_resuming_with_batches_of_another_size_in_tokens_is_refused(tmp_path):
    cut = tiny_config("made_up_messages", tmp_path / "cut", train_batch_tokens=2048)
    hf_rnn.train(cut)
    cut["training"].update(resume=True, train_batch_tokens=512)
    with pytest.raises(UserError, match=r"begun with training.train_batch_tokens=2048, and this is 512"):
        hf_rnn.train(cut)


@pytest.mark.slow
def test_a_run_that_was_cut_knows_how_long_it_waited_and_how_long_it_took(tiny_run, tmp_path):
    data, patience = tiny_run.parent / "reviews.csv", {"learning_rate": 0.0, "early_stopping_patience": 2}
    hf_rnn.train(tiny_config(data, tmp_path / "model", num_train_epochs=2, **patience))
    state = next((tmp_path / "model").glob("checkpoint-*/trainer_state.json"))
    callbacks = json.loads(state.read_text())
    callbacks["stateful_callbacks"]["Stopwatch"]["attributes"]["before"] += 1000
    state.write_text(json.dumps(callbacks))
    seal(state.parent)
    resumed = hf_rnn.train(tiny_config(data, tmp_path / "model", num_train_epochs=30, resume=True, **patience))
    assert resumed["run"]["epochs"] == 3
    assert resumed["run"]["train_seconds"] > 1000


def test_checkpoints_without_optimizer_are_nothing_to_go_on_with(tiny_run, tmp_path):
    data = tiny_run.parent / "reviews.csv"
    hf_rnn.train(tiny_config(data, tmp_path / "model", save_only_model=True, load_best_model_at_end=False))
    with pytest.raises(UserError, match=r"begun with training\.save_only_model=True.*training.overwrite=True"):
        hf_rnn.train(tiny_config(data, tmp_path / "model", num_train_epochs=2, resume=True))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 7}, r"training\.seed=42, and this is 7"),
        proof({"layer_lr_decay": 0.5}, r"training\.layer_lr_decay=1\.0, and this is 0\.5"),
        proof({"embedding_lr_factor": 0.5}, r"training\.embedding_lr_factor=1\.0, and this is 0\.5"),
        proof({"learning_rate": 0.5}, r"training\.learning_rate=0\.01, and this is 0\.5"),
        ({"max_steps": 2}, r"checkpoint-9 is at step 9, and training\.max_steps=2 is lower"),
        ({"per_device_train_batch_size": 16}, r"training\.gradient_accumulation_steps = 32, and this is 16"),
    ],
)
@pytest.mark.slow
def test_a_run_goes_on_with_the_rows_that_it_would_have_read(tiny_run, tmp_path, changed, message):
    data = tiny_run.parent / "reviews.csv"
    hf_rnn.train(tiny_config(data, tmp_path / "model"))
    with pytest.raises(UserError, match=message):
        hf_rnn.train(tiny_config(data, tmp_path / "model", resume=True, num_train_epochs=2, **changed))
    halves = {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 2}
    hf_rnn.train(tiny_config(data, tmp_path / "model", resume=True, num_train_epochs=2, **halves))


# The runs have 2 epochs of 9 steps each.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "step", "training"),
    [
        ("step", 3, {}),
        ("step", 8, {}),  # within the last step of an epoch
        proof("evaluation", 9, {}),
        proof("step", 17, {}),  # within the last step of all
        proof("step", 12, {"logging_strategy": "steps", "logging_steps": 5}),
        proof("evaluation", 8, BY_STEPS),
        ("step", 8, {"train_batch_tokens": 400, "averaging": "ema", "gradient_accumulation_steps": 2}),
        proof("step", 12, {"max_steps": 13}),
        proof("step", 5, {"save_strategy": "no", "load_best_model_at_end": False}),
    ],
)
def test_a_signal_saves_a_whole_checkpoint_and_the_run_goes_on_from_it(
    moment, step, training, tiny_run, tmp_path, monkeypatch, capsys
):
    data = tiny_run.parent / "reviews.csv"
    training = {"num_train_epochs": 2, "save_total_limit": None, **training}
    hf_rnn.train(tiny_config(data, tmp_path / "whole", **training))
    run = tiny_config(data, tmp_path / "stopped", **training)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop:
        train_with(Signal(moment, step, signal.SIGTERM), run, monkeypatch)
    assert stop.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before
    done = step + (moment == "step")
    told = (
        f"stopped by SIGTERM; checkpoint-{done} in {tmp_path / 'stopped'} is complete. "
        "To resume: hf-rnn train --config "
    )
    assert f"{told}{tmp_path / 'stopped' / 'run.yaml'} --training.resume true" in capsys.readouterr().err
    assert main(["train", "--config", str(tmp_path / "stopped" / "run.yaml"), "--training.resume", "true"]) == 0
    if training.get("save_strategy") == "no":
        shutil.copytree(tmp_path / "stopped" / "checkpoint-6", tmp_path / "whole" / "checkpoint-6")
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.slow
def test_workers_that_load_data_are_told_too_and_the_checkpoint_is_saved_all_the_same(tiny_run, tmp_path):
    for sampling in ("group_by_length", "batch_rebalance"):
        run = tiny_config(tiny_run.parent / "reviews.csv", tmp_path / sampling)
        run["training"].update(dataloader_num_workers=1, train_sampling_strategy=sampling)
        (tmp_path / f"{sampling}.yaml").write_text(json.dumps(run))
        told = subprocess.run(
            [sys.executable, ROOT / "tests" / "support" / "told_as_a_group.py", tmp_path / f"{sampling}.yaml"],
            start_new_session=True,
            capture_output=True,
            text=True,
        )
        assert told.returncode == 143, told.stderr
        assert "stopped by SIGTERM; checkpoint-4 in" in told.stderr
        assert (tmp_path / sampling / "checkpoint-4" / "manifest.json").exists()


@pytest.mark.slow
def test_workers_that_stay_end_with_the_training(tiny_run, tmp_path):
    run = tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "run")
    run["training"].update(dataloader_num_workers=1, dataloader_persistent_workers=True)
    (tmp_path / "run.yaml").write_text(json.dumps(run))
    command = [sys.executable, "-m", "hf_rnn", "train", "--config", tmp_path / "run.yaml"]
    assert subprocess.run(command, capture_output=True, timeout=PATIENCE).returncode == 0


def test_a_wish_to_stop_during_an_evaluation_that_finds_no_better_model_is_not_put_off(tiny_run, tmp_path, monkeypatch):
    # With a learning rate of 0, the second evaluation gives the same result.
    training = {"learning_rate": 0.0, "eval_strategy": "steps", "eval_steps": 3, "save_strategy": "best"}
    run = tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "run", **training)
    with pytest.raises(SystemExit):
        train_with(Signal("evaluation", 6, signal.SIGTERM), run, monkeypatch)
    assert (tmp_path / "run" / "checkpoint-6" / "manifest.json").exists()


def test_an_interrupt_saves_too_and_a_wish_told_twice_is_one(tiny_run, tmp_path, monkeypatch, capsys):
    run = tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "run")
    with pytest.raises(KeyboardInterrupt, match="after a checkpoint"):
        train_with(Signal("step", 2, signal.SIGINT, signal.SIGINT, signal.SIGTERM), run, monkeypatch)
    assert (tmp_path / "run" / "checkpoint-3" / "manifest.json").exists()
    assert "stopped by SIGINT" in capsys.readouterr().err


def test_a_second_signal_stops_at_once(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr("hf_rnn.training.stopping.SECONDS_OF_ONE_WISH", -1.0)
    run = tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "run")
    with pytest.raises(KeyboardInterrupt) as interrupt:
        train_with(Signal("step", 2, signal.SIGTERM, signal.SIGINT), run, monkeypatch)
    assert not interrupt.value.args
    assert not list((tmp_path / "run").glob("checkpoint-*"))


@pytest.mark.slow
def test_a_run_that_had_ended_trains_no_further(tiny_run, tmp_path):
    for training in ({}, {"max_steps": 5}, {"learning_rate": 0.0, "early_stopping_patience": 1, "num_train_epochs": 9}):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        run = tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "run", save_total_limit=None, **training)
        ended = hf_rnn.train(run)
        before = (tmp_path / "run" / "model.safetensors").read_bytes()
        checkpoints = sorted(path.name for path in (tmp_path / "run").glob("*checkpoint-*"))
        for name in ("model.safetensors", "metrics.json"):
            (tmp_path / "run" / name).unlink()
        run["training"]["resume"] = True
        again = hf_rnn.train(run)
        assert (tmp_path / "run" / "model.safetensors").read_bytes() == before
        assert sorted(path.name for path in (tmp_path / "run").glob("*checkpoint-*")) == checkpoints
        assert again["run"]["epochs"] == ended["run"]["epochs"]


@pytest.mark.slow
def test_more_epochs_can_be_added_to_a_run_that_had_ended(tiny_run, tmp_path):
    run = tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "run")
    hf_rnn.train(run)
    run["training"].update(resume=True, num_train_epochs=3)
    assert hf_rnn.train(run)["run"]["epochs"] == 3


@pytest.mark.slow
def test_a_run_that_was_moved_still_has_its_best_model(tiny_run, tmp_path, monkeypatch):
    data = tiny_run.parent / "reviews.csv"
    # The lowest accuracy counts as the best, so that the best checkpoint is an early one.
    training = {"num_train_epochs": 3, "greater_is_better": False, "metric_for_best_model": "accuracy"}
    hf_rnn.train(tiny_config(data, tmp_path / "whole", save_total_limit=None, **training))
    run = tiny_config(data, tmp_path / "here", save_total_limit=None, **training)
    with pytest.raises(SystemExit):
        train_with(Signal("step", 20, signal.SIGTERM), run, monkeypatch)
    (tmp_path / "here").rename(tmp_path / "there")
    run["training"].update(resume=True, output_dir=str(tmp_path / "there"))
    assert hf_rnn.train(run)["run"]["best_step"] < 20
    assert_same_run(tmp_path / "whole", tmp_path / "there")


@pytest.mark.parametrize(
    ("error", "training", "message"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."),
            {},
            r"training.per_device_train_batch_size=16",
        ),
        (
            RuntimeError("[enforce] DefaultCPUAllocator: can't allocate memory"),
            {"train_batch_tokens": 400},
            r"training.train_batch_tokens=200",
        ),
        (MemoryError(), {}, "the same training in smaller parts"),
    ],
)
def test_memory_that_ran_out_names_the_batch_and_the_setting(tiny_run, tmp_path, monkeypatch, error, training, message):
    def fail(self, model, inputs, *arguments, **others):
        raise error

    monkeypatch.setattr(RNNTrainer, "compute_loss", fail)
    with pytest.raises(
        UserError, match=r"no memory for a batch of \d+ rows, the longest of \d+ tokens, at step 1: .*"
    ) as told:
        hf_rnn.train(tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "run", **training))
    assert message in str(told.value)
    # HF_RNN_TRACEBACK=1 shows this cause with its traceback.
    assert told.value.__cause__ is error


def test_a_folder_that_cannot_be_written_to_is_refused_before_any_work(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match=r"cannot be written to .*name another folder"):
        hf_rnn.train(tiny_config(tiny_run.parent / "reviews.csv", tmp_path / "new" / "run"))
    assert not (tmp_path / "new").exists()
