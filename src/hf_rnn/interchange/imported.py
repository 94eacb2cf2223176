# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Result of an import: a model, its tokenizer, and the decisions about both."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ..models.configuration_rnn import RNNConfig
from ..text.labels import MULTI, REGRESSION
from ..utils.errors import HfRnnError


@dataclass
class Choices:
    """Choices of the user about an import; None where the file decides.

    Args:
        vocabulary: File of the vocabulary.
        index_from: Number that is added to the numbers of a word index: 3 for `keras.datasets.imdb`, 0 for those of
            Keras' Tokenizer.
        labels: Names of the labels.
        problem_type: Problem type of a model with linear outputs.
        length: Number of tokens of each text.
        padding: `pre`, `post` or `none`, for a Keras model that reads padding.
        truncation: `pre` or `post`: the end of a longer text that was cut off.
        backward: True if a fastai model reads texts from right to left.
        config: Configuration of the new model, as a file or as a dict.
        names: Names of our weights, or their beginnings, and those in the source.
    """

    vocabulary: Any = None
    index_from: int | None = None
    labels: list[str] | None = None
    problem_type: str | None = None
    length: int | None = None
    padding: str | None = None
    truncation: str | None = None
    backward: bool = False
    config: Any = None
    names: dict[str, str] = field(default_factory=dict)

    def given(self) -> set[str]:
        """Return the names of the choices that were made."""
        return {name for name, value in vars(self).items() if value not in (None, False, {})}


@dataclass
class Imported:
    """A model from elsewhere.

    Args:
        architecture: Class name of the model.
        config: Configuration of the model.
        weights: Weights by name.
        tokenizer: Tokenizer of the model.
        origin: Description of the source.
        decisions: Pairs of a topic and a sentence that describes the decision.
        max_length: Number of tokens after which texts are truncated; None for no limit.
        truncation: Part of a longer text to keep, as in `data.truncation`.
    """

    architecture: str
    config: RNNConfig
    weights: dict[str, Tensor]
    tokenizer: PreTrainedTokenizerBase
    origin: str
    decisions: list[tuple[str, str]] = field(default_factory=list)
    max_length: int | None = None
    truncation: str = "head_tail"


def label_names(given: list[str] | None, problem_type: str, count: int) -> tuple[list[str], str]:
    """Return the names of the labels, and a description of them.

    Args:
        given: Names that the user chose; None for none.
        problem_type: Problem type of the model.
        count: Number of outputs.

    Raises:
        HfRnnError: There are other labels than outputs, or a label is there twice.
    """
    if problem_type == REGRESSION:
        if given:
            raise HfRnnError(f"labels={given} have no effect on a regressor: leave labels out.")
        return ["LABEL_0"], "the output is a number (regression)"
    if given is not None and (len(given) != count or len(set(given)) < len(given)):
        raise HfRnnError(f"labels={given} must be {count} different names, in the order of the model's outputs.")
    names = given or [f"LABEL_{i}" for i in range(count)]
    kind = "any of" if problem_type == MULTI else "one of"
    shown = ", ".join(names[:20]) + (f" and {count - 20} more" if count > 20 else "")
    return names, f"{kind} {shown}{'' if given else ', without names of their own'}"


__all__ = ["Choices", "Imported", "label_names"]
