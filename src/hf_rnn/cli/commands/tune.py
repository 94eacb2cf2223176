# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Search the settings of a model under a budget of time, and train it.

hf-rnn tune reviews.csv --minutes 10 --output_dir my-model
hf-rnn tune reviews.csv --minutes 30 --megabytes 5 --metric f1_macro --output_dir my-model
"""

from argparse import ArgumentParser
from typing import Any

from ..options import metrics_line


def parser() -> Any:
    from ...training.run_config import run_parser

    parser = run_parser()
    _add_limits(parser)
    return parser


def _add_limits(parser: ArgumentParser) -> None:
    """Add the options that a training run does not have."""
    parser.add_argument("--minutes", type=float, default=10.0, help="time for the whole search, saving included")
    parser.add_argument("--trials", type=int, help="maximum number of trials that are trained; no maximum if left out")
    parser.add_argument(
        "--megabytes", type=float, help="maximum size of the weights and the tokenizer; no maximum if left out"
    )
    parser.add_argument(
        "--metric", type=str, help="validation metric to improve, such as f1_macro; that of the task if left out"
    )


def run(options: Any) -> None:
    from ...hub.folder import METRICS_FILE, RUN_FILE, TRIALS_FILE
    from ...training.tuning import tune

    if not options.command_line:
        asked = parser()
        asked.prog, asked.helps_with_all = "hf-rnn tune", False
        asked.print_help()
        return
    # The other options are those of a training run, which has a parser of its own.
    of_search = ArgumentParser(add_help=False, allow_abbrev=False)
    _add_limits(of_search)
    limits, of_run = of_search.parse_known_args(options.command_line)
    results = tune(of_run, **vars(limits))
    for split in ("validation", "test"):
        if split in results:
            print(f"{split:<11}{metrics_line(results[split])}")
    folder, search = options.training.output_dir, results["tune"]
    print(
        f"{len(search['trials'])} trials in {search['minutes_used']:.1f} minutes. The model is in {folder}; there, "
        f"{RUN_FILE} has its settings, {METRICS_FILE} its metrics, and {TRIALS_FILE} all trials."
    )


def shares_work(options: Any) -> bool:
    # All processes of a launcher report that a search runs in one.
    return True


def after_interrupt(options: Any) -> str:
    return "The same command continues the search; leave --training.overwrite out of it."
