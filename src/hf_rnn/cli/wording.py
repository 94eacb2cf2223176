# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Write the arguments in a message as options of a command: `data.header=False` becomes `--data.header false`."""

import logging
import re
from ast import literal_eval
from collections.abc import Container
from shlex import quote

from ..utils.output import WORDING

_TEXT = r"""'(?:[^'\\\n]|\\.)*' | "(?:[^"\\\n]|\\.)*" """
# An argument as Python writes it. The value is a literal, a placeholder such as NAME, or a list.
_ARGUMENT = re.compile(
    rf"""(?<![\w.\-?&/])
    (?:(?P<section>[a-z]+)\.)? (?P<name>[a-z]\w*) =
    (?P<value> {_TEXT} | \[(?:{_TEXT} | [^\]'"\n])*\] | [+-]?\.?\d(?:[\w+-]|\.(?=\w))* | None | True | False
    | [A-Z_]+\b )""",
    re.VERBOSE,
)
# Sections of a run, as `hub.saved_run.SECTION_NAMES`, whose import takes seconds.
_SECTIONS = ("data", "tokenizer", "model", "training", "report", "card")
# An item of a list that needs no quotes there.
_PLAIN = re.compile(r"'(\w(?:[\w .+-]*\w)?)'")
_IN_SHELL = {"None": "null", "True": "true", "False": "false"}


def as_options(message: str, options: Container[str] = (), flags: Container[str] = ()) -> str:
    """Return a message with the arguments that it names written as options of a command.

    A setting of a run has its section, as an option of `train`. Other commands have some settings of the data without
    their section; their `--revision` is that of the model.

    Args:
        message: Message that names arguments as a Python user writes them.
        options: Names of the options of the command.
        flags: Those of them that take no value.
    """

    def written(found: re.Match) -> str:
        section, name, value = found["section"], found["name"], found["value"]
        if name in options and (section is None or (section == "data" and name != "revision")):
            if name not in flags:
                return f"--{name} {_in_shell(value)}"
            return f"--{name}" if value == "True" else found[0]
        return f"--{section}.{name} {_in_shell(value)}" if section in _SECTIONS else found[0]

    return _ARGUMENT.sub(written, message)


def _in_shell(value: str) -> str:
    if value in _IN_SHELL:
        return _IN_SHELL[value]
    if value[0] == "[":
        return quote(_PLAIN.sub(r"\1", value))
    return quote(literal_eval(value)) if value[0] in "'\"" else value


class OptionsFormatter(logging.Formatter):
    """Formatter of log records that writes the messages of this package with `WORDING`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        text = super().format(record)
        return WORDING.get()(text) if record.name.startswith("hf_rnn") else text


__all__ = ["OptionsFormatter", "as_options"]
