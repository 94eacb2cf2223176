# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The report section of a run."""

from dataclasses import dataclass

from ..utils.errors import ConfigError

# Default shares of the training rows in a learning curve.
SHARES = (0.1, 0.25, 0.5, 1.0)


@dataclass
class ReportArguments:
    """Settings of the report after the training of a text classifier.

    Args:
        baseline: Fit a TF-IDF baseline of scikit-learn on the training rows and evaluate it on the same splits.
        learning_curve: Shares of the training rows to fit the TF-IDF baseline on, to estimate the gain from more rows:
            a list of numbers above 0 and at most 1. true means 0.1, 0.25, 0.5 and 1; false disables it.
        label_errors: List the rows whose labels are suspected to be wrong, by the answers of a cross-validation to rows
            that the model of the fold has not read. Needs cross_validate and the library cleanlab.

    Raises:
        ConfigError: A share is not above 0 and at most 1.
    """

    baseline: bool = True
    learning_curve: bool | list[float] = False
    label_errors: bool = False

    def __post_init__(self) -> None:
        for share in self.shares:
            if isinstance(share, bool) or not 0 < share <= 1:
                raise ConfigError(
                    f"report.learning_curve has the share {share}, which must be above 0 and at most 1: write "
                    f"report.learning_curve={list(SHARES)}, or report.learning_curve=True."
                )

    @property
    def shares(self) -> list[float]:
        """The shares of the training rows in ascending order; empty without a learning curve."""
        if isinstance(self.learning_curve, bool):
            return list(SHARES) if self.learning_curve else []
        return sorted(set(self.learning_curve))


__all__ = ["ReportArguments"]
