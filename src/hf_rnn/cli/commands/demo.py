# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Serve a web page of a text classifier: predictions for texts and files, and their explanations.

hf-rnn demo MODEL
hf-rnn demo MODEL --space USER/NAME
"""

from typing import Any

from ...utils.errors import UserError
from ..options import CommandParser, add_model


def parser() -> CommandParser:
    parser = CommandParser()
    add_model(parser)
    parser.add_argument("--host", type=str, default="127.0.0.1", help="0.0.0.0 to be seen from other machines")
    parser.add_argument("--port", type=int, help="a free one from 7860 on if left out")
    parser.add_argument("--space", type=str, help="USER/NAME: push the page as a Hugging Face Space instead")
    parser.add_argument("--output", type=str, help="with --space: a new folder to write it to, and nothing is pushed")
    parser.add_argument("--private", action="store_true", help="of a Space that is made: only you see it")
    return parser


def check(options: Any) -> None:
    for name in ("output", "private"):
        if options[name] and not options.space:
            raise UserError(f"--{name} is of a Space: write --space USER/NAME too.")
    if not options.space and options.port is not None and not 0 < options.port < 65536:
        raise UserError(f"--port {options.port} must be from 1 to 65535.")


def run(options: Any) -> None:
    if not options.space:
        from ...app.demo import demo

        demo(options.model, options.host, options.port, options.revision)
        return
    from ...app.space import push_space, write_space

    if options.output:
        folder = write_space(options.model, options.output, options.space, options.revision)
        print(f"the Space is in {folder}")
    else:
        print(push_space(options.model, options.space, options.private or None, revision=options.revision))
