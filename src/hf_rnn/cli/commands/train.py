# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Train a model on a file, a folder or a data set on the Hub; or from a YAML file.

hf-rnn train reviews.csv --output_dir my-model
hf-rnn train --config FILE.yaml
hf-rnn train --config FILE.yaml --training.learning_rate 1e-3
"""

from shlex import quote
from typing import Any

from ..options import metrics_line


def parser() -> Any:
    from ...training.run_config import run_parser

    return run_parser()


def run(options: Any) -> None:
    from ...hub.folder import METRICS_FILE
    from ...training.run import Run
    from ...training.run_config import parse_run

    if not options.command_line:
        asked = parser()
        asked.helps_with_all = False
        asked.print_help()
        return
    run = Run(*parse_run(options.command_line))
    results = run.train()
    if not run.args.should_log:
        return
    for split in ("validation", "test"):
        if split in results:
            print(f"{split:<11}{metrics_line(results[split])}")
    facts, folder = results["run"], quote(run.folder.as_posix())
    done = f"{run.args.max_steps:,} steps" if run.config.data.streaming else f"{facts['epochs']:g} epochs"
    print(
        f"{facts['parameters']:,} parameters, {done} in {facts['train_seconds']:.0f} s. "
        f"The model is in {run.folder}, its metrics in {run.folder / METRICS_FILE}."
    )
    if run.config.task == "language_modeling":
        print(f'Continue a text: hf-rnn write {folder} "some text"')
    elif results["data"].get("pairs"):
        print(f"Predict: hf-rnn predict {folder} --file rows.csv --output answers.csv")
    else:
        print(f'Predict: hf-rnn predict {folder} "some text"')


def shares_work(options: Any) -> bool:
    return True


def after_interrupt(options: Any) -> str:
    from pathlib import Path

    folder = Path(options.training.output_dir)
    if any(folder.glob("checkpoint-*")):
        return "--training.resume true resumes from the last checkpoint."
    return "There is no checkpoint yet: nothing was saved."
