# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Run a trained model on texts, or on the rows of a file.

hf-rnn predict MODEL "some text" "another text"
hf-rnn predict MODEL --file in.csv --output out.jsonl
"""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from ...utils.errors import UserError
from ..options import (
    CommandParser,
    add_answer_options,
    add_model,
    check_least,
    check_max_length,
    data_of,
    given_columns,
    is_first_process,
    load_predictor,
    new_file,
)


def parser() -> CommandParser:
    parser = CommandParser()
    add_model(parser)
    parser.add_argument("texts", nargs="*", type=str, help="texts")
    parser.add_argument(
        "--file",
        type=str,
        help="file instead of texts: CSV, TSV, JSON, JSON Lines, Parquet, Excel, CoNLL or text; or .gz, .zst",
    )
    parser.add_argument("--output", type=str, help="JSON Lines file for the answers to --file")
    parser.add_argument("--overwrite", action="store_true", help="replace --output where it exists, or parts of it")
    parser.add_argument(
        "--top_k",
        type=int,
        default=1,
        help="labels per text, 0 for all; of several labels those over one half, or with 0 all",
    )
    parser.add_argument(
        "--part_rows", type=int, default=16384, help="rows of --file that are answered and kept at a time, if it is cut"
    )
    add_answer_options(parser)
    return parser


def check(options: Any) -> None:
    check_max_length(options)
    check_least(options, 1, "batch_tokens", "part_rows")
    if bool(options.texts) == bool(options.file):
        raise UserError('write either texts, hf-rnn predict MODEL "some text", or --file in.csv --output out.jsonl.')
    if bool(options.file) != bool(options.output):
        raise UserError("--file and --output go together: --file in.csv --output out.jsonl.")
    check_least(options, 0, "top_k", meaning="all labels")
    new_file(options.output, options.overwrite)


def imports(options: Any) -> AbstractContextManager:
    from ...utils.lean_imports import lean_imports

    return nullcontext() if options.file else lean_imports()


def run(options: Any) -> None:
    predictor = load_predictor(options)
    top_k = options.top_k or None
    if options.file:
        _predict_file(options, predictor, top_k)
        return
    if "datasets" in sys.modules:
        sys.modules["datasets"].disable_progress_bars()
    predictor.task = predictor.task.with_data(data_of(predictor, options))
    answers = predictor(options.texts, top_k=top_k, batch_tokens=options.batch_tokens)
    for text, answer in zip(options.texts, answers, strict=True):
        shown = text if len(text) <= 60 else text[:59] + "…"
        print(f"{predictor.task.shown(answer)}\t{shown}")


def _predict_file(options: Any, predictor: Any, top_k: int | None) -> None:
    from ...inference.bulk import predict_file

    rows = predict_file(
        predictor,
        data_of(predictor, options, options.file),
        Path(options.output),
        options.batch_tokens,
        top_k,
        given_columns(options),
        options.overwrite,
        options.part_rows,
    )
    if is_first_process():
        print(f"{rows} answers written to {options.output}")


def after_interrupt(options: Any) -> str:
    return "The same command goes on after the parts that it has written." if options.file else ""
