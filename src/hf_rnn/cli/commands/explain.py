# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Explain a prediction by the words of the text, by the scores after each word, or by an alignment.

hf-rnn explain MODEL "some text" --output page.html
hf-rnn explain MODEL "some text" --how_it_read
hf-rnn explain MODEL "some text" --output alignment.png
"""

import logging
from typing import Any

from ...utils.errors import HfRnnError
from ..options import (
    CommandParser,
    add_max_length,
    add_model,
    add_outputs,
    check_max_length,
    data_of,
    load_predictor,
    output_files,
    write_outputs,
)
from ..terminal import print_coloured

logger = logging.getLogger(__name__)


def parser() -> CommandParser:
    parser = CommandParser()
    add_model(parser)
    parser.add_argument("texts", nargs="+", type=str, help="texts")
    parser.add_argument(
        "--target", type=str, help="label to explain, or translation to align; the model's answer if left out"
    )
    parser.add_argument(
        "--method",
        type=str,
        help="integrated_gradients (if left out), input_x_gradient, occlusion, sentence_occlusion or attention",
    )
    parser.add_argument(
        "--how_it_read", action="store_true", help="show the answer after each word instead of an attribution"
    )
    add_outputs(parser, ".html, .png or .json")
    add_max_length(parser)
    return parser


def check(options: Any) -> None:
    check_max_length(options)
    if options.output and len(options.texts) > 1:
        raise HfRnnError(f"--output holds one text, but {len(options.texts)} were given: explain them one by one.")
    if options.how_it_read and (options.method or options.target):
        raise HfRnnError("--how_it_read shows all labels and uses no method: leave --method and --target out.")


def run(options: Any) -> None:
    predictor = load_predictor(options)
    if predictor.task.problem_type == "translation":
        _align(options, predictor)
    else:
        _explain(options, predictor)


def _align(options: Any, predictor: Any) -> None:
    """Print and write the alignment between source and target words of a translation model."""
    from ...interpret.alignment import align
    from ...interpret.views import save

    outputs = output_files(options, pages=False)
    if options.how_it_read or options.method:
        raise HfRnnError("a translation model has alignments only: leave out --method and --how_it_read.")
    for text in options.texts:
        alignment = align(predictor, text, options.target)
        print(" ".join(alignment.target), *alignment.lines(), sep="\n")
        write_outputs(outputs, save, alignment)


def _explain(options: Any, predictor: Any) -> None:
    """Print and write the attribution scores of a text classifier, or its reading curve."""
    from ...interpret.attribution import DEFAULT, explain, explainable
    from ...interpret.reading_curve import how_it_read
    from ...interpret.views import save, strongest, title
    from ...text.tokenization import token_ids

    outputs = output_files(options, pages=not options.how_it_read)
    predictor.task = predictor.task.with_data(data_of(predictor, options))
    model, tokenizer, cut = explainable(predictor)
    for text in options.texts:
        ids = token_ids(tokenizer, [text])
        if len(cut(ids)[0]) < len(ids[0]):
            read = f"{len(cut(ids)[0]):,} of {len(ids[0]):,} tokens are read"
            logger.info(f"{read}, as in training (--max_length 0 for all).")
        if options.how_it_read:
            told: Any = how_it_read(model, tokenizer, text, cut=cut)
            print("\n".join(told.lines()))
        else:
            told = explain(model, tokenizer, text, options.target, options.method or DEFAULT, cut=cut)
            print(title(told))
            print_coloured(told.to_ansi())
            print(*strongest(told), sep="\n")
        write_outputs(outputs, save, told)
