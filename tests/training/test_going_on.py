"""Tests of going on from a text classifier: labels, head, settings, old rows, and each wrong input."""

import json
import random
import shutil

import pytest
import torch
import yaml
from datasets import ClassLabel, Dataset
from support import assert_same_run, tiny_config, write_jsonl
from support.launch import options, torchrun
from support.signals import train_with
from transformers import AutoModelForSequenceClassification, TrainerCallback

import hf_rnn
from hf_rnn import Predictor, RNNForSequenceClassification
from hf_rnn.hub.saved_run import copy_run, read_run
from hf_rnn.models.decisions import labels_of
from hf_rnn.training.presets import rules_of
from hf_rnn.training.run_config import parse_run, with_values
from hf_rnn.utils.errors import ConfigError, DataError, HfRnnError

WORDS = {"ham": "lunch meeting report friday", "spam": "prize money winner click", "news": "vote storm minister match"}


def rows(*labels: str, count: int = 20, seed: int = 0) -> list[dict]:
    """Return texts of five words, most of them of their label."""
    draw = random.Random(seed)
    every = " ".join(WORDS.values()).split()

    def text(label: str) -> str:
        words = draw.choices(WORDS[label].split(), k=4) + draw.choices(every, k=1)
        return " ".join(draw.sample(words, k=5))

    return [{"text": text(label), "label": label} for label in labels for _ in range(count)]


def renamed(data: list[dict], names: dict) -> list[dict]:
    return [{**row, "label": names.get(row["label"], row["label"])} for row in data]


def config(folder, pretrained=None, data=None, model=None, **training) -> dict:
    run = tiny_config("unused", folder, **training)
    run["data"] = {"path": "unused", **(data or {})}
    run["model"] = {"pretrained": str(pretrained)} if pretrained else {"embedding_size": 6, "hidden_size": 5}
    run["model"] |= model or {}
    if pretrained:
        del run["tokenizer"]
    return {**run, "report": {"baseline": False}}


def train(folder, given: list[dict] | Dataset, *arguments, **sections) -> dict:
    run = config(folder, *arguments, **sections)
    del run["data"]["path"]
    return hf_rnn.train(run, data=given)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Return a folder with the classifier `old` of ham and spam, and its rows `old.jsonl`."""
    folder = tmp_path_factory.mktemp("old")
    write_jsonl(folder / "old.jsonl", rows("ham", "spam"))
    run = config(folder / "old", model={"pooling": "mean", "input_dropout": 0.1, "wide_ngrams": 40})
    run["data"]["path"] = str(folder / "old.jsonl")
    run["tokenizer"] |= {"vocab_size": 10, "rare_tokens": 20}
    hf_rnn.train(run)
    return folder


@pytest.fixture
def old(places):
    return places / "old"


def loaded(folder) -> RNNForSequenceClassification:
    return RNNForSequenceClassification.from_pretrained(folder)


def same(part: torch.nn.Module, other: torch.nn.Module) -> bool:
    ours, theirs = part.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


# Labels and head --------------------------------------------------------------------------------------------------


def test_a_new_label_is_appended_and_the_old_ones_keep_their_rows(old, tmp_path, capsys):
    result = train(tmp_path / "new", rows("news", "spam", "ham"), old, learning_rate=0.0)
    before, after = loaded(old), loaded(tmp_path / "new")
    assert labels_of(after.config) == ["ham", "spam", "news"]
    assert after.config.pooling == "mean"
    assert after.config.input_dropout == 0.1
    assert same(before.model, after.model)
    head, theirs = after.classifier.out_proj, before.classifier.out_proj
    assert torch.equal(head.weight[:2], theirs.weight)
    assert torch.equal(head.bias[:2], theirs.bias)
    assert head.bias[2].item() == pytest.approx(theirs.bias.mean().item())
    assert 0 < head.weight[2].abs().max() < 1
    printed = capsys.readouterr().out
    assert f"head       that of '{old}': 2 labels kept, 1 new: news" in printed
    assert "training tokens" in printed
    assert "are not in the vocabulary of" in printed
    assert result["run"]["going_on"]["new"] == ["news"]


def test_the_same_labels_keep_the_whole_head(old, tmp_path, capsys, caplog):
    train(tmp_path / "new", rows("spam", "ham", seed=1), old, learning_rate=0.0)
    assert same(loaded(old).classifier, loaded(tmp_path / "new").classifier)
    assert "2 labels kept, none new" in capsys.readouterr().out
    assert "will forget" not in caplog.text


def test_labels_without_a_row_are_kept_and_a_warning_names_the_replay(old, tmp_path, caplog):
    train(tmp_path / "new", rows("news"), old)
    assert labels_of(loaded(tmp_path / "new").config) == ["ham", "spam", "news"]
    assert "have no row of 'ham', 'spam'" in caplog.text
    assert "data.replay=PATH" in caplog.text


def test_columns_are_those_of_the_pretrained_model_if_the_rows_have_them(tmp_path, capsys):
    def named(data: list[dict]) -> list[dict]:
        return [{"message": row["text"], "kind of request": row["label"], "note": "x"} for row in data]

    train(
        tmp_path / "old", named(rows("ham", "spam")), data={"text_column": "message", "label_column": "kind of request"}
    )
    train(tmp_path / "new", named(rows("news")), tmp_path / "old", max_steps=1)
    assert labels_of(loaded(tmp_path / "new").config) == ["ham", "spam", "news"]
    assert capsys.readouterr().out.count("label      'kind of request': one label") == 2
    assert hf_rnn.evaluate(str(tmp_path / "new"), named(rows("news", "ham")))["rows"] == 40


def test_only_the_encoder_is_taken_if_the_head_is_not_to_be_kept(old, tmp_path):
    train(tmp_path / "new", rows("news", "ham"), old, model={"keep_head": False}, learning_rate=0.0)
    model = loaded(tmp_path / "new")
    assert labels_of(model.config) == ["ham", "news"]
    assert model.config.pooling == "concat"
    assert same(loaded(old).model, model.model)


def test_numbers_are_names_where_they_were_names(tmp_path):
    stars = {"ham": 1, "spam": 2, "news": 10}
    train(tmp_path / "old", renamed(rows("ham", "spam"), stars))
    train(tmp_path / "new", renamed(rows("news", "spam"), stars), tmp_path / "old")
    assert labels_of(loaded(tmp_path / "new").config) == ["1", "2", "10"]


def test_label_names_say_which_number_is_which_label(old, tmp_path):
    numbers = renamed(rows("news", "spam"), {"news": 0, "spam": 1})
    result = train(tmp_path / "new", numbers, old, data={"label_names": ["news", "spam"]})
    assert labels_of(loaded(tmp_path / "new").config) == ["ham", "spam", "news"]
    assert result["data"]["splits"]["train"]["labels"] == {"ham": 0, "spam": 18, "news": 18}
    again = hf_rnn.evaluate(str(tmp_path / "new"), write_jsonl(tmp_path / "rows.jsonl", numbers))
    assert again["support/spam"] == again["support/news"] == 20


def test_names_of_a_class_label_are_read_by_name(old, tmp_path):
    given = Dataset.from_list(rows("news", "ham")).cast_column("label", ClassLabel(names=["news", "ham", "spam"]))
    result = train(tmp_path / "new", given, old)
    assert result["data"]["splits"]["train"]["labels"] == {"ham": 18, "spam": 0, "news": 18}


def test_two_spellings_are_two_labels_if_label_names_has_both(old, tmp_path):
    spellings = renamed(rows("spam", "ham"), {"spam": "Spam"})
    train(tmp_path / "new", spellings, old, data={"label_names": ["ham", "spam", "Spam"]})
    assert labels_of(loaded(tmp_path / "new").config) == ["ham", "spam", "Spam"]


def test_several_labels_are_extended(tmp_path):
    several = {"ham": "ham|spam", "spam": "spam", "news": "news|spam"}
    train(tmp_path / "old", renamed(rows("ham", "spam"), several), data={"label_separator": "|"})
    # Rows of one label each are lists of one label here.
    train(tmp_path / "new", rows("news", "spam"), tmp_path / "old")
    model = loaded(tmp_path / "new")
    assert labels_of(model.config) == ["ham", "spam", "news"]
    assert model.config.problem_type == "multi_label_classification"


def test_a_regression_keeps_the_scale_of_its_head(tmp_path):
    train(tmp_path / "old", renamed(rows("ham", "spam"), {"ham": 1.5, "spam": 2.5}))
    train(tmp_path / "new", renamed(rows("ham", "news"), {"ham": 100, "news": 300}), tmp_path / "old")
    before, after = loaded(tmp_path / "old").config, loaded(tmp_path / "new").config
    assert (after.target_mean, after.target_std) == (before.target_mean, before.target_std)
    assert after.target_mean == pytest.approx(2.0, abs=0.1)


# Old rows ---------------------------------------------------------------------------------------------------------


def test_old_rows_are_added_to_both_splits_by_class(places, old, tmp_path, capsys, caplog):
    replay = {"replay": str(places / "old.jsonl"), "replay_rows": 18}
    result = train(tmp_path / "new", rows("news"), old, data=replay)
    splits = result["data"]["splits"]
    assert splits["train"]["labels"] == {"ham": 9, "spam": 9, "news": 18}
    assert splits["validation"]["labels"] == {"ham": 1, "spam": 1, "news": 2}
    assert result["run"]["going_on"]["replayed"] == {"train": 18, "validation": 2}
    assert "old rows: 18 of 36 for train" in capsys.readouterr().out
    assert "will forget" not in caplog.text
    # The rows that were held out are found again without the old ones.
    assert read_run(tmp_path / "new").data.replay_rows == 18


@pytest.mark.parametrize(("replay_rows", "count"), [(None, 36), (0.5, 18), (1.0, 36), (5, 5), (1000, 36)])
def test_the_number_of_old_rows(replay_rows, count, places, old, tmp_path):
    data = {"replay": str(places / "old.jsonl"), "replay_rows": replay_rows}
    result = train(tmp_path / "new", rows("news"), old, data=data, max_steps=1)
    assert result["run"]["going_on"]["replayed"]["train"] == count


def test_old_rows_may_have_other_column_names_and_the_same_seed_takes_the_same(old, tmp_path):
    other = [{"message": row["text"], "category": row["label"]} for row in rows("ham", "spam", seed=3)]
    write_jsonl(tmp_path / "other.jsonl", other)
    data = {"replay": str(tmp_path / "other.jsonl"), "replay_rows": 10}
    given = [{"message": row["text"], "category": row["label"]} for row in rows("news")]
    for name in ("one", "two"):
        columns = {"text_column": "message", "label_column": "category"}
        train(tmp_path / name, given, old, data=data | columns)
    assert_same_run(tmp_path / "one", tmp_path / "two")


def test_errors_name_the_old_rows_by_their_file(places, old, tmp_path):
    wrong = renamed(rows("news", "ham"), {"news": "ham", "ham": "news"})
    run = config(tmp_path / "new", old, {"replay": str(places / "old.jsonl")}, learning_rate=0.0)
    run["data"]["path"] = str(write_jsonl(tmp_path / "wrong.jsonl", wrong))
    hf_rnn.train(run)
    text = (tmp_path / "new" / "errors.csv").read_text()
    assert "of train" in text


def test_a_held_out_split_is_evaluated_again(places, old, tmp_path):
    write_jsonl(tmp_path / "rows.jsonl", rows("news", "ham"))
    run = config(tmp_path / "new", old, {"replay": str(places / "old.jsonl"), "path": str(tmp_path / "rows.jsonl")})
    hf_rnn.train(run)
    assert hf_rnn.evaluate(str(tmp_path / "new"))["rows"] == 4


# The run ----------------------------------------------------------------------------------------------------------


class Stop(TrainerCallback):
    def on_epoch_begin(self, args, state, control, **kwargs):
        if state.epoch >= 1:
            raise KeyboardInterrupt


def test_a_run_that_was_cut_resumes_without_the_pretrained_model(places, tmp_path, monkeypatch):
    pretrained, data = (
        shutil.copytree(places / "old", tmp_path / "old"),
        write_jsonl(tmp_path / "r.jsonl", rows("news")),
    )
    runs = {
        name: config(tmp_path / name, pretrained, {"path": str(data)}, num_train_epochs=2, load_best_model_at_end=False)
        for name in ("whole", "cut")
    }
    for run in runs.values():
        run["model"] |= {"wide_ngrams": 0}
    hf_rnn.train(runs["whole"])
    with pytest.raises(KeyboardInterrupt):
        train_with(Stop(), runs["cut"], monkeypatch)
    shutil.rmtree(pretrained)
    runs["cut"]["training"]["resume"] = True
    hf_rnn.train(runs["cut"])
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    assert labels_of(loaded(tmp_path / "cut").config) == ["ham", "spam", "news"]


def test_resuming_with_other_old_rows_is_refused(places, old, tmp_path, monkeypatch):
    replay = shutil.copy(places / "old.jsonl", tmp_path / "old.jsonl")
    data = {"path": str(write_jsonl(tmp_path / "r.jsonl", rows("news"))), "replay": str(replay)}
    run = config(tmp_path / "new", old, data, num_train_epochs=2)
    with pytest.raises(KeyboardInterrupt):
        train_with(Stop(), run, monkeypatch)
    write_jsonl(replay, rows("ham", "spam", seed=5))
    run["training"]["resume"] = True
    with pytest.raises(HfRnnError, match=r"was begun with other old rows than data\.replay=.*training\.overwrite=True"):
        hf_rnn.train(run)


def test_run_yaml_reproduces_the_model(places, old, tmp_path):
    write_jsonl(tmp_path / "rows.jsonl", rows("news"))
    data = {"path": str(tmp_path / "rows.jsonl"), "replay": str(places / "old.jsonl"), "replay_rows": 10}
    # A default that the user wrote differs from the value of the pretrained model.
    hf_rnn.train(config(tmp_path / "one", old, data, model={"input_dropout": 0.0}))
    file = tmp_path / "one" / "run.yaml"
    sections = yaml.safe_load(file.read_text())
    assert sections["model"]["keep_head"] is True
    assert sections["model"]["pooling"] == "mean"
    again = ["--config", str(file), "--training.output_dir", str(tmp_path / "two")]
    run, _ = parse_run(again)
    assert run.model.input_dropout == 0.0
    hf_rnn.train(again)
    assert_same_run(tmp_path / "one", tmp_path / "two")
    assert loaded(tmp_path / "two").config.input_dropout == 0.0


def test_a_copied_run_yaml_names_the_same_old_rows(old, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("old.jsonl", "new.jsonl"):
        write_jsonl(tmp_path / name, rows("ham", "spam"))
    hf_rnn.train(config("models/new", old, {"path": "new.jsonl", "replay": "old.jsonl"}, max_steps=1))
    assert yaml.safe_load((tmp_path / "models/new/run.yaml").read_text())["data"]["replay"] == "../../old.jsonl"
    copy_run(tmp_path / "models/new/run.yaml", tmp_path / "run.yaml")
    assert read_run(tmp_path).data.replay == str(tmp_path / "old.jsonl")
    run, _ = parse_run(["--config", "models/new/run.yaml"])
    assert run.data.replay == "old.jsonl"


def test_the_new_model_answers_explains_and_streams(places, old, tmp_path):
    data = {"replay": str(places / "old.jsonl")}
    train(tmp_path / "new", rows("news", count=30), old, data=data, num_train_epochs=8)
    predictor = Predictor.from_pretrained(tmp_path / "new")
    texts = [row["text"] for row in rows("ham", "spam", "news", count=2, seed=9)]
    assert [answer["label"] for answer in predictor(texts)] == ["ham", "ham", "spam", "spam", "news", "news"]
    assert predictor.scores(texts).shape == (6, 3)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "new")
    assert labels_of(model.config) == ["ham", "spam", "news"]
    assert model.config.num_rare_tokens > 0
    assert model.wide_path is not None
    stream = predictor.open()
    stream.feed(texts[-1])
    assert stream.answers()[0]["label"] == "news"
    assert hf_rnn.explain(predictor.model, predictor.tokenizer, texts[-1]).label == "news"


def test_a_second_model_may_go_on_from_the_first_one(places, old, tmp_path):
    train(tmp_path / "new", rows("news"), old, data={"replay": str(places / "old.jsonl")})
    train(tmp_path / "newest", renamed(rows("ham"), {"ham": "memo"}), tmp_path / "new")
    assert labels_of(loaded(tmp_path / "newest").config) == ["ham", "spam", "news", "memo"]


def test_a_preset_chooses_neither_the_network_nor_the_epochs_of_a_new_model():
    run, _ = parse_run({"preset": "default", "model": {"pretrained": "old"}})
    going_on, _ = with_values(run, {"model.keep_head": True})
    new, kept = ({rule.key for rule in rules_of(each)} for each in (run, going_on))
    assert {"model.pooling", "model.input_dropout", "model.classifier_dropout", "model.weight_dropout"} <= new - kept
    assert {"model.wide_ngrams", "training.learning_rate", "training.num_train_epochs", "training.averaging"} <= kept


def test_the_n_grams_are_fitted_as_those_of_the_pretrained_model(places, old, tmp_path):
    result = train(tmp_path / "new", rows("news"), old, data={"replay": str(places / "old.jsonl")})
    chosen = json.loads((old / "metrics.json").read_text())["run"]["wide_path"]
    assert {name: result["run"]["wide_path"][name] for name in ("order", "power", "strength")} == {
        name: chosen[name] for name in ("order", "power", "strength")
    }


@pytest.mark.proof
@pytest.mark.slow
def test_two_processes_end_as_one(places, old, tmp_path):
    write_jsonl(tmp_path / "rows.jsonl", rows("news", "ham"))
    more = {"model.pretrained": old, "data.replay": places / "old.jsonl", "model.input_dropout": 0.0}
    unused = {"tokenizer.kind", "tokenizer.min_frequency", "model.embedding_size", "model.hidden_size"}
    for processes in (1, 2):
        line = options(tmp_path / "rows.jsonl", tmp_path / str(processes), 8 // processes, **more)
        line = [each for each in line if each[2:].partition("=")[0] not in unused]
        ended = torchrun(processes, *line)
        assert ended.returncode == 0, ended.stderr
    one, two = (loaded(tmp_path / name).state_dict() for name in ("1", "2"))
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-5)


# Wrong input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            {"spam": "Spam"},
            r"the label 'Spam', and '.*' was trained on 'spam': write 'spam' in the rows, or data\.label",
        ),
        ({"news": " ham "}, r"the label ' ham ', and .* was trained on 'ham'"),
        (
            {"news": 0, "spam": 1, "ham": 2},
            r"the label '0', and .* names \(ham, spam\): write data\.label_names=\['ham",
        ),
        ({"news": "a|b", "spam": "b|a", "ham": "a|b|c"}, r"labels joined by \|, and the head of .*keep_head=False"),
        ({"news": 0.5, "spam": 1.5, "ham": 2.5}, r"are a number, and the head of .* single_label_classification"),
    ],
)
def test_labels_that_do_not_go_with_the_old_ones(names, message, old, tmp_path):
    with pytest.raises(DataError, match=message):
        train(tmp_path / "new", renamed(rows("news", "spam", "ham"), names), old)
    assert not (tmp_path / "new").exists()


def test_names_beside_old_numbers_are_an_error(tmp_path):
    train(tmp_path / "old", renamed(rows("ham", "spam"), {"ham": 0, "spam": 1}))
    with pytest.raises(DataError, match=r"the label 'ham', and .* was trained on numbers \(0, 1\): write the numbers"):
        train(tmp_path / "new", rows("ham", "spam"), tmp_path / "old")


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"model": {"pooling": "last"}},
            r"model\.pooling='last', and the head of .* with pooling='mean': leave it out",
        ),
        ({"model": {"hidden_size": 64}}, r"model\.hidden_size=64, and the head of .* with hidden_size=5"),
        ({"model": {"classifier_hidden_size": 3}}, r"model\.classifier_hidden_size=3, and .*model\.keep_head=False"),
        ({"model": {"forward_only": True}}, r"model\.forward_only=True, and the head of"),
        ({"data": {"problem_type": "regression"}}, r"data\.problem_type='regression', and the head of .* single_label"),
        ({"data": {"replay_rows": 5}}, r"replay_rows=5 is the size of a sample of data\.replay, which is not set"),
        ({"data": {"replay": "x.csv", "replay_rows": 0}}, r"replay_rows=0 must be a whole number"),
        ({"data": {"replay": "x.csv", "replay_rows": 1.5}}, r"replay_rows=1\.5 must be a whole number"),
        ({"data": {"replay": "nowhere.csv"}}, r"nowhere\.csv"),
        (
            {"data": {"replay": "x.csv"}, "model": {"keep_head": False}},
            r"data\.replay='x\.csv' names the old rows of a",
        ),
    ],
)
def test_settings_that_contradict_the_old_model(sections, message, old, tmp_path):
    given = rows("news", "spam", "ham")
    if sections.get("data", {}).get("problem_type"):
        given = renamed(given, {"news": 0.5, "spam": 1.5, "ham": 2.5})
    with pytest.raises(HfRnnError, match=message):
        train(tmp_path / "new", given, old, **sections)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("old_rows", "message"),
    [
        (renamed(rows("ham", "spam"), {"spam": "other"}), r"has rows of 'other', which neither the rows of"),
        (renamed(rows("ham", "spam"), {"spam": "SPAM"}), r"the label 'SPAM', and .* was trained on 'spam'"),
        (
            [{**row, "text": 5, "label": None} for row in rows("ham")],
            r"data\.replay='.*' is read with the data settings in run\.yaml of '.*no row with a label",
        ),
        (
            [{"n": 1, "m": 2}] * 5,
            r"has the columns 'n', 'm', and neither those of the pretrained .* \('text', 'label'\): give them",
        ),
    ],
)
def test_old_rows_that_do_not_fit(old_rows, message, old, tmp_path):
    replay = write_jsonl(tmp_path / "replay.jsonl", old_rows)
    with pytest.raises(HfRnnError, match=message):
        train(tmp_path / "new", rows("news"), old, data={"replay": str(replay)})
    assert not (tmp_path / "new").exists()


def test_settings_of_a_head_need_a_text_classifier(old, tmp_path):
    with pytest.raises(ConfigError, match=r"model\.keep_head=True is about the head of model\.pretrained"):
        parse_run({"model": {"keep_head": True}})
    with pytest.raises(ConfigError, match=r"data\.replay='x' names the old rows .* model\.pretrained=FOLDER"):
        train(tmp_path / "new", rows("news", "ham"), data={"replay": "x"})
    run = config(tmp_path / "new", old, model={"keep_head": True})
    with pytest.raises(ConfigError, match=r"keep_head=True keeps the head of a text classifier, and the task is lang"):
        hf_rnn.train({**run, "task": "language_modeling"})


def test_a_second_run_does_not_replace_the_first_without_being_told(old, tmp_path):
    train(tmp_path / "new", rows("news"), old)
    before = (tmp_path / "new" / "model.safetensors").read_bytes()
    with pytest.raises(HfRnnError, match=r"training\.overwrite=True"):
        train(tmp_path / "new", rows("news"), old)
    assert (tmp_path / "new" / "model.safetensors").read_bytes() == before
