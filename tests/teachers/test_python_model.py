"""Teachers that are objects in Python."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

import hf_rnn
from hf_rnn.teachers.base import columns_of, log_scores
from hf_rnn.teachers.python_model import python_teacher
from hf_rnn.utils.errors import ConfigError, DataError

WORDS = ["good film", "bad film", "fine film", "good bad fine"] * 3
TEXTS = [(text,) for text in WORDS]
CLASSES = ["good", "bad", "fine", "good"] * 3
BITS = np.array([[word in text for word in ("good", "bad", "fine")] for text in WORDS], dtype=int)


def pipeline_of(model, targets=CLASSES):
    return make_pipeline(TfidfVectorizer(), model).fit(WORDS, targets)


def calling(answers, **attributes):
    """Return a teacher of a function with these answers and attributes."""

    def model(texts):
        return answers

    vars(model).update(attributes)
    return python_teacher(model)


# scikit-learn ------------------------------------------------------------------------------------------------------


def test_a_classifier_of_scikit_learn_answers_with_probabilities_of_its_classes():
    model = pipeline_of(LogisticRegression())
    teacher = python_teacher(model)
    assert (teacher.name, teacher.labels, teacher.outputs) == ("Pipeline", ["bad", "fine", "good"], "probabilities")
    np.testing.assert_array_equal(teacher.answers(TEXTS), model.predict_proba(WORDS))


def test_integer_classes_are_named_by_their_digits():
    assert python_teacher(pipeline_of(LogisticRegression(), [1, 0] * 6)).labels == ["0", "1"]


@pytest.mark.parametrize("targets", [CLASSES, [c if c == "bad" else "good" for c in CLASSES]], ids=["three", "two"])
def test_a_decision_function_is_read_as_logits(targets):
    model = pipeline_of(LinearSVC(), targets)
    teacher = python_teacher(model)
    answers = teacher.answers(TEXTS)
    assert teacher.outputs == "logits"
    assert [teacher.labels[place] for place in answers.argmax(1)] == model.predict(WORDS).tolist()


@pytest.mark.parametrize(
    "model",
    [
        OneVsRestClassifier(LogisticRegression()),
        OneVsRestClassifier(LinearSVC()),
        RandomForestClassifier(5, random_state=0),
        GridSearchCV(OneVsRestClassifier(LogisticRegression()), {"estimator__C": [1.0]}, cv=2),
    ],
    ids=["probabilities", "logits", "a list of arrays", "search"],
)
def test_several_labels_a_text_have_the_order_of_the_labels_of_the_data(model):
    model = pipeline_of(model, BITS)
    teacher = python_teacher(model)
    answers = teacher.answers(TEXTS)
    assert teacher.labels is None
    threshold = 0 if teacher.outputs == "logits" else 0.5
    np.testing.assert_array_equal(answers > threshold, model.predict(WORDS) == 1)


def test_a_regressor_answers_with_its_predictions():
    model = pipeline_of(Ridge(), np.arange(12) / 12)
    teacher = python_teacher(model)
    assert (teacher.labels, teacher.outputs) == (None, None)
    np.testing.assert_array_equal(teacher.answers(TEXTS), model.predict(WORDS)[:, None])


def test_the_key_follows_the_fitted_weights():
    keys = [python_teacher(pipeline_of(LogisticRegression(C=C))).key for C in (1.0, 1.0, 2.0)]
    assert keys[0] == keys[1] != keys[2]
    assert keys[0].startswith("Pipeline-")


def test_the_key_of_a_search_is_that_of_its_best_model():
    keys = [
        python_teacher(pipeline_of(GridSearchCV(LogisticRegression(), {"C": [C]}, cv=2))).key for C in (1.0, 1.0, 2.0)
    ]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.slow
def test_the_key_of_the_same_training_is_the_same_in_another_process():
    program = "from teachers.test_python_model import *; print(python_teacher(pipeline_of(LogisticRegression())).key)"
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert told.stdout.split()[-1] == python_teacher(pipeline_of(LogisticRegression())).key


def test_a_model_that_cannot_be_compared_between_processes_has_no_key():
    model = make_pipeline(FunctionTransformer(lambda texts: texts), TfidfVectorizer(), LogisticRegression())
    assert python_teacher(model.fit(WORDS, CLASSES)).key is None


# hf_rnn and SetFit -------------------------------------------------------------------------------------------------


def test_a_predictor_answers_with_its_scores(tiny_run):
    predictor = hf_rnn.Predictor.from_pretrained(tiny_run)
    teacher = python_teacher(predictor)
    assert teacher.labels == list(predictor.task.label_names)
    np.testing.assert_allclose(teacher.answers(TEXTS), predictor.scores(WORDS))
    assert teacher.key == python_teacher(hf_rnn.Predictor.from_pretrained(tiny_run)).key
    with torch.no_grad():
        next(predictor.model.parameters()).add_(1)
    assert teacher.key != python_teacher(predictor).key


def test_an_estimator_of_hf_rnn_answers_with_its_probabilities(tiny_run):
    estimator = hf_rnn.RNNClassifier.from_pretrained(tiny_run)
    teacher = python_teacher(estimator)
    assert teacher.labels == list(estimator.classes_)
    np.testing.assert_allclose(teacher.answers(TEXTS), estimator.predict_proba(WORDS))
    assert teacher.key == python_teacher(hf_rnn.RNNClassifier.from_pretrained(tiny_run)).key


class SetFitLike:
    """Has the methods of a SetFitModel that a teacher needs."""

    def __init__(self, labels, outputs=()):
        self.labels, self.outputs_of_a_label = labels, outputs

    def predict_proba(self, texts):
        answers = torch.tensor([[0.25, 0.75]] * len(texts), requires_grad=True)
        return torch.stack([answers] * 3, 1) if self.outputs_of_a_label else answers

    def __call__(self, texts):
        raise AssertionError("a SetFit model answers a call with labels")


def test_a_setfit_model_answers_with_tensors():
    teacher = python_teacher(SetFitLike(["no", "yes"]))
    assert (teacher.labels, teacher.outputs, teacher.key) == (["no", "yes"], "probabilities", None)
    assert teacher.answers(TEXTS[:2]).tolist() == [[0.25, 0.75]] * 2


def test_a_setfit_model_of_several_outputs_answers_with_the_probability_of_each():
    assert python_teacher(SetFitLike(None, (0, 1))).answers(TEXTS[:2]).tolist() == [[0.75] * 3] * 2


# Functions ---------------------------------------------------------------------------------------------------------

ANSWERS = [[0.25, 0.75], [1.0, 0.0]]
BY_LABEL = [{"no": 0.25, "yes": 0.75}, {"yes": 0.0, "no": 1.0}]


@pytest.mark.parametrize(
    ("answers", "labels"),
    [
        (ANSWERS, None),
        (np.array(ANSWERS, dtype=np.float16), None),
        (torch.tensor(ANSWERS, dtype=torch.bfloat16), None),
        ([torch.tensor(row) for row in ANSWERS], None),
        ([np.array(row) for row in ANSWERS], None),
        ([tuple(row) for row in ANSWERS], None),
        (BY_LABEL, ["no", "yes"]),
        ([[{"label": label, "score": score} for label, score in row.items()] for row in BY_LABEL], ["no", "yes"]),
    ],
    ids=["lists", "array", "tensor", "tensors", "arrays", "tuples", "dicts", "transformers"],
)
def test_each_form_of_answers_is_read(answers, labels):
    teacher = calling(answers)
    read = teacher.answers(TEXTS[:2])
    assert (read.tolist(), read.dtype, teacher.labels) == (ANSWERS, np.float64, labels)


def test_attributes_of_a_function_describe_its_answers():
    teacher = calling(ANSWERS, labels=("a", "b"), outputs="logits", revision=3)
    assert (teacher.name, teacher.labels, teacher.outputs, teacher.key) == ("model", ["a", "b"], "logits", "model-3")
    assert calling(ANSWERS, classes_=np.array([0, 1])).labels == ["0", "1"]
    assert (calling(ANSWERS).key, calling(ANSWERS).outputs) == (None, None)


def test_dicts_follow_the_labels_that_are_set():
    teacher = calling(BY_LABEL, labels=["yes", "no"], revision="1")
    assert teacher.answers(TEXTS[:2]).tolist() == [[0.75, 0.25], [0.0, 1.0]]


def test_pairs_are_passed_as_pairs_and_single_texts_as_strings():
    given = []
    teacher = python_teacher(lambda texts: given.extend(texts) or [[0.5, 0.5]] * len(texts), "judge")
    teacher.answers([("a", "b"), ("c", "d")])
    teacher.answers([("e",)])
    assert (teacher.name, given) == ("judge", [("a", "b"), ("c", "d"), "e"])


def test_one_number_a_text_is_read_for_regression():
    teacher = calling([0.5, 2.5])
    answers = teacher.answers(TEXTS[:2])
    assert log_scores(answers, teacher.outputs, "regression", teacher.name).tolist() == [[0.5], [2.5]]
    with pytest.raises(ConfigError, match="answers with 1 numbers a text, and the data has 2 labels"):
        columns_of(teacher.labels, ["no", "yes"], {}, teacher.name, answers.shape[1])


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([[0.5, 0.5]], "2 texts with an array of shape [1, 2]: return one row of numbers for each text"),
        (0.5, "2 texts with an array of shape []"),
        (np.zeros((2, 3, 2)), "2 texts with an array of shape [2, 3, 2]"),
        ([[0.5, 0.5], [1.0]], "text 1 with 2 numbers, and text 2 with 1: return the same number for each text"),
        ([[0.5, 0.5], 1.0], "text 1 with 2 numbers, and text 2 with no list of them"),
        (["yes", "no"], "with yes, which are not numbers: return a probability or a logit for each label"),
        (None, "2 texts with an array of shape []"),
        ([{"no": 0.5, "yes": 0.5}, {"no": 1.0}], "text 2 of 2 with {'no': 1.0}, and its labels are no, yes"),
        ([{"label": "no", "score": 1}, {"label": "yes", "score": 1}], "for a pipeline of transformers, top_k=None"),
    ],
)
def test_answers_of_another_form_are_an_error(answers, told):
    with pytest.raises(DataError, match=f"the teacher 'model' answers .*{re.escape(told)}"):
        calling(answers).answers(TEXTS[:2])


def test_answers_for_other_labels_than_those_that_are_set_are_an_error():
    with pytest.raises(DataError, match=r"shape \[2, 2\]: return one row of numbers for each text, of shape \[2, 3\]"):
        calling(ANSWERS, labels=["a", "b", "c"]).answers(TEXTS[:2])


def test_an_error_of_the_model_keeps_its_traceback():
    def judge(texts):
        raise KeyError("no such word")

    with pytest.raises(
        DataError, match=r"'judge' failed \(KeyError: 'no such word'\) on 12 texts, the first"
    ) as caught:
        python_teacher(judge).answers(TEXTS)
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_model_that_is_not_fitted_is_an_error():
    with pytest.raises(DataError, match=r"'Pipeline' failed \(NotFittedError: .*\) on 12 texts"):
        python_teacher(make_pipeline(TfidfVectorizer(), LogisticRegression())).answers(TEXTS)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (SimpleNamespace(), "has neither predict_proba nor decision_function, and is no function: pass a model"),
        (LogisticRegression, "the teacher 'LogisticRegression' is a class: pass a trained object of this class"),
    ],
)
def test_an_object_that_cannot_answer_is_an_error(model, told):
    with pytest.raises(ConfigError, match=told):
        python_teacher(model)


def test_a_model_of_transformers_is_an_error_that_names_the_folder_to_pass(tiny_run):
    with pytest.raises(ConfigError, match=r"reads token ids: save it and its tokenizer with save_pretrained\(FOLDER\)"):
        python_teacher(hf_rnn.Predictor.from_pretrained(tiny_run).model)


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"labels": ["a", "a"]}, "has two labels 'a': give each of its labels another name"),
        ({"outputs": "logit"}, "model.outputs='logit' is not one of logits, probabilities: did you mean"),
    ],
)
def test_wrong_attributes_are_an_error(attributes, told):
    with pytest.raises(ConfigError, match=told):
        calling(ANSWERS, **attributes)
