# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Write the arguments in a message as options of a command: `data.header=False` becomes `--data.header false`."""

import json
import logging
import re
from ast import literal_eval
from collections.abc import Container
from shlex import quote

from ..utils.output import WORDING

_TEXT = r"""'(?:[^'\\\n]|\\.)*' | "(?:[^"\\\n]|\\.)*" """
# An argument as Python writes it. The value is a literal, a placeholder such as NAME, a list or a dict. Before it is no
# character of a longer word, of an address or of a quoted text.
_ARGUMENT = re.compile(
    rf"""(?<![\w.\-?&/'"\\])
    (?:(?P<section>[a-z]+)\.)? (?P<name>[a-z]\w*) =
    (?P<value> {_TEXT} | \[(?:{_TEXT} | [^\]'"\n])*\] | \{{(?:{_TEXT} | [^\}}'"\n])*\}}
    | [+-]?\.?\d(?:[\w+-]|\.(?=\w))* | (?:None|True|False)\b | [A-Z_]+\b )""",
    re.VERBOSE,
)
# Sections of a run, as `hub.saved_run.SECTION_NAMES`, whose import takes seconds.
_SECTIONS = ("data", "tokenizer", "model", "training", "teacher", "distil", "report", "card")
_IN_SHELL = {"None": "null", "True": "true", "False": "false"}
# Options of commands that read the data set of `data.path`.
_PATHS = ("data", "file")
# Marks around an option, to find two of them that are to be written one after the other.
_BEGIN, _END = "\ue000", "\ue001"
_BOTH = re.compile(rf"((?:[Ww]rite|such as|with) {_BEGIN}[^{_BEGIN}]*{_END}) and (?={_BEGIN})")


def as_options(message: str, options: Container[str] = (), flags: Container[str] = ()) -> str:
    """Return a message with the arguments that it names written as options of a command.

    An option of `train` includes the section of its setting. Other commands omit the section of data settings, except
    that of `data.revision`: their `--revision` is the revision of the model.

    Args:
        message: Message that names arguments as a Python user writes them.
        options: Names of the options of the command.
        flags: Names of the options that take no value.
    """

    def written(found: re.Match) -> str:
        option = _option(found["section"], found["name"], options)
        value = _in_shell(found["value"])
        if option is None or value is None:
            return found[0]
        if option in flags:
            return f"{_BEGIN}--{option}{_END}" if value == "true" else found[0]
        return f"{_BEGIN}--{option} {value}{_END}"

    translated = _BOTH.sub(r"\1 ", _ARGUMENT.sub(written, message))
    return translated.replace(_BEGIN, "").replace(_END, "")


def _option(section: str | None, name: str, options: Container[str]) -> str | None:
    """Return the name of the option of an argument; None if there is none."""
    whole = name if section is None else f"{section}.{name}"
    if whole in options:
        return whole
    if whole == "data.path":
        return next((path for path in _PATHS if path in options), whole)
    if section == "data" and name in options and name != "revision":
        return name
    return whole if section in _SECTIONS else None


def _in_shell(value: str) -> str | None:
    """Return a value as a shell needs it; None for a text that is no literal of Python."""
    if value in _IN_SHELL:
        return _IN_SHELL[value]
    try:
        if value[0] in "[{":
            return quote(
                re.sub(_TEXT, lambda item: json.dumps(literal_eval(item[0]), ensure_ascii=False), value, flags=re.X)
            )
        return quote(literal_eval(value)) if value[0] in "'\"" else value
    except SyntaxError:
        return None


class OptionsFormatter(logging.Formatter):
    """Formatter of log records that writes the messages of this package with `WORDING`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        text = super().format(record)
        return WORDING.get()(text) if record.name.startswith("hf_rnn") else text


__all__ = ["OptionsFormatter", "as_options"]
