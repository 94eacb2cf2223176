# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Results of a training run, as the command line prints them."""

from pathlib import Path
from shlex import quote
from typing import Any

from .options import metrics_line


def print_results(run: Any, results: dict) -> None:
    """Print the metrics of a run, its size and duration, and the command that predicts with its model.

    Args:
        run: Parsed configuration of the run.
        results: Content of its `metrics.json`.
    """
    from ..hub.folder import METRICS_FILE

    args, saved = run.training, Path(run.training.output_dir)
    for split in ("validation", "test"):
        if split in results:
            print(f"{split:<11}{metrics_line(results[split])}")
    if folds := results.get("cross_validation"):
        figures = (f"{name} {folds['mean'][name]:.4f} ± {folds['std'][name]:.4f}" for name in folds["measures"])
        print(f"{len(folds['folds'])} folds".ljust(11) + " · ".join(figures))
    facts, folder = results["run"], quote(saved.as_posix())
    done = f"{args.max_steps:,} steps" if run.data.streaming else f"{facts['epochs']:g} epochs"
    print(
        f"{facts['parameters']:,} parameters, {done} in {facts['train_seconds']:.0f} s. "
        f"The model is in {saved}, its metrics in {saved / METRICS_FILE}."
    )
    if run.task == "language_modeling":
        print(f'Continue a text: hf-rnn write {folder} "some text"')
    elif results["data"].get("pairs"):
        print(f"Predict: hf-rnn predict {folder} --file rows.csv --output answers.csv")
    else:
        print(f'Predict: hf-rnn predict {folder} "some text"')


__all__ = ["print_results"]
