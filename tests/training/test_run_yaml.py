"""run.yaml holds all settings that a later release could change."""

from dataclasses import fields

import pytest
import yaml

import hf_rnn
from hf_rnn.training.arguments import RNNTrainingArguments
from hf_rnn.training.fine_tuning import ENCODER
from hf_rnn.training.run_config import SECTIONS, parse_run
from hf_rnn.training.run_yaml import _WITHOUT_EFFECT
from hf_rnn.utils.errors import ConfigError


def written(*options: str) -> dict:
    return yaml.safe_load(parse_run(list(options))[1])


def test_the_file_has_each_default_and_the_release_that_wrote_it():
    sections = written("--model.hidden_size", "64")
    assert sections["hf_rnn_version"] == hf_rnn.__version__
    for name in ("data", "tokenizer", "report", "card"):
        assert set(sections[name]) == {each.name for each in fields(SECTIONS[name])}
    ours = set(RNNTrainingArguments.__annotations__) - {"overwrite", "resume", "window", *_WITHOUT_EFFECT}
    assert ours <= set(sections["training"])
    assert {"seed", "weight_decay", "max_grad_norm"} <= set(sections["training"])
    assert sections["model"]["hidden_size"] == 64
    assert sections["model"]["embedding_size"] == 128


def test_chosen_values_come_before_the_defaults():
    _, text = parse_run(["--model.pooling", "mean"])
    model = text.split("model:\n")[1]
    assert model.startswith(f"  pooling: mean\n  # defaults of hf_rnn {hf_rnn.__version__}\n")


def test_secrets_and_the_hub_are_left_out():
    _, text = parse_run(["--training.push_to_hub", "true", "--training.hub_token", "hf_secret"])
    assert "hub_" not in text
    assert "hf_secret" not in text


def test_settings_of_other_tasks_are_left_out():
    assert "window" not in written()["training"]
    assert "crf" not in written()["model"]
    sections = written("--task", "language_modeling")
    assert "window" in sections["training"]
    assert "pooling" not in sections["model"]
    assert "report" not in sections


def test_what_a_pretrained_model_vectors_or_a_tokenizer_bring_is_left_out():
    sections = written("--model.pretrained", "lm")
    assert not {*ENCODER} & set(sections["model"])
    assert "tokenizer" not in sections
    assert "num_hidden_layers" in written("--model.pretrained", "lm", "--model.num_hidden_layers", "2")["model"]
    assert "vocab_size" in written("--model.pretrained", "lm", "--tokenizer.kind", "word")["tokenizer"]
    assert "embedding_size" not in written("--model.vectors", "glove.txt")["model"]
    assert written("--tokenizer.path", "folder")["tokenizer"] == {"path": "folder"}


def test_nobody_wrote_the_defaults_of_the_file(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(parse_run(["--model.hidden_size", "64"])[1])
    run, text = parse_run(["--config", str(file), "--model.num_hidden_layers=1"])
    assert {"model.hidden_size", "model.num_hidden_layers"} <= run.given
    assert not {"model.embedding_size", "tokenizer.vocab_size", "training.learning_rate"} & run.given
    assert text == file.read_text()


def test_the_output_layer_of_a_language_model_comes_from_a_pretrained_one():
    assert "tie_word_embeddings" not in written("--task", "language_modeling", "--model.pretrained", "lm")["model"]
    assert "tie_word_embeddings" in written("--task", "translation", "--model.pretrained", "lm")["model"]


def test_a_preset_for_a_file_that_has_all_settings_is_an_error(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(parse_run(["--model.hidden_size", "64"])[1])
    with pytest.raises(ConfigError, match=r"preset='best' chooses the settings that are not given.* gives all of them"):
        parse_run(["--config", str(file), "--preset", "best"])


def test_a_file_of_another_release_is_told(tmp_path, caplog):
    file = tmp_path / "run.yaml"
    file.write_text(parse_run([])[1].replace(hf_rnn.__version__, "0.0.9", 1))
    parse_run(file)
    assert f"hf_rnn 0.0.9 wrote this run.yaml, and this is {hf_rnn.__version__}" in caplog.text
