"""Log lines and progress bars of a training run."""

import json
import subprocess
import sys

from support.waiting import PATIENCE

from hf_rnn.training.progress import log_line


def test_a_log_line_has_the_figures_without_times():
    logs = {"loss": 0.64184, "grad_norm": 0.5, "learning_rate": 0.001, "epoch": 1.25}
    assert log_line(logs, 1250) == "step 1,250 · epoch 1.25 · loss 0.6418 · learning_rate 0.001"
    logs = {"eval_loss": 0.5, "eval_accuracy": 0.75, "eval_runtime": 3.0, "eval_samples_per_second": 7.0, "epoch": 2.0}
    assert log_line(logs, 8) == "step 8 · epoch 2.00 · validation · loss 0.5 · accuracy 0.75"
    assert log_line({"train_runtime": 2.0, "train_loss": 0.5, "epoch": 2.0}, 8) is None


def test_redirected_output_has_no_bars_no_escape_codes_and_no_dicts(tmp_path):
    (tmp_path / "r.csv").write_text(
        "text,label\n" + "".join(f"good film {n},pos\nbad film {n},neg\n" for n in range(20))
    )
    command = [sys.executable, "-m", "hf_rnn", "train", "r.csv", "--output_dir", "m", "--preset", "none"]
    command += ["--max_steps", "2", "--model.hidden_size", "8", "--logging_steps", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=PATIENCE)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    for sign in (b"\r", b"\x1b", b"it/s", b"{'"):
        assert sign not in output
    assert "step 2 · epoch " in output.decode()
    assert json.loads((tmp_path / "m" / "metrics.json").read_text())["validation"]["accuracy"] >= 0
    answer = subprocess.run(
        [sys.executable, "-m", "hf_rnn", "predict", "m", "good", "--quiet"],
        cwd=tmp_path,
        capture_output=True,
        timeout=PATIENCE,
    )
    assert (answer.returncode, answer.stderr) == (0, b"")
