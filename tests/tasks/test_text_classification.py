import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from hf_rnn import RNNConfig, TextClassification, train_tokenizer
from hf_rnn.text.arguments import DataArguments
from hf_rnn.utils.errors import UserError


def splits(**by_split) -> DatasetDict:
    """Return data sets with the given labels and made-up texts."""
    return DatasetDict(
        {
            name: Dataset.from_dict({"text": [f"a text, number {i}" for i in range(len(labels))], "label": labels})
            for name, labels in by_split.items()
        }
    )


def prepared(labels, **arguments):
    task = TextClassification(DataArguments(path="x.csv", validation_size=0.25, **arguments))
    rows = task.prepare(splits(train=labels))
    return task, sorted([*rows["train"]["labels"], *rows["validation"]["labels"]])


def test_strings_become_classes_in_the_order_of_the_alphabet():
    task, labels = prepared(["坏", "好"] * 10)
    assert task.config_fields() == {
        "problem_type": "single_label_classification",
        "id2label": {0: "坏", 1: "好"},
        "label2id": {"坏": 0, "好": 1},
    }
    assert labels == [0] * 10 + [1] * 10


@pytest.mark.parametrize(
    ("labels", "arguments", "names"),
    [
        ([0, 1] * 10, {}, ["0", "1"]),
        ([0, 1] * 10, {"label_names": ["no", "yes"]}, ["no", "yes"]),
        ([2, 5, 10] * 8, {}, ["2", "5", "10"]),
        ([-1, 0, 1] * 8, {}, ["-1", "0", "1"]),
        ([True, False] * 10, {}, ["False", "True"]),
        ([1.0, 3.0] * 10 + [None], {}, ["1", "3"]),
        (["b", "a"] * 10, {"label_names": ["b", "a"]}, ["b", "a"]),
    ],
)
def test_names_of_the_labels(labels, arguments, names):
    task, encoded = prepared(labels, **arguments)
    assert task.problem_type == "single_label_classification"
    assert task.label_names == names
    assert sorted(set(encoded)) == list(range(len(names)))


def test_class_names_of_a_hub_data_set_are_kept():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    rows = Dataset.from_dict({"text": [f"t {i}" for i in range(20)], "label": [0, 1] * 10}, features=features)
    task = TextClassification(DataArguments(path="x"))
    task.prepare(DatasetDict(train=rows))
    assert task.label_names == ["neg", "pos"]


def test_numbers_that_are_names_are_not_taken_for_positions():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["1", "2", "3"])})
    rows = Dataset.from_dict({"text": [f"t {i}" for i in range(30)], "label": [0, 1, 2] * 10}, features=features)
    task = TextClassification(DataArguments(path="x"))
    encoded = task.prepare(DatasetDict(train=rows, validation=rows))
    assert list(encoded["train"]["labels"]) == [0, 1, 2] * 10
    # In a file, the numbers 1 to 3 are names of labels and not their positions.
    assert list(task.prepare_split(splits(test=[1, 3, 2]), "test")["labels"]) == [0, 2, 1]
    named = TextClassification(DataArguments(path="x", label_names=["1", "0"]))
    assert list(named.prepare(splits(train=[0, 1] * 9, validation=[0, 1]))["validation"]["labels"]) == [0, 1]


def test_floats_are_regression_and_lists_are_several_labels():
    task, values = prepared([0.5, 1.0, 2.5, 4.0] * 5)
    assert task.problem_type == "regression"
    assert values[0] == 0.5
    assert prepared([1.0, 2.0] * 10)[0].problem_type == "regression"
    task, vectors = prepared([["a", "b"], ["b"], [], ["c"]] * 5)
    assert task.problem_type == "multi_label_classification"
    assert task.label_names == ["a", "b", "c"]
    assert [1.0, 1.0, 0.0] in vectors
    assert [0.0, 0.0, 0.0] in vectors


def test_the_problem_type_can_be_told():
    assert prepared([1, 2, 3, 4] * 5, problem_type="regression")[1][0] == 1.0
    assert prepared(["a", "b"] * 5, problem_type="multi_label_classification")[0].label_names == ["a", "b"]


def test_the_validation_split_never_comes_out_of_the_test_split():
    data = splits(train=[0, 1] * 20, test=[1, 1, 0])
    rows = TextClassification(DataArguments(path="x")).prepare(data)
    assert list(rows["test"]["labels"]) == [1, 1, 0]
    assert len(rows["train"]) + len(rows["validation"]) == 40
    own = TextClassification(DataArguments(path="x")).prepare(splits(train=[0, 1] * 20, validation=[0, 1]))
    assert len(own["train"]) == 40


def test_an_unlabelled_test_split_is_not_evaluated_on():
    rows = TextClassification(DataArguments(path="x")).prepare(splits(train=[0, 1] * 20, test=[-1, -1]))
    assert "test" not in rows


def test_rows_without_label_are_left_out_and_texts_that_are_missing_are_empty():
    data = DatasetDict(train=Dataset.from_dict({"text": ["a", None, "c"] * 8, "label": [0, 1, None] * 8}))
    rows = TextClassification(DataArguments(path="x")).prepare(data)
    texts = [*rows["train"]["text"], *rows["validation"]["text"]]
    assert sorted(set(texts)) == ["", "a"]
    assert len(texts) == 16


@pytest.mark.parametrize(
    ("data", "arguments", "message"),
    [
        ({"train": [1] * 9}, {}, "have the label 1: a classifier needs two"),
        ({"train": [["a"], []] * 9}, {}, "only the label 'a', in 9 of 18 rows: write one label in each"),
        ({"train": [None] * 9}, {}, "no row with a label"),
        ({"train": ["a", "b"] * 9, "test": ["c"]}, {}, r"split 'test' .* label 'c', .* \(a, b\)"),
        ({"train": [0, 1] * 9, "test": [2]}, {}, r"label 2, which is not in id2label"),
        ({"train": [0, 1, 2] * 9}, {"label_names": ["x", "y"]}, r"label 2.*\(x, y\)"),
        ({"train": [f"own {i}" for i in range(200)]}, {}, "200 different labels in 200 rows"),
        ({"train": ["a", "b"] * 9}, {"problem_type": "regression"}, "label 'a', and regression needs numbers"),
        ({"train": [[1, 0, 1], [0, 1, 0]] * 9}, {}, r"labels \[1, 0, 1\], one of them twice"),
        ({"train": ["a", "b"] * 9}, {"label_names": ["a", "a"]}, "names a label twice"),
        ({"train": ["a", "b"] * 9}, {"problem_type": "multi"}, "did you mean data.problem_type='multi_label"),
        ({"train": ["a", "b"] * 9}, {"truncation": "tale"}, "did you mean data.truncation='tail'"),
        ({"train": ["a", "b"] * 9}, {"max_length": 0}, "data.max_length=0 must be 1 or greater"),
        ({"validation": ["a", "b"]}, {}, "no split train, only validation: write data.train_split='validation'"),
        ({"validation": ["a", "b"]}, {"train_split": "mine"}, "no split mine, only validation"),
        ({"train": ["a", "b"] * 9}, {"validation_split": ["train"]}, "must be different ones"),
    ],
)
def test_labels_that_cannot_be_learnt(data, arguments, message):
    with pytest.raises(UserError, match=message):
        TextClassification(DataArguments(path="x", label_column="label", **arguments)).prepare(splits(**data))


def test_the_labels_of_a_trained_model_hold():
    config = RNNConfig(id2label={0: "neg", 1: "pos"}, label2id={"neg": 0, "pos": 1})
    task = TextClassification(DataArguments(path="x"), config)
    assert list(task.prepare_split(splits(only=["pos", "neg"]), None)["labels"]) == [1, 0]
    with pytest.raises(UserError, match=r"1, which is not in id2label \(neg, pos\).*label_names=\['neg', 'pos'\]"):
        task.prepare_split(splits(test=[1, 0], train=[0, 0]), "test")
    task = TextClassification(DataArguments(path="x", label_names=["neg", "pos"]), config)
    assert list(task.prepare_split(splits(test=[1, 0], train=[0, 0]), "test")["labels"]) == [1, 0]
    stars = TextClassification(DataArguments(path="x"), RNNConfig(id2label={0: "1", 1: "5"}, label2id={"1": 0, "5": 1}))
    for wrong in (0, 1.03):
        with pytest.raises(UserError, match=rf"label {wrong}, which is not in id2label"):
            stars.prepare_split(splits(test=[wrong]), "test")
    with pytest.raises(UserError, match="no split 'dev', only train"):
        task.prepare_split(splits(train=[0, 1]), "dev")
    with pytest.raises(
        UserError, match=r"label 'positive'.*the nearest is 'pos'.*A model learns new labels by training"
    ):
        task.prepare_split(splits(test=["positive", "neg"]), "test")


def test_texts_are_cut_and_lengths_kept():
    task = TextClassification(DataArguments(path="x", max_length=3))
    tokenizer = train_tokenizer(["a b c d e"], "word", min_frequency=1, show_progress=False)
    rows = task.encode(Dataset.from_dict({"text": ["a b c d e", "", " \n"], "labels": [0, 1, 0]}), tokenizer)
    assert list(rows["length"]) == [3, 0, 0]
    assert list(rows["full_length"]) == [5, 0, 0]
    assert rows[0]["input_ids"] == tokenizer("a b e")["input_ids"]


def test_pairs_are_read_as_one():
    data = Dataset.from_dict({"premise": ["it rains", "sun"] * 9, "hypothesis": ["wet"] * 18, "label": [0, 1] * 9})
    task = TextClassification(DataArguments(path="x", text_pair_column="hypothesis"))
    rows = task.prepare(DatasetDict(train=data))
    tokenizer = train_tokenizer(task.texts(rows["train"]), "word", min_frequency=1, show_progress=False)
    encoded = task.encode(rows["train"], tokenizer)
    assert tokenizer.eos_token_id in encoded[0]["input_ids"]
    assert tokenizer("wet")["input_ids"][0] == encoded[0]["input_ids"][-1]


def test_answers_of_each_problem_type():
    logits = np.array([[0.0, 2.0, -1.0]])
    task = TextClassification(DataArguments(path="x", label_names=["a", "b", "c"]))
    task.problem_type = "single_label_classification"
    (best,) = task.answers(logits)
    assert best["label"] == "b"
    assert best["score"] == pytest.approx(np.exp(2) / (1 + np.exp(2) + np.exp(-1)))
    (every,) = task.answers(logits, top_k=None)
    assert every["labels"] == ["b", "a", "c"]
    assert sum(every["scores"]) == pytest.approx(1)
    task.problem_type = "multi_label_classification"
    assert task.answers(logits)[0]["labels"] == ["b"]
    assert task.predicted(np.array([[0.2, 2.0, -1.0]])).tolist() == [[1, 1, 0]]
    task.problem_type = "regression"
    assert task.answers(logits[:, :1]) == [{"value": 0.0}]


def test_the_summary_tells_rows_balance_lengths_and_cuts():
    task = TextClassification(DataArguments(path="x", max_length=4))
    rows = task.prepare(splits(train=["a"] * 30 + ["b"] * 10))
    tokenizer = train_tokenizer(task.texts(rows["train"]), "word", min_frequency=1, show_progress=False)
    encoded = DatasetDict({name: task.encode(part, tokenizer) for name, part in rows.items()})
    facts = task.facts(rows, encoded)
    summary = task.summary(facts)
    assert "train            36 rows" in summary
    assert "a 75.0% · b 25.0%" in summary
    assert "cut to 4 (head_tail): 100.0%" in summary
    assert [example["label"] for example in facts["examples"]] == ["a", "b"]
    assert task.facts(rows, encoded, examples=False)["examples"] == []


def test_an_answer_without_labels_is_shown_as_none():
    assert TextClassification.shown({"labels": ["a", "b"], "scores": [0.9, 0.6]}) == "a 0.9000, b 0.6000"
    assert TextClassification.shown({"labels": [], "scores": []}) == "(none)"
