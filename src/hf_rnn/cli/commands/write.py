# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Continue texts with a language model.

hf-rnn write MODEL "some text" --max_new_tokens 50
"""

from typing import Any

from ..options import CommandParser, add_model, check_least, load_predictor


def parser() -> CommandParser:
    parser = CommandParser()
    add_model(parser)
    parser.add_argument("texts", nargs="*", type=str, help="texts to continue; none to begin a new document")
    parser.add_argument("--max_new_tokens", type=int, default=50, help="maximum number of generated tokens")
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="temperature of the sampling; 0 for greedy decoding"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed of the sampling")
    return parser


def check(options: Any) -> None:
    check_least(options, 0, "seed")


def run(options: Any) -> None:
    from transformers import set_seed

    from ...inference.predictor import write

    predictor = load_predictor(options)
    for text in options.texts or [""]:
        set_seed(options.seed)
        print(write(predictor, text, options.max_new_tokens, options.temperature))
