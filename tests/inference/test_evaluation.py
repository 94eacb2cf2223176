"""Evaluation on the rows of the training run, and on others."""

import json

import pytest
from support import tiny_config
from support.reviews import made_up_reviews
from support.tagging import sentences

import hf_rnn
from hf_rnn import Predictor
from hf_rnn.utils.errors import UserError


def test_without_data_the_held_out_validation_rows_are_measured(reviews_csv, tmp_path, caplog):
    trained = hf_rnn.train(tiny_config(reviews_csv, tmp_path / "model"))["validation"]
    for split in (None, "validation", "dev"):
        again = hf_rnn.evaluate(tmp_path / "model", split=split)
        assert again["rows"] == 20
        assert again["accuracy"] == trained["accuracy"]
        assert again["f1/positive"] == pytest.approx(trained["f1/positive"])
    assert "the model was trained on rows" not in caplog.text


def test_rows_that_the_model_was_trained_on_are_measured_with_a_warning(reviews_csv, tmp_path, caplog):
    hf_rnn.train(tiny_config(reviews_csv, tmp_path / "model"))
    for how in ({"split": "train"}, {"data": str(reviews_csv)}):
        caplog.clear()
        assert hf_rnn.evaluate(tmp_path / "model", **how)["rows"] == 200
        assert "the model was trained on rows of the split train" in caplog.text
    caplog.clear()
    (tmp_path / "other.csv").write_bytes(reviews_csv.read_bytes())
    hf_rnn.evaluate(tmp_path / "model", str(tmp_path / "other.csv"))
    assert "was trained on" not in caplog.text


def test_columns_of_a_path_are_found_by_name_as_on_the_command_line(reviews_csv, tmp_path):
    hf_rnn.train(tiny_config(reviews_csv, tmp_path / "model"))
    (tmp_path / "other.csv").write_text(reviews_csv.read_text().replace("text,label", "review,sentiment", 1))
    assert hf_rnn.evaluate(tmp_path / "model", tmp_path / "other.csv")["rows"] == 200
    with pytest.raises(UserError, match="text_column"):
        hf_rnn.evaluate(tmp_path / "model", tmp_path / "other.csv", given=["text_column"])


def test_validation_rows_of_a_file_that_changed_are_refused(reviews_csv, tmp_path):
    hf_rnn.train(tiny_config(reviews_csv, tmp_path / "model"))
    lines = reviews_csv.read_text().splitlines()
    reviews_csv.write_text("\n".join([lines[0], *reversed(lines[1:])]))
    with pytest.raises(UserError, match=r"validation rows were held out of .* have changed since training"):
        hf_rnn.evaluate(tmp_path / "model")


def test_the_validation_split_of_a_data_set_that_has_one(reviews_csv, tmp_path):
    lines = reviews_csv.read_text().splitlines()
    (tmp_path / "data").mkdir()
    for name, part in (("train", lines[1:151]), ("dev", lines[151:])):
        (tmp_path / "data" / f"{name}.csv").write_text("\n".join([lines[0], *part]))
    trained = hf_rnn.train(tiny_config(tmp_path / "data", tmp_path / "model"))["validation"]
    again = hf_rnn.evaluate(tmp_path / "model")
    assert (again["rows"], again["accuracy"]) == (50, trained["accuracy"])


def test_ngrams_that_saw_the_validation_rows_are_told(reviews_csv, tmp_path, caplog):
    config = tiny_config(reviews_csv, tmp_path / "model")
    config["model"]["wide_ngrams"] = 1000
    hf_rnn.train(config)
    if not Predictor.from_pretrained(tmp_path / "model").model.config.wide_ngrams:
        pytest.skip("the wide path was left out")
    hf_rnn.evaluate(tmp_path / "model")
    assert "fitted to its validation rows after training" in caplog.text


@pytest.mark.parametrize("task", ["token_classification", "language_modeling"])
def test_held_out_rows_of_other_tasks(task, tmp_path):
    rows = sentences(60) if task == "token_classification" else [{"text": t} for t in made_up_reviews(100)["text"]]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    training = {"output_dir": str(tmp_path / "model"), "max_steps": 2, "per_device_train_batch_size": 4}
    model = {"hidden_size": 8, "embedding_size": 8}
    config = {"task": task, "preset": "none", "data": {"path": str(tmp_path / "rows.jsonl")}, "model": model}
    trained = hf_rnn.train({**config, "training": training})["validation"]
    again = hf_rnn.evaluate(tmp_path / "model")
    common = [name for name in again if name in trained and name != "rows"]
    assert common
    assert {name: again[name] for name in common} == pytest.approx({name: trained[name] for name in common}, rel=1e-4)


def test_no_bars_where_nobody_sees_them(tiny_run, capfd):
    assert hf_rnn.evaluate(tiny_run)["rows"] > 0
    assert "\r" not in capfd.readouterr().err
