# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Train a small model as the student of a large one, such as a transformer.

hf-rnn distil reviews.csv --teacher USER/MODEL --output_dir my-model
hf-rnn distil reviews.csv --teacher USER/ENCODER --teacher.finetune true --distil.size 200000 --output_dir my-model
"""

from typing import Any

from ..results import print_results


def parser() -> Any:
    from ...training.run_config import run_parser

    return run_parser()


def run(options: Any) -> None:
    from ...training.distil import distil_run
    from ...training.run_config import parse_run

    if not options.command_line:
        asked = parser()
        asked.prog, asked.helps_with_all = "hf-rnn distil", False
        asked.print_help()
        return
    run, text = parse_run(options.command_line)
    results = distil_run(run, text)
    if run.training.should_log:
        print_results(run, results)


def shares_work(options: Any) -> bool:
    return True


def after_interrupt(options: Any) -> str:
    return "The same command continues; leave --training.overwrite out of it."
