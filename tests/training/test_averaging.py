"""Tests of weight averaging: the means, the saved and evaluated weights, and resumed runs."""

import pytest
import torch
from datasets import Dataset, DatasetDict
from support.reviews import made_up_reviews
from transformers import TrainerCallback
from transformers.trainer_utils import EvalLoopOutput

from hf_rnn import RNNConfig, RNNForSequenceClassification, train_tokenizer
from hf_rnn.tasks.text_classification import TextClassification
from hf_rnn.text.arguments import DataArguments
from hf_rnn.training.arguments import RNNTrainingArguments
from hf_rnn.training.trainer import RNNTrainer
from hf_rnn.utils.errors import UserError

STEPS = 12


class Watch(TrainerCallback):
    """Callback that records the weights after each step and can stop the run."""

    def __init__(self, stop_after: int | None = None):
        self.weights: list[list[torch.Tensor]] = []
        self.stop_after = stop_after

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.weights.append([parameter.detach().clone() for parameter in model.parameters()])
        if state.global_step == self.stop_after:
            control.should_save = control.should_training_stop = True


def trainer(folder, watch: Watch | None = None, **training) -> RNNTrainer:
    reviews = Dataset.from_dict(made_up_reviews(48))
    task = TextClassification(DataArguments(validation_size=0.25))
    prepared = task.prepare(DatasetDict(train=reviews))
    tokenizer = train_tokenizer(task.texts(prepared["train"]), kind="word", show_progress=False)
    torch.manual_seed(0)
    config = RNNConfig(vocab_size=len(tokenizer), embedding_size=4, hidden_size=4, **task.config_fields())
    args = RNNTrainingArguments(
        folder,
        **{
            "max_steps": STEPS,
            "eval_strategy": "steps",
            "eval_steps": 1,
            "save_strategy": "no",
            "load_best_model_at_end": False,
            "learning_rate": 0.05,
            "disable_tqdm": True,
            **training,
        },
    )
    encoded = {split: task.encode(rows, tokenizer) for split, rows in prepared.items()}
    return RNNTrainer(
        RNNForSequenceClassification(config),
        args,
        task,
        tokenizer,
        train_dataset=encoded["train"],
        eval_dataset=encoded["validation"],
        callbacks=[watch] if watch else [],
    )


def mean(weights: list[list[torch.Tensor]]) -> list[torch.Tensor]:
    return [torch.stack(parts).mean(0) for parts in zip(*weights, strict=True)]


def check_equal(model, expected: list[torch.Tensor]) -> None:
    for parameter, weight in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), weight, atol=1e-6, rtol=1e-5)


def test_swa_is_the_mean_of_the_last_steps(tmp_path):
    watch = Watch()
    run = trainer(tmp_path, watch, averaging="swa", averaging_start=0.5)
    run.train()
    check_equal(run.model, mean(watch.weights[6:]))


def test_a_second_training_has_a_mean_of_its_own(tmp_path):
    watch = Watch()
    run = trainer(tmp_path, watch, averaging="swa", averaging_start=0.5)
    run.train()
    run.train()
    check_equal(run.model, mean(watch.weights[STEPS + 6 :]))


def test_ema_weighs_older_steps_less(tmp_path):
    watch = Watch()
    run = trainer(tmp_path, watch, averaging="ema", averaging_decay=0.75)
    run.train()
    expected = mean(watch.weights[:4])
    for weights in watch.weights[4:]:
        expected = [0.75 * a + 0.25 * w for a, w in zip(expected, weights, strict=True)]
    check_equal(run.model, expected)


def test_nt_asgd_begins_when_nothing_gets_better(tmp_path, monkeypatch):
    watch = Watch()
    run = trainer(tmp_path, watch, averaging="nt_asgd", averaging_patience=2, metric_for_best_model="loss")
    losses = iter([9, 8, 7, 6, 7.5, 6.5, 6.2, 5, 5, 5, 5, 5])

    def evaluation_loop(*args, metric_key_prefix="eval", **kwargs):
        return EvalLoopOutput(None, None, {"eval_loss": float(next(losses))}, 1)

    monkeypatch.setattr(run, "evaluation_loop", evaluation_loop)
    run.train()
    # The loss 6.5 after step 6 is lower than 7. The loss 6.2 after step 7 is higher than 6, three evaluations earlier.
    check_equal(run.model, mean(watch.weights[7:]))


def test_the_mean_is_measured_and_training_goes_on_from_the_weights(tmp_path):
    plain, watched = Watch(), Watch()
    trainer(tmp_path / "plain", plain).train()
    run = trainer(tmp_path / "mean", watched, averaging="swa", averaging_start=0.0)
    run.train()
    for ours, theirs in zip(watched.weights, plain.weights, strict=True):
        assert all(map(torch.equal, ours, theirs))
    measured = [row["eval_loss"] for row in run.state.log_history if "eval_loss" in row][-1]
    assert run.evaluate()["eval_loss"] == pytest.approx(measured, abs=1e-6)


@pytest.mark.slow
def test_a_checkpoint_is_the_mean_and_a_resumed_run_ends_with_the_same(tmp_path):
    settings = {"averaging": "ema", "averaging_decay": 0.75, "save_strategy": "steps", "save_steps": 4}
    settings["train_sampling_strategy"] = "sequential"
    watch = Watch()
    whole = trainer(tmp_path / "whole", watch, **settings)
    whole.train()
    trainer(tmp_path / "cut", Watch(stop_after=7), **settings).train()
    saved = RNNForSequenceClassification.from_pretrained(tmp_path / "cut" / "checkpoint-7")
    expected = mean(watch.weights[:4])
    for weights in watch.weights[4:7]:
        expected = [0.75 * a + 0.25 * w for a, w in zip(expected, weights, strict=True)]
    check_equal(saved, expected)
    resumed = trainer(tmp_path / "cut", **settings)
    resumed.train(resume_from_checkpoint=True)
    for ours, theirs in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.slow
def test_nt_asgd_begun_by_the_evaluation_of_a_checkpoint_goes_on_from_it(tmp_path, monkeypatch):
    settings = {"averaging": "nt_asgd", "averaging_patience": 1, "metric_for_best_model": "loss"}
    settings |= {"save_strategy": "steps", "save_steps": 1, "train_sampling_strategy": "sequential"}

    def run(folder, watch, **more) -> RNNTrainer:
        made = trainer(tmp_path / folder, watch, **settings)
        # Averaging begins at the fifth step, which is the last step before the stop.
        losses = {1: 9, 2: 8, 3: 7, 4: 6.5, 5: 8.5}
        monkeypatch.setattr(
            made,
            "evaluation_loop",
            lambda *a, **k: EvalLoopOutput(None, None, {"eval_loss": float(losses.get(made.state.global_step, 1))}, 1),
        )
        made.train(**more)
        return made

    whole = run("whole", Watch())
    run("cut", Watch(stop_after=5))
    resumed = run("cut", Watch(), resume_from_checkpoint=True)
    for ours, theirs in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_several_data_sets_are_measured_with_the_mean(tmp_path):
    run = trainer(tmp_path, averaging="ema", eval_steps=6)
    run.eval_dataset = {"one": run.eval_dataset, "two": run.eval_dataset}
    run.args.metric_for_best_model = "one_accuracy"
    run.train()
    measured = [row for row in run.state.log_history if "eval_two_loss" in row]
    assert len(measured) == 2


def test_the_best_mean_is_the_model(tmp_path):
    run = trainer(
        tmp_path, averaging="ema", save_strategy="steps", save_steps=1, load_best_model_at_end=True, save_total_limit=1
    )
    run.train()
    best = RNNForSequenceClassification.from_pretrained(run.state.best_model_checkpoint)
    for ours, theirs in zip(run.model.parameters(), best.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"averaging": "mean"}, r"training\.averaging='mean' is not one of ema, swa, nt_asgd"),
        ({"averaging_decay": 1.0}, r"training\.averaging_decay=1\.0 must be at least 0 and less than 1"),
        ({"averaging": "nt_asgd", "eval_strategy": "no"}, r"averaging='nt_asgd' begins after an evaluation"),
        ({"layer_lr_decay": 2.6}, r"layer_lr_decay=2\.6 must be greater than 0 and at most 1, such as 0\.4"),
        ({"embedding_lr_factor": 0}, r"embedding_lr_factor=0(\.0)? must be greater than 0 and at most 1, such as 0\.1"),
        ({"averaging_patience": 0}, r"training\.averaging_patience=0 must be 1 or greater"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(UserError, match=message):
        RNNTrainingArguments(**settings)
