"""Tests that two processes give the same run as one, and that all processes end if one of them ends."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support import assert_same_run
from support.launch import options, torchrun

import hf_rnn
from hf_rnn.cli.main import main
from hf_rnn.text.batching import ShardedBatches
from hf_rnn.utils.errors import UserError

TRAIN_UNTIL = "tests/support/train_until.py"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def one_and_two(reviews: Path, folder: Path, rows: int, tolerance: float = 1e-6, **more) -> tuple[dict, dict]:
    """Train in one process and in two, compare the weights, and return the metrics of both runs."""
    assert main(["train", *options(reviews, folder / "one", rows, **more)]) == 0
    ended = torchrun(2, *options(reviews, folder / "two", rows // 2, **more))
    assert ended.returncode == 0, ended.stderr
    one, two = weights(folder / "one"), weights(folder / "two")
    # The tolerance for other tasks is ten times as large.
    tolerance *= 10 if "task" in more else 1
    assert all(torch.allclose(one[name], two[name], rtol=0, atol=tolerance) for name in one)
    first, second = (json.loads((folder / name / "metrics.json").read_text()) for name in ("one", "two"))
    return first, second


@pytest.mark.parametrize("rows", [0, 1, 5, 16, 31, 32, 33, 100])
@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("dealt", [True, False])
def test_each_row_is_read_once_and_all_processes_take_as_many_steps(rows, processes, dealt):
    batches = [list(range(rows))[start : start + 8] for start in range(0, rows, 8)]
    shares = [list(ShardedBatches(batches, rank, processes, dealt)) for rank in range(processes)]
    assert {len(share) for share in shares} == {len(ShardedBatches(batches, 0, processes, dealt))}
    for step in zip(*shares, strict=True):
        read = sorted(row for batch in step for row in batch)
        assert all(step)
        if len(set(read)) >= processes:
            assert len(set(read)) == len(read)
    assert sorted({row for share in shares for batch in share for row in batch}) == list(range(rows))


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="by length"),
        pytest.param(
            {"training.train_sampling_strategy": "random", "training.gradient_accumulation_steps": 2},
            id="at random, accumulated",
            marks=pytest.mark.proof,
        ),
    ],
)
def test_two_processes_end_with_the_weights_and_figures_of_one(more, reviews, tmp_path):
    first, second = one_and_two(reviews, tmp_path, 16, **more)
    assert second["run"]["world_size"] == 2
    assert second["report"]["errors"] == first["report"]["errors"]
    assert second["validation"] == pytest.approx(first["validation"], abs=1e-6)
    logs = []
    for name in ("one", "two"):
        state = max((tmp_path / name).glob("checkpoint-*"), key=lambda path: int(path.name[11:])) / "trainer_state.json"
        logs.append([row for row in json.loads(state.read_text())["log_history"] if "loss" in row])
    for ours, theirs in zip(*logs, strict=True):
        # The gradient norm in the log belongs to the mean gradient of both processes.
        assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.slow
def test_two_processes_have_the_same_wide_path_and_calibration(reviews, tmp_path):
    # An iterative search finds the mixing weights. It ends at other values if the last digits of the logits differ.
    wide = {"model.wide_ngrams": 300, "tokenizer.kind": "word"}
    fitted = {"training.class_weights": "balanced", "training.calibrate": "true", "training.thresholds": "f1"}
    first, second = one_and_two(reviews, tmp_path, 16, tolerance=1e-3, **wide, **fitted)
    temperatures = [metrics["run"]["calibration"]["temperature"] for metrics in (first, second)]
    assert temperatures[1] == pytest.approx(temperatures[0], abs=0.01)
    assert second["run"]["wide_path"]["ngrams"] == first["run"]["wide_path"]["ngrams"] > 0
    assert second["validation"] == pytest.approx(first["validation"], abs=1e-3)


@pytest.mark.proof
@pytest.mark.slow
def test_two_processes_train_a_language_model_as_one_with_all_streams(reviews, tmp_path):
    more = {"task": "language_modeling", "training.window": 8}
    first, second = one_and_two(reviews, tmp_path, 8, **more)
    assert second["validation"] == pytest.approx(first["validation"], rel=1e-5)


@pytest.mark.proof
@pytest.mark.slow
def test_two_processes_train_a_tagger_as_one(tagged, tmp_path):
    more = {"task": "token_classification", "model.crf": "true", "model.character_encoder": "cnn"}
    first, second = one_and_two(tagged, tmp_path, 16, **more)
    for name in ("f1", "accuracy"):
        assert second["validation"][name] == pytest.approx(first["validation"][name], abs=1e-6)


@pytest.mark.proof
@pytest.mark.slow
def test_two_processes_train_a_translator_as_one(translated, tmp_path):
    more = {"task": "translation", "data.text_column": "en", "data.label_column": "de", "model.input_feeding": "true"}
    first, second = one_and_two(translated, tmp_path, 16, **more)
    assert second["validation"]["bleu"] == pytest.approx(first["validation"]["bleu"], abs=1e-6)


@pytest.mark.proof
@pytest.mark.slow
def test_batches_by_tokens_in_two_processes(reviews, tmp_path):
    ended = torchrun(2, *options(reviews, tmp_path / "two", 8, **{"training.train_batch_tokens": 150}))
    assert ended.returncode == 0, ended.stderr
    assert json.loads((tmp_path / "two" / "metrics.json").read_text())["run"]["epochs"] == 2


@pytest.mark.proof
@pytest.mark.slow
@pytest.mark.parametrize("how", ["SIGKILL", "error"])
def test_a_worker_that_dies_ends_the_job_at_once_and_a_restart_goes_on(how, reviews, tmp_path):
    assert torchrun(2, *options(reviews, tmp_path / "whole", 8)).returncode == 0
    # Step 11 is within the second epoch of 8 steps.
    end = {"HF_RNN_END": f"1,11,{how},{tmp_path / 'it happened'}"}
    died = torchrun(2, *options(reviews, tmp_path / "run", 8), script=TRAIN_UNTIL, **end)
    assert died.returncode == 1
    assert "local_rank: 1" in died.stderr
    assert ("Signal 9 (SIGKILL)" if how == "SIGKILL" else "the worker's own trouble") in died.stderr
    assert not (tmp_path / "run" / "model.safetensors").exists()
    end = {"HF_RNN_END": f"1,11,{how},{tmp_path / 'again'}"}
    restarted = torchrun(
        2, *options(reviews, tmp_path / "restarted", 8), script=TRAIN_UNTIL, options=["--max-restarts=1"], **end
    )
    assert restarted.returncode == 0, restarted.stderr
    assert "resumes from checkpoint-8" in restarted.stderr
    assert_same_run(tmp_path / "whole", tmp_path / "restarted")
    if how == "error":
        # The earlier run belongs to another job. A restart of this job must not change it.
        before = sorted(path.name for path in (tmp_path / "run").iterdir())
        refused = torchrun(2, *options(reviews, tmp_path / "run", 8), options=["--max-restarts=1"])
        assert refused.returncode == 1
        assert "already holds a run" in refused.stderr
        assert [name for name in before if name != ".job"] == sorted(path.name for path in (tmp_path / "run").iterdir())


@pytest.mark.proof
@pytest.mark.slow
def test_a_job_that_is_told_to_stop_saves_a_checkpoint_of_both_and_goes_on(reviews, tmp_path):
    assert torchrun(2, *options(reviews, tmp_path / "whole", 8)).returncode == 0
    end = {"HF_RNN_END": f"1,11,SIGTERM,{tmp_path / 'it happened'}"}
    stopped = torchrun(2, *options(reviews, tmp_path / "run", 8), script=TRAIN_UNTIL, **end)
    assert stopped.returncode != 0
    assert stopped.stderr.count("stopped by SIGTERM; checkpoint-") == 1
    assert f"To resume: torchrun --standalone --nproc-per-node 2 -m hf_rnn train --config {tmp_path}" in stopped.stderr
    (checkpoint,) = [path for path in (tmp_path / "run").glob("checkpoint-*") if int(path.name[11:]) > 8]
    assert {"rng_state_0.pth", "rng_state_1.pth", "loss_0.json", "loss_1.json"} <= {
        p.name for p in checkpoint.iterdir()
    }
    with pytest.raises(
        UserError, match=r"was saved by 2 processes, and this run has 1: resume with torchrun --nproc-per-node 2"
    ):
        hf_rnn.train([*options(reviews, tmp_path / "run", 8), "--training.resume=true"])
    resumed = torchrun(2, *options(reviews, tmp_path / "run", 8), "--training.resume=true")
    assert resumed.returncode == 0, resumed.stderr
    checkpoint.rename(tmp_path / "aside")
    assert_same_run(tmp_path / "whole", tmp_path / "run")


@pytest.mark.slow
def test_two_processes_answer_a_file_as_one(reviews, tiny_run, tmp_path):
    answer = ["predict", str(tiny_run), "--file", str(reviews), "--output"]
    assert main([*answer, str(tmp_path / "one.jsonl")]) == 0
    # The 131 rows make nine parts of at most 16 rows.
    ended = torchrun(2, *answer, tmp_path / "two.jsonl", "--part_rows=16", script="hf_rnn")
    assert ended.returncode == 0, ended.stderr
    one, two = (
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()] for name in ("one.jsonl", "two.jsonl")
    )
    assert [row.pop("prediction")["label"] for row in one] == [row.pop("prediction")["label"] for row in two]
    assert one == two
    assert ended.stdout.count("131 answers written") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"one.jsonl", "two.jsonl"}
