# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Train a model on a file, a folder or a data set on the Hub; or from a YAML file.

hf-rnn train reviews.csv --output_dir my-model
hf-rnn train --config FILE.yaml
hf-rnn train --config FILE.yaml --training.learning_rate 1e-3
"""

from pathlib import Path
from typing import Any

from ..results import print_results


def parser() -> Any:
    from ...training.run_config import run_parser

    return run_parser()


def run(options: Any) -> None:
    from ...training.run import train_run
    from ...training.run_config import parse_run

    if not options.command_line:
        asked = parser()
        asked.helps_with_all = False
        asked.print_help()
        return
    run, text = parse_run(options.command_line)
    results = train_run(run, text)
    if run.training.should_log:
        print_results(run, results)


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
