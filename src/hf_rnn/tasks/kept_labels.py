# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Labels of a pretrained text classifier, which a model that goes on from it keeps and extends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..models.configuration_rnn import RNNConfig
from ..models.decisions import labels_of
from ..text.arguments import DataArguments
from ..text.labels import REGRESSION, SINGLE, LabelForm, find_form, is_regression
from ..utils.errors import DataError

# Maximum number of labels in an error.
SHOWN = 20


@dataclass(frozen=True)
class KeptLabels:
    """Labels of a pretrained text classifier, which keep their order and their rows of the head.

    Args:
        origin: Folder or Hub id of the pretrained classifier; used in errors.
        names: Names of its labels, in the order of its head.
        problem_type: Its problem type.
        target: Mean and standard deviation of its training values if it is a regression.
    """

    origin: str
    names: tuple[str, ...]
    problem_type: str
    target: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def of(cls, config: RNNConfig, origin: str) -> KeptLabels:
        """Return the labels of a classifier.

        Args:
            config: Configuration of the classifier.
            origin: Its folder or Hub id.
        """
        found = REGRESSION if is_regression(config) else str(config.problem_type or SINGLE)
        return cls(origin, tuple(labels_of(config)), found, (config.target_mean, config.target_std))

    def find_form(
        self, present: Sequence[Any], rows: int, data: DataArguments, written: str | None, where: str
    ) -> tuple[str, LabelForm]:
        """Detect the format of the labels as [`~hf_rnn.text.labels.find_form`] does, and check the problem type.

        Single labels are read as lists of one label if the pretrained classifier gives several, and as values if it is
        a regression.

        Args:
            present: Values of the label column that are not missing.
            rows: Number of rows, including those without a label.
            data: Settings of the labels.
            written: Problem type that the user wrote; None to detect it.
            where: Column and data set of the labels; used in errors.

        Raises:
            DataError: The problem type is not that of the pretrained classifier.
        """
        problem_type, form = find_form(present, rows, data, written, where)
        if written is None and problem_type == SINGLE != self.problem_type:
            other, as_theirs = find_form(present, rows, data, self.problem_type, where)
            if all(map(_parses(as_theirs), present)):
                problem_type, form = other, as_theirs
        if problem_type != self.problem_type:
            wrote = f"data.problem_type={written!r}" if written else f"the labels of {where} are {form}"
            raise DataError(
                f"{wrote}, and the head of {self.origin!r} was trained for {self.problem_type}: name the column of "
                "such labels, data.label_column=NAME, or write model.keep_head=False for a new head."
            )
        return problem_type, form

    def extended(self, labels: Sequence[Any], spellings: Any, insisted: Sequence[str], where: str) -> list[str]:
        """Return the kept labels followed by those that are new, in their order.

        Args:
            labels: Labels of the new rows.
            spellings: Function that returns the spellings under which a label may be known.
            insisted: Names in `data.label_names`; labels among them that resemble each other are different ones.
            where: Column and data set of the labels; used in errors.

        Raises:
            DataError: A new label differs from a kept one only by case or surrounding spaces; or the new labels are
                numbers and the kept ones names, or the reverse.
        """
        known = set(self.names)
        new = [str(label) for label in labels if known.isdisjoint(spellings(label))]
        if new and not known & set(insisted):
            self._check_numbers(new, len(new) == len(labels), where)
        alike = {_plain(name): name for name in self.names}
        for name in new:
            old = alike.get(_plain(name))
            if old is not None and not {old, name} <= set(insisted):
                both = [*self.names, *new][:SHOWN]
                raise DataError(
                    f"{where} has the label {name!r}, and {self.origin!r} was trained on {old!r}: write {old!r} in the "
                    f"rows, or data.label_names={both} if these are two labels."
                )
        return [*self.names, *dict.fromkeys(new)]

    def _check_numbers(self, new: list[str], all_are_new: bool, where: str) -> None:
        """Raise [`DataError`] for numbers beside names: nothing says which number is which label."""
        numbers, theirs = [name for name in new if _is_number(name)], [_is_number(name) for name in self.names]
        named = ", ".join(self.names[:SHOWN])
        if numbers and not any(theirs):
            raise DataError(
                f"{where} has the label {numbers[0]!r}, and {self.origin!r} was trained on names ({named}): write "
                f"data.label_names={list(self.names[:SHOWN])} if 0 is {self.names[0]!r}, with the names of new labels "
                "at their numbers, or the names in the rows."
            )
        if all_are_new and all(theirs) and not numbers:
            raise DataError(
                f"{where} has the label {new[0]!r}, and {self.origin!r} was trained on numbers ({named}): write the "
                f"numbers in the rows, or data.label_names={[*self.names, *new][:SHOWN]} if all of these are labels."
            )


def _parses(form: LabelForm) -> Any:
    """Return a function that tells if a value has a format."""

    def parses(value: Any) -> bool:
        try:
            form.parse(value)
        except (ValueError, TypeError):
            return False
        return True

    return parses


def _plain(name: str) -> str:
    return name.strip().casefold()


def _is_number(name: str) -> bool:
    text = name.removeprefix("-")
    return text.isdecimal() and text.isascii()


__all__ = ["KeptLabels"]
