# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The words of each key of a run in `hf-rnn train --help`: those of its field, or of its class's docstring."""

import inspect
import re
from typing import Any

from docstring_parser import DocstringStyle, ParseError, parse
from jsonargparse import ArgumentParser

# Where the first paragraph of a description ends: an empty line, a list, code.
_END_OF_PARAGRAPH = re.compile(r"\n\s*(?:\n|[-*] |```|<)")


def field_words(arguments: type) -> dict[str, str]:
    """Return the descriptions of a dataclass's fields.

    Args:
        arguments: the dataclass. Docstrings of it and of its bases describe the fields, of which several names may
            share a description, `a, b: …`; or the metadata of a field does, as its `help`.
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
        # The docstring of TrainingArguments has headings between its fields. Their metadata has words, too.
        return {}
    return {
        name: _paragraph(param.description)
        for param in params
        if param.description
        for name in re.split(r", *", param.arg_name)
    }


def _paragraph(description: str) -> str:
    """Return the first paragraph of a description on one line, without the marks of links."""
    text = " ".join(_END_OF_PARAGRAPH.split(description.strip())[0].split())
    # transformers doubles the sign for argparse.
    text = text.replace("%%", "%")
    return re.sub(r"\[`~?([^`]+)`\]", r"\1", text)


def as_docstring(first_line: str, words: dict[str, str]) -> str:
    """Return the docstring of a class that is made of fields of others.

    Args:
        first_line: of the docstring.
        words: the descriptions of the fields by their names.
    """
    return "\n".join([first_line, "", "Args:", *(f"    {name}: {text}" for name, text in words.items()), ""])


def describe_section(parser: ArgumentParser, section: str, arguments: type[Any]) -> None:
    """Give the keys of a section their words, where jsonargparse found none in the docstrings.

    Args:
        parser: of the run.
        section: name of the section.
        arguments: its dataclass.
    """
    words = field_words(arguments)
    for action in parser._actions:
        name = action.dest.removeprefix(f"{section}.")
        if name != action.dest and not action.help and name in words:
            action.help = words[name]


__all__ = ["as_docstring", "describe_section", "field_words"]
