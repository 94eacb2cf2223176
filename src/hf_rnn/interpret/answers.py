# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Scores of a text classifier, and the number that attribution methods explain."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import Tensor

from ..inference.onnx_model import OnnxModel
from ..models.decisions import decide, labels_of
from ..models.modeling_rnn import RNNForSequenceClassification
from ..text.labels import is_regression
from ..utils.errors import HfRnnError, nearest


@contextmanager
def reading_mode(model: Any) -> Iterator[None]:
    """Put a model into eval mode inside a `with` block.

    Args:
        model: Model to put into eval mode. Afterwards, each module has its earlier mode again.
    """
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def is_one_of_several(config: Any) -> bool:
    """Return True if each text has one of several labels that exclude each other, so that scores are a softmax.

    Args:
        config: Configuration of the model.
    """
    return config.problem_type in (None, "single_label_classification") and config.num_labels > 1


def margin(config: Any, logits: Tensor, index: int) -> Tensor:
    """Return the logit of a label, minus the mean of the other logits if labels exclude each other.

    A softmax does not change if the same number is added to all logits, and neither does this difference.

    Args:
        config: Configuration of the model.
        logits: Logits, shape [B, C].
        index: Index of the label.

    Returns:
        Tensor of shape [B], float32.
    """
    logits = logits.float()
    if not is_one_of_several(config):
        return logits[:, index]
    C = config.num_labels
    return logits[:, index] - (logits.sum(1) - logits[:, index]) / (C - 1)


def scores_of(config: Any, logits: Tensor) -> Tensor:
    """Return the probabilities of labels for logits; in regression, the logits themselves.

    Args:
        config: Configuration of the model.
        logits: Logits, shape […, C].
    """
    if is_regression(config):
        return logits
    return logits.softmax(-1) if is_one_of_several(config) else logits.sigmoid()


def chosen_labels(config: Any, scores: np.ndarray) -> list[list[int]]:
    """Return the indices of the labels that a model chooses for each row of scores; in regression, the only one.

    Args:
        config: Configuration of the model.
        scores: Scores as [`scores_of`] returns them, `[N, C]`.
    """
    if is_regression(config):
        return [list(range(scores.shape[1])) for _ in scores]
    decided = decide(scores, config)
    return [[int(row)] if decided.ndim == 1 else np.flatnonzero(row).tolist() for row in decided]


def target_index(config: Any, target: str | int | None, logits: Tensor) -> int:
    """Return the index of a label.

    Args:
        config: Configuration of the model.
        target: Label, or its index as a number or a string. None for the label that the model chooses; of several
            labels, the most probable one.
        logits: Logits of the text, shape [C]; they select the label if `target` is None.

    Raises:
        HfRnnError: The label does not exist.
    """
    names = labels_of(config)
    if target is None:
        if is_one_of_several(config):
            return chosen_labels(config, scores_of(config, logits[None].float()).cpu().numpy())[0][0]
        return int(logits.argmax())
    if isinstance(target, str) and target in names:
        return names.index(target)
    if str(target).isdecimal() and int(target) < len(names):
        return int(target)
    near = next((name for name in names if name.casefold() == str(target).casefold()), None) or nearest(target, names)
    hint = f": did you mean target={near!r}?" if near else ", or give an index."
    raise HfRnnError(f"target={target!r} is not one of the labels {', '.join(names[:20])}{hint}")


def check_classifier(model: Any) -> None:
    """Raise [`HfRnnError`] for a model that is not a text classifier of torch.

    Args:
        model: Model to explain.
    """
    if isinstance(model, OnnxModel):
        raise model.refusal("an explanation")
    if not isinstance(model, RNNForSequenceClassification):
        raise HfRnnError(f"{type(model).__name__} is not a text classifier: pass an RNNForSequenceClassification.")


__all__ = [
    "check_classifier",
    "chosen_labels",
    "is_one_of_several",
    "margin",
    "reading_mode",
    "scores_of",
    "target_index",
]
