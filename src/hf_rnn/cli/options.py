# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Options that several commands share, their checks, and the data and files that they name."""

import os
from argparse import SUPPRESS, Action, RawDescriptionHelpFormatter
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace

from ..text.arguments import COLUMN_SETTINGS
from ..utils.errors import HfRnnError
from ..utils.unknown_keys import name_unknown_key

# Keys of the data section of a run that are top-level options of other commands.
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
    """Help formatter that keeps the line breaks of descriptions and examples."""

    def format_help(self) -> str:
        """Return the help without jsonargparse's line above the commands, which repeats the title of the section."""
        return super().format_help().replace("  Available subcommands:\n", "")


class CommandParser(ArgumentParser):
    """Parser of a command. Texts may stand anywhere among the arguments and may begin with a dash.

    Args:
        settings: Further arguments of jsonargparse's `ArgumentParser`.
    """

    def __init__(self, **settings: Any):
        super().__init__(exit_on_error=False, allow_abbrev=False, **settings)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise [`~hf_rnn.utils.errors.HfRnnError`] for wrong arguments, and suggest an option for an unknown one.

        Args:
            message: Message of the parser.
            ex: Error that led to it, if any.
        """
        said = name_unknown_key(self._with_missing_options(message), (action.dest for action in self._actions))
        raise HfRnnError(f"{said} ({self.prog} --help lists the options)") from ex

    def _with_missing_options(self, message: str) -> str:
        """Return a message about missing arguments with the names that a user writes; another message as it is."""
        start, required, names = message.partition("arguments are required: ")
        actions = {action.dest: action for action in self._actions}
        if not required or not set(names.split(", ")) <= set(actions):
            return message
        missing = [actions[name] for name in names.split(", ") if actions[name].nargs != "*"]
        written = [each.option_strings[0] if each.option_strings else each.dest.upper() for each in missing]
        return start + required + ", ".join(written)

    def parse_args(self, args: Any = None, *others: Any, **how: Any) -> Namespace:  # type: ignore[override]
        """Move the texts to the end of the arguments, after `--`, and parse them.

        Otherwise argparse accepts no text after an option and no text that begins with a dash. Its
        `parse_intermixed_args` does not support subcommands.

        Args:
            args: Arguments of the command.
            others: Further positional arguments of jsonargparse's `parse_args`.
            how: Further keyword arguments of jsonargparse's `parse_args`.
        """
        return super().parse_args(self._texts_last(args), *others, **how)

    def _texts_last(self, arguments: list[str]) -> list[str]:
        flags, with_or_without = (
            {name for action in self._actions if action.nargs == nargs for name in action.option_strings}
            for nargs in (0, "?")
        )
        options: list[str] = []
        texts: list[str] = []
        rest = deque(arguments)
        while rest:
            argument = rest.popleft()
            if argument == "--":
                texts += rest
                break
            if argument in flags or (argument.startswith("--") and "=" in argument.split(" ")[0]):
                options.append(argument)
            elif argument.startswith("--") and " " not in argument:
                options.append(argument)
                if rest and not (argument in with_or_without and rest[0].startswith("--")):
                    options.append(rest.popleft())
            else:
                texts.append(argument)
        return [*options, "--", *texts] if texts else options


class VersionAction(Action):
    """Action that prints the version of the package. The version is looked up only then, since this takes time.

    Args:
        option_strings: Same as in [`argparse.Action`].
        dest: Same as in [`argparse.Action`].
        settings: Ignored.
    """

    def __init__(self, option_strings: list[str], dest: str, **settings: Any):
        super().__init__(option_strings, SUPPRESS, default=SUPPRESS, nargs=0, help="Show the version and exit.")

    def __call__(self, parser: Any, *others: Any) -> None:
        from importlib.metadata import version

        print(f"hf-rnn {version('hf-rnn')}")
        parser.exit()


def first_line_and_examples(docstring: str | None) -> tuple[str, list[str]]:
    """Return the first line of a command's docstring, and its example lines, which begin with `hf-rnn`.

    Args:
        docstring: Docstring of the file of the command.
    """
    lines = [line.strip() for line in (docstring or "").splitlines()]
    return lines[0], [f"  {line}" for line in lines[1:] if line.startswith("hf-rnn ")]


# Options -------------------------------------------------------------------------------------------------------------


def add_model(parser: ArgumentParser) -> None:
    """Add the options for the model and its revision on the Hub.

    Args:
        parser: Parser of the command.
    """
    parser.add_argument("model", type=str, help="folder or Hub id")
    parser.add_argument("--revision", type=str, help="branch, tag or commit of a model on the Hub")


def add_data(parser: ArgumentParser) -> None:
    """Add the option for the labelled data set.

    Args:
        parser: Parser of the command.
    """
    parser.add_argument(
        "--data", type=str, help="file, folder or Hub data set; the data of the training run if left out"
    )


def add_max_length(parser: ArgumentParser) -> None:
    """Add the option for the maximum length of a text.

    Args:
        parser: Parser of the command.
    """
    parser.add_argument(
        "--max_length", type=int, help="maximum number of tokens of a text; as in training if left out, 0 for no limit"
    )


def add_answer_options(parser: ArgumentParser, labels: bool = False) -> None:
    """Add the options of prediction and evaluation: further models, columns and file formats, lengths, batch size.

    Args:
        parser: Parser of the command.
        labels: True to add the options for labels too.
    """
    parser.add_argument(
        "--others",
        type=str,
        action="append",
        default=[],
        help="further model; its logits are averaged with those of MODEL; may be repeated",
    )
    add_file_options(parser, labels)
    add_max_length(parser)
    parser.add_argument(
        "--num_beams", type=int, help="number of beams of a translation model; as saved with the model if left out"
    )
    parser.add_argument(
        "--batch_tokens", type=int, default=16384, help="maximum number of tokens in a batch; limits the memory used"
    )


def add_file_options(parser: ArgumentParser, labels: bool = False) -> None:
    """Add the options for the format of a file and for its columns.

    Args:
        parser: Parser of the command.
        labels: True to add the options for labels too.
    """
    parser.add_argument(
        "--text_column", type=str, help="column of the text; the column of the training run if left out"
    )
    parser.add_argument("--text_pair_column", type=str, help="column of the second text")
    if labels:
        parser.add_argument(
            "--label_column", type=str | list[str], help="column of the label, or a list with a column per class"
        )
        parser.add_argument(
            "--label_names", type=list[str], help="names of the labels 0, 1, … if the label column has numbers"
        )
        parser.add_argument("--label_separator", type=str, help="separator between several labels in one field")
    parser.add_argument("--name", type=str, help="sheet of an Excel file, or configuration of a Hub data set")
    parser.add_argument("--encoding", type=str, help="encoding of text files; detected if left out")
    parser.add_argument("--delimiter", type=str, help="character between fields, or tab; detected if left out")
    parser.add_argument("--quotechar", type=str, help="character around fields, or none; detected if left out")
    parser.add_argument("--escapechar", type=str, help="character before quotes in fields, or none")
    parser.add_argument("--header", type=bool, help="true if the first row has the column names; detected if left out")
    parser.add_argument("--on_bad_rows", type=str, help="error (if left out) or skip, for rows that cannot be read")


def add_outputs(parser: ArgumentParser, forms: str) -> None:
    """Add the options for files that a command writes in addition to its printed output.

    Args:
        parser: Parser of the command.
        forms: File name extensions that are allowed, for the help text.
    """
    parser.add_argument(
        "--output", type=str, action="append", default=[], help=f"file to write: {forms}; may be repeated"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace --output if it exists")


# Checks --------------------------------------------------------------------------------------------------------------


def check_least(options: Namespace, least: int, *names: str, meaning: str = "") -> None:
    """Raise [`~hf_rnn.utils.errors.HfRnnError`] for a number that is too small.

    Args:
        options: Parsed options of the command.
        least: Smallest number that is allowed.
        names: Names of the options to check.
        meaning: Meaning of the smallest number, to add to the message in brackets.
    """
    for name in names:
        given = options[name]
        if given is not None and given < least:
            raise HfRnnError(f"--{name} {given} must be {least}{f' ({meaning})' if meaning else ''} or greater.")


def check_max_length(options: Namespace) -> None:
    """Raise [`~hf_rnn.utils.errors.HfRnnError`] for a negative `--max_length`.

    Args:
        options: Parsed options of the command.
    """
    if (options.max_length or 0) < 0:
        raise HfRnnError(f"--max_length {options.max_length} must be 1 or greater, or 0 for all tokens.")


# Data and files ------------------------------------------------------------------------------------------------------


def load_predictor(options: Namespace) -> Any:
    """Load the model that the options name, with the further models of an ensemble and the number of beams.

    Args:
        options: Parsed options of the command.
    """
    from ..inference.predictor import Predictor

    predictor = Predictor.from_pretrained(
        options.model, others=options.get("others", ()), revision=options.get("revision")
    )
    _set_beams(predictor, options.get("num_beams"))
    return predictor


def _set_beams(predictor: Any, beams: int | None) -> None:
    """Set the number of beams of a translation model; None leaves it as it was saved."""
    if beams is None:
        return
    if predictor.task.problem_type != "translation":
        raise HfRnnError(f"--num_beams {beams} is an option of translation models only: leave it out.")
    if not 1 <= beams <= predictor.model.config.vocab_size:
        raise HfRnnError(f"--num_beams {beams} must be from 1 to {predictor.model.config.vocab_size}, such as 5.")
    predictor.model.generation_config.num_beams = beams


def given_columns(options: Namespace) -> list[str]:
    """Return the keys of the column options that the command line sets.

    Args:
        options: Parsed options of the command.
    """
    return [name for name in COLUMN_SETTINGS if options.get(name) is not None]


def data_of(predictor: Any, options: Namespace, path: str | None = None) -> Any:
    """Return the data section of the training run, with the changes of the command line.

    Args:
        predictor: Predictor with the trained model.
        options: Parsed options of the command.
        path: Path or Hub id of other data, for which the settings of the file format are reset. None for the data of
            the training run.
    """
    data = predictor.task.data
    if path is not None and not data.reads(path):
        data = data.elsewhere(path)
    given = {name: options.get(name) for name in (*COLUMN_SETTINGS, *FILE_OPTIONS)}
    data = replace(data, **{name: value for name, value in given.items() if value is not None})
    return data if options.max_length is None else replace(data, max_length=options.max_length or None)


def new_file(path: str | None, overwrite: bool | None = None) -> Path | None:
    """Check that a file can be written, and return its path.

    Args:
        path: Path of the file; None returns None.
        overwrite: True if the file may exist already; None for a command without the option `--overwrite`.

    Raises:
        HfRnnError: The file exists already, or it cannot be written.
    """
    if path is None:
        return None
    file = Path(path)
    if file.exists() and not overwrite:
        otherwise = "delete that one first" if overwrite is None else "write --overwrite to replace that one"
        raise HfRnnError(f"{path!r} exists already: name another file, or {otherwise}.")
    if not file.parent.is_dir():
        raise HfRnnError(f"the folder {str(file.parent)!r} of {path!r} does not exist: make it first.")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise HfRnnError(f"{path!r} cannot be written: name a file in a folder where you may write.")
    return file


def output_files(options: Namespace, pages: bool) -> list[Path]:
    """Check the files of `--output`, and return each of them once.

    Args:
        options: Parsed options of the command.
        pages: True if the output can be written as an HTML page.
    """
    from ..interpret.views import check_ending

    files = [file for path in dict.fromkeys(options.output) if (file := new_file(path, options.overwrite))]
    for file in files:
        check_ending(file, pages)
    return files


def write_outputs(files: list[Path], save: Callable[[Any, Path], None], told: Any) -> None:
    """Write the result of a command to each of its files, and print their names.

    Args:
        files: Files to write, from [`output_files`].
        save: Function that writes a result to a file.
        told: Result to write.
    """
    for file in files:
        try:
            save(told, file)
        except OSError as error:
            raise HfRnnError(f"{str(file)!r} cannot be written ({error.strerror}): name another file.") from error
        print(f"written to {file}")


def metrics_line(metrics: dict[str, Any]) -> str:
    """Return the metrics of a split on one line, without the number of rows and the metrics of single classes.

    Args:
        metrics: Values of the metrics by name; names of single classes contain a slash.
    """
    return " · ".join(f"{name} {value:.4f}" for name, value in metrics.items() if "/" not in name and name != "rows")


def is_first_process() -> bool:
    """Return True in the first process of a launcher, and in a process without a launcher."""
    return os.environ.get("RANK", "0") == "0"
