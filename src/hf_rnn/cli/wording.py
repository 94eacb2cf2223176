# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Write the arguments in a message as options of a command: `data.header=False` becomes `--data.header false`."""

import logging
import re
from ast import literal_eval
from collections.abc import Container
from shlex import quote

from ..utils.output import WORDING

# An argument as Python writes it. The value is a literal, a placeholder such as NAME, or a list.
_ARGUMENT = re.compile(
    r"""(?<![\w.\-?&/])
    (?:(?P<section>[a-z]+)\.)? (?P<name>[a-z]\w*) =
    (?P<value> '(?:[^'\\\n]|\\.)*' | "(?:[^"\\\n]|\\.)*" | \[[^\]\n]*\] | [+-]?\.?\d(?:[\w+-]|\.(?=\w))* | None | True
    | False | [A-Z_]+\b )""",
    re.VERBOSE,
)
# Sections of a run, as `hub.saved_run.SECTION_NAMES`, whose import takes seconds.
_SECTIONS = ("data", "tokenizer", "model", "training", "report", "card")
_IN_SHELL = {"None": "null", "True": "true", "False": "false"}


def as_options(message: str, options: Container[str] = ()) -> str:
    """Return a message with the arguments that it names written as options of a command.

    A setting of a run has its section, as an option of `train`. Another command has some of them without their section.

    Args:
        message: Message that names arguments as a Python user writes them.
        options: Names of the options of the command.
    """

    def written(found: re.Match) -> str:
        section, name = found["section"], found["name"]
        if name not in options and section not in _SECTIONS:
            return found[0]
        return f"--{name if name in options else f'{section}.{name}'} {_in_shell(found['value'])}"

    return _ARGUMENT.sub(written, message)


def _in_shell(value: str) -> str:
    if value in _IN_SHELL:
        return _IN_SHELL[value]
    if value[0] == "[":
        # The names of a list need no quotes of their own, except where they would be read as something else.
        return quote(value.replace("'", ""))
    return quote(literal_eval(value)) if value[0] in "'\"" else value


class OptionsFormatter(logging.Formatter):
    """Formatter of log records that writes the messages of this package with `WORDING`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        text = super().format(record)
        return WORDING.get()(text) if record.name.startswith("hf_rnn") else text


__all__ = ["OptionsFormatter", "as_options"]
