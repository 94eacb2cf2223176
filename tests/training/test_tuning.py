import csv
import json
import math
import random
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.torch import load_file
from support import write_jsonl
from support.reviews import made_up_reviews
from support.tagging import sentences

import hf_rnn
from hf_rnn.training import search_study, trial_run, tuning
from hf_rnn.training.run_config import run_parser
from hf_rnn.training.search_space import SPACES
from hf_rnn.training.trial_run import TrialRun, TrialWatch
from hf_rnn.training.trials import Trial, Trials
from hf_rnn.training.tuning import Search
from hf_rnn.utils.errors import ConfigError, HfRnnError

pytest.importorskip("optuna", reason="optuna is not installed: pip install 'hf-rnn[tune]'")

# Settings that keep a trial short. The search chooses all others.
QUICK = {
    "tokenizer.kind": "word",
    "model.embedding_size": 8,
    "model.hidden_size": 8,
    "model.num_hidden_layers": 1,
    "training.num_train_epochs": 2,
    "training.per_device_train_batch_size": 32,
}


def sections(data, folder, **options) -> dict:
    """Return the sections of a run, with options such as `training__seed=1`."""
    nested: dict = {"preset": "default", "data": {"path": str(data)}, "report": {"baseline": False}}
    written = {name.replace("__", "."): value for name, value in options.items()}
    for key, value in {**QUICK, "training.output_dir": str(folder), **written}.items():
        section, _, name = key.partition(".")
        nested.setdefault(section, {})[name] = value
    return nested


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return a folder with reviews in the splits train, validation and test."""
    folder = tmp_path_factory.mktemp("reviews")
    columns = made_up_reviews(240)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    for split, some in (("train", rows[:140]), ("validation", rows[140:200]), ("test", rows[200:])):
        write_jsonl(folder / f"{split}.jsonl", some)
    return folder


@pytest.fixture(scope="module")
def found(data, tmp_path_factory):
    """Return the folder, the results and the evaluated splits of a search."""
    folder, judged = tmp_path_factory.mktemp("found") / "model", []
    with pytest.MonkeyPatch.context() as patch:
        judge = hf_rnn.RNNTrainer.judge
        patch.setattr(
            hf_rnn.RNNTrainer, "judge", lambda self, rows, split: judged.append(split) or judge(self, rows, split)
        )
        results = hf_rnn.tune(sections(data, folder), trials=3)
    return SimpleNamespace(folder=folder, results=results, judged=judged, tune=results["tune"])


def trial(results: dict, number: int) -> dict:
    return next(each for each in results["tune"]["trials"] if each["trial"] == number)


# The result ----------------------------------------------------------------------------------------------------------


def test_the_first_trial_is_the_run_of_the_preset(found, data, tmp_path):
    first = trial(found.results, 0)
    assert first["values"] == {}
    alone = hf_rnn.train(sections(data, tmp_path / "alone"))
    assert (first["accuracy"], first["loss"]) == (alone["validation"]["accuracy"], alone["validation"]["loss"])


def test_the_model_is_that_of_the_chosen_trial(found):
    chosen = trial(found.results, found.tune["chosen"])
    for name in ("accuracy", "loss"):
        assert found.results["validation"][name] == chosen[name]
    assert chosen["accuracy"] >= trial(found.results, 0)["accuracy"]
    assert found.tune["values"] == chosen["values"]


def test_the_test_split_is_evaluated_once(found):
    assert found.judged == ["validation"] * 3 + ["validation", "test"]


def test_settings_that_the_user_wrote_are_kept(found):
    changed = {key for each in found.tune["trials"] for key in each["values"]}
    assert changed
    assert not changed & QUICK.keys()


@pytest.mark.slow
def test_run_yaml_trains_the_same_model(found, tmp_path):
    hf_rnn.train([f"--config={found.folder / 'run.yaml'}", f"--training.output_dir={tmp_path / 'again'}"])
    ours, again = (load_file(folder / "model.safetensors") for folder in (found.folder, tmp_path / "again"))
    assert ours.keys() == again.keys()
    assert all(np.array_equal(ours[name], again[name]) for name in ours)


def test_the_folder_is_that_of_a_model_and_has_all_trials(found):
    assert not (found.folder / ".tune").exists()
    assert json.loads((found.folder / "metrics.json").read_text())["tune"] == found.tune
    with (found.folder / "tune.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["0", "1", "2"]
    assert float(rows[0]["accuracy"]) == trial(found.results, 0)["accuracy"]
    card = (found.folder / "README.md").read_text(encoding="utf-8")
    assert "| settings | chosen from 3 trials by accuracy on the validation split" in card
    assert hf_rnn.Predictor.from_pretrained(found.folder)("the film was good .")["label"] in ("0", "1")


def test_a_second_search_needs_to_be_told_to_replace_a_model(found, data):
    with pytest.raises(HfRnnError, match=r"already holds a run .*: write training.overwrite=True to replace it"):
        hf_rnn.tune(sections(data, found.folder), trials=1)


@pytest.mark.slow
def test_taggers_are_searched_too(tmp_path):
    (tmp_path / "data").mkdir()
    for split, rows in (("train", sentences(80)), ("test", [{"tokens": ["Timbuktu"], "ner_tags": ["B-LOC"]}])):
        write_jsonl(tmp_path / "data" / f"{split}.jsonl", rows)
    words = ["anna", "lives", "in", "zanzibar", "timbuktu"]
    vectors = tmp_path / "v.txt"
    vectors.write_text("".join(f"{word} {number / 9}{' 0.5 -0.5 0.1' * 2} 0\n" for number, word in enumerate(words)))
    config = sections(tmp_path / "data", tmp_path / "model", model__vectors=str(vectors), training__num_train_epochs=1)
    config["tokenizer"] |= {"kind": "wordpiece", "vector_words": 5}
    del config["report"]
    results = hf_rnn.tune({**config, "task": "token_classification"}, trials=2, metric="recall")
    assert results["tune"]["metric"] == "recall"
    assert all(each["result"] == "finished" for each in results["tune"]["trials"])
    assert "metric_for_best_model: recall" in (tmp_path / "model" / "run.yaml").read_text()
    # The trials do not read the test split, whose words of the vectors become entries after the training.
    tokenizer = hf_rnn.load_tokenizer(str(tmp_path / "model"))
    assert tokenizer.tokenize("Timbuktu ZANZIBAR") == ["Timbuktu", "ZANZIBAR"]
    assert results["run"]["vectors"]["added_later"] > 0
    evaluated = hf_rnn.evaluate(str(tmp_path / "model"), split="test")
    assert evaluated["f1"] == results["test"]["f1"]


@pytest.mark.slow
def test_several_labels_are_searched_by_the_metric_that_selects_the_epoch(tmp_path):
    draw, words = random.Random(0), {"food": "soup", "music": "song", "sport": "ball"}
    labels = [draw.sample(list(words), draw.choice([1, 2])) for _ in range(120)]
    rows = [{"text": " ".join(words[name] for name in names), "labels": names} for names in labels]
    config = sections("", tmp_path / "model")
    del config["data"]
    assert hf_rnn.tune(config, data=rows, trials=1)["tune"]["metric"] == "average_precision"


# Interruptions -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stopped(data, tmp_path_factory):
    """Return the folder of a search that ended in its second trial, and the configuration of that trial."""
    begun, train, folder = [], TrialRun.train, tmp_path_factory.mktemp("stopped") / "model"

    def until_the_second(run):
        begun.append(run.config)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return train(run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrialRun, "train", until_the_second)
        with pytest.raises(KeyboardInterrupt):
            hf_rnn.tune(sections(data, folder), trials=3)
    return folder, begun[1]


@pytest.fixture
def interrupted(stopped, tmp_path, monkeypatch):
    """Return a copy of the folder of the interrupted search, and a list that gets the configuration of each trial."""
    begun, train = [], TrialRun.train
    monkeypatch.setattr(TrialRun, "train", lambda run: begun.append(run.config) or train(run))
    return shutil.copytree(stopped[0], tmp_path / "model"), begun


def test_the_same_call_continues_an_interrupted_search(stopped, interrupted, data, found, capsys):
    folder, begun = interrupted
    journal = folder / ".tune" / "journal.log"
    # A killed process may leave a lock and half a line.
    journal.with_name("journal.log.lock").symlink_to(journal)
    with journal.open("a") as file:
        file.write('{"op_code":')
    results = hf_rnn.tune(sections(data, folder), trials=3)
    assert "continues after 1 trials" in capsys.readouterr().out
    # The first trial is not trained again, and the interrupted one is.
    assert len(begun) == 2
    assert begun[0].model == stopped[1].model
    assert begun[0].training.learning_rate == stopped[1].training.learning_rate
    finished = results["tune"]["trials"]
    assert [each["values"] for each in finished] == [trial(found.results, n)["values"] for n in range(3)]


@pytest.mark.slow
def test_the_time_before_an_interruption_counts(interrupted, data):
    folder, _ = interrupted
    search_study_of(folder).set_user_attr("seconds", 570.0)
    results = hf_rnn.tune(sections(data, folder), trials=1, minutes=20)
    assert 9.5 < results["tune"]["minutes_used"] < 15


def search_study_of(folder):
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    backend = JournalFileBackend(str(folder / ".tune" / "journal.log"))
    return optuna.load_study(study_name="tune", storage=JournalStorage(backend))


@pytest.mark.parametrize(
    ("changes", "how", "message"),
    [
        (
            {"training__seed": 7},
            {},
            "begun without training.seed, and this has training.seed=7: leave it out",
        ),
        # A value that is the default is not the same as none, for which a preset may choose another one.
        ({"training__learning_rate": 0.002}, {}, "begun without training.learning_rate, and this has"),
        ({}, {"metric": "f1_macro"}, "with metric='accuracy', and this has 'f1_macro': write the same"),
        ({}, {"megabytes": 5}, "with megabytes=None, and this has 5: write the same"),
        ({"data__path": "other"}, {}, "begun with other rows: restore them, or write training.overwrite=True"),
    ],
)
def test_another_search_in_the_folder_is_an_error(interrupted, data, changes, how, message):
    folder, _ = interrupted
    if "data__path" in changes:
        changes = {"data__path": str(shutil.copytree(data, folder.parent / "other"))}
        write_jsonl(folder.parent / "other" / "test.jsonl", [{"text": "good", "label": 1}])
    with pytest.raises(HfRnnError, match=message):
        hf_rnn.tune(sections(data, folder, **changes), trials=3, **how)
    assert (folder / ".tune" / "journal.log").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_searches_at_once_in_a_folder(interrupted, data, overwrite):
    folder, _ = interrupted
    journal = (folder / ".tune" / "journal.log").read_bytes()
    other = search_study.alone_in(folder / ".tune")
    with other, pytest.raises(HfRnnError, match=r"another process searches in .*: wait until it ends, or name"):
        hf_rnn.tune(sections(data, folder, training__overwrite=overwrite), trials=3)
    assert (folder / ".tune" / "journal.log").read_bytes() == journal


def test_a_model_that_was_trained_since_a_search_began_is_not_replaced(interrupted, data):
    folder, _ = interrupted
    (folder / "metrics.json").write_text("{}")
    with pytest.raises(HfRnnError, match=r"that has ended since the search began: write training\.overwrite=True"):
        hf_rnn.tune(sections(data, folder), trials=3)
    assert (folder / "metrics.json").read_text() == "{}"


@pytest.mark.slow
def test_overwrite_begins_a_search_anew(interrupted, data):
    folder, begun = interrupted
    results = hf_rnn.tune(sections(data, folder, training__seed=7, training__overwrite=True), trials=1)
    assert len(begun) == len(results["tune"]["trials"]) == 1


@pytest.mark.slow
def test_an_interruption_while_the_model_is_saved(data, tmp_path, monkeypatch):
    config = sections(data, tmp_path / "model")
    with monkeypatch.context() as patch:
        patch.setattr(trial_run.ChosenRun, "_write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            hf_rnn.tune(config, trials=1)
    assert not (tmp_path / "model" / "metrics.json").exists()
    monkeypatch.setattr(TrialRun, "train", lambda _: pytest.fail("a trial was trained again"))
    results = hf_rnn.tune(config, trials=1)
    assert results["validation"]["accuracy"] == trial(results, 0)["accuracy"]


# Limits --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_saved_files_are_not_larger_than_asked_for(data, tmp_path):
    config = sections(data, tmp_path / "model")
    del config["model"]
    results = hf_rnn.tune(config, trials=2, megabytes=0.1)
    assert trial(results, 0)["result"] == "too large"
    size = sum((tmp_path / "model" / name).stat().st_size for name in ("model.safetensors", "tokenizer.json"))
    assert size <= 100_000
    assert trial(results, results["tune"]["chosen"])["megabytes"] == pytest.approx(size / 1e6, abs=0.002)


def test_a_size_that_nothing_meets(data, tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "MOST_TOO_LARGE", 4)
    monkeypatch.setattr(TrialRun, "_finish", lambda *_: pytest.fail("a model that is too large was trained"))
    with pytest.raises(
        HfRnnError, match=r"none of 4 models has at most megabytes=0.001: the smallest has 0\.0\d+"
    ) as e:
        hf_rnn.tune(sections(data, tmp_path / "model"), megabytes=0.001)
    assert "Write megabytes=0.0" in str(e.value)


def time_left(monkeypatch, *answers: float) -> None:
    """Let the search find these numbers of seconds left; the last one counts from then on."""
    rest = list(answers)
    monkeypatch.setattr(Search, "seconds_left", property(lambda _: rest.pop(0) if len(rest) > 1 else rest[0]))


def test_too_little_time_for_one_trial(data, tmp_path, monkeypatch):
    time_left(monkeypatch, 10, 0)
    with pytest.raises(HfRnnError) as e:
        hf_rnn.tune(sections(data, tmp_path / "model"), minutes=0.5)
    assert "minutes=0.5 are too few for one trial" in str(e.value)
    assert "the first one was at 10% of its training, for which it needs up to" in str(e.value)
    assert "Write minutes=" in str(e.value)
    # With more time, the first trial is again that of the preset.
    monkeypatch.undo()
    results = hf_rnn.tune(sections(data, tmp_path / "model"), trials=1)
    assert results["tune"]["trials"][0]["values"] == {}


def test_no_time_at_all(data, tmp_path):
    with pytest.raises(HfRnnError, match=r"minutes=1e-06 are over, and no trial has finished: write minutes=1 to"):
        hf_rnn.tune(sections(data, tmp_path / "model"), minutes=1e-6)


@pytest.mark.slow
def test_a_later_trial_without_time_is_stopped_and_the_best_model_is_saved(data, tmp_path, monkeypatch):
    steps = 10
    time_left(monkeypatch, *[1000] * (1 + steps), 1000, 0)
    results = hf_rnn.tune(sections(data, tmp_path / "model"))
    assert [each["result"] for each in results["tune"]["trials"]] == ["finished", "out of time at 10% of its training"]
    assert results["tune"]["chosen"] == 0


@pytest.mark.slow
def test_a_trial_that_fails_is_left_out(data, tmp_path, monkeypatch):
    train, calls = TrialRun.train, []

    def failing(run):
        calls.append(run)
        if len(calls) == 2:
            raise HfRnnError("the loss became nan.")
        return train(run)

    monkeypatch.setattr(TrialRun, "train", failing)
    results = hf_rnn.tune(sections(data, tmp_path / "model"), trials=3)
    assert trial(results, 1)["result"] == "failed: the loss became nan"
    assert results["tune"]["chosen"] != 1


@pytest.mark.slow
def test_an_error_in_the_first_trial_ends_the_search(data, tmp_path):
    with pytest.raises(HfRnnError, match=r"tokenizer\.rare_tokens=5"):
        hf_rnn.tune(sections(data, tmp_path / "model", tokenizer__rare_tokens=5, tokenizer__kind="bpe"), trials=2)


# Wrong arguments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"minutes": 0}, "minutes=0 must be greater than 0, such as minutes=10"),
        ({"minutes": -1}, "minutes=-1 must be greater than 0"),
        ({"minutes": math.nan}, "minutes=nan must be greater than 0"),
        ({"trials": 0}, "trials=0 must be greater than 0, such as trials=20"),
        ({"megabytes": 0}, "megabytes=0 must be greater than 0, such as megabytes=5"),
        ({"metric": "f1macro"}, "metric='f1macro' is not one of accuracy, f1_macro, .*did you mean metric='f1_macro'"),
    ],
)
def test_wrong_limits(data, tmp_path, how, message):
    with pytest.raises(ConfigError, match=message):
        hf_rnn.tune(sections(data, tmp_path / "model"), **how)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"training__resume": True}, "a search continues by itself: leave training.resume=True out"),
        ({"training__gradient_flow_steps": 5}, "training.gradient_flow_steps=5 measures one training"),
        ({"data__streaming": True, "training__max_steps": 5}, "data.streaming=True never loads all rows"),
    ],
)
def test_settings_without_use_in_a_search(data, tmp_path, options, message):
    config = sections(data, tmp_path / "model", **options)
    with pytest.raises(ConfigError, match=message):
        hf_rnn.tune({**config, "preset": "none"})


def test_a_search_has_no_cross_validation_and_keeps_no_head(data, found, tmp_path):
    with pytest.raises(ConfigError, match="cross_validate=3 measures one choice of settings"):
        hf_rnn.tune({**sections(data, tmp_path / "model"), "cross_validate": 3})
    config = {"data": str(data), "model": {"pretrained": str(found.folder)}}
    with pytest.raises(ConfigError, match="a search does not go on from a text classifier"):
        hf_rnn.tune({**config, "training": {"output_dir": str(tmp_path / "model")}})


def test_tasks_without_settings_to_search(data, tmp_path):
    config = {"task": "language_modeling", "data": str(data), "training": {"output_dir": str(tmp_path / "model")}}
    with pytest.raises(ConfigError, match="name text_classification or token_classification, or train without a"):
        hf_rnn.tune(config)


def test_every_setting_is_written(data, tmp_path):
    defaults = run_parser().get_defaults()
    values = {each.key.replace(".", "__"): defaults[each.key] for each in SPACES["text_classification"]}
    values |= {name.replace(".", "__"): value for name, value in QUICK.items()} | {"model__wide_ngrams": 5}
    with pytest.raises(ConfigError, match="every setting that a search chooses is written already: leave one of them"):
        hf_rnn.tune(sections(data, tmp_path / "model", **values))


def test_without_optuna(data, tmp_path, monkeypatch):
    monkeypatch.setattr(search_study, "find_spec", lambda name: None)
    with pytest.raises(HfRnnError, match=r'needs optuna: pip install "hf-rnn\[tune\]"'):
        hf_rnn.tune(sections(data, tmp_path / "model"))


# The choice ----------------------------------------------------------------------------------------------------------


def trials_of(*results: tuple[float, float], metric: str = "accuracy", is_greater_better: bool = True) -> Trials:
    """Return trials with these pairs of metric and loss; the first one has the values of the preset."""
    trials = Trials(metric, is_greater_better, rows=100)
    trials.counted = [
        Trial(number, {}, {"model.hidden_size": number} if number else {}, "finished", value, loss, 0, 1.0, 0.1)
        for number, (value, loss) in enumerate(results)
    ]
    return trials


def test_of_near_ties_the_lowest_loss_is_chosen():
    trials = trials_of((0.80, 0.5), (0.90, 0.4), (0.88, 0.3), (0.85, 0.1))
    # One standard error of 100 rows is 0.03.
    assert trials.chosen.number == 2
    assert "within one standard error (0.0300) of the best, 0.9000 of trial 1" in trials.told(trials.chosen)


def test_the_choice_is_not_worse_than_the_preset():
    assert trials_of((0.89, 0.5), (0.90, 0.4), (0.88, 0.1)).chosen.number == 1
    assert trials_of((0.90, 0.5), (0.88, 0.1)).chosen.number == 0


def test_a_metric_without_standard_error_decides_alone():
    assert trials_of((0.80, 0.5), (0.90, 0.4), (0.89, 0.1), metric="matthews_correlation").chosen.number == 1
    trials = trials_of((4.0, 0.5), (3.0, 0.4), (3.1, 0.1), metric="mse", is_greater_better=False)
    assert trials.chosen.number == 1


def test_models_that_cannot_be_chosen_are_deleted():
    trials = trials_of((0.80, 0.5), (0.90, 0.4), (0.90, 0.4), (0.85, 0.45), (0.88, 0.3))
    assert [each.number for each in trials.undominated] == [1, 4]


def test_a_trial_that_is_worse_than_others_is_pruned():
    import optuna

    reported = []
    study = SimpleNamespace(report=lambda value, part: reported.append((part, value)), should_prune=lambda: True)
    watch = TrialWatch(study, "accuracy", True, seconds_left=lambda: 1.0, after_evaluation=lambda: None)
    state = SimpleNamespace(global_step=3, max_steps=10)
    watch.on_step_end(None, state, None)
    with pytest.raises(optuna.TrialPruned):
        watch.on_evaluate(None, state, None, metrics={"eval_accuracy": 0.5})
    state.global_step = 10
    watch.on_step_end(None, state, None)
    # A trial at its end is not pruned, and the best evaluation counts.
    watch.on_evaluate(None, state, None, metrics={"eval_accuracy": 0.4})
    assert reported == [(3, 0.5), (10, 0.5)]
