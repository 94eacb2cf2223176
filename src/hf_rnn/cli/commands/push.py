# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Push a trained model with its model card to the Hub, as one commit.

hf-rnn push MODEL USER/NAME --private
"""

from typing import Any

from ..options import CommandParser


def parser() -> CommandParser:
    parser = CommandParser()
    parser.add_argument("model", type=str, help="folder of a trained model")
    parser.add_argument("repo_id", type=str, help="USER/NAME of the repository; created if it does not exist")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--revision", type=str, help="branch, created if it does not exist; main if left out")
    parser.add_argument("--commit_message", type=str, help="title of the commit; Upload model if left out")
    parser.add_argument(
        "--overwrite_card",
        action="store_true",
        help="replace the Hub's README.md, with the text that people wrote in it, by the folder's",
    )
    return parser


def run(options: Any) -> None:
    from ...hub.push import push

    pushed = push(
        options.model,
        options.repo_id,
        private=options.private or None,
        revision=options.revision,
        commit_message=options.commit_message,
        overwrite_card=options.overwrite_card,
    )
    print(pushed.commit_url)
