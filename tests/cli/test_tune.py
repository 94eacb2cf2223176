import json
import os
import signal
import subprocess
import sys
import time

import pytest
from support import ROOT
from support.waiting import PATIENCE

from hf_rnn.cli.main import main

pytest.importorskip("optuna", reason="optuna is not installed: pip install 'hf-rnn[tune]'")

# Settings that keep a trial short.
QUICK = ["--preset", "none", "--model.hidden_size", "8", "--model.embedding_size", "8", "--tokenizer.kind", "word"]
QUICK += ["--num_train_epochs", "1", "--num_hidden_layers", "1", "--report.baseline", "false"]


def test_the_command_searches_and_saves(capsys, reviews_csv, tmp_path):
    folder = tmp_path / "model"
    command = ["tune", str(reviews_csv), "--minutes", "5", "--trials", "2", "--metric", "f1_macro", *QUICK]
    assert main([*command, "--output_dir", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("trial 0    f1_macro 0.") and "the preset" in line for line in lines)
    assert any(line.startswith("trial 1    f1_macro 0.") and "minutes left" in line for line in lines)
    assert any(line.startswith("chosen     trial ") for line in lines)
    assert lines[-1].startswith("2 trials in ")
    assert not any("epoch 1.00" in line for line in lines)  # Trials print nothing else.
    assert main([*command, "--output_dir", str(folder)]) == 1
    assert "write --training.overwrite true to replace it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--minutes", "0"], "--minutes 0 must be greater than 0, such as --minutes 10."),
        (["--megabytes", "-1"], "--megabytes -1 must be greater than 0, such as --megabytes 5."),
        (["--trials", "0"], "--trials 0 must be greater than 0, such as --trials 20."),
        (["--minute", "5"], "there is no key 'minute': did you mean 'minutes'?"),
        (["--metric", "f1macro"], "did you mean --metric f1_macro?"),
        (["--task", "translation"], "name text_classification or token_classification, or train without a search"),
        (["--training.resume", "true"], "a search continues by itself: leave --training.resume true out."),
    ],
)
def test_mistakes_get_one_message(capsys, reviews_csv, tmp_path, arguments, message):
    assert main(["tune", str(reviews_csv), "--output_dir", str(tmp_path / "model"), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_help_names_the_options_of_the_search_first(capsys):
    assert main(["tune", "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("usage: hf-rnn tune [DATA]")
    assert shown.index("--minutes") < shown.index("--data.path") < shown.index("hf-rnn tune --help all")
    assert main(["train", "--help"]) == 0
    assert "--minutes" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_killed_search_continues(capsys, reviews_csv, tmp_path):
    folder = tmp_path / "model"
    command = ["tune", str(reviews_csv), "--minutes", "30", *QUICK, "--output_dir", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen([sys.executable, "-m", "hf_rnn", *command], env=environment, stdout=subprocess.DEVNULL)
    journal = folder / ".tune" / "journal.log"
    until = time.monotonic() + PATIENCE
    # The second trial has begun.
    while not (folder / ".tune" / "trial-1").exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert journal.exists()
    assert main([*command, "--trials", "2"]) == 0
    assert "continues after 1 trials" in capsys.readouterr().out
    tune = json.loads((folder / "metrics.json").read_text())["tune"]
    # Number 1 is the interrupted trial.
    assert [each["trial"] for each in tune["trials"]] == [0, 2]
    assert not (folder / ".tune").exists()
