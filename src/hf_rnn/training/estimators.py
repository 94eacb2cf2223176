# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Estimators of scikit-learn that train a model on texts: `RNNClassifier` and `RNNRegressor`."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import sklearn.exceptions
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from ..hub.fetch import find_model
from ..hub.folder import METRICS_FILE, RUN_FILE, model_files
from ..hub.saved_run import read_sections
from ..inference.predictor import Predictor
from ..text.labels import MULTI, REGRESSION
from ..utils.errors import CheckpointError, ConfigError, DataError, HfRnnError
from ..utils.output import hushed
from .checkpoints import writing
from .estimator_parameters import SECTIONS, check_known, parameters_of, run_of, section_of
from .estimator_rows import LABEL, TEXTS, Targets, labels_in, numbers_in, read_classes, texts_in, write_classes
from .run import train
from .run_config import DEFAULT_PRESET
from .run_folder import claim_folder, put_in_place, traces_of_a_run, write_results


class NotFittedError(HfRnnError, sklearn.exceptions.NotFittedError):
    """Error of an estimator that answers before it was fitted."""


class NotOfferedError(HfRnnError, AttributeError):
    """Error of a method of other estimators that these do not have; an `AttributeError`, so that `hasattr` is False."""


class _RNNEstimator(BaseEstimator):
    """Shared parts of both estimators. The arguments are those of [`RNNClassifier`]."""

    predictor_: Predictor
    metrics_: dict
    # Files of the model's folder by name. A pickle holds them in the place of the model.
    _files: dict[str, bytes]

    def __init__(
        self,
        *,
        preset: str = DEFAULT_PRESET,
        data: dict | None = None,
        tokenizer: dict | None = None,
        model: dict | None = None,
        training: dict | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.preset = preset
        self.data = data
        self.tokenizer = tokenizer
        self.model = model
        self.training = training
        self.random_state = random_state
        self.verbose = verbose

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the constructor.

        Args:
            deep: True to include the keys of the sections too, such as `training__learning_rate`.
        """
        params = super().get_params(deep)
        sections = [name for name in SECTIONS if deep and isinstance(params[name], Mapping)]
        return params | {f"{name}__{key}": value for name in sections for key, value in params[name].items()}

    def set_params(self, **params: Any) -> Any:
        """Set parameters of the constructor, or keys of the sections, and return the estimator.

        Args:
            params: Parameters by name, or keys such as `training__learning_rate`.

        Raises:
            ConfigError: There is no such parameter or key. The error names the nearest one.
        """
        check_known(params, self._get_param_names())
        super().set_params(**{name: value for name, value in params.items() if "__" not in name})
        for name, value in params.items():
            section, _, key = name.partition("__")
            if key:
                # A new dict: a clone may share the old one.
                setattr(self, section, {**section_of(section, getattr(self, section)), key: value})
        return self

    # Training --------------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, **others: Any) -> Any:
        """Train a model, and return the fitted estimator.

        The run holds validation rows out of `X`, to choose the best checkpoint by: `data={"validation_size": 0.1}`.

        Args:
            X: Texts, `[N]`: a list, an array or a pandas Series. For pairs of texts, a table of two columns, or a list
                of pairs.
            y: Target of each row; see the class.
            others: No other argument is supported. scikit-learn reads from this signature that `sample_weight` is not.

        Raises:
            HfRnnError: `X` or `y` cannot be read, a setting is wrong, or training fails.
        """
        if others:
            raise ConfigError(
                f"{type(self).__name__}.fit does not support {', '.join(others)}: write fit(X, y) without it. For "
                "skewed classes, write training={'class_weights': 'balanced'}."
            )
        columns = texts_in(X)
        rows = len(columns[0])
        if not rows:
            raise DataError("X has no rows, n_samples=0: pass the texts to train on.")
        targets = self._targets(y, rows)
        if rows < 3:
            raise DataError(
                f"X has n_samples={rows}, too few to train on one part and to validate on the other: pass more rows."
            )
        table = dict(zip(TEXTS, columns, strict=False)) | {LABEL: targets.values}
        with tempfile.TemporaryDirectory(prefix="hf_rnn-", ignore_cleanup_errors=True) as folder:
            run = run_of(self.get_params(deep=False), targets, len(columns) > 1, folder)
            with nullcontext() if self.verbose else hushed():
                train(run, data=table)
            trained = Path(run["training"]["output_dir"])
            if targets.classes is not None:
                write_classes(targets.classes, trained)
            self._load(trained)
        return self

    def _targets(self, y: Any, rows: int) -> Targets:
        """Return `y` as targets of a run."""
        raise NotImplementedError

    def __getattr__(self, name: str) -> NoReturn:
        if name == "partial_fit":
            raise NotOfferedError(
                f"{type(self).__name__} has no partial_fit. To go on from a trained model, save it with "
                "save_pretrained(FOLDER), and fit another estimator with model={'pretrained': FOLDER} on all rows."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # Prediction ------------------------------------------------------------------------------------------------------

    def _logits(self, X: Any) -> np.ndarray:
        """Return the logits of texts, `[N, C]`."""
        self._check_fitted()
        predictor, columns = self.predictor_, texts_in(X)
        task: Any = predictor.task
        wanted = 2 if task.data.text_pair_column else 1
        if columns[0] and len(columns) != wanted:
            raise DataError(
                f"X has {len(columns)} texts a row, and {type(self).__name__} was fitted on {wanted}: pass "
                f"{'pairs of texts' if wanted == 2 else 'one text a row'}."
            )
        _, ids = task.read_and_cut(predictor.tokenizer, *columns) if columns[0] else (None, [])
        return predictor.logits(ids)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted target of each row, `[N]`; for several labels a row, 0 and 1, `[N, C]`.

        Args:
            X: Texts as in [`fit`].

        Raises:
            NotFittedError: The estimator is not fitted.
            DataError: `X` cannot be read.
        """
        logits = self._logits(X)
        return self.predictor_.task.predicted(logits)

    def __sklearn_is_fitted__(self) -> bool:
        return "predictor_" in vars(self)

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            name = type(self).__name__
            raise NotFittedError(
                f"this {name} is not fitted yet: call fit(X, y) first, or load one, {name}.from_pretrained(FOLDER)."
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    # Saving ----------------------------------------------------------------------------------------------------------

    def save_pretrained(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the model into a folder, as a run of `hf_rnn.train` does.

        Args:
            folder: Folder to write; it is created if it does not exist.
            overwrite: True to replace the model in the folder.

        Raises:
            NotFittedError: The estimator is not fitted.
            HfRnnError: The folder holds a model, or cannot be written to.
        """
        self._check_fitted()
        folder = Path(folder)
        if folder.is_file():
            raise CheckpointError(f"{str(folder)!r} is a file: name a folder.")
        if traces_of_a_run(folder) and not overwrite:
            raise CheckpointError(
                f"{str(folder)!r} already holds a model: name another folder, or write overwrite=True to replace it."
            )
        saving = folder / ".saving"
        shutil.rmtree(saving, ignore_errors=True)
        with writing("the model", folder, saving, "save it again."):
            claim_folder(folder, None, self._files.get(RUN_FILE, b"").decode())
            _write(self._files, saving)
            # The card names the folder.
            write_results(self.metrics_, saving, folder, folder.absolute().name)
            put_in_place(saving, folder, with_flow=False, keep_only=None)
            if RUN_FILE not in self._files:
                (folder / RUN_FILE).unlink()

    @classmethod
    def from_pretrained(cls, path: str | Path, revision: str | None = None) -> Any:
        """Load a trained model as a fitted estimator.

        The sections of the estimator are those of the model's run.yaml. `classes_` has the types that the estimator was
        fitted with; for a model that `hf_rnn.train` made, the names of the labels.

        Args:
            path: Folder or Hub id of the model.
            revision: Branch, tag or commit on the Hub; None for main.

        Raises:
            HfRnnError: There is no such model, or it is a model for another problem.
        """
        folder, _ = find_model(str(path), **({"revision": revision} if revision else {}))
        estimator = cls()
        estimator._load(folder)
        if RUN_FILE in estimator._files:
            estimator.set_params(**parameters_of(read_sections(folder / RUN_FILE)))
        return estimator

    def _load(self, folder: Path) -> None:
        """Take the model of a folder, and keep its files for pickles."""
        predictor = Predictor.from_pretrained(folder)
        self._take(predictor, folder)
        self._files = {name: (folder / name).read_bytes() for name in model_files(folder)}
        self.metrics_ = json.loads(self._files.get(METRICS_FILE, b"{}"))
        self.predictor_ = predictor

    def _take(self, predictor: Predictor, folder: Path) -> None:
        """Check that the model suits the estimator, and set the attributes that follow from it."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "predictor_"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_files" in state:
            with tempfile.TemporaryDirectory(prefix="hf_rnn-", ignore_cleanup_errors=True) as folder:
                _write(self._files, Path(folder))
                self.predictor_ = Predictor.from_pretrained(folder)


class RNNClassifier(ClassifierMixin, _RNNEstimator):
    """Classifier of scikit-learn that trains a recurrent network on texts with [`~hf_rnn.train`].

    Labels are strings, integers or booleans, `[N]`; or 0 and 1, `[N, C]`, a column for each of several labels that a
    row may have. They are read as they are: no label is split, and none is read as a number.

    Args:
        preset: Rules that choose the settings which are not given: fast, default, best, or none.
        data: Data section of the run, such as `{"validation_size": 0.2, "max_length": 256}`. Columns and labels follow
            from `X` and `y`.
        tokenizer: Tokenizer section, such as `{"kind": "word"}`.
        model: Model section, such as `{"hidden_size": 64}` or `{"pretrained": FOLDER}`.
        training: Training section, such as `{"learning_rate": 1e-3}`. Without `output_dir`, the folder of the run is
            temporary, and deleted when the model is in memory.
        random_state: Seed of the weights, of the order of the rows and of the validation rows: an integer, or a
            `RandomState`. None for the seeds of the run, which are the same in each fit.
        verbose: 0 to print nothing; 1 to print the decisions and the log of the run.

    Attributes:
        classes_: Classes, sorted, with their own type, `[C]`. For several labels a row, the names of the columns of a
            DataFrame, or else 0 to C - 1.
        predictor_: Trained model, a [`~hf_rnn.Predictor`].
        metrics_: Content of `metrics.json`: metrics on the validation rows and facts on the run.

    Keys of the sections can be set one by one, as a search does: `set_params(training__learning_rate=1e-3)`.

    ```python
    >>> classifier = RNNClassifier(training={"num_train_epochs": 3}).fit(texts, labels)
    >>> classifier.predict(["What a film!"])
    array(['pos'], dtype='<U3')
    ```
    """

    classes_: np.ndarray

    def _targets(self, y: Any, rows: int) -> Targets:
        return labels_in(y, rows, type(self).__name__)

    def _take(self, predictor: Predictor, folder: Path) -> None:
        task = predictor.task
        if not task.one_answer or task.problem_type == REGRESSION:
            raise HfRnnError(
                f"{str(folder)!r} is no text classifier (its problem is {task.problem_type}): load it with "
                "Predictor.from_pretrained."
            )
        self.classes_ = read_classes(folder, task.label_names)

    def predict(self, X: Any) -> np.ndarray:
        predicted = super().predict(X)
        return predicted if self.predictor_.task.problem_type == MULTI else self.classes_[predicted]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the classes, `[N, C]`, in the order of `classes_`.

        Args:
            X: Texts as in [`fit`].

        Raises:
            NotFittedError: The estimator is not fitted.
            DataError: `X` cannot be read.
        """
        logits = self._logits(X)
        task: Any = self.predictor_.task
        return task.scores(logits)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class RNNRegressor(RegressorMixin, _RNNEstimator):
    """Regressor of scikit-learn that trains a recurrent network on texts with [`~hf_rnn.train`].

    Targets are numbers, `[N]`. The arguments and the attributes are those of [`RNNClassifier`], without `classes_`.

    Args:
        preset: Rules that choose the settings which are not given: fast, default, best, or none.
        data: Data section of the run.
        tokenizer: Tokenizer section.
        model: Model section.
        training: Training section.
        random_state: Seed of the weights, of the order of the rows and of the validation rows; None for those of the
            run.
        verbose: 0 to print nothing; 1 to print the decisions and the log of the run.
    """

    def _targets(self, y: Any, rows: int) -> Targets:
        return numbers_in(y, rows, type(self).__name__)

    def _take(self, predictor: Predictor, folder: Path) -> None:
        if predictor.task.problem_type != REGRESSION:
            raise HfRnnError(
                f"{str(folder)!r} is no model of a regression (its problem is {predictor.task.problem_type}): load it "
                "with RNNClassifier.from_pretrained."
            )


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


__all__ = ["NotFittedError", "RNNClassifier", "RNNRegressor"]
