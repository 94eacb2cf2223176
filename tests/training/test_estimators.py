"""RNNClassifier and RNNRegressor: labels of any type, settings, saving, bad input, and the tools of scikit-learn."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from support.reviews import made_up_reviews

import hf_rnn
from hf_rnn import HfRnnError, Predictor, RNNClassifier, RNNRegressor

pytestmark = pytest.mark.usefixtures("lean_runs")

TEXTS, PLACES = made_up_reviews(60).values()
LABELS = np.array(["negative", "positive"])[PLACES]
# A run of a second: it learns nothing.
SHORT = {
    "preset": "none",
    "tokenizer": {"kind": "word", "min_frequency": 1},
    "model": {"embedding_size": 8, "hidden_size": 8},
    "training": {
        "max_steps": 2,
        "eval_strategy": "no",
        "save_strategy": "no",
        "load_best_model_at_end": False,
    },
}


def classifier(**others) -> RNNClassifier:
    return RNNClassifier(**{**SHORT, **others})


def regressor(**others) -> RNNRegressor:
    return RNNRegressor(**{**SHORT, **others})


def cleaned(texts):
    return [text.strip().lower() for text in texts]


@pytest.fixture(scope="module")
def fitted(lean_runs) -> RNNClassifier:
    return classifier(random_state=3).fit(TEXTS, LABELS)


def test_fit_learns_and_is_silent(capfd, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    texts, places = made_up_reviews(200).values()
    learner = classifier(training={"max_steps": 100, "learning_rate": 0.02})
    assert learner.fit(texts, places).score(texts, places) > 0.7
    assert learner.metrics_["validation"]["accuracy"] >= 0.5
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def test_verbose_prints_the_decisions(capsys):
    classifier(verbose=1).fit(TEXTS, LABELS)
    assert "classes    'negative', 'positive'" in capsys.readouterr().out


def test_probabilities_are_those_of_the_predictor(fitted):
    probabilities = fitted.predict_proba(TEXTS)
    np.testing.assert_array_equal(probabilities, fitted.predictor_.scores(TEXTS))
    np.testing.assert_array_equal(fitted.predict(TEXTS), fitted.classes_[probabilities.argmax(1)])
    assert fitted.predict([]).shape == (0,)
    assert fitted.predict_proba([]).shape == (0, 2)


def test_the_task_decides_the_prediction(fitted, monkeypatch):
    """Thresholds are applied in one place."""
    monkeypatch.setattr(fitted.predictor_.task, "predicted", lambda logits: np.ones(len(logits), int))
    assert set(fitted.predict(TEXTS)) == {"positive"}


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        (np.array(["a|b", "null"]), ["a|b", "null"]),
        (np.array(["1.0", "1e0"], dtype=object), ["1.0", "1e0"]),
        (np.array([1, 0]), ["0", "1"]),
        (np.array([3.0, -1.0]), ["-1.0", "3.0"]),
        (np.array([False, True]), ["False", "True"]),
        (np.array(["", "[x]"]), ["", "[x]"]),
    ],
)
def test_labels_keep_their_type_and_are_not_interpreted(classes, names, tmp_path):
    labels = classes[PLACES]
    learner = classifier().fit(TEXTS, labels)
    assert learner.predictor_.task.label_names == names
    learner.save_pretrained(tmp_path / "model")
    for each in (learner, RNNClassifier.from_pretrained(tmp_path / "model")):
        np.testing.assert_array_equal(each.classes_, np.unique(labels))
        assert each.classes_.dtype == labels.dtype
        assert set(each.predict(TEXTS).tolist()) <= set(labels.tolist())


def test_series_arrays_and_lists_are_the_same_texts(fitted):
    series = pd.Series(TEXTS, index=range(100, 160))
    categories = pd.Series(LABELS, index=range(100, 160), dtype="category")
    for texts, labels in ((series, categories), (np.array(TEXTS), LABELS.tolist()), (np.array(TEXTS, object), LABELS)):
        other = classifier(random_state=3).fit(texts, labels)
        np.testing.assert_array_equal(other.predict_proba(texts), fitted.predict_proba(TEXTS))


@pytest.mark.parametrize("pairs", [list(zip(TEXTS, TEXTS[::-1], strict=True)), pd.DataFrame({"a": TEXTS, "b": TEXTS})])
def test_pairs_of_texts(pairs):
    learner = classifier().fit(pairs, LABELS)
    assert learner.predict(pairs[:5]).shape == (5,)
    assert learner.predictor_.task.data.text_pair_column == "text_pair"
    with pytest.raises(HfRnnError, match="X has 1 texts a row, and RNNClassifier was fitted on 2: pass pairs of texts"):
        learner.predict(TEXTS)


def test_several_labels_a_row(tmp_path):
    marks = np.stack([PLACES, 1 - np.array(PLACES), np.ones(60, int)], 1)
    learner = classifier().fit(TEXTS, pd.DataFrame(marks, columns=["good", "bad", "short"]))
    assert learner.classes_.tolist() == learner.predictor_.task.label_names == ["good", "bad", "short"]
    assert learner.predict_proba(TEXTS).shape == learner.predict(TEXTS).shape == (60, 3)
    assert set(learner.predict(TEXTS).ravel()) <= {0, 1}
    assert classifier().fit(TEXTS, csr_matrix(marks)).classes_.tolist() == [0, 1, 2]


def test_regression(tmp_path):
    values = [0.5 * place + 3 for place in PLACES]
    learner = regressor().fit(TEXTS, values)
    assert learner.predict(TEXTS).shape == (60,)
    assert learner.score(TEXTS, values) > -1
    learner.save_pretrained(tmp_path / "model")
    loaded = RNNRegressor.from_pretrained(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(TEXTS), learner.predict(TEXTS))
    with pytest.raises(HfRnnError, match="is no text classifier"):
        RNNClassifier.from_pretrained(tmp_path / "model")


def test_the_seed_decides_the_weights(fitted):
    again, other = (classifier(random_state=seed).fit(TEXTS, LABELS) for seed in (3, 4))
    np.testing.assert_array_equal(again.predict_proba(TEXTS), fitted.predict_proba(TEXTS))
    assert not np.array_equal(other.predict_proba(TEXTS), fitted.predict_proba(TEXTS))
    drawn = [classifier(random_state=np.random.RandomState(0)).fit(TEXTS, LABELS) for _ in range(2)]
    np.testing.assert_array_equal(*(each.predict_proba(TEXTS) for each in drawn))


# Parameters ----------------------------------------------------------------------------------------------------------


def test_keys_of_sections_are_parameters():
    learner = classifier()
    assert learner.get_params()["training__max_steps"] == 2
    shared = clone(learner).set_params(training__max_steps=3, model__cell_type="gru", data__max_length=9, verbose=1)
    assert shared.training["max_steps"] == 3
    assert shared.model["cell_type"] == "gru"
    assert shared.data == {"max_length": 9}
    assert shared.verbose == 1
    assert learner.training is SHORT["training"]
    assert learner.training["max_steps"] == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("training__learning_rat", "no key 'training__learning_rat': did you mean 'training__learning_rate'?"),
        ("training__lr", "no key 'training__lr': did you mean 'training__learning_rate'?"),
        ("learning_rate", "no key 'learning_rate': did you mean 'training__learning_rate'?"),
        ("presett", "no key 'presett': did you mean 'preset'?"),
        ("data__label_column", "no key 'data__label_column'; the keys are data__max_length, data__normalize_digits"),
    ],
)
def test_an_unknown_parameter_names_the_nearest(name, words):
    with pytest.raises(HfRnnError, match=words.replace("?", r"\?")):
        classifier().set_params(**{name: 1})
    section, _, key = name.rpartition("__")
    if section:
        with pytest.raises(HfRnnError, match=words.replace("?", r"\?")):
            classifier(**{section: {key: 1}}).fit(TEXTS, LABELS)


# Saving --------------------------------------------------------------------------------------------------------------


def test_a_saved_folder_is_a_model_like_others(fitted, tmp_path):
    fitted.save_pretrained(tmp_path / "model")
    np.testing.assert_array_equal(
        Predictor.from_pretrained(tmp_path / "model").scores(TEXTS), fitted.predict_proba(TEXTS)
    )
    loaded = RNNClassifier.from_pretrained(tmp_path / "model")
    assert loaded.metrics_ == fitted.metrics_
    assert {name: value for name, value in loaded.get_params(deep=False).items() if value} == {
        **SHORT,
        "random_state": 3,
    }
    np.testing.assert_array_equal(clone(loaded).fit(TEXTS, LABELS).predict_proba(TEXTS), fitted.predict_proba(TEXTS))


def test_saving_does_not_overwrite_a_model(fitted, tmp_path):
    fitted.save_pretrained(tmp_path)
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(HfRnnError, match="already holds a model: name another folder, or write overwrite=True"):
        fitted.save_pretrained(tmp_path)
    with pytest.raises(HfRnnError, match=r"mine.txt' is a file: name a folder"):
        fitted.save_pretrained(tmp_path / "mine.txt")
    fitted.save_pretrained(tmp_path, overwrite=True)
    assert (tmp_path / "mine.txt").read_text() == "kept"
    assert RNNClassifier.from_pretrained(tmp_path).predict(TEXTS[:1]) == fitted.predict(TEXTS[:1])


def test_a_run_in_the_folder_of_an_estimator_replaces_its_classes(tmp_path):
    training = {**SHORT["training"], "output_dir": str(tmp_path)}
    classifier(training=training).fit(TEXTS, PLACES)
    assert RNNClassifier.from_pretrained(tmp_path).classes_.tolist() == [0, 1]
    with pytest.raises(HfRnnError, match=r"training.overwrite=True"):
        classifier(training=training).fit(TEXTS, PLACES)
    rows = list(zip(TEXTS, LABELS.tolist(), strict=True))
    hf_rnn.train({**SHORT, "training": {**training, "overwrite": True}}, data=rows)
    assert RNNClassifier.from_pretrained(tmp_path).classes_.tolist() == ["negative", "positive"]


def test_a_damaged_file_of_classes_is_an_error(fitted, tmp_path):
    fitted.save_pretrained(tmp_path)
    for content, words in (("{", "cannot be read"), ('{"classes": ["x", "y"], "dtype": "<U1"}', "does not belong to")):
        (tmp_path / "classes.json").write_text(content)
        with pytest.raises(HfRnnError, match=words):
            RNNClassifier.from_pretrained(tmp_path)


@pytest.mark.parametrize("way", ["pickle", "joblib", "deepcopy"])
def test_a_pickle_holds_the_files_of_the_model(fitted, way, tmp_path):
    if way == "pickle":
        pickled = pickle.dumps(fitted)
        other = pickle.loads(pickled)
        assert b"_rebuild_tensor" not in pickled
    elif way == "joblib":
        joblib.dump(fitted, tmp_path / "model.joblib")
        other = joblib.load(tmp_path / "model.joblib")
    else:
        other = copy.deepcopy(fitted)
    np.testing.assert_array_equal(other.predict_proba(TEXTS), fitted.predict_proba(TEXTS))
    assert other.get_params() == fitted.get_params()
    state = fitted.__getstate__()
    assert "predictor_" not in state
    assert all(type(content) is bytes for content in state["_files"].values())
    assert {"model.safetensors", "config.json", "tokenizer.json", "run.yaml", "schema.json"} <= state["_files"].keys()
    assert "errors.csv" not in state["_files"]


def test_an_estimator_that_is_not_fitted_can_be_pickled():
    other = pickle.loads(pickle.dumps(classifier()))
    assert other.get_params() == classifier().get_params()


# Bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "labels", "words"),
    [
        ([], [], "X has no rows, n_samples=0: pass the texts to train on"),
        (np.ones(3), [0, 1, 0], r"X\[0\] is 1.0, a value of type float, and texts are expected"),
        (np.ones((3, 5)), [0, 1, 0], "the rows of X have 5 values: pass one text a row, or a pair"),
        (csr_matrix(np.ones((3, 5))), [0, 1, 0], "X is a sparse matrix of numbers.*leave the vectorizer before it out"),
        (["a", None, "b"], [0, 1, 0], r"X\[1\] is None, no text: leave the row out, or write ''"),
        (pd.Series(["a", "b", pd.NA], dtype="string"), [0, 1, 0], r"X\[2\] is <NA>, no text"),
        (["a", "b", float("nan")], [0, 1, 0], r"X\[2\] is nan, no text"),
        (["a", "b", b"c"], [0, 1, 0], r"X\[2\] is b'c', bytes: decode them, value.decode\('utf-8'\)"),
        (["a", ("b", "c"), "d"], [0, 1, 0], "the rows of X have 1 or 2 values"),
        ("a text", ["x"], r"X is one string: pass a list of texts, \[text\]"),
        (7, ["x"], "X is 7: pass a list of texts"),
        (["a", "b", "c"], [0, 1], "X has 3 rows, and y has 2: pass a target for each row"),
        (["a", "b", "c"], None, "requires y to be passed, but the target y is None"),
        (["a", "b", "c"], "abc", "y is one string, 'abc'"),
        (["a", "b", "c"], 7, "y is no array"),
        (["a", "b", "c"], ["x", "x", "x"], "y has one class only, 'x': a classifier needs rows of two classes or more"),
        (["a", "b", "c"], ["x", None, "y"], r"y\[1\] is None, no target: leave the row out of X and y"),
        (["a", "b", "c"], ["x", "1", 1], "y has both strings and 1, a value of type int: write all labels alike"),
        (["a", "b", "c"], np.array(["x", None, "y"]), r"y\[1\] is None, no target: leave the row out"),
        (["a", "b", "c"], [0.5, 1.25, 2.0], "Unknown label type: y is continuous, .*: use RNNRegressor for numbers"),
        (["a", "b", "c"], [["x"], ["y", "z"], []], "y is no array .*: pass one label a row, or a table of 0 and 1"),
        (["a", "b"], [0, 1], "X has n_samples=2, too few to train on one part and to validate on the other"),
    ],
)
def test_bad_rows_of_a_classifier(texts, labels, words):
    with pytest.raises(HfRnnError, match=words):
        classifier().fit(texts, labels)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["x", "y", "z"], "y has 'x', which is not a number: use RNNClassifier for classes"),
        (["1", "2", "3"], "y has '1', which is not a number"),
        ([1.0, float("inf"), 2.0], r"y\[1\] is inf, no target"),
        ([[1.0, 2.0]] * 3, "y has 2 numbers a row, and RNNRegressor predicts one: fit an estimator for each"),
    ],
)
def test_bad_values_of_a_regressor(values, words):
    with pytest.raises(HfRnnError, match=words):
        regressor().fit(["a", "b", "c"], values)


def test_bad_settings():
    with pytest.raises(HfRnnError, match=r"training=3 must be a dict of settings, such as training={…}, or None"):
        classifier(training=3).fit(TEXTS, LABELS)
    with pytest.raises(HfRnnError, match=r"random_state=3 sets the seeds, and so does training\['seed'\]"):
        classifier(random_state=3, training={"seed": 3}).fit(TEXTS, LABELS)
    with pytest.raises(HfRnnError, match="fit does not support sample_weight: write fit"):
        classifier().fit(TEXTS, LABELS, sample_weight=np.ones(60))


def test_a_failed_fit_keeps_the_old_model(fitted):
    other = copy.deepcopy(fitted)
    with pytest.raises(HfRnnError, match="one class only"):
        other.fit(TEXTS, ["x"] * 60)
    np.testing.assert_array_equal(other.predict_proba(TEXTS), fitted.predict_proba(TEXTS))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score", "save_pretrained"])
def test_an_answer_before_fit_is_an_error(method, tmp_path):
    arguments = {"score": (TEXTS, LABELS), "save_pretrained": (tmp_path,)}.get(method, (TEXTS,))
    with pytest.raises(NotFittedError, match=r"this RNNClassifier is not fitted yet: call fit\(X, y\) first") as caught:
        getattr(classifier(), method)(*arguments)
    assert isinstance(caught.value, HfRnnError)


def test_partial_fit_is_not_offered_and_says_what_to_do(fitted):
    assert not hasattr(fitted, "partial_fit")
    with pytest.raises(HfRnnError, match=r"has no partial_fit.*model={'pretrained': FOLDER} on all rows"):
        fitted.partial_fit(TEXTS, LABELS)
    with pytest.raises(AttributeError, match="'RNNClassifier' object has no attribute 'transform'"):
        _ = fitted.transform


def test_going_on_from_a_saved_model(fitted, tmp_path):
    fitted.save_pretrained(tmp_path / "model")
    later = RNNClassifier(**{**SHORT, "tokenizer": None, "model": {"pretrained": str(tmp_path / "model")}})
    assert later.fit(TEXTS, LABELS).predictor_.model.config.hidden_size == 8


# Tools of scikit-learn -----------------------------------------------------------------------------------------------


def test_grid_search_in_a_pipeline():
    pipeline = make_pipeline(FunctionTransformer(cleaned), classifier())
    grid = {"rnnclassifier__training__learning_rate": [1e-3, 1e-2], "rnnclassifier__model__cell_type": ["gru"]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(np.array(TEXTS), LABELS)
    best = search.best_estimator_[-1]
    assert best.training == {**SHORT["training"], "learning_rate": search.best_params_[next(iter(grid))]}
    assert best.predictor_.model.config.cell_type == "gru"
    assert search.predict(["  " + TEXTS[0].upper()]) == search.predict(TEXTS[:1])


@pytest.mark.proof
@pytest.mark.slow
def test_cross_validation_in_other_processes():
    here, there = (
        cross_val_score(classifier(), TEXTS, LABELS, cv=2, n_jobs=jobs, error_score="raise") for jobs in (None, 2)
    )
    np.testing.assert_array_equal(here, there)


def test_a_fitted_estimator_predicts_in_other_processes(fitted):
    (predicted,) = joblib.Parallel(n_jobs=2)([joblib.delayed(fitted.predict_proba)(TEXTS)])
    np.testing.assert_array_equal(predicted, fitted.predict_proba(TEXTS))


def test_calibration(fitted):
    calibrated = CalibratedClassifierCV(classifier(), cv=2).fit(TEXTS, LABELS)
    assert calibrated.classes_.tolist() == ["negative", "positive"]
    np.testing.assert_allclose(calibrated.predict_proba(TEXTS).sum(1), 1, atol=1e-6)


def test_suspected_label_errors_of_cleanlab():
    filters = pytest.importorskip("cleanlab.filter")
    texts, places = made_up_reviews(200).values()
    given = np.array(places)
    given[:5] = 1 - given[:5]
    learner = classifier(training={"max_steps": 60, "learning_rate": 0.02})
    probabilities = cross_val_predict(learner, texts, given, cv=2, method="predict_proba")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        found = filters.find_label_issues(given, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    assert set(found.tolist()) & set(range(5))
