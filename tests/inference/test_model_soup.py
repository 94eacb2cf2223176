"""Tests of model soups (a saved mean of weights) and ensembles (a mean of logits)."""

import json
import logging
import shutil

import pytest
import torch
import yaml
from transformers import pipeline

import hf_rnn
from hf_rnn.cli.main import main
from hf_rnn.text.made_up_messages import made_up_messages
from hf_rnn.utils.errors import UserError

TEXTS = ["the film was not good .", "a lovely lamp ."]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return a folder of three models: `a` and `b` differ only in their weights, and `wide` has another size."""
    tokenizer = hf_rnn.train_tokenizer(made_up_messages(100)["text"], kind="word", show_progress=False)
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    for name, size in (("a", 6), ("b", 6), ("wide", 8)):
        config = hf_rnn.RNNConfig(vocab_size=len(tokenizer), embedding_size=5, hidden_size=size, bidirectional=True)
        hf_rnn.RNNForSequenceClassification(config).save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    return root


def weights(folder) -> dict[str, torch.Tensor]:
    return dict(hf_rnn.RNNForSequenceClassification.from_pretrained(folder).named_parameters())


def test_the_mean_of_weights_is_one_saved_model(folders, tmp_path, capsys):
    output = tmp_path / "mean"
    assert main(["average", str(folders / "a"), str(folders / "b"), "--output", str(output)]) == 0
    assert f"the mean of 2 models is in {output}" in capsys.readouterr().out
    a, b, mean = (weights(folder) for folder in (folders / "a", folders / "b", output))
    for name, weight in mean.items():
        torch.testing.assert_close(weight, (a[name] + b[name]) / 2)
    assert len(pipeline("text-classification", model=str(output))(TEXTS)) == 2
    assert (output / "README.md").read_text(encoding="utf-8").startswith("---")


def test_ngrams_of_different_models_have_no_mean(folders, tmp_path):
    model = hf_rnn.RNNForSequenceClassification.from_pretrained(folders / "a", wide_ngrams=4)
    for name in ("one", "other"):
        shutil.copytree(folders / "a", tmp_path / name)
        model.save_pretrained(tmp_path / name)
    with pytest.raises(UserError, match=r"has a wide path \(wide_ngrams=4\).*model.wide_ngrams=0"):
        hf_rnn.average([tmp_path / "one", tmp_path / "other"], tmp_path / "mean")


def test_the_run_of_the_first_comes_along(tiny_run, tmp_path):
    (checkpoint,) = tiny_run.glob("checkpoint-*")
    hf_rnn.average([checkpoint, tiny_run], tmp_path / "mean")
    assert (tmp_path / "mean" / "run.yaml").read_text() == (tiny_run / "run.yaml").read_text()
    assert main(["evaluate", str(tmp_path / "mean"), "--split", "train"]) == 0


def test_models_that_began_apart_have_no_mean_that_knows_anything(tiny_run, tmp_path, caplog):
    shutil.copytree(tiny_run, tmp_path / "other")
    with caplog.at_level(logging.WARNING):
        hf_rnn.average([tiny_run, tmp_path / "other"], tmp_path / "mean")
    assert "trained from scratch" in caplog.text
    for name in ("other", "third"):
        shutil.copytree(tiny_run, tmp_path / name, dirs_exist_ok=True)
        run = yaml.safe_load((tiny_run / "run.yaml").read_text())
        run["model"]["pretrained"] = "somebody/lm"
        (tmp_path / name / "run.yaml").write_text(yaml.safe_dump(run))
    caplog.clear()
    hf_rnn.average([tmp_path / "other", tmp_path / "third"], tmp_path / "of one")
    assert not caplog.text


def test_answers_are_those_of_the_mean_of_logits(folders):
    ids = [[5, 6, 7], [8]]
    a, b, both = (
        hf_rnn.Predictor.from_pretrained(folders / "a", device="cpu", others=others).logits(ids)
        if others is not None
        else hf_rnn.Predictor.from_pretrained(folders / "b", device="cpu").logits(ids)
        for others in ((), None, (folders / "b",))
    )
    torch.testing.assert_close(torch.tensor(both), torch.tensor((a + b) / 2))


def test_the_command_line_averages_answers(tiny_run, capsys):
    command = ["predict", str(tiny_run), "the film was good ."]
    printed = []
    for others in ([], ["--others", str(tiny_run)]):
        assert main([*command, *others]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_models_of_other_sizes_have_answers_and_no_mean_of_weights(folders, tmp_path):
    assert hf_rnn.Predictor.from_pretrained(folders / "a", others=[folders / "wide"])(TEXTS)
    with pytest.raises(UserError, match="name models of the same sizes"):
        hf_rnn.average([folders / "a", folders / "wide"], tmp_path / "mean")
    for name, value in (("pooling", "max"), ("cell_type", "gru")):
        config = hf_rnn.RNNConfig.from_pretrained(folders / "a", **{name: value})
        hf_rnn.RNNForSequenceClassification(config).save_pretrained(tmp_path / name)
        hf_rnn.load_tokenizer(str(folders / "a")).save_pretrained(tmp_path / name)
        with pytest.raises(UserError, match=f"has {name}='{value}'.*name models with the same value"):
            hf_rnn.average([folders / "a", tmp_path / name], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_one_path_where_several_belong_is_refused(folders, tmp_path):
    with pytest.raises(UserError, match="others is one path: pass a list"):
        hf_rnn.Predictor.from_pretrained(folders / "a", others=str(folders / "b"))
    with pytest.raises(UserError, match="models is one path: pass a list"):
        hf_rnn.average(str(folders / "a"), tmp_path / "mean")
    with pytest.raises(UserError, match="is named twice: name each model once"):
        hf_rnn.average([folders / "a", folders / "b", folders / "a"], tmp_path / "mean")
    with pytest.raises(UserError, match=r"nowhere' of .* does not exist: make it first"):
        hf_rnn.average([folders / "a", folders / "b"], tmp_path / "nowhere" / "mean")


def test_other_labels_another_tokenizer_one_model_and_a_taken_folder_are_refused(folders, tiny_run, tmp_path):
    with pytest.raises(UserError, match=r"has other labels \(negative, positive\)"):
        hf_rnn.average([folders / "a", tiny_run], tmp_path / "mean")
    other = tmp_path / "other"
    hf_rnn.RNNForSequenceClassification.from_pretrained(folders / "a").save_pretrained(other)
    hf_rnn.train_tokenizer(["a b"], kind="word", min_frequency=1, show_progress=False).save_pretrained(other)
    with pytest.raises(UserError, match="has another tokenizer"):
        hf_rnn.Predictor.from_pretrained(folders / "a", others=[other])
    with pytest.raises(UserError, match="two models or more, but got 1"):
        hf_rnn.average([folders / "a"], tmp_path / "mean")
    with pytest.raises(UserError, match="exists already"):
        hf_rnn.average([folders / "a", folders / "b"], other)
    assert json.loads((other / "config.json").read_text())["hidden_size"] == 6
