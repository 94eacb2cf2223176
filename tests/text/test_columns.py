"""Tests that find the text and label columns by their names and values."""

import json

import pytest
from datasets import Dataset

from hf_rnn.text.arguments import DataArguments
from hf_rnn.text.columns import choose_text, find_columns, text_of
from hf_rnn.text.loading import load
from hf_rnn.utils.errors import UserError

TEXT = [f"this is a fairly long comment, number {i}" for i in range(10)]


def found(rows: dict, **settings) -> tuple:
    columns = find_columns(Dataset.from_dict(rows), DataArguments(path="x.csv", **settings))
    return columns.text, columns.text_pair, columns.label


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ({"id": ["1", "2"] * 5, "text": [None] * 10, "author": TEXT, "label": ["a", "b"] * 5}, ("text", None, "label")),
        ({"text": list(range(10)), "label": TEXT}, ("text", None, "label")),
        ({"text": ["0012", "0340"] * 5, "label": ["long label of a kind", "x"] * 5}, ("text", None, "label")),
        ({"comment": TEXT, "text": ["x"] * 10, "score": ["1", "2"] * 5}, ("text", None, "score")),
        ({"Text": TEXT, "Label": ["a", "b"] * 5, "class": ["c", "d"] * 5}, ("Text", None, "Label")),
        ({"when": ["2024-01-01"] * 10, "words": TEXT, "mood": ["a", "b"] * 5}, ("words", None, "mood")),
        ({"a": ["warm soup", "old bread", "tea", "cake", "milk"] * 2, "b": [str(n) for n in range(10)],
          "c": [f"word {n}" for n in range(10)]}, ("c", None, "a")),
        ({"url": [f"https://example.org/a/path/of/{n}" for n in range(10)], "said": [f"tea {n}" for n in range(10)],
          "mood": ["a", "b"] * 5}, ("said", None, "mood")),
        ({"user": [f"{n:064x}" for n in range(10)], "said": [f"温かいスープ{n}" for n in range(10)],
          "mood": ["a", "b"] * 5}, ("said", None, "mood")),
        ({"premise": TEXT, "hypothesis": TEXT, "label": [0, 1] * 5}, ("premise", "hypothesis", "label")),
        ({"Sentence1": TEXT, "Sentence2": TEXT, "label": [0, 1] * 5}, ("Sentence1", "Sentence2", "label")),
        ({"question": TEXT, "answer": TEXT, "label": [0, 1] * 5}, ("question", "answer", "label")),
        ({"text": TEXT, "text_pair": TEXT, "label": [0, 1] * 5}, ("text", "text_pair", "label")),
        ({"text": TEXT, "toxic": ["0", "1"] * 5, "insult": ["0", "0"] * 5, "id": [str(n) for n in range(10)]},
         ("text", None, ["toxic", "insult"])),
        ({"text": TEXT, "toxic": [True, False] * 5, "insult": [False] * 10}, ("text", None, ["toxic", "insult"])),
    ],
)  # fmt: skip
def test_columns_are_found(rows, columns):
    assert found(rows) == columns


def test_the_column_of_groups_is_neither_text_nor_label():
    rows = {"comment": [f"parcel {n}" for n in range(10)], "author": TEXT, "mood": ["a", "b"] * 5}
    assert found(rows, group_column="author") == ("comment", None, "mood")
    rows = {"said": TEXT, "class": ["c", "d"] * 5, "mood": ["a", "b"] * 5}
    assert found(rows, group_column="class") == ("said", None, "mood")


def test_rows_may_be_grouped_by_their_text():
    rows = {"text": TEXT, "answer": TEXT[::-1], "label": ["a", "b"] * 5}
    assert found(rows, group_column="text") == found(rows) == ("text", None, "label")
    rows = {"premise": TEXT, "hypothesis": TEXT[::-1], "label": ["a", "b"] * 5}
    assert found(rows, group_column="premise") == ("premise", "hypothesis", "label")


def test_a_named_column_wins_over_a_guess():
    rows = {"text": TEXT, "note": ["7", "8"] * 5, "label": ["a", "b"] * 5, "kind": ["x", "y"] * 5}
    assert found(rows, text_column="note", label_column="kind") == ("note", None, "kind")
    pairs = {"premise": TEXT, "hypothesis": TEXT, "label": ["a", "b"] * 5}
    assert found(pairs, text_column="premise") == ("premise", None, "label")
    assert found(pairs, text_column="hypothesis", text_pair_column="premise") == ("hypothesis", "premise", "label")
    assert found(rows, label_column=["note", "kind"])[2] == ["note", "kind"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"sentence": TEXT, "comment": TEXT, "label": [0, 1] * 5},
         r"text column of 'x.csv' may be 'sentence' or 'comment': write data.text_column='sentence'"),
        ({"text": TEXT, "sentiment": [0, 1] * 5, "rating": [0, 1] * 5},
         r"label column of 'x.csv' may be 'sentiment' or 'rating': write data.label_column='sentiment'"),
        ({"text": TEXT, "Text": TEXT, "label": [0, 1] * 5}, r"may be 'text' or 'Text'"),
        ({"premise": TEXT, "hypothesis": TEXT, "question": TEXT, "answer": TEXT, "label": [0, 1] * 5},
         r"pair of texts of 'x.csv' may be 'premise' with 'hypothesis' or 'question' with 'answer': write "
         r"data.text_column='premise' and data.text_pair_column='hypothesis'"),
        ({"text": TEXT, "spam": ["0", "1"] * 5, "author": ["ann", "bob"] * 5},
         r"label column .*'text', 'spam', 'author'"),
        ({"a": ["1", "2"] * 5, "b": ["3", "4"] * 5}, r"text column .* cannot be determined from the column names"),
    ],
)  # fmt: skip
def test_columns_that_could_both_be_meant_are_listed(rows, message):
    with pytest.raises(UserError, match=message):
        found(rows)


def test_one_text_of_a_pair_has_to_be_named():
    rows = Dataset.from_dict({"premise": TEXT, "hypothesis": TEXT})
    told = r"has a pair of text columns.*write data.text_column='premise', or data.text_column='hypothesis'"
    with pytest.raises(UserError, match=told):
        choose_text(rows, DataArguments(path="x"))


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), (None, ""), (float("nan"), ""), (12, "12"), (1.5, "1.5"), (True, "True"),
     (["warm", "soup"], "warm soup"), ([], "")],
)  # fmt: skip
def test_values_as_texts(value, text):
    assert text_of(value, "the column 'x'") == text


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, [["a"]], [None], b"bytes"])
def test_values_that_are_no_text(value):
    with pytest.raises(UserError, match=r"the column 'x' holds .*write a text there, or a list of words"):
        text_of(value, "the column 'x'")


def test_a_json_key_that_comes_late_is_a_column(tmp_path):
    rows = [{"text": t} for t in TEXT * 2000] + [{"text": "late", "label": "x"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert load(DataArguments(path=str(tmp_path / "a.jsonl")))["train"][-1] == {"text": "late", "label": "x"}
