# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Show a model on a web page: answers to texts and files, and the words that they depend on.

A page of its own process is served here, or by a Space. A static page runs the model in the browser of the visitor.

hf-rnn demo MODEL
hf-rnn demo MODEL --space USER/NAME
hf-rnn demo MODEL --static FOLDER
hf-rnn demo MODEL --static --space USER/NAME
"""

from shlex import quote
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
        "--static",
        nargs="?",
        const="",
        type=str,
        help="new folder for a page that runs the model in the browser, for any web server; with --space no folder",
    )
    parser.add_argument(
        "--output", type=str, help="with --space: new folder to write the page to, instead of pushing it"
    )
    parser.add_argument("--private", action="store_true", help="with --space: make a new Space private")
    parser.add_argument(
        "--assets",
        type=str,
        help="with --static: folder with the npm packages of the page; npm fetches them if left out",
    )
    return parser


def check(options: Any) -> None:
    for name in ("output", "private"):
        if options[name] and not options.space:
            instead = " (a static page is written to --static FOLDER)" if options.static is not None else ""
            raise HfRnnError(f"--{name} applies to a Space only{instead}: write --space USER/NAME too.")
    if options.assets and options.static is None:
        raise HfRnnError("--assets applies to a static page only: write --static FOLDER too.")
    if options.static == "" and not options.space:
        raise HfRnnError("--static names no folder: write a new one, --static FOLDER, or --space USER/NAME too.")
    if options.static and options.space:
        raise HfRnnError(
            f"--static {options.static} would write a page there, and --space pushes one: write --static without a "
            f"folder to push it, or --output {options.static} to write the files of the Space."
        )
    if not options.space and options.port is not None and not 0 < options.port < 65536:
        raise HfRnnError(f"--port {options.port} must be from 1 to 65535.")


def run(options: Any) -> None:
    if options.static:
        from ...app.static_page import write_static_page

        folder = write_static_page(options.model, options.static, assets=options.assets, revision=options.revision)
        print(f"the page is in {folder}; to see it: python -m http.server --directory {quote(str(folder))}")
        return
    if not options.space:
        from ...app.demo import demo

        demo(options.model, options.host, options.port, options.revision)
        return
    from ...app.space import push_space, write_space, write_static_space

    static, revision = options.static is not None, options.revision
    if not options.output:
        private = options.private or None
        print(push_space(options.model, options.space, private, None, revision, static, options.assets))
        return
    if static:
        folder = write_static_space(options.model, options.output, options.space, revision, options.assets)
    else:
        folder = write_space(options.model, options.output, options.space, revision)
    print(f"the Space is in {folder}")
