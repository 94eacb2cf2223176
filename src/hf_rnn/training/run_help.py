# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Descriptions of the keys of a run in `hf-rnn train --help`, taken from class docstrings and field metadata."""

import inspect
import re
from typing import Any

from docstring_parser import DocstringStyle, ParseError, parse
from jsonargparse import ArgumentParser

# The end of the first paragraph of a description: an empty line, a list or code.
_END_OF_PARAGRAPH = re.compile(r"\n\s*(?:\n|[-*] |```|<)")


def field_words(arguments: type) -> dict[str, str]:
    """Return the descriptions of a dataclass's fields by name.

    A description comes from the docstring of the class or of a base class, or from `help` in the metadata of the field.
    In a docstring, several names may share a description: `a, b: …`.

    Args:
        arguments: Dataclass to describe.
    """
    words: dict[str, str] = {}
    for owner in reversed(inspect.getmro(arguments)):
        words |= _docstring_words(owner.__dict__.get("__doc__"))
        fields = owner.__dict__.get("__dataclass_fields__", {})
        own = (fields[name] for name in inspect.get_annotations(owner) if name in fields)
        words |= {field.name: _paragraph(field.metadata["help"]) for field in own if field.metadata.get("help")}
    return words


def _docstring_words(docstring: str | None) -> dict[str, str]:
    try:
        params = parse(docstring or "", DocstringStyle.GOOGLE).params
    except ParseError:
        # TrainingArguments has headings between its fields, which the parser rejects. Its field metadata has `help`.
        return {}
    return {
        name: _paragraph(param.description)
        for param in params
        if param.description
        for name in re.split(r", *", param.arg_name)
    }


def _paragraph(description: str) -> str:
    """Return the first paragraph of a description on one line, with the marks of cross references removed."""
    text = " ".join(_END_OF_PARAGRAPH.split(description.strip())[0].split())
    # transformers writes %% for argparse.
    text = text.replace("%%", "%")
    return re.sub(r"\[`~?([^`]+)`\]", r"\1", text)


def as_docstring(first_line: str, words: dict[str, str]) -> str:
    """Build the docstring of a dataclass that is created in code.

    Args:
        first_line: First line of the docstring.
        words: Descriptions of the fields by name.
    """
    return "\n".join([first_line, "", "Args:", *(f"    {name}: {text}" for name, text in words.items()), ""])


def describe_section(parser: ArgumentParser, section: str, arguments: type[Any]) -> None:
    """Add descriptions to the keys of a section for which jsonargparse found none.

    Args:
        parser: Parser of the run; it is changed in place.
        section: Name of the section.
        arguments: Dataclass of the section.
    """
    words = field_words(arguments)
    for action in parser._actions:
        name = action.dest.removeprefix(f"{section}.")
        if name != action.dest and not action.help and name in words:
            action.help = words[name]


__all__ = ["as_docstring", "describe_section", "field_words"]
