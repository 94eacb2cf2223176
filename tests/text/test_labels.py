"""Tests that find the meaning of labels, or ask the user instead of guessing."""

from decimal import Decimal

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from hf_rnn import RNNConfig, TextClassification
from hf_rnn.text.arguments import DataArguments
from hf_rnn.utils.errors import UserError

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"


def task_of(labels, test=None, **settings):
    def rows(values):
        return Dataset.from_dict({"text": [f"text {n}" for n in range(len(values))], "label": values})

    task = TextClassification(DataArguments(path="x.csv", **settings))
    splits = {"train": rows(labels), "validation": rows(labels)} | ({} if test is None else {"test": rows(test)})
    return task, task.prepare(DatasetDict(splits))


@pytest.mark.parametrize(
    ("labels", "kind", "names"),
    [
        (["01", "02", "10"], SINGLE, ["01", "02", "10"]),
        (["2", "10", "1"], SINGLE, ["1", "2", "10"]),
        (["true", "false", "maybe"], SINGLE, ["false", "maybe", "true"]),
        (["inf", "nan", "none"], SINGLE, ["inf", "nan", "none"]),
        (["NA", "null", "1e3"], SINGLE, ["1e3", "NA", "null"]),
        (["3.1", "3.10"] * 2, SINGLE, ["3.1", "3.10"]),
        ([True, False], SINGLE, ["False", "True"]),
        (["0.5", "1.25", "3"], REGRESSION, ["value"]),
        (["1e3", "2.5"], REGRESSION, ["value"]),
        ([0.5, None, float("nan"), float("inf"), 2.0], REGRESSION, ["value"]),
        (["a|b", "a", "b|c", "c"], MULTI, ["a", "b", "c"]),
        (["a; b", "a", "b ;c", "c"], MULTI, ["a", "b", "c"]),
        (["a, b", "a", "b,c", "c"], MULTI, ["a", "b", "c"]),
        (["0|2", "2", "0", "1|2"], MULTI, ["0", "1", "2"]),
        (["a|b", "a", "b|c", "c", "a|"], MULTI, ["a", "b", "c"]),
        ([";a; b", "a", "b ;;c", "c"], MULTI, ["a", "b", "c"]),
        ([":|", ":)"], SINGLE, [":)", ":|"]),
        ([Decimal("1.50"), Decimal("2.25")], REGRESSION, ["value"]),
        ([Decimal("1"), Decimal("2")], SINGLE, ["1", "2"]),
        (["['a', 'b']", "['b']", "[]"], MULTI, ["a", "b"]),
        (['["a", "b"]', '["b"]'], MULTI, ["a", "b"]),
        (["['a' 'b']", "['b']"], MULTI, ["a", "b"]),
        (["[1, 2]", "[2]"], MULTI, ["1", "2"]),
        ([["a", "b"], ["b"], []], MULTI, ["a", "b"]),
        (["Toys, Games", "Home, Kitchen", "Books"], SINGLE, ["Books", "Home, Kitchen", "Toys, Games"]),
        (["[x]", "[y z]"], SINGLE, ["[x]", "[y z]"]),
        (["Good", "bad", ""], SINGLE, ["Good", "bad"]),
    ],
)
def test_how_labels_are_written(labels, kind, names):
    task, rows = task_of(labels * 3)
    assert (task.problem_type, task.label_names) == (kind, names)
    assert (
        sum(labels.count(gone) for gone in ("", None))
        + sum(x != x or x == float("inf") for x in labels if isinstance(x, float))
        == len(labels) - len(rows["train"]) // 3
    )


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        (
            ["New York, NY", "Albany, NY", "Paris"],
            {},
            r"one label or several joined by ','.*data.label_separator=','",
        ),
        (["a|b", "a", "b", "a;b"], {"problem_type": MULTI}, r"may be joined by '\|' or ';'"),
        (["3,5", "4,0", "1"], {}, r"decimal comma or several labels: write data.problem_type='regression', or"),
        (["1.0", "2.0", ""], {}, r"may be classes or values. Write data.problem_type='single_label"),
        ([[1, 0], [0, 1], [1, 0]], {}, r"labels \[1, 0\], and all rows contain only 0 and 1.*data.label_names=\[…\]"),
        (["[1, 0, 1]", "[0, 1, 1]"], {}, r"labels \[1, 0, 1\], one of them twice.*data.label_names=\[…\]"),
        ([["a"], ["b"]], {"problem_type": SINGLE}, r"are a list of labels, and data.problem_type=.*needs one per row"),
        (["a|b", "c"], {"problem_type": REGRESSION}, r"label 'a\|b', and regression needs numbers"),
    ],
)
def test_labels_that_may_mean_several_things_are_asked_about(labels, settings, message):
    with pytest.raises(UserError, match=message):
        task_of(labels * 3, **settings)


@pytest.mark.parametrize(
    ("labels", "settings", "vectors"),
    [
        ([[1, 0], [1, 1]], {"label_names": ["x", "y"]}, [[1, 0], [1, 1]]),
        (["New York, NY", "NY"], {"label_separator": ", "}, [[1, 1], [1, 0]]),
        (["a", "b"], {"problem_type": MULTI}, [[1, 0], [0, 1]]),
    ],
)
def test_labels_whose_meaning_is_said(labels, settings, vectors):
    _, rows = task_of(labels, **settings)
    assert rows["train"]["labels"] == vectors


@pytest.mark.parametrize("kind", [str, int])
def test_names_that_are_numbers_are_not_places(kind):
    _, rows = task_of([kind(n) for n in (1, 2, 3)], label_names=["1", "2", "3"])
    assert list(rows["train"]["labels"]) == [0, 1, 2]
    _, rows = task_of([[1, 0, 0], [0, 1, 1]], label_names=["1", "2", "3"])
    assert rows["train"]["labels"] == [[1, 0, 0], [0, 1, 1]]


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        (["950", "1,200", "30,000"], {"problem_type": REGRESSION}, r"'1,200', which may be 1.200 or 1200"),
        (["1.5", "nan"], {"problem_type": REGRESSION}, r"label 'nan', and regression needs numbers"),
        (["1.5", "inf"], {"problem_type": REGRESSION}, r"label 'inf', and regression needs numbers"),
        ([[["a"]], [["b"]]], {}, r"\['a'\] inside a list of labels"),
    ],
)
def test_values_that_are_no_labels(labels, settings, message):
    with pytest.raises(UserError, match=message):
        task_of(labels, **settings)


def test_a_decimal_comma_can_be_said():
    assert task_of(["3,5", "-4", "1,25"], problem_type=REGRESSION)[1]["train"]["labels"] == [3.5, -4.0, 1.25]


def test_columns_of_0_and_1():
    rows = {"text": ["a", "b", "c"], "toxic": ["1", "0", ""], "insult": ["0", "1", "1"]}
    task = TextClassification(DataArguments(path="x", label_column=["toxic", "insult"]))
    both = Dataset.from_dict(rows)
    prepared = task.prepare(DatasetDict(train=both, validation=both))
    assert (task.label_names, prepared["train"]["labels"]) == (["toxic", "insult"], [[1.0, 0.0], [0.0, 1.0]])
    wrong = Dataset.from_dict(rows | {"toxic": ["2"] * 3, "insult": ["1"] * 3})
    with pytest.raises(UserError, match=r"label \['2', '1'\], and the others are one column of 0 and 1 a class"):
        task.prepare(DatasetDict(train=wrong, validation=wrong))


def test_fewer_words_in_the_test_split_are_the_same_words():
    task, rows = task_of(["true", "false", "maybe"] * 3, test=["true", "false"])
    assert [task.label_names[label] for label in rows["test"]["labels"]] == ["true", "false"]
    task, rows = task_of(["01", "02", "x"] * 3, test=["01", "02"])
    assert [task.label_names[label] for label in rows["test"]["labels"]] == ["01", "02"]


def trained(*names, **settings):
    config = RNNConfig(id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)})
    task = TextClassification(DataArguments(path="x", **settings), config)
    task.has_schema = True
    return task


@pytest.mark.parametrize("labels", [[0, 1], ["0", "1"], [1.0, 0.0], [False, True]])
def test_numbers_against_named_classes_are_an_error(labels):
    splits = DatasetDict(test=Dataset.from_dict({"text": ["a", "b"], "label": labels}))
    with pytest.raises(UserError, match=r"not in id2label"):
        trained("fake", "real").prepare_split(splits, "test")


@pytest.mark.parametrize(
    ("names", "settings", "labels", "encoded"),
    [
        (["fake", "real"], {"label_names": ["fake", "real"]}, [1, 0], [1, 0]),
        (["fake", "real"], {"label_names": ["real", "fake"]}, ["1", "0"], [0, 1]),
        (["3", "5"], {}, [5, 3], [1, 0]),
        (["3", "5"], {}, ["5", "3"], [1, 0]),
        (["False", "True"], {}, [True, False], [1, 0]),
        (["false", "true"], {}, [True, False], [1, 0]),
    ],
)
def test_numbers_that_are_names_or_whose_names_are_said(names, settings, labels, encoded):
    splits = DatasetDict(test=Dataset.from_dict({"text": ["a", "b"], "label": labels}))
    assert trained(*names, **settings).prepare_split(splits, "test")["labels"] == encoded


def test_a_model_of_an_older_release_keeps_its_labels():
    task = trained("True", "1")
    task.has_schema = False
    splits = DatasetDict(test=Dataset.from_dict({"text": ["a", "b"], "label": ["true", "01"]}))
    assert task.prepare_split(splits, "test")["labels"] == [0, 1]


def test_labels_that_differ_in_case_or_spaces_are_warned_about(caplog):
    assert task_of(["Good", "good", "bad ", "bad"] * 3)[0].label_names == ["Good", "bad", "bad ", "good"]
    assert "'Good' and 'good' are different labels" in caplog.text
    assert "'bad' and 'bad ' are different labels" in caplog.text


def test_named_classes_that_are_missing_are_left_out():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    rows = Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, -1, 0]}, features=features)
    task = TextClassification(DataArguments(path="x"))
    assert task.prepare(DatasetDict(train=rows, validation=rows))["train"]["labels"] == [1, 0]


def test_values_have_their_mean_and_deviation_in_the_configuration():
    task, _ = task_of(["30000.5", "90000.5"] * 3)
    assert task.config_fields()["target_mean"] == pytest.approx(60000.5)
    assert task.config_fields()["target_std"] == pytest.approx(30000)
    assert task_of([2.5, 2.5])[0].target == (2.5, 1.0)
    with pytest.raises(UserError, match="are too large: divide"):
        task_of([1e308, -1e308, 1.5e308])


@pytest.mark.parametrize("text", [["warm", "soup"], ["a"], []])
def test_lists_of_words_are_the_text_that_they_make(text):
    rows = Dataset.from_dict({"text": [text, ["old", "bread"]], "label": ["a", "b"]})
    task = TextClassification(DataArguments(path="x"))
    prepared = task.prepare(DatasetDict(train=rows, validation=rows))
    assert prepared["train"]["text"] == [" ".join(text), "old bread"]


def test_lists_that_were_written_as_texts_are_refused():
    rows = Dataset.from_dict({"text": ["['warm', 'soup']", '["old"]', ""], "label": ["a", "b", "a"]})
    with pytest.raises(UserError, match=r"'text' of 'x' holds .*a list that was written as a text"):
        TextClassification(DataArguments(path="x")).prepare(DatasetDict(train=rows, validation=rows))


def test_numbers_that_label_names_does_not_count_are_told_to_count_from_0():
    with pytest.raises(UserError, match=r"label '2', and the numbers of data.label_names \(neg, pos\) are 0 to 1"):
        task_of(["1", "2"] * 3, label_names=["neg", "pos"])
