# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Teachers that are objects in Python: models of scikit-learn, SetFit and hf_rnn, and functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import joblib.hashing
import numpy as np
from sklearn.base import BaseEstimator, is_regressor
from transformers import PreTrainedModel

from ..inference.predictor import Predictor
from ..text.labels import MULTI, REGRESSION
from ..utils.errors import ConfigError, DataError, HfRnnError, check_choice, first_line
from .base import LOGITS, PROBABILITIES, Teacher

# Number of texts that are answered and saved together.
GROUP = 1024


def python_teacher(model: Any, name: str | None = None) -> Teacher:
    """Return an object that answers texts as a teacher.

    | object | its answers |
    |---|---|
    | [`~hf_rnn.Predictor`] | `scores(texts)` |
    | with `predict_proba`: a classifier or pipeline of scikit-learn, `RNNClassifier`, a SetFit model | probabilities |
    | with `decision_function` only, such as `LinearSVC` | logits |
    | a regressor of scikit-learn, `RNNRegressor` | `predict(texts)` |
    | any other callable | the value that it returns |

    Texts are passed as a list of strings, or of pairs `(text, second text)`. A callable returns numbers, `[N, K]`: an
    array, a tensor or a list of lists. Their order is that of its attribute `labels` or `classes_`, or else that of the
    labels of the data. It may also return a dict `{label: number}` for each text, or a list of dicts with `label` and
    `score`, as a pipeline of transformers does. Its attribute `outputs` is `logits` or `probabilities`; without it,
    the form follows from the answers.

    Answers are kept for later runs if the teacher has a key. The key of a model of scikit-learn, or of an estimator or
    a predictor of hf_rnn, is a hash of the object. A pipeline's own functions count by name, and not by their code. The
    key of another object is its attribute `revision`, a text to change whenever the answers change.

    Args:
        model: Object that answers.
        name: Name of the teacher, for errors and the model card. None for the name of the function or of the class.

    Raises:
        ConfigError: The object cannot answer texts, or one of its attributes is wrong.
    """
    name = name or getattr(model, "__name__", type(model).__name__)
    if isinstance(model, Predictor):
        return _of_predictor(model, name)
    if isinstance(model, type):
        raise ConfigError(f"the teacher {name!r} is a class: pass a trained object of this class.")
    if isinstance(model, PreTrainedModel):
        raise ConfigError(
            f"the teacher {name!r} is a model of transformers, which reads token ids: save it and its tokenizer with "
            "save_pretrained(FOLDER), and write teacher=FOLDER."
        )
    key = _key(model, name)
    for method, outputs in (("predict_proba", PROBABILITIES), ("decision_function", LOGITS)):
        if hasattr(model, method):
            return PythonTeacher(name, getattr(model, method), labels_in(model, name), outputs, key)
    if isinstance(model, BaseEstimator) and is_regressor(model):
        return PythonTeacher(name, model.predict, None, None, key)
    if not callable(model):
        raise ConfigError(
            f"the teacher {str(model)[:60]!r} has neither predict_proba nor decision_function, and is no function: "
            "pass a model that has one of them, or a function from a list of texts to an array [texts, labels]."
        )
    return PythonTeacher(name, model, labels_in(model, name), outputs_in(model, name), key)


def _of_predictor(predictor: Predictor, name: str) -> PythonTeacher:
    task: Any = predictor.task
    if not task.one_answer:
        raise ConfigError(f"the teacher {name!r} is not a text classifier: pass a model for text classification.")
    labels = None if task.problem_type == REGRESSION else list(task.label_names)
    return PythonTeacher(name, predictor.scores, labels, PROBABILITIES, key_of_predictor(predictor))


def key_of_predictor(predictor: Predictor) -> str:
    """Return the key of a model of hf_rnn.

    Args:
        predictor: Trained model.
    """
    weights = [
        {name: value.float().numpy(force=True) for name, value in model.state_dict().items()}
        for model in (predictor.model, *predictor.others)
    ]
    tokenizer = predictor.tokenizer.backend_tokenizer.to_str()
    config = getattr(predictor.task, "config", predictor.model.config)
    return f"Predictor-{joblib.hash([weights, config.to_json_string(), tokenizer])}"


def labels_in(model: Any, name: str) -> list[str] | None:
    """Return the names of a model's labels; None if it has none.

    Args:
        model: Object that answers.
        name: Name of the teacher, for errors.

    Raises:
        ConfigError: Two labels have the same name.
    """
    labels = getattr(model, "labels", None)
    if labels is None:
        labels = getattr(model, "classes_", None)
        if isinstance(labels, list) and labels and isinstance(labels[0], np.ndarray):
            # Several outputs have a list of arrays, [0, 1] for each, and no names.
            return None
        if labels is not None and _reads_indicators(model) and list(labels) == list(range(len(labels))):
            return None
    if labels is None:
        return None
    names = [str(label) for label in np.asarray(labels, dtype=object).tolist()]
    twice = [label for label in names if names.count(label) > 1]
    if twice:
        raise ConfigError(f"the teacher {name!r} has two labels {twice[0]!r}: give each of its labels another name.")
    return names


def _reads_indicators(model: Any) -> bool:
    """Return whether a classifier was fitted on columns of 0 and 1, one for each label."""
    inner = model.steps[-1][1] if hasattr(model, "steps") else getattr(model, "best_estimator_", None)
    if inner is not None:
        return _reads_indicators(inner)
    predictor = getattr(model, "predictor_", None)
    if predictor is not None:
        return predictor.task.problem_type == MULTI
    return bool(getattr(model, "multilabel_", False))


class _Hasher(joblib.hashing.NumpyHasher):
    """Hasher of joblib that ignores attributes of scikit-learn which differ between equal models.

    They are an address in memory, which vectorizers keep, and the times of a search.
    """

    def save(self, obj: Any) -> None:
        if isinstance(obj, BaseEstimator):
            obj = getattr(obj, "best_estimator_", obj)
        elif isinstance(obj, dict) and "_stop_words_id" in obj:
            obj = {name: value for name, value in obj.items() if name != "_stop_words_id"}
        super().save(obj)


def outputs_in(model: Any, name: str) -> str | None:
    """Return the form of a function's answers that its attribute `outputs` tells; None if it has none.

    Args:
        model: Object that answers.
        name: Name of the teacher, for errors.

    Raises:
        ConfigError: The form is unknown.
    """
    told: str | None = getattr(model, "outputs", None)
    if told is not None:
        check_choice(f"{name}.outputs", told, (LOGITS, PROBABILITIES))
    return told


def called(teacher: Any, texts: list) -> Any:
    """Return what the function of a teacher returns.

    Args:
        teacher: Teacher with the function `call`.
        texts: Texts as the function reads them: strings, pairs of texts, or lists of words.

    Raises:
        DataError: The function fails.
    """
    try:
        return teacher.call(texts)
    except HfRnnError:
        raise
    except Exception as error:
        first = " ".join(texts[0]) if isinstance(texts[0], list) else np.atleast_1d(texts[0])[0]
        raise DataError(
            f"the teacher {teacher.name!r} failed ({type(error).__name__}: {first_line(error)}) on {len(texts)} "
            f"texts, the first of which is {str(first)[:60]!r}: correct the model, as the traceback above shows."
        ) from error


def key_of_revision(model: Any, name: str) -> str | None:
    """Return the key of an object with an attribute `revision`; None for one without it.

    Args:
        model: Object that answers.
        name: Name of the teacher.
    """
    revision = getattr(model, "revision", None)
    return None if revision is None else f"{name}-{revision}"


def _key(model: Any, name: str) -> str | None:
    if key := key_of_revision(model, name):
        return key
    if not isinstance(model, BaseEstimator):
        return None
    try:
        return f"{type(model).__name__}-{_Hasher('md5').hash(model)}"
    except Exception:
        # The model holds an object that cannot be compared between processes, such as a lambda. The type of the error
        # is that of the object.
        return None


@dataclass
class PythonTeacher:
    """Teacher that calls a function. [`python_teacher`] makes one for an object.

    Args:
        name: Name of the teacher.
        call: Function from a list of N texts or pairs to their answers.
        labels: Names of the K labels. None for the order of the labels of the data; the first answers set it if they
            are dicts.
        outputs: `logits`, `probabilities`, or None if the form follows from the answers.
        key: Fingerprint of the model, or None.
        group: Number of texts that are answered together.
        license: License of the model, or None.
    """

    name: str
    call: Callable[[list], Any]
    labels: list[str] | None
    outputs: str | None
    key: str | None
    group: int = GROUP
    license: str | None = None

    def answers(self, texts: Sequence[tuple[str, ...]]) -> np.ndarray:
        """Return the answers to texts, `[N, K]`, float64.

        Args:
            texts: N texts as `(text,)`, or pairs of texts as `(text, second text)`.

        Raises:
            DataError: The function fails, or its answers are not N rows of numbers.
        """
        answers = called(self, [text[0] if len(text) == 1 else text for text in texts])
        array = self._array(_plain(answers))
        if array.ndim == 1:
            # One number a text is a value, or for two classes the log-odds of the second one.
            is_binary = self.outputs == LOGITS and self.labels is not None and len(self.labels) == 2
            array = np.stack([np.zeros_like(array), array] if is_binary else [array], axis=1)
        wanted = "labels" if self.labels is None else len(self.labels)
        if array.ndim != 2 or len(array) != len(texts) or wanted not in ("labels", array.shape[1]):
            raise DataError(
                f"the teacher {self.name!r} answers {len(texts)} texts with an array of shape {list(array.shape)}: "
                f"return one row of numbers for each text, of shape [{len(texts)}, {wanted}]."
            )
        return array

    def _array(self, answers: Any) -> np.ndarray:
        """Return answers as an array of float64, `[N, K]` or `[N]`."""
        rows = answers
        try:
            if isinstance(answers, list) and answers:
                rows = [_by_label(row) for row in answers]
                if any(isinstance(row, dict) for row in rows):
                    rows = self._in_order(rows)
                elif isinstance(rows[0], np.ndarray) and rows[0].ndim == 2:
                    # Several outputs of scikit-learn: an array [N, 2] for each label.
                    rows = np.stack(rows, axis=1)
            array = np.asarray(rows, dtype=np.float64)
        except HfRnnError:
            raise
        except (TypeError, ValueError) as error:
            raise self._not_numbers(answers) from error
        is_of_bits = self.outputs == PROBABILITIES and array.ndim == 3 and array.shape[2] == 2
        return array[:, :, 1] if is_of_bits else array

    def _in_order(self, rows: list[Any]) -> list[list[Any]]:
        """Return the numbers of dicts in the order of the labels."""
        if self.labels is None:
            # A pipeline sorts its answers by score, so the order of the first answer says nothing.
            self.labels = sorted(next(row for row in rows if isinstance(row, dict)))
        for number, row in enumerate(rows, 1):
            if not isinstance(row, dict) or set(row) != set(self.labels):
                raise DataError(
                    f"the teacher {self.name!r} answers text {number} of {len(rows)} with {str(row)[:200]}, and its "
                    f"labels are {', '.join(self.labels[:20])}: return a number for each of them (for a pipeline of "
                    "transformers, top_k=None)."
                )
        return [[row[label] for label in self.labels] for row in rows]

    def _not_numbers(self, answers: Any) -> DataError:
        """Return the error for answers that are no array of numbers."""
        begin, rows = f"the teacher {self.name!r} answers ", answers if isinstance(answers, list) else [answers]
        lengths = [len(row) if isinstance(row, (list, tuple, np.ndarray)) else None for row in rows]
        other = next((place for place, length in enumerate(lengths) if length != lengths[0]), None)
        if other is not None:
            return DataError(
                f"{begin}text 1 with {lengths[0] or 'no list of'} numbers, and text {other + 1} with "
                f"{lengths[other] or 'no list of them'}: return the same number for each text, one for each label."
            )
        return DataError(
            f"{begin}with {str(rows[0])[:200]}, which are not numbers: return a probability or a logit for each label."
        )


def _plain(answers: Any) -> Any:
    """Return tensors as arrays, and other sequences as lists."""
    if hasattr(answers, "detach"):
        return answers.detach().cpu().double().numpy()
    return [_plain(row) for row in answers] if isinstance(answers, (list, tuple)) else answers


def _by_label(row: Any) -> Any:
    """Return an answer that is a dict, or a list of dicts with label and score, as a dict from label to number."""
    scores = row if isinstance(row, list) else [row]
    if scores and all(isinstance(each, Mapping) and set(each) == {"label", "score"} for each in scores):
        return {str(each["label"]): each["score"] for each in scores}
    return {str(label): number for label, number in row.items()} if isinstance(row, Mapping) else row


__all__ = ["PythonTeacher", "key_of_predictor", "labels_in", "python_teacher"]
