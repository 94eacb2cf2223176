"""Tests that checkpoints are whole or absent, and that damaged checkpoints are named and kept."""

import errno
import json
import re
import shutil

import pytest
import torch
from support import assert_same_run, tiny_config
from support.marks import proof

import hf_rnn
from hf_rnn.training import checkpoints, whole_checkpoints
from hf_rnn.training.checkpoints import damage, newest_whole, numbered, seal
from hf_rnn.utils.errors import UserError


class Cut(BaseException):
    """End of the process, as in a power cut."""


@pytest.fixture(scope="module")
def whole_run(tiny_run, tmp_path_factory):
    """Return the folder of a whole run (27 steps, 9 checkpoints) and a function that gives such settings."""
    folder = tmp_path_factory.mktemp("whole") / "run"

    def config(output_dir, **training):
        by_steps = {"save_strategy": "steps", "eval_strategy": "steps", "save_steps": 3, "eval_steps": 3}
        training = {"num_train_epochs": 3, "save_total_limit": None, **by_steps, **training}
        return tiny_config(tiny_run.parent / "reviews.csv", output_dir, **training)

    hf_rnn.train(config(folder))
    return folder, config


@pytest.fixture
def cut_run(whole_run, tmp_path):
    """Return a copy of the run as it was after step 12, and the settings that resume it."""
    folder, config = whole_run
    cut = tmp_path / "cut"
    shutil.copytree(
        folder,
        cut,
        ignore=lambda _, names: (
            {n for n in names if n in ("model.safetensors", "metrics.json")} if "run.yaml" in names else set()
        ),
    )
    for path in numbered(cut):
        if int(path.name[11:]) > 12:
            shutil.rmtree(path)
    return cut, config(cut, resume=True)


def truncate(file):
    file.write_bytes(file.read_bytes()[:-1])


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


HARMS = {
    "shorter": (lambda c: truncate(c / "optimizer.pt"), r"optimizer.pt has [\d,]+ bytes of [\d,]+"),
    "a bit": (lambda c: flip(c / "model.safetensors"), "model.safetensors has changed since it was saved"),
    "gone": (lambda c: (c / "rng_state.pth").unlink(), "rng_state.pth is missing"),
    "no manifest": (lambda c: (c / "manifest.json").unlink(), "manifest.json is missing"),
    "half a manifest": (lambda c: truncate(c / "manifest.json"), "manifest.json is damaged|has changed since"),
    "another manifest": (lambda c: (c / "manifest.json").write_text("[]"), "manifest.json is damaged"),
    "an empty manifest": (lambda c: (c / "manifest.json").write_text('{"files": {}}'), "names no trainer_state.json"),
}


# Each case trains a run to its end, so that most of them are marked as slow.
@pytest.mark.parametrize(
    "harm", [harm if harm in ("a bit", "gone") else pytest.param(harm, marks=pytest.mark.slow) for harm in HARMS]
)
def test_a_damaged_checkpoint_is_named_passed_over_and_kept(harm, whole_run, cut_run, caplog):
    do_harm, message = HARMS[harm]
    cut, go_on = cut_run
    do_harm(cut / "checkpoint-12")
    if harm == "half a manifest":
        (cut / "checkpoint-12" / "manifest.json").write_text('{"files": ')
    before = {path.name: path.read_bytes() for path in (cut / "checkpoint-12").iterdir()}
    hf_rnn.train(go_on)
    assert_same_run(whole_run[0], cut)
    (line,) = [row.getMessage() for row in caplog.records if "checkpoint-12 is skipped" in row.getMessage()]
    assert re.search(message, line)
    assert {path.name: path.read_bytes() for path in (cut / "damaged-checkpoint-12").iterdir()} == before
    assert damage(cut / "checkpoint-12") is None


@pytest.mark.slow
def test_several_damaged_ones_are_all_passed_over(whole_run, cut_run):
    cut, go_on = cut_run
    (cut / "damaged-checkpoint-12").mkdir()
    for name in ("checkpoint-12", "checkpoint-9"):
        truncate(cut / name / "model.safetensors")
    hf_rnn.train(go_on)
    assert_same_run(whole_run[0], cut)
    assert {path.name for path in cut.glob("damaged*")} == {
        "damaged-checkpoint-12",
        "damaged-checkpoint-12-2",
        "damaged-checkpoint-9",
    }


def test_where_all_are_damaged_each_is_named_and_nothing_changes(cut_run):
    cut, go_on = cut_run
    for path in numbered(cut):
        truncate(path / "model.safetensors")
    with pytest.raises(
        UserError, match=r"(?s)no checkpoint .* is complete \(checkpoint-3: model.*training.overwrite=True"
    ):
        hf_rnn.train(go_on)
    assert len(numbered(cut)) == 4


@pytest.mark.slow
def test_of_several_whole_ones_that_whose_best_model_is_whole_is_taken(whole_run, cut_run, caplog):
    cut, go_on = cut_run
    best = json.loads((cut / "checkpoint-12" / "trainer_state.json").read_text())["best_global_step"]
    assert best < 12
    truncate(cut / f"checkpoint-{best}" / "model.safetensors")
    hf_rnn.train(go_on)
    assert_same_run(whole_run[0], cut)


@pytest.mark.slow
def test_a_best_model_that_is_lost_is_told(cut_run, caplog):
    cut, go_on = cut_run
    for path in numbered(cut)[:-1]:
        truncate(path / "model.safetensors")
    hf_rnn.train(go_on)
    assert "the best model so far is lost" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment", [proof("before the seal"), "before the move", "after it", proof("while an old one is removed")]
)
def test_a_run_that_is_cut_while_it_saves_loses_nothing(moment, whole_run, tmp_path, monkeypatch):
    _, config = whole_run
    saved = []

    def cut(*args, **kwargs):
        raise Cut

    def sealed(checkpoint):
        saved.append(checkpoint)
        if len(saved) < 4:
            return seal(checkpoint)
        assert damage(tmp_path / "run" / "checkpoint-9") is None
        if moment == "before the seal":
            raise Cut
        seal(checkpoint)
        if moment == "before the move":
            raise Cut
        if moment == "after it":
            monkeypatch.setattr(whole_checkpoints, "remove", cut)
        else:
            monkeypatch.setattr(checkpoints.shutil, "rmtree", cut)

    monkeypatch.setattr(whole_checkpoints, "seal", sealed)
    with pytest.raises(Cut):
        hf_rnn.train(config(tmp_path / "run", save_total_limit=2))
    monkeypatch.undo()
    expected = 9 if moment == "before the seal" else 12
    assert newest_whole(tmp_path / "run").name == f"checkpoint-{expected}"
    hf_rnn.train(config(tmp_path / "run", save_total_limit=2, resume=True))
    assert not list((tmp_path / "run").glob("damaged*"))
    hf_rnn.train(config(tmp_path / "limited", save_total_limit=2))
    assert_same_run(tmp_path / "limited", tmp_path / "run")
    names = [sorted(path.name for path in folder.iterdir()) for folder in (tmp_path / "limited", tmp_path / "run")]
    assert names[0] == names[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("basic_ios::clear: iostream error")]
)
def test_a_full_disk_ends_the_run_with_what_was_saved(error, whole_run, tmp_path, monkeypatch):
    whole, config = whole_run
    save, times = torch.save, []

    def full(*args, **kwargs):
        times.append(1)
        if len(times) > 4:
            raise error
        return save(*args, **kwargs)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(
        UserError, match=r"checkpoint-6 could not be written .*free disk space there.*training.resume=True"
    ):
        hf_rnn.train(config(tmp_path / "run"))
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "run").iterdir() if path.is_dir()] == ["checkpoint-3"]
    hf_rnn.train(config(tmp_path / "run", resume=True))
    assert_same_run(whole, tmp_path / "run")


@pytest.mark.slow
def test_a_disk_that_fills_up_at_the_end_costs_no_training(whole_run, tmp_path, monkeypatch):
    whole, config = whole_run

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hf_rnn.training.run, "draw_pictures", full)
    with pytest.raises(UserError, match=r"the model could not be written .* saves it without training again"):
        hf_rnn.train(config(tmp_path / "run"))
    assert not (tmp_path / "run" / "model.safetensors").exists()
    monkeypatch.undo()

    def train(*args, **kwargs):
        raise AssertionError("it trained again")

    monkeypatch.setattr(hf_rnn.training.trainer.RNNTrainer, "training_step", train)
    hf_rnn.train(config(tmp_path / "run", resume=True))
    assert_same_run(whole, tmp_path / "run")


@pytest.mark.parametrize(("limit", "kept"), [(1, 1), (2, 2), (3, 3), (None, 9)])
@pytest.mark.slow
def test_old_ones_go_by_the_limit_and_the_best_stays(limit, kept, whole_run, tmp_path):
    _, config = whole_run
    results = hf_rnn.train(config(tmp_path / "run", save_total_limit=limit))
    names = [path.name for path in numbered(tmp_path / "run")]
    assert len(names) == kept
    assert f"checkpoint-{results['run']['best_step']}" in names
    assert all(damage(path) is None for path in numbered(tmp_path / "run"))
    assert not list((tmp_path / "run").rglob("training_args.bin"))
    assert not (tmp_path / "run" / ".checkpoint").exists()


def test_a_trainer_by_itself_takes_the_newest_whole_one_and_refuses_a_damaged_one(cut_run):
    from datasets import Dataset

    from hf_rnn import RNNConfig, RNNForSequenceClassification, RNNTrainer, RNNTrainingArguments, TextClassification

    cut, _ = cut_run
    tokenizer = hf_rnn.load_tokenizer(str(cut / "checkpoint-3"))
    task = TextClassification(hf_rnn.DataArguments(path="unused"))
    rows = {"text": ["a good film .", "a bad film ."] * 20, "label": [1, 0] * 20}
    prepared = task.prepare({"train": Dataset.from_dict(rows), "validation": Dataset.from_dict(rows)})
    encoded = {split: task.encode(part, tokenizer) for split, part in prepared.items()}

    def trainer():
        config = RNNConfig(vocab_size=len(tokenizer), embedding_size=8, hidden_size=8, num_labels=2)
        args = RNNTrainingArguments(
            str(cut / "own"),
            num_train_epochs=2,
            eval_strategy="steps",
            save_strategy="steps",
            eval_steps=1,
            save_steps=1,
            save_total_limit=None,
            disable_tqdm=True,
            learning_rate=0.01,
        )
        return RNNTrainer(
            RNNForSequenceClassification(config),
            args,
            task,
            tokenizer,
            train_dataset=encoded["train"],
            eval_dataset=encoded["validation"],
        )

    with pytest.raises(UserError, match="has no checkpoint to resume from"):
        trainer().train(resume_from_checkpoint=True)
    trainer().train()
    truncate(cut / "own" / "checkpoint-4" / "model.safetensors")
    with pytest.raises(UserError, match=r"checkpoint-4' is not complete \(model.safetensors has"):
        trainer().train(resume_from_checkpoint=str(cut / "own" / "checkpoint-4"))
    resumed = trainer()
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == 4
    assert (cut / "own" / "damaged-checkpoint-4").is_dir()


class Planted:
    """Object whose pickle creates a file when it is loaded."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"])
def test_a_pickle_that_is_planted_in_a_checkpoint_does_not_run(name, cut_run, tmp_path):
    cut, go_on = cut_run
    torch.save(Planted(tmp_path / "it ran"), cut / "checkpoint-12" / name)
    seal(cut / "checkpoint-12")
    if name == "training_args.bin":
        hf_rnn.train(go_on)
    else:
        with pytest.raises(UserError, match=r"checkpoint-12' .*a pickle that could run code.*Delete that folder"):
            hf_rnn.train(go_on)
    assert not (tmp_path / "it ran").exists()
