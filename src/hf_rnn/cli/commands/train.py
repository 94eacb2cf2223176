# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Train a model on a file, a folder or a data set on the Hub; or from a YAML file.

hf-rnn train reviews.csv --output_dir my-model
hf-rnn train --config FILE.yaml
hf-rnn train --config FILE.yaml --training.learning_rate 1e-3
"""

from pathlib import Path
from shlex import quote
from typing import Any

from ..options import metrics_line


def parser() -> Any:
    from ...training.run_config import run_parser

    return run_parser()


def run(options: Any) -> None:
    from ...hub.folder import METRICS_FILE
    from ...training.run import train_run
    from ...training.run_config import parse_run

    if not options.command_line:
        asked = parser()
        asked.helps_with_all = False
        asked.print_help()
        return
    run, text = parse_run(options.command_line)
    args, saved = run.training, Path(run.training.output_dir)
    results = train_run(run, text)
    if not args.should_log:
        return
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


def shares_work(options: Any) -> bool:
    return True


def after_interrupt(options: Any) -> str:
    from ...training.run_folder import FOLDS

    folder = Path(options.training.output_dir)
    if any(folder.glob("checkpoint-*")):
        return "--training.resume true resumes from the last checkpoint."
    if any((folder / FOLDS).glob("*.json")):
        return "--training.resume true resumes the cross-validation."
    return "There is no checkpoint yet: nothing was saved."
