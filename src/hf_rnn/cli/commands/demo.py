# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Serve a web page of a text classifier: predictions for texts and files, and their explanations.

hf-rnn demo MODEL
hf-rnn demo MODEL --space USER/NAME
"""

from typing import Any

from ...utils.errors import HfRnnError
from ..options import CommandParser, add_model


def parser() -> CommandParser:
    parser = CommandParser()
    add_model(parser)
    parser.add_argument(
        "--host", type=str, default="127.0.0.1", help="address to listen on; 0.0.0.0 to allow other machines to connect"
    )
    parser.add_argument("--port", type=int, help="port to listen on; the first free port from 7860 on if left out")
    parser.add_argument("--space", type=str, help="USER/NAME: push the page as a Hugging Face Space instead")
    parser.add_argument(
        "--output", type=str, help="with --space: new folder to write the page to, instead of pushing it"
    )
    parser.add_argument("--private", action="store_true", help="with --space: make a new Space private")
    return parser


def check(options: Any) -> None:
    for name in ("output", "private"):
        if options[name] and not options.space:
            raise HfRnnError(f"--{name} applies to a Space only: write --space USER/NAME too.")
    if not options.space and options.port is not None and not 0 < options.port < 65536:
        raise HfRnnError(f"--port {options.port} must be from 1 to 65535.")


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
