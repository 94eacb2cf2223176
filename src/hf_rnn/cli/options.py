# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The options that several commands have in common, and the data and the files that these name."""

import os
from argparse import SUPPRESS, Action, RawDescriptionHelpFormatter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace

from ..utils.errors import UserError
from ..utils.unknown_keys import name_unknown_key

# Keys of the data section of a run that other commands have as options of their own.
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


class RawHelpFormatter(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the lines of descriptions and examples."""

    def format_help(self) -> str:
        """Return the help without jsonargparse's line above the commands, which the section's title says already."""
        return super().format_help().replace("  Available subcommands:\n", "")


class CommandParser(ArgumentParser):
    """The parser of a command. Texts may stand anywhere among its arguments, and may begin with a dash."""

    def __init__(self, **settings: Any):
        super().__init__(exit_on_error=False, allow_abbrev=False, **settings)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise [`~hf_rnn.utils.errors.UserError`] for wrong arguments, with the option that was probably meant."""
        said = name_unknown_key(message, (action.dest for action in self._actions))
        raise UserError(f"{said} ({self.prog} --help shows how)") from ex

    def parse_args(self, args: Any = None, *others: Any, **how: Any) -> Namespace:  # type: ignore[override]
        """Parse arguments with the texts at their end.

        Else argparse takes no text after an option (it has `parse_intermixed_args`, but not for subcommands), and none
        that begins with a dash.
        """
        return super().parse_args(self._texts_last(args), *others, **how)

    def _texts_last(self, arguments: list[str]) -> list[str]:
        flags = {name for action in self._actions if action.nargs == 0 for name in action.option_strings}
        options: list[str] = []
        texts: list[str] = []
        rest = iter(arguments)
        for argument in rest:
            if argument == "--":
                texts += rest
            elif argument in flags or (argument.startswith("--") and "=" in argument.split(" ")[0]):
                options.append(argument)
            elif argument.startswith("--") and " " not in argument:
                options += [argument, *[value for value in [next(rest, None)] if value is not None]]
            else:
                texts.append(argument)
        return [*options, "--", *texts] if texts else options


class VersionAction(Action):
    """Prints the version of the package, which is looked up only then."""

    def __init__(self, option_strings: list[str], dest: str, **settings: Any):
        super().__init__(option_strings, SUPPRESS, default=SUPPRESS, nargs=0, help="Show the version and exit.")

    def __call__(self, parser: Any, *others: Any) -> None:
        from importlib.metadata import version

        print(f"hf-rnn {version('hf-rnn')}")
        parser.exit()


def first_line_and_examples(docstring: str | None) -> tuple[str, list[str]]:
    """Return the first line of a command's docstring, and its lines that are examples."""
    lines = [line.strip() for line in (docstring or "").splitlines()]
    return lines[0], [f"  {line}" for line in lines[1:] if line.startswith("hf-rnn ")]


# Options -------------------------------------------------------------------------------------------------------------


def add_model(parser: ArgumentParser) -> None:
    """Add the model, and which version of it on the Hub is meant."""
    parser.add_argument("model", type=str, help="folder or Hub id")
    parser.add_argument("--revision", type=str, help="branch, tag or commit of a model on the Hub")


def add_data(parser: ArgumentParser) -> None:
    """Add the labelled data set that a command reads."""
    parser.add_argument("--data", type=str, help="a file, folder or Hub data set; that of the training run if left out")


def add_max_length(parser: ArgumentParser) -> None:
    parser.add_argument("--max_length", type=int, help="tokens kept of a text; as in training if left out, 0 for all")


def add_answer_options(parser: ArgumentParser, labels: bool = False) -> None:
    """Add the options that say which texts are answered, by which models, and how many at once.

    Args:
        parser: of the command.
        labels: whether the data has labels, which are read too.
    """
    parser.add_argument(
        "--others", type=str, action="append", default=[], help="a further model, whose logits are averaged in"
    )
    add_file_options(parser, labels)
    add_max_length(parser)
    parser.add_argument(
        "--num_beams", type=int, help="of a model that writes: texts followed at once; as it was saved if left out"
    )
    parser.add_argument("--batch_tokens", type=int, default=16384, help="tokens that are read at once; bounds memory")


def add_file_options(parser: ArgumentParser, labels: bool = False) -> None:
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


def add_outputs(parser: ArgumentParser, forms: str) -> None:
    """Add the files that a command writes beside what it prints."""
    parser.add_argument(
        "--output", type=str, action="append", default=[], help=f"file to write: {forms}; may be repeated"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace --output where it exists")


# Checks --------------------------------------------------------------------------------------------------------------


def check_least(options: Namespace, least: int, *names: str, meaning: str = "") -> None:
    """Raise [`~hf_rnn.utils.errors.UserError`] for a number that is too small.

    Args:
        options: of the command.
        least: the smallest number that is allowed.
        names: of the options.
        meaning: of the smallest number, in brackets.
    """
    for name in names:
        given = options[name]
        if given is not None and given < least:
            raise UserError(f"--{name} {given} must be {least}{f' ({meaning})' if meaning else ''} or greater.")


def check_max_length(options: Namespace) -> None:
    if (options.max_length or 0) < 0:
        raise UserError(f"--max_length {options.max_length} must be 1 or greater, or 0 for all tokens.")


# Data and files ------------------------------------------------------------------------------------------------------


def load_predictor(options: Namespace) -> Any:
    """Load the model that the options name, with further ones that answer beside it."""
    from ..inference.predictor import Predictor

    predictor = Predictor.from_pretrained(
        options.model, others=options.get("others", ()), revision=options.get("revision")
    )
    _set_beams(predictor, options.get("num_beams"))
    return predictor


def _set_beams(predictor: Any, beams: int | None) -> None:
    """Let a model that writes follow so many texts at once."""
    if beams is None:
        return
    if predictor.task.problem_type != "translation":
        raise UserError(f"--num_beams {beams} is of a model that writes a text, such as a translation: leave it out.")
    if not 1 <= beams <= predictor.model.config.vocab_size:
        raise UserError(f"--num_beams {beams} must be from 1 to {predictor.model.config.vocab_size}, such as 5.")
    predictor.model.generation_config.num_beams = beams


def given_columns(options: Namespace) -> list[str]:
    """Return which columns the command line names."""
    return [name for name in COLUMN_OPTIONS if options.get(name) is not None]


def data_of(predictor: Any, options: Namespace, path: str | None = None) -> Any:
    """Return the data section of the training run, with the changes of the command line.

    Args:
        predictor: a trained model.
        options: of the command.
        path: of other data, which has columns of its own; None for that of the run.
    """
    data = predictor.task.data
    if path is not None and (not data.path or Path(path).absolute() != Path(data.path).absolute()):
        data = data.elsewhere(path)
    given = {name: options.get(name) for name in (*COLUMN_OPTIONS, *FILE_OPTIONS)}
    data = replace(data, **{name: value for name, value in given.items() if value is not None})
    return data if options.max_length is None else replace(data, max_length=options.max_length or None)


def new_file(path: str | None, overwrite: bool | None = None) -> Path | None:
    """Return the path of a file that can be written; None for None.

    Args:
        path: of the file.
        overwrite: whether it may exist; None for a command without that option.

    Raises:
        UserError: the file exists, or cannot be written.
    """
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


def output_files(options: Namespace, pages: bool) -> list[Path]:
    """Return the files of `--output`, once each.

    Args:
        options: of the command.
        pages: whether what it tells can be shown as a page.
    """
    from ..interpret.views import check_ending

    files = [file for path in dict.fromkeys(options.output) if (file := new_file(path, options.overwrite))]
    for file in files:
        check_ending(file, pages)
    return files


def write_outputs(files: list[Path], save: Callable[[Any, Path], None], told: Any) -> None:
    """Write what a command tells to each of the files.

    Args:
        files: those of [`output_files`].
        save: writes one of them.
        told: what is written.
    """
    for file in files:
        try:
            save(told, file)
        except OSError as error:
            raise UserError(f"{str(file)!r} cannot be written ({error.strerror}): name another file.") from error
        print(f"written to {file}")


def metrics_line(metrics: dict[str, Any]) -> str:
    """Return the metrics of a whole data set on one line."""
    return " · ".join(f"{name} {value:.4f}" for name, value in metrics.items() if "/" not in name and name != "rows")


def is_first_process() -> bool:
    """Return whether this is the first of the processes of a launcher, or the only one."""
    return os.environ.get("RANK", "0") == "0"
