# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Show how far the gradient reaches back in time, and how active gates and units are.

hf-rnn diagnose MODEL --data reviews.csv --output flow.png
"""

from typing import Any

from ...utils.output import say
from ..options import (
    CommandParser,
    add_data,
    add_file_options,
    add_max_length,
    add_model,
    add_outputs,
    check_least,
    check_max_length,
    data_of,
    given_columns,
    load_predictor,
    output_files,
    write_outputs,
)


def parser() -> CommandParser:
    parser = CommandParser()
    add_model(parser)
    add_data(parser)
    parser.add_argument("--split", type=str, help="split to read; the test split if left out and there is one")
    parser.add_argument("--rows", type=int, default=32, help="maximum number of texts")
    parser.add_argument(
        "--steps", type=int, default=200, help="maximum number of tokens of a text, counted back from its end"
    )
    add_outputs(parser, ".png or .json")
    add_file_options(parser, labels=True)
    add_max_length(parser)
    return parser


def check(options: Any) -> None:
    check_max_length(options)
    check_least(options, 1, "rows", "steps")


def run(options: Any) -> None:
    from ...interpret.diagnosis import diagnose
    from ...interpret.gradient_flow import verdict
    from ...interpret.gradient_flow_views import save_flow

    outputs = output_files(options, pages=False)
    predictor = load_predictor(options)
    data = data_of(predictor, options, options.data)
    flow = diagnose(predictor, data, options.split, options.rows, options.steps, given_columns(options))
    say("\n".join(verdict(flow)))
    write_outputs(outputs, save_flow, flow)
