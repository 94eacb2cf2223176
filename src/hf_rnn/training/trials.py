# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Limits of a search, the results of its trials, and the choice of one of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..utils.errors import ConfigError

FINISHED, TOO_LARGE = "finished", "too large"
# Metrics whose greatest value is best, but whose error is not that of a share of the rows.
_NO_SHARES = ("matthews_correlation", "r2", "pearson", "spearman")


@dataclass(frozen=True)
class Limits:
    """Limits of a search.

    Args:
        minutes: Time for the whole search.
        trials: Maximum number of trials that are trained; None for no maximum.
        megabytes: Maximum size of the saved model, in millions of bytes; None for no maximum.

    Raises:
        ConfigError: A limit is not greater than 0.
    """

    minutes: float
    trials: int | None = None
    megabytes: float | None = None

    def __post_init__(self) -> None:
        for name, example in (("minutes", 10), ("trials", 20), ("megabytes", 5)):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"{name}={value:g} must be greater than 0, such as {name}={example}.")

    @property
    def bytes(self) -> float:
        """The maximum size of the saved model."""
        return math.inf if self.megabytes is None else 1e6 * self.megabytes


@dataclass(frozen=True)
class Trial:
    """Result of one trial.

    Args:
        number: Number of the trial in the study.
        chosen: Values by key that the search chose.
        values: Chosen values that differ from the preset's.
        why: `FINISHED`, or the reason why the trial did not finish.
        value: Metric of the validation split; None if the trial did not finish.
        loss: Loss of the validation split; None if the trial did not finish.
        bytes: Size of the saved model; 0 if it is unknown.
        seconds: Duration of the trial in seconds.
        rest: Part of the duration that is no training, in seconds.
    """

    number: int
    chosen: dict[str, Any]
    values: dict[str, Any]
    why: str
    value: Any
    loss: Any
    bytes: int
    seconds: float
    rest: float

    @property
    def is_too_large(self) -> bool:
        return self.why == TOO_LARGE

    def to_dict(self, metric: str) -> dict[str, Any]:
        """Return the trial as an entry of metrics.json.

        Args:
            metric: Name of the metric.
        """
        measured = {} if self.value is None else {metric: self.value, "loss": self.loss}
        size = {"megabytes": round(self.bytes / 1e6, 3)} if self.bytes else {}
        cost = {"seconds": round(self.seconds, 1), **size}
        return {"trial": self.number, "result": self.why, **measured, **cost, "values": self.values}


class Trials:
    """Trials of a search, and the choice of one.

    Args:
        metric: Name of the metric.
        is_greater_better: True if a greater metric is better.
        rows: Number of validation rows.
    """

    def __init__(self, metric: str, is_greater_better: bool, rows: int):
        self.metric, self.is_greater_better, self.rows = metric, is_greater_better, rows
        self.counted: list[Trial] = []

    def read(self, study: Any) -> None:
        """Read all trials of a study, except those that were interrupted.

        Args:
            study: Study of optuna.
        """
        from optuna.trial import TrialState

        ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        self.counted = [
            Trial(
                number=each.number,
                chosen=each.user_attrs["chosen"],
                values=each.user_attrs["values"],
                why=each.user_attrs["why"],
                value=each.value if each.state == TrialState.COMPLETE else None,
                loss=each.user_attrs.get("loss"),
                bytes=each.user_attrs.get("bytes", 0),
                seconds=each.user_attrs["seconds"],
                rest=each.user_attrs.get("rest", 0.0),
            )
            for each in ended
        ]

    @property
    def finished(self) -> list[Trial]:
        """The trials that may be chosen."""
        return [each for each in self.counted if each.value is not None]

    @property
    def trained(self) -> list[Trial]:
        """The trials that were trained, in whole or in part."""
        return [each for each in self.counted if not each.is_too_large]

    @property
    def too_large_in_a_row(self) -> int:
        """The number of trials since the last one that was trained."""
        return next((n for n, each in enumerate(reversed(self.counted)) if not each.is_too_large), len(self.counted))

    @property
    def shortest_training(self) -> float:
        """The shortest training of a finished trial in seconds; 0 if there is none."""
        return min((each.seconds - each.rest for each in self.finished), default=0.0)

    @property
    def longest_rest(self) -> float:
        """The longest part of a trial that is no training, in seconds."""
        return max((each.rest for each in self.counted), default=0.0)

    def is_better(self, one: float, other: float) -> bool:
        """Return True if a metric is better than another one.

        Args:
            one: First value of the metric.
            other: Second value.
        """
        return one > other if self.is_greater_better else one < other

    @property
    def undominated(self) -> list[Trial]:
        """The finished trials to which no other one is superior in metric and loss, so that a later choice may take it.

        The first one of equal trials counts.
        """

        def is_superior(one: Trial, other: Trial) -> bool:
            if self.is_better(other.value, one.value) or other.loss < one.loss:
                return False
            return (one.value, one.loss) != (other.value, other.loss) or one.number < other.number

        return [each for each in self.finished if not any(is_superior(one, each) for one in self.finished)]

    @property
    def best(self) -> Trial | None:
        """The finished trial with the best metric and, of equal ones, with the lowest loss; None if there is none."""
        sign = -1 if self.is_greater_better else 1
        return min(self.finished, key=lambda each: (sign * each.value, each.loss), default=None)

    @property
    def standard_error(self) -> float:
        """The standard error of the best metric: that of a share of the validation rows; 0 for errors and correlations.

        An F1 is no share, but about as exact.
        """
        best = self.best
        if best is None or not self.is_greater_better or self.metric in _NO_SHARES:
            return 0.0
        return math.sqrt(best.value * (1 - best.value) / self.rows)

    @property
    def chosen(self) -> Trial | None:
        """The trial whose model is saved; None if no trial has finished.

        The metric of a few hundred validation rows says little about small differences, and the loss of the same rows
        says more. Therefore the choice is the trial with the lowest loss among those whose metric is within one
        standard error of the best one, and not worse than that of the first trial, which has the preset's values.
        """
        best = self.best
        if best is None:
            return None
        sign = 1 if self.is_greater_better else -1
        least = sign * best.value - self.standard_error
        default = self.finished[0]
        if not default.values:
            least = max(least, sign * default.value)
        near = [each for each in self.finished if sign * each.value >= least]
        return min(near, key=lambda each: each.loss)

    def told(self, chosen: Trial) -> str:
        """Return the reason for the choice on one line.

        Args:
            chosen: Chosen trial.
        """
        best = self.best or chosen
        text = (
            f"chosen     trial {chosen.number} of {len(self.counted)}: {self.metric} {chosen.value:.4f} on validation"
        )
        if chosen.value != best.value:
            text += (
                f", within one standard error ({self.standard_error:.4f}) of the best, {best.value:.4f} of trial "
                f"{best.number}, and with a lower loss, {chosen.loss:.4f} instead of {best.loss:.4f}"
            )
        return f"{text}; {shown(chosen.values) or 'the values of the preset'}"

    def table(self) -> list[dict[str, Any]]:
        """Return one row per trial, with a column for each setting that a trial changed."""
        first: dict[str, Any] = dict.fromkeys(("trial", "result", self.metric, "loss", "seconds", "megabytes"))
        rows = [first | each.to_dict(self.metric) for each in self.counted]
        return [row | row.pop("values") for row in rows]


def shown(values: dict[str, Any]) -> str:
    """Return values of settings on one line.

    Args:
        values: Values by key.
    """
    return ", ".join(f"{key.partition('.')[2]} {value}" for key, value in values.items())


__all__ = ["FINISHED", "TOO_LARGE", "Limits", "Trial", "Trials", "shown"]
