"""Short forms in Python, names of other programs, and configurations with other data."""

import json

import pytest
import yaml
from support import ROOT, tiny_config

import hf_rnn
from hf_rnn.cli.main import main
from hf_rnn.training.run_config import parse_run
from hf_rnn.utils.errors import ConfigError, DataError


def test_the_data_section_may_be_a_path(reviews_csv, tmp_path):
    config = tiny_config(reviews_csv, tmp_path / "model")
    path = config["data"].pop("path")
    assert not config["data"]
    assert hf_rnn.train({**config, "data": path})["run"]["train_rows"] == 180


@pytest.mark.parametrize("path", ["reviews.csv", "owner/reviews"])
def test_data_in_the_place_of_a_configuration_is_told(path):
    with pytest.raises(ConfigError, match=rf"is not the YAML file of a run: write train\({{'data': '{path}'}}\)"):
        hf_rnn.train(path)


@pytest.mark.parametrize(
    ("name", "key"),
    [("lr", "learning_rate"), ("batch_size", "per_device_train_batch_size"), ("epochs", "num_train_epochs")],
)
def test_names_of_other_programs_are_known(name, key):
    with pytest.raises(ConfigError, match=f"no key '{name}': did you mean 'training.{key}'"):
        parse_run([f"--{name}", "3"])


def test_the_card_does_not_call_other_data_a_copy(caplog):
    config = str(ROOT / "configs" / "imdb.yaml")
    with caplog.at_level("INFO"):
        run, text = parse_run(["--config", config, "--data.path", "mine.csv"])
    assert (run.card.dataset, run.card.language) == (None, None)
    assert yaml.safe_load(text)["card"]["dataset"] is None
    assert "write card.dataset='stanfordnlp/imdb' and card.language='en'" in caplog.text
    for options in (["--card.dataset", "stanfordnlp/imdb"], ["--data.path", "stanfordnlp/imdb"]):
        run, _ = parse_run(["--config", config, "--data.path", "mine.csv", *options])
        assert run.card.dataset == "stanfordnlp/imdb"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"eval_strategy": "never"}, "training.eval_strategy='never' is not one of no, steps, epoch"),
        ({"lr_scheduler_type": "cosin"}, "did you mean training.lr_scheduler_type='cosine'"),
        ({"weight_decay": -1}, "training.weight_decay=-1.0 must be 0 or greater"),
        ({"label_smoothing_factor": 2}, "training.label_smoothing_factor=2.0 must be at least 0 and less than 1"),
    ],
)
def test_settings_of_transformers_are_checked_before_the_run(setting, message):
    with pytest.raises(ConfigError, match=message):
        parse_run({"training": setting})


def test_settings_of_model_and_tokenizer_are_named_with_their_section():
    with pytest.raises(ConfigError, match=r"^model\.pooling='avg' must be one of .*: write model\.pooling='mean'"):
        parse_run({"model": {"pooling": "avg"}})
    with pytest.raises(ConfigError, match=r"^tokenizer\.kind='words' .*tokenizer\.kind='word'"):
        hf_rnn.train({"tokenizer": {"kind": "words"}})


@pytest.mark.parametrize(("split", "near"), [("vlidation", "validation"), ("test", "validation")])
def test_a_split_that_a_run_does_not_have(tiny_run, split, near):
    with pytest.raises(DataError, match=f"no split '{split}', only train, validation: write split='{near}'"):
        hf_rnn.evaluate(tiny_run, split=split)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--learning_rate", "abc"], "hf-rnn train: --training.learning_rate abc must be a number.\n"),
        (["train", "--data.header", "maybe"], "hf-rnn train: --data.header maybe must be true or false or null.\n"),
        (["train", "--data.max_length", "1.5"], "--data.max_length 1.5 must be a whole number or null.\n"),
        (["predict", "model", "text", "--top_k", "two"], "hf-rnn predict: --top_k two must be a whole number. ("),
        (["average", "a", "b"], "the following arguments are required: --output ("),
        (["predict"], "the following arguments are required: MODEL ("),
    ],
)
def test_a_value_of_the_wrong_type_is_told_in_one_line(arguments, message, capsys):
    assert main(arguments) == 1
    assert message in capsys.readouterr().err


def test_an_interrupt_before_a_checkpoint_promises_none(tmp_path, monkeypatch, capsys):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("hf_rnn.training.run.Run.train", interrupted)
    command = ["train", "made_up_messages", "--output_dir", str(tmp_path / "model")]
    assert main(command) == 130
    assert "There is no checkpoint yet: nothing was saved." in capsys.readouterr().err
    (tmp_path / "model" / "checkpoint-1").mkdir(parents=True)
    assert main([*command, "--training.overwrite", "true"]) == 130
    assert "--training.resume true resumes from the last checkpoint." in capsys.readouterr().err


def test_an_error_about_a_table_by_columns_is_short(tmp_path):
    columns = {"text": {str(n): f"a good film {n}" for n in range(500)}, "label": {str(n): n % 2 for n in range(500)}}
    (tmp_path / "columns.json").write_text(json.dumps(columns))
    with pytest.raises(DataError) as error:
        hf_rnn.train({"data": str(tmp_path / "columns.json"), "training": {"output_dir": str(tmp_path / "model")}})
    assert len(str(error.value)) < 1000
    assert str(error.value).count("\n") < 10
