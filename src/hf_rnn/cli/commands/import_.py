# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Import a model of Keras, fastai (ULMFiT) or plain torch.

hf-rnn import model.keras --output FOLDER
hf-rnn import imdb.h5 --output FOLDER --vocabulary word_index.json --index_from 3 --length 200 --padding pre
hf-rnn import ulmfit.pth --output FOLDER --vocabulary itos.json --labels "[neg, pos]"
"""

from typing import Any

from ..options import CommandParser


def parser() -> CommandParser:
    parser = CommandParser()
    parser.add_argument("source", type=str, help="file of the model: .keras, .h5, .pth, .pt or .safetensors")
    parser.add_argument(
        "--output", type=str, required=True, help="new folder for the model, its tokenizer and its card"
    )
    parser.add_argument(
        "--vocabulary",
        type=str,
        help="JSON or text file of the tokens in the order of their ids, or JSON file of words and their numbers; not "
        "for a Keras model with a TextVectorization layer",
    )
    parser.add_argument(
        "--index_from", type=int, help="offset of the numbers of words: 3 for keras.datasets.imdb, 0 for a Tokenizer"
    )
    parser.add_argument("--labels", type=list[str], help='names of the labels, such as "[neg, pos]"')
    parser.add_argument(
        "--problem_type", type=str, help="single_label_classification or multi_label_classification, for linear outputs"
    )
    parser.add_argument("--length", type=int, help="number of tokens that texts were padded or truncated to in Keras")
    parser.add_argument(
        "--padding", type=str, help="pre, post or none: side of the padding that a Keras model without mask_zero reads"
    )
    parser.add_argument("--truncation", type=str, help="pre or post: end of longer texts that is cut off")
    parser.add_argument("--backward", action="store_true", help="a fastai model reads texts from right to left")
    parser.add_argument("--config", type=str, help="JSON or YAML file that describes a plain torch model")
    parser.add_argument(
        "--map",
        type=str,
        action="append",
        default=[],
        help="name of a weight, or its beginning, and that in a plain torch model: OUR.NAME=THEIR.NAME, or a YAML file "
        "of such pairs; may be repeated",
    )
    return parser


def run(options: Any) -> None:
    from ...interchange.import_model import import_model
    from ...interchange.torch_import import names_of

    choices = ("vocabulary", "index_from", "labels", "problem_type", "length", "padding", "truncation", "config")
    folder = import_model(
        options.source,
        options.output,
        backward=options.backward,
        names=names_of(options.map),
        **{name: options[name] for name in choices},
    )
    print(f"the model is in {folder}")
