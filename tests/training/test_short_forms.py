"""Short forms of the command line of a training run."""

import pytest

from hf_rnn.cli.main import main
from hf_rnn.training.run_config import parse_run
from hf_rnn.training.short_forms import shipped_configs
from hf_rnn.training.short_help import FIRST
from hf_rnn.utils.errors import UserError


@pytest.mark.parametrize(
    "arguments",
    [
        ["reviews.csv", "--learning_rate", "0.5"],
        ["--learning_rate", "0.5", "reviews.csv"],
        ["--learning_rate=0.5", "--data", "reviews.csv"],
        ["--data=reviews.csv", "--training.learning_rate", "0.5"],
        ["--data.path", "reviews.csv", "--training.learning_rate=0.5"],
        ["--data", "{path: reviews.csv}", "--learning_rate", "0.5"],
        ["--learning_rate", "0.5", "--", "reviews.csv"],
    ],
)
def test_short_forms_mean_the_whole_keys(arguments):
    run, _ = parse_run(arguments)
    assert (run.data.path, run.training.learning_rate) == ("reviews.csv", 0.5)


def test_a_section_is_read_from_a_yaml_file(tmp_path):
    (tmp_path / "data.yaml").write_text("path: reviews.csv\nseed: 7\n")
    run, _ = parse_run(["--data", str(tmp_path / "data.yaml")])
    assert (run.data.path, run.data.seed) == ("reviews.csv", 7)


@pytest.mark.parametrize("name", sorted(shipped_configs()))
def test_a_configuration_of_the_package_is_found_by_its_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    by_name, _ = parse_run(["--config", name])
    by_path, _ = parse_run(["--config", str(shipped_configs()[name])])
    assert by_name == by_path
    assert "model.hidden_size" in by_name.given or by_name.preset != "none" or by_name.model.pretrained


def test_an_own_file_goes_before_a_configuration_of_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "imdb").write_text("data:\n  path: mine.csv\n")
    assert parse_run(["--config", "imdb"])[0].data.path == "mine.csv"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "1"], "--seed is a key of several sections: write --data.seed or --training.seed"),
        (["a.csv", "b.csv"], "one data set, and the command names 'a.csv', 'b.csv'"),
        (["a.csv", "--data.path", "b.csv"], "one data set, and the command names 'a.csv', 'b.csv'"),
        (["run.yaml"], r"write --config run.yaml"),
        (["--config", "imbd"], "no configuration 'imbd': did you mean 'imdb'"),
        (["--config", "nothing"], "no configuration 'nothing': those that come with hf_rnn are conll2003, imdb"),
        (["--config", "nowhere/imdb.yaml"], "no file 'nowhere/imdb.yaml' here.*write --config imdb"),
        (["--learning_rat", "1"], "no key 'learning_rat': did you mean 'training.learning_rate'"),
        (["a.csv", "--learning_rate"], "expected one argument"),
        (["-lr", "1", "a.csv"], "'-lr' is neither a file nor an option"),
    ],
)
def test_wrong_short_forms_are_explained(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        parse_run(arguments)


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_shows_the_keys_that_people_use_first(option, capsys):
    assert main(["train", option]) == 0
    short = capsys.readouterr().out
    assert main(["train", option, "all"]) == 0
    whole = capsys.readouterr().out
    shown = [line.split()[0] for line in short.splitlines() if line.startswith("  --")]
    assert shown == [f"--{key}" for keys in FIRST.values() for key in keys]
    assert all(len(line) <= 125 for line in short.splitlines())
    assert "--training.adam_beta1" not in short
    assert "--training.adam_beta1" in whole
    assert "hf-rnn train --help all" in short


def test_train_without_arguments_shows_the_short_help(capsys):
    assert main(["train"]) == 0
    assert "hf-rnn train --help all" in capsys.readouterr().out


def test_values_may_begin_with_dashes_and_paths_may_hold_equals_signs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=1").mkdir()
    (tmp_path / "lr=1" / "run.yaml").write_text("data:\n  path: rows.csv\n")
    (tmp_path / "lr=1" / "rows.csv").write_text("text,label\na,b\n")
    run, _ = parse_run(["--config", "lr=1/run.yaml", "--output_dir=-x"])
    assert run.data.path.replace("\\", "/").endswith("lr=1/rows.csv")
    assert (run.training.output_dir, run.preset) == ("-x", "none")


def test_a_folder_is_no_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "imdb").mkdir()
    assert parse_run(["--config", "imdb"])[0].data.path == "stanfordnlp/imdb"
