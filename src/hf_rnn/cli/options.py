# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""What the commands of the command line have in common: their options, the data and the files that these name."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def command_parser(command: str, description: str):
    from jsonargparse import ArgumentParser

    return ArgumentParser(prog=f"hf-rnn {command}", description=description, exit_on_error=False, allow_abbrev=False)


# Of the data section, what `evaluate` and `predict` have as options of their own.
COLUMN_OPTIONS = ("text_column", "text_pair_column", "label_column")
FILE_OPTIONS = (
    "name",
    "label_names",
    "label_separator",
    "encoding",
    "delimiter",
    "quotechar",
    "escapechar",
    "header",
    "on_bad_rows",
)
DATA_OPTIONS = (*COLUMN_OPTIONS, *FILE_OPTIONS, "max_length")


def add_data_options(parser, labels: bool = False) -> None:
    parser.add_argument(
        "--others", type=str, action="append", default=[], help="a further model, whose logits are averaged in"
    )
    parser.add_argument("--revision", type=str, help="branch, tag or commit of a model on the Hub")
    add_file_options(parser, labels)
    parser.add_argument("--max_length", type=int, help="tokens kept of a text; as in training if left out, 0 for all")
    parser.add_argument(
        "--num_beams", type=int, help="of a model that writes: texts followed at once; as it was saved if left out"
    )
    parser.add_argument("--batch_tokens", type=int, default=16384, help="tokens that are read at once; bounds memory")


def add_file_options(parser, labels: bool = False) -> None:
    """Add the options that say how a file is written and which of its columns are read."""
    parser.add_argument("--text_column", type=str, help="column of the text; that of training if left out")
    parser.add_argument("--text_pair_column", type=str, help="column of the second text")
    if labels:
        parser.add_argument("--label_column", type=str | list[str], help="column of the label, or one column a class")
        parser.add_argument("--label_names", type=list[str], help="names of the labels 0, 1, … where it holds numbers")
        parser.add_argument("--label_separator", type=str, help="between several labels in one field")
    parser.add_argument("--name", type=str, help="of several sheets of an Excel file, or configurations on the Hub")
    parser.add_argument("--encoding", type=str, help="of text files; found if left out")
    parser.add_argument("--delimiter", type=str, help="between fields: a character, or tab; found if left out")
    parser.add_argument("--quotechar", type=str, help="around fields: a character, or none; found if left out")
    parser.add_argument("--escapechar", type=str, help="before quotes in fields: a character, or none")
    parser.add_argument("--header", type=bool, help="whether the first row names the columns; found if left out")
    parser.add_argument("--on_bad_rows", type=str, help="error (if left out) or skip, for rows that do not fit")


def parse(parser, arguments: list[str]):
    from argparse import ArgumentError

    from ..utils.errors import UserError

    try:
        options = parser.parse_args(_texts_last(parser, arguments))
    except ArgumentError as error:
        from ..training.run_config import explain

        raise UserError(f"{explain(str(error), parser)} ({parser.prog} --help shows how)") from error
    if (options.get("max_length") or 0) < 0:
        raise UserError(f"--max_length {options.max_length} must be 1 or greater, or 0 for all tokens.")
    if options.get("batch_tokens", 1) < 1:
        raise UserError(f"--batch_tokens {options.batch_tokens} must be 1 or greater.")
    return options


def _texts_last(parser, arguments: list[str]) -> list[str]:
    """The arguments with all that is no option at the end: argparse would not take texts after an option, nor one that
    begins with a dash."""
    flags = {name for action in parser._actions if action.nargs == 0 for name in action.option_strings}
    options: list[str] = []
    others: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            others += rest
        elif argument in flags or (argument.startswith("--") and "=" in argument.split(" ")[0]):
            options.append(argument)
        elif argument.startswith("--") and " " not in argument:
            options += [argument, *[value for value in [next(rest, None)] if value is not None]]
        else:
            others.append(argument)
    return [*options, "--", *others] if others else options


def set_beams(predictor, options) -> None:
    """Has a model that writes follow so many texts at once."""
    from ..utils.errors import UserError

    beams = options.num_beams
    if beams is None:
        return
    if predictor.task.problem_type != "translation":
        raise UserError(f"--num_beams {beams} is of a model that writes a text, such as a translation: leave it out.")
    if not 1 <= beams <= predictor.model.config.vocab_size:
        raise UserError(f"--num_beams {beams} must be from 1 to {predictor.model.config.vocab_size}, such as 5.")
    predictor.model.generation_config.num_beams = beams


def given_columns(options) -> list[str]:
    return [name for name in COLUMN_OPTIONS if getattr(options, name, None) is not None]


def data_of(predictor, options):
    """The data section of the training run, with what the command line changes; other data has columns of its own."""
    from dataclasses import replace

    data = predictor.task.data
    if options.data is not None and (not data.path or Path(options.data).absolute() != Path(data.path).absolute()):
        data = data.elsewhere(options.data)
    given = {name: value for name in DATA_OPTIONS[:-1] if (value := getattr(options, name, None)) is not None}
    data = replace(data, **given)
    return data if options.max_length is None else replace(data, max_length=options.max_length or None)


def new_file(path: str | None, overwrite: bool | None = None):

    from ..utils.errors import UserError

    if path is None:
        return None
    file = Path(path)
    if file.exists() and not overwrite:
        otherwise = "delete that one first" if overwrite is None else "write --overwrite to replace that one"
        raise UserError(f"{path!r} exists already: name another file, or {otherwise}.")
    if not file.parent.is_dir():
        raise UserError(f"the folder {str(file.parent)!r} of {path!r} does not exist: make it first.")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise UserError(f"{path!r} cannot be written: name a file in a folder of yours.")
    return file


def output_files(options, pages: bool) -> list[Path]:
    """The files of `--output`, once each, before any work; not all that is told can be shown as a page."""
    from ..interpret.views import check_form

    files = [new_file(path, options.overwrite) for path in dict.fromkeys(options.output)]
    for file in files:
        check_form(file, pages)
    return files


def write_outputs(files: list[Path], save: Callable[[Any, Path], None], told) -> None:
    """Writes what is told to each of the files."""
    from ..utils.errors import UserError

    for file in files:
        try:
            save(told, file)
        except OSError as error:
            raise UserError(f"{str(file)!r} cannot be written ({error.strerror}): name another file.") from error
        print(f"written to {file}")
