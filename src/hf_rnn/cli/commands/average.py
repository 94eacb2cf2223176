# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Save the mean of the weights of several models (model soup).

hf-rnn average MODEL MODEL --output FOLDER
"""

from typing import Any

from ..options import CommandParser


def parser() -> CommandParser:
    parser = CommandParser()
    parser.add_argument("models", nargs="+", type=str, help="folders or Hub ids")
    parser.add_argument("--output", type=str, required=True, help="new folder for the averaged model")
    return parser


def run(options: Any) -> None:
    from ...inference.model_soup import average

    print(f"the mean of {len(options.models)} models is in {average(options.models, options.output)}")
