# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Mixin for a Trainer whose `hyperparameter_search` improves the metric that selects the best checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..utils.errors import ConfigError
from .search_study import check_optuna
from .trainer_hooks import TrainerHooks


class MetricSearch(TrainerHooks):
    """Mixin that gives `Trainer.hyperparameter_search` the objective and the direction of the best checkpoint."""

    def hyperparameter_search(
        self: Any,
        hp_space: Callable[[Any], dict[str, Any]] | None = None,
        compute_objective: Callable[[dict[str, float]], float] | None = None,
        n_trials: int = 20,
        direction: str | list[str] | None = None,
        backend: Any = "optuna",
        hp_name: Callable[[Any], str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Search hyperparameters as transformers does.

        The default objective of transformers is the sum of all metrics, and its default direction is to minimize it.
        Here, the objective of a trial is the metric of its best evaluation, `args.metric_for_best_model`. Each trial
        keeps its checkpoints in the folder `run-N` of `output_dir`.

        Args:
            hp_space: Function of optuna's trial that returns training arguments by name; None for that of transformers.
            compute_objective: Function of the metrics of an evaluation that returns the objective; None for the metric
                that selects the best checkpoint. It needs `direction`.
            n_trials: Number of trials.
            direction: `"maximize"` or `"minimize"`, or a list of them for several objectives; None for the direction of
                the metric.
            backend: Name of the library that searches, as in transformers.
            hp_name: Function of the trial that returns the name of its folder; None for `run-N`.
            kwargs: Further arguments of the library, such as `sampler`.

        Returns:
            The best trial, a [`~transformers.trainer_utils.BestRun`].

        Raises:
            HfRnnError: There is no `model_init` or no `direction`, or optuna is not installed.
        """
        if str(getattr(backend, "value", backend)) == "optuna":
            check_optuna()
        if self.model_init is None:
            raise ConfigError(
                "a hyperparameter search makes a new model for each trial: write RNNTrainer(model=None, …, "
                "model_init=FUNCTION), with a function that returns the model."
            )
        if direction is None:
            if compute_objective is not None:
                raise ConfigError("compute_objective needs a direction: write direction='maximize' or 'minimize'.")
            direction = "maximize" if self.args.greater_is_better else "minimize"
        objective = self._best_of_trial if compute_objective is None else compute_objective
        return super().hyperparameter_search(  # type: ignore[misc]
            hp_space, objective, n_trials, direction, backend, hp_name, **kwargs
        )

    def _best_of_trial(self: Any, metrics: dict[str, float]) -> float:
        """Return the best metric of the trial so far, `metrics` included."""
        value, before = metrics[f"eval_{self.args.metric_for_best_model.removeprefix('eval_')}"], self.state.best_metric
        if before is None:
            return value
        return max(before, value) if self.args.greater_is_better else min(before, value)


__all__ = ["MetricSearch"]
