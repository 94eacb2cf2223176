"""The checks of scikit-learn for estimators, all of them, by name.

The checks pass arrays of numbers. Both estimators read texts, so a subclass writes each row of numbers as a text.
"""

import pytest

# The names of the checks differ between releases.
pytest.importorskip("sklearn", minversion="1.9")

from sklearn.utils._testing import SkipTest
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import validate_data

from hf_rnn import RNNClassifier, RNNRegressor

BOTH, CLASSIFIER, REGRESSOR = ("classifier", "regressor"), ("classifier",), ("regressor",)
# Checks that both estimators, or one of them, pass.
PASSED = {
    "check_estimator_cloneable": BOTH,
    "check_estimator_tags_renamed": BOTH,
    "check_valid_tag_types": BOTH,
    "check_estimator_repr": BOTH,
    "check_no_attributes_set_in_init": BOTH,
    "check_fit_score_takes_y": BOTH,
    "check_estimators_overwrite_params": BOTH,
    "check_dont_overwrite_parameters": BOTH,
    "check_estimators_fit_returns_self": BOTH,
    "check_readonly_memmap_input": BOTH,
    "check_estimators_unfitted": BOTH,
    "check_do_not_raise_errors_in_init_or_set_params": BOTH,
    "check_mixin_order": BOTH,
    "check_estimators_dtypes": BOTH,
    "check_pipeline_consistency": BOTH,
    "check_estimators_pickle": BOTH,
    "check_f_contiguous_array_estimator": BOTH,
    "check_supervised_y_no_nan": BOTH,
    "check_supervised_y_2d": BOTH,
    "check_parameters_default_constructible": BOTH,
    "check_methods_sample_order_invariance": BOTH,
    "check_methods_subset_invariance": BOTH,
    "check_fit2d_1sample": BOTH,
    "check_fit2d_1feature": BOTH,
    "check_get_params_invariance": BOTH,
    "check_set_params": BOTH,
    "check_dict_unchanged": BOTH,
    "check_fit_idempotent": BOTH,
    "check_fit_check_is_fitted": BOTH,
    "check_requires_y_none": BOTH,
    "check_classifier_data_not_an_array": CLASSIFIER,
    "check_classifiers_one_label": CLASSIFIER,
    "check_classifiers_classes": CLASSIFIER,
    "check_classifiers_train": CLASSIFIER,
    "check_classifiers_regression_target": CLASSIFIER,
    "check_classifiers_multilabel_representation_invariance": CLASSIFIER,
    "check_classifiers_multilabel_output_format_predict": CLASSIFIER,
    "check_classifiers_multilabel_output_format_predict_proba": CLASSIFIER,
    "check_regressors_train": REGRESSOR,
    "check_regressor_data_not_an_array": REGRESSOR,
    "check_regressors_no_decision_function": REGRESSOR,
    "check_regressors_int": REGRESSOR,
}
# Checks of arrays of numbers. They pass, but it is `validate_data` of the subclass that answers them: a text has no
# features, NaN or shape. `test_estimators.py` has the answers to numbers and to missing texts.
OF_NUMBERS = (
    "check_n_features_in_after_fitting",
    "check_n_features_in",
    "check_positive_only_tag_during_fit",
    "check_complex_data",
    "check_dtype_object",
    "check_estimators_empty_data_messages",
    "check_estimators_nan_inf",
    "check_estimator_sparse_tag",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_fit1d",
    "check_fit2d_predict1d",
)
# Checks that make no sense here, with the reason. They skip themselves, or return without a check.
WITHOUT_SENSE = {
    "check_array_api_input": (BOTH, "texts are no arrays of numbers"),
    "check_estimators_partial_fit_n_features": (BOTH, "there is no partial_fit"),
    "check_non_transformer_estimators_n_iter": (BOTH, "there is no parameter max_iter"),
    "check_classifiers_one_label_sample_weights": (CLASSIFIER, "fit has no sample_weight"),
    "check_classifiers_multilabel_output_format_decision_function": (CLASSIFIER, "there is no decision_function"),
    "check_decision_proba_consistency": (CLASSIFIER, "there is no decision_function"),
}


class NumbersAsTexts:
    """Mixin that writes a row of numbers as a text: 1.2 in the first column is the word f0=2, for steps of a half."""

    def fit(self, X, y):
        return super().fit(self._texts(validate_data(self, X)), y)

    def _logits(self, X):
        self._check_fitted()
        return super()._logits(self._texts(validate_data(self, X, reset=False)))

    def _texts(self, X):
        return [" ".join(f"f{column}={round(2 * value)}" for column, value in enumerate(row)) for row in X]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string = True, False
        return tags


class Classifier(NumbersAsTexts, RNNClassifier):
    pass


class Regressor(NumbersAsTexts, RNNRegressor):
    pass


SETTINGS = {
    "preset": "none",
    "tokenizer": {"kind": "word", "min_frequency": 1},
    "model": {"embedding_size": 16, "hidden_size": 16, "pooling": "mean"},
    "training": {
        "max_steps": 2,
        "learning_rate": 0.05,
        "eval_strategy": "no",
        "save_strategy": "no",
        "load_best_model_at_end": False,
    },
}
ESTIMATORS = {"classifier": Classifier(**SETTINGS), "regressor": Regressor(**SETTINGS)}


def name_of(check) -> str:
    # Some checks are partial functions of partial functions.
    return getattr(check.func, "func", check.func).__name__


CHECKS = [
    pytest.param(kind, estimator, check, id=f"{kind}-{name_of(check)}", marks=[pytest.mark.slow, pytest.mark.proof])
    for kind, estimator in ESTIMATORS.items()
    for _, check in estimator_checks_generator(estimator)
]


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_the_tables_name_each_check_once(kind):
    yielded = {name_of(param.values[2]) for param in CHECKS if param.values[0] == kind}
    named = [
        *(name for name, kinds in PASSED.items() if kind in kinds),
        *OF_NUMBERS,
        *(name for name, (kinds, _) in WITHOUT_SENSE.items() if kind in kinds),
    ]
    assert sorted(named) == sorted(yielded)


@pytest.mark.usefixtures("lean_runs")
@pytest.mark.parametrize(("kind", "estimator", "check"), CHECKS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
def test_check(kind, estimator, check):
    name = name_of(check)
    if name.endswith("_train"):
        # These ask for an accuracy.
        estimator = estimator.__class__(**SETTINGS).set_params(training__max_steps=150)
    try:
        check(estimator)
    except SkipTest:
        assert name in WITHOUT_SENSE
