# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Export a trained model to ONNX, to run it without torch; or to plain torch modules or Keras.

hf-rnn export MODEL --output FOLDER
hf-rnn export MODEL --output FOLDER --int8 --max_loss 0.3
hf-rnn export MODEL --output FOLDER --push USER/NAME
hf-rnn export MODEL --output model.keras --format keras
"""

from typing import Any

from ...utils.errors import HfRnnError
from ..options import CommandParser, add_model

# Value of `--push` without a name.
_SAME = ""


def parser() -> CommandParser:
    parser = CommandParser()
    add_model(parser)
    parser.add_argument(
        "--output",
        type=str,
        required=True,
        help="new folder, or that of an earlier export; with --format keras, a file",
    )
    parser.add_argument(
        "--format", type=str, default="onnx", help="onnx, torch (plain modules and their code) or keras"
    )
    parser.add_argument(
        "--int8", action="store_true", help="also write a graph with int8 weights, and measure what it loses"
    )
    parser.add_argument(
        "--embeddings",
        type=str,
        help="form of the embedding with --int8: int8, the default, or pq for product quantization, which is smaller",
    )
    parser.add_argument(
        "--max_loss",
        type=float,
        help="largest loss of the int8 graph in points of the first metric, 0.5 by default; if it loses more, nothing "
        "is written",
    )
    parser.add_argument(
        "--data",
        type=str,
        help="labelled data to compare and measure on; the validation rows of the training run if left out",
    )
    parser.add_argument(
        "--push",
        nargs="?",
        const=_SAME,
        metavar="USER/NAME",
        help="push the folder to the Hub; without a name, to the repository that MODEL names",
    )
    return parser


def check(options: Any) -> None:
    from pathlib import Path

    if options.push == _SAME:
        if Path(options.model).is_dir():
            raise HfRnnError(f"{options.model!r} is a folder, so --push needs a name: write --push USER/NAME.")
        options.push = options.model


def run(options: Any) -> None:
    from ...interchange.export import export

    folder = export(
        options.model,
        options.output,
        int8=options.int8,
        embeddings=options.embeddings,
        max_loss=options.max_loss,
        data=options.data,
        push=options.push,
        format=options.format,
        **({"revision": options.revision} if options.revision else {}),
    )
    print(f"the exported model is in {folder}")
