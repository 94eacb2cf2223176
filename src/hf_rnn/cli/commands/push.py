# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Push a trained model with its model card to the Hub, as one commit.

hf-rnn push MODEL USER/NAME --private
"""

from typing import Any

from ..options import CommandParser


def parser() -> CommandParser:
    parser = CommandParser()
    parser.add_argument("model", type=str, help="folder of a trained model")
    parser.add_argument("repo_id", type=str, help="USER/NAME; made if it is not there")
    parser.add_argument("--private", action="store_true", help="of a repository that is made: only you see it")
    parser.add_argument("--revision", type=str, help="branch, made if it is not there; main if left out")
    parser.add_argument("--commit_message", type=str, help="what the history says; Upload model if left out")
    parser.add_argument(
        "--overwrite_card",
        action="store_true",
        help="the Hub's README.md, with what was written there, gives way to the folder's",
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
