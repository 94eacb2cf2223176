"""Tests of `data.test_size`, which makes a test split from training rows."""

import json

import pytest
from datasets import Dataset, DatasetDict
from support import tiny_config

import hf_rnn
from hf_rnn.cli.main import main
from hf_rnn.tasks.language_modeling import LanguageModeling
from hf_rnn.tasks.text_classification import TextClassification
from hf_rnn.text.arguments import DataArguments
from hf_rnn.utils.errors import UserError


def made(labels, task=TextClassification, others=(), **settings) -> DatasetDict:
    """Return the splits of rows with the given labels and numbered texts."""
    rows = Dataset.from_dict({"text": [f"text {n}" for n in range(len(labels))], "label": labels})
    splits = DatasetDict({"train": rows, **dict.fromkeys(others, rows)})
    return task(DataArguments("rows.csv", **settings)).hold_out_test(splits)


def test_the_test_split_is_stratified_and_apart():
    labels = ["common"] * 90 + ["rare"] * 10
    splits = made(labels, test_size=0.2)
    assert sorted([*splits["train"]["text"], *splits["test"]["text"]]) == sorted(f"text {n}" for n in range(100))
    assert list(splits["test"]["label"]).count("rare") == 2
    assert len(splits["test"]) == 20
    assert made(labels, test_size=0.2)["test"]["text"] == splits["test"]["text"]
    assert made(labels, test_size=0.2, seed=1)["test"]["text"] != splits["test"]["text"]


def test_the_end_of_the_rows_is_the_test_split_where_it_is_asked_for():
    splits = made(["a", "b"] * 10, test_size=0.1, validation_from="end")
    assert splits["test"]["text"] == ["text 18", "text 19"]


def test_each_class_of_two_rows_has_one_to_test_on():
    splits = made(["common"] * 200 + ["rare", "rare"], test_size=0.05)
    assert list(splits["test"]["label"]).count("rare") == list(splits["train"]["label"]).count("rare") == 1


def test_rows_without_a_label_are_not_tested_on():
    splits = made([None, "a", "b"] * 10, test_size=0.5)
    assert list(splits["test"]["label"]).count(None) == 0
    assert len(splits["test"]) == 10


def test_several_labels_and_values_are_drawn_at_random():
    assert len(made([["a"], ["a", "b"], [], ["b"]] * 5, test_size=0.2)["test"]) == 4
    assert len(made([n / 7 for n in range(20)], test_size=0.2)["test"]) == 4
    assert len(made([0] * 20, LanguageModeling, test_size=0.2)["test"]) == 4


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        (["a"] * 9 + ["rare"], {"test_size": 0.2}, "class 'rare' .* has 1 row, .*data.test_size=None"),
        (
            ["a"] * 20 + ["rare"] * 3,
            {"test_size": 0.95},
            "no training row of the class 'rare' .* 3 rows.*data.test_size=0.1",
        ),
        (
            ["a"] * 18 + ["b"] * 2,
            {"test_size": 0.1, "validation_from": "end"},
            "class 'b' .* 2 rows: write data.validation_from='random'",
        ),
        (["a", "b"] * 20, {"test_size": 0}, "test_size=0 must be a share between 0 and 1, such as 0.1"),
        (["a", "b"] * 20, {"test_size": 500}, "test_size=500 must be a share"),
        (["a", "b"] * 20, {"test_size": float("nan")}, "test_size=nan must be a share"),
        (["a", "b"], {"test_size": 0.9}, "leaves no training row of the 2 rows"),
        (["a", "b"] * 20, {"test_size": 0.1, "others": ["test"]}, "has one, 'test': leave data.test_size out"),
    ],
)
def test_a_test_split_that_cannot_be_is_refused(labels, settings, message):
    with pytest.raises(UserError, match=message):
        made(labels, **settings)


def test_a_test_split_that_is_not_wanted_makes_room_for_another():
    splits = made(["a", "b"] * 20, others=["test"], test_size=0.1, test_split=None)
    assert len(splits["test"]) == 4
    assert len(splits["train"]) == 36


def test_the_folder_says_which_rows_were_tested_on(reviews_csv, tmp_path, capsys):
    config = tiny_config(reviews_csv, tmp_path / "model")
    config["data"]["test_size"] = 0.25
    results = hf_rnn.train(config)
    assert "test: 50 rows held out of train" in capsys.readouterr().out
    assert json.loads((tmp_path / "model" / "schema.json").read_text())["splits"] == {
        "train": "train",
        "validation": "15 rows held out of train",
        "test": "50 rows held out of train",
    }
    assert "test_size: 0.25" in (tmp_path / "model" / "run.yaml").read_text()
    assert main(["evaluate", str(tmp_path / "model"), "--output", str(tmp_path / "again.json")]) == 0
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["rows"] == 50
    assert again["accuracy"] == results["test"]["accuracy"]
    assert again["f1/positive"] == pytest.approx(results["test"]["f1/positive"])
    # Other data is evaluated as a whole.
    (tmp_path / "other.csv").write_bytes(reviews_csv.read_bytes())
    assert hf_rnn.evaluate(tmp_path / "model", str(tmp_path / "other.csv"))["rows"] == 200
    lines = reviews_csv.read_text().splitlines()
    reviews_csv.write_text("\n".join([lines[0], *reversed(lines[1:])]))
    assert main(["evaluate", str(tmp_path / "model")]) == 1
    assert "whose rows have changed since the training run" in capsys.readouterr().err


def test_a_stream_has_no_rows_to_hold_out(reviews_csv, tmp_path):
    config = tiny_config(reviews_csv, tmp_path / "model", max_steps=5)
    config["data"] |= {"test_size": 0.1, "streaming": True}
    with pytest.raises(UserError, match=r"data.test_size=0.1 has no use where data.streaming"):
        hf_rnn.train(config)
