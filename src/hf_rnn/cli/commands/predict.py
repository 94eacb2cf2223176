# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Run a trained model on texts, or on the rows of a file.

hf-rnn predict MODEL "some text" "another text"
hf-rnn predict MODEL --file in.csv --output out.csv
hf-rnn predict MODEL - < texts.txt
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import tee
from pathlib import Path
from typing import Any

from ...utils.errors import HfRnnError, check_choice
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

logger = logging.getLogger(__name__)


def parser() -> CommandParser:
    parser = CommandParser()
    add_model(parser)
    parser.add_argument("texts", nargs="*", type=str, help="texts; - for the lines of standard input")
    parser.add_argument(
        "--file",
        type=str,
        help="file to read instead of texts: CSV, TSV, JSON, JSON Lines, Parquet, Excel, CoNLL or text, or .gz, .zst",
    )
    parser.add_argument(
        "--output",
        type=str,
        help=".jsonl, .csv, .tsv or .parquet file for the answers to --file; if left out, they are printed",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace --output if it exists, and delete the parts of another prediction",
    )
    parser.add_argument(
        "--top_k",
        type=int,
        default=1,
        help="number of labels of a text, 0 for all; a multi-label model gives those over their thresholds, with 0 all",
    )
    parser.add_argument(
        "--min_score",
        type=float,
        default=0.0,
        help="least score of a label, from 0 to 1; the model abstains from a less certain answer",
    )
    parser.add_argument(
        "--part_rows",
        type=int,
        default=16384,
        help="rows of a part; an interrupted prediction keeps its finished parts",
    )
    parser.add_argument(
        "--sort",
        type=str,
        help="write the least certain rows of --file first, with their numbers: uncertainty (= margin), entropy, "
        "least_confidence, or disagreement with --others",
    )
    add_answer_options(parser)
    return parser


def check(options: Any) -> None:
    check_max_length(options)
    check_least(options, 1, "batch_tokens", "part_rows")
    check_least(options, 0, "top_k", meaning="all labels")
    if options.texts and options.file:
        raise HfRnnError(f"{options.texts[0]!r} and --file {options.file} are both given: write one of them.")
    if options.output and not options.file:
        raise HfRnnError(
            f"--output {options.output} is for the answers to a file: write --file in.csv, or leave it out."
        )
    if options.sort is not None:
        from ...inference.uncertainty import DISAGREEMENT, SORTS

        check_choice("sort", options.sort, SORTS)
        if not options.output:
            raise HfRnnError(
                f"--sort {options.sort} sorts the answers to a whole file: write --file in.csv --output FILE too."
            )
        if options.sort == DISAGREEMENT and not options.others:
            raise HfRnnError(f"--sort {options.sort} compares several models: name the others too, --others MODEL.")
    if options.texts == ["-"] or not (options.texts or options.file or _is_terminal()):
        options.texts = _lines(options.encoding)
    elif not options.texts and not options.file:
        raise HfRnnError('there is no text: write hf-rnn predict MODEL "some text", or --file in.csv, or - for lines.')
    if options.output:
        from ...inference.answer_files import check_format

        check_format(Path(options.output))
    new_file(options.output, options.overwrite)


def _is_terminal() -> bool:
    """Return True if somebody types, or if there is no standard input."""
    return sys.stdin is None or sys.stdin.closed or sys.stdin.isatty()


def _lines(encoding: str | None) -> Iterator[str]:
    """Yield the lines of standard input, without their ends."""
    logger.info("reading the lines of standard input.")
    try:
        if hasattr(sys.stdin, "reconfigure"):
            # Whatever the locale, errors are not hidden.
            sys.stdin.reconfigure(encoding=encoding or "utf-8-sig", errors="strict")
        yield from (line.rstrip("\r\n") for line in sys.stdin or ())
    except UnicodeDecodeError as error:
        raise HfRnnError(
            f"standard input is not {error.encoding} ({error.reason}): name its encoding, such as --encoding latin1."
        ) from error
    except LookupError as error:
        raise HfRnnError(f"--encoding {encoding} is not an encoding that Python knows, such as latin1.") from error


def imports(options: Any) -> AbstractContextManager:
    from ...utils.lean_imports import lean_imports

    return nullcontext() if options.file else lean_imports()


def run(options: Any) -> None:
    predictor = load_predictor(options)
    if options.output:
        _write_file(options, predictor)
        return
    if options.file:
        from ...inference.bulk import answers_of_file

        data, given = data_of(predictor, options, options.file), given_columns(options)
        pairs = answers_of_file(predictor, data, options.batch_tokens, options.top_k, given, options.min_score)
    else:
        if "datasets" in sys.modules:
            sys.modules["datasets"].disable_progress_bars()
        predictor.task = predictor.task.with_data(data_of(predictor, options))
        texts, again = tee(options.texts)
        how = {"top_k": options.top_k, "min_score": options.min_score, "batch_tokens": options.batch_tokens}
        pairs = zip(texts, predictor.stream(again, **how), strict=True)
    none = True
    for text, answer in pairs:
        none = False
        text = " ".join(text.split())
        shown = text if len(text) <= 60 else text[:59] + "…"
        print(f"{predictor.task.shown(answer)}\t{shown}")
    if none:
        raise HfRnnError('standard input has no line: write hf-rnn predict MODEL "some text", or pipe lines into it.')


def _write_file(options: Any, predictor: Any) -> None:
    from ...inference.bulk import predict_file

    rows = predict_file(
        predictor,
        data_of(predictor, options, options.file),
        Path(options.output),
        batch_tokens=options.batch_tokens,
        top_k=options.top_k,
        given=given_columns(options),
        overwrite=options.overwrite,
        part_rows=options.part_rows,
        min_score=options.min_score,
        sort=options.sort,
    )
    if is_first_process():
        print(f"{rows} answers written to {options.output}")


def shares_work(options: Any) -> bool:
    return bool(options.output)


def after_interrupt(options: Any) -> str:
    return "The same command resumes after the parts that it has written." if options.output else ""
