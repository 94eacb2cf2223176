"""Answers of a teacher that stand in columns of the data."""

import numpy as np
import pytest
from datasets import Dataset

from hf_rnn.teachers.columns import scores_in
from hf_rnn.utils.errors import ConfigError, DataError

LABELS = ["neg", "pos"]


def rows_of(*values):
    return Dataset.from_dict(
        {"text": ["a"] * len(values), "p_neg": [1 - 0.5 * n for n in range(len(values))], "p_pos": values}
    )


@pytest.mark.parametrize("columns", [["p_neg", "p_pos"], {"pos": "p_pos", "neg": "p_neg"}])
def test_columns_are_read_in_the_order_of_the_labels(columns):
    assert scores_in(rows_of(0.0, 0.5), columns, LABELS).tolist() == [[1.0, 0.0], [0.5, 0.5]]


def test_labels_that_yaml_reads_as_numbers_are_found():
    assert scores_in(rows_of(0.0), {0: "p_neg", 1: "p_pos"}, ["0", "1"]).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize(("text", "number"), [("0.25", 0.25), (" 1e-3", 1e-3), ("0,125", 0.125), ("-1,25", -1.25)])
def test_numbers_written_as_text_are_read(text, number):
    np.testing.assert_array_equal(scores_in(rows_of(text), ["p_neg", "p_pos"], LABELS), [[1.0, number]])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([0.5, None], "row 2 has no value in the column 'p_pos'"),
        (["0.5", ""], "row 2 has no value in the column 'p_pos'"),
        ([0.5, float("nan")], "row 2 has nan in the column 'p_pos'"),
        (["high"], "row 1 has 'high' in the column 'p_pos', which teacher.columns names: write the teacher's"),
        (["1,234"], "row 1 has '1,234' in the column 'p_pos', which may be 1.234 or 1234: write numbers with a point"),
    ],
)
def test_a_value_that_is_no_number_is_an_error_that_names_the_row(values, told):
    with pytest.raises(DataError, match=told):
        scores_in(rows_of(*values), ["p_neg", "p_pos"], LABELS)


def test_a_missing_column_is_an_error_that_lists_the_columns():
    told = (
        r"teacher.columns names 'p_poss', and the data has the columns 'text', 'p_neg', 'p_pos': did you mean 'p_pos'\?"
    )
    with pytest.raises(DataError, match=told):
        scores_in(rows_of(0.5), ["p_neg", "p_poss"], LABELS)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (
            {"neg": "p_neg"},
            "teacher.columns has the labels 'neg', and the data has 'neg', 'pos': name a column for each",
        ),
        (["p_pos"], r"teacher.columns is 1 columns \('p_pos'\), and the data has 2 labels \('neg', 'pos'\)"),
        ("p_pos", r"teacher.columns is 'p_pos', .* teacher.columns=\{'neg': COLUMN, 'pos': COLUMN\}"),
    ],
)
def test_columns_for_other_labels_are_an_error(columns, told):
    with pytest.raises(ConfigError, match=told):
        scores_in(rows_of(0.5), columns, LABELS)
