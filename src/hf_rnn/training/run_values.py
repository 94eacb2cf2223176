# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Values of a run's YAML and command line, as jsonargparse has to read them."""

import json
import os
from typing import Any

import yaml
from jsonargparse import Namespace

from ..hub.saved_run import Loader

# Prefix of strings that jsonargparse would parse as another type. It is removed after parsing.
AS_WRITTEN = "\ue000"


def load_value(text: str) -> Any:
    """Return the value of a command-line argument or of the text of a YAML file.

    Text that YAML reads as null, such as #1, and quoted strings of a file, such as 'null', remain strings.

    Args:
        text: Value of an option, or a whole file.
    """
    value = yaml.load(text, Loader=Loader)
    if value is None and text.strip() not in ("", "~"):
        return AS_WRITTEN + text
    if isinstance(value, list):
        return yaml.load(text, Loader=yaml.BaseLoader)  # Names such as no, 01 or 1.10 keep their spelling.
    if not isinstance(value, dict):
        return value
    spelled = yaml.load(text, Loader=yaml.BaseLoader)
    if isinstance(value.get("data"), dict):
        value["data"] |= {name: spelled["data"][name] for name in _WORDS if value["data"].get(name) is not None}
    for of, names in _BY_LABEL.items():
        if isinstance(section := value.get(of), dict):
            # A section that YAML merges from another one (<<) is not spelled here, and keeps its keys.
            found = spelled.get(of) or {}
            section |= {
                name: _with_keys(section[name], found.get(name) or {})
                for name in names
                if isinstance(section.get(name), dict)
            }
            if of == "teacher":
                section |= {name: _in_words(found[name]) for name in names if isinstance(found.get(name), dict)}
    return as_yaml(_with_keys(value, spelled))


def _in_words(spelled: dict) -> dict:
    """Return a dict of names as they are spelled: the label 01 is not 1. An empty name, null and ~ are None."""
    return {key: None if value in ("", "null", "~") else value for key, value in spelled.items()}


def names_by_label(text: str) -> str:
    """Return the text of a dict of names with each of them in quotes; another text as it is.

    Args:
        text: Value of an option.
    """
    spelled = yaml.load(text, Loader=yaml.BaseLoader)
    return json.dumps(_in_words(spelled), ensure_ascii=False) if isinstance(spelled, dict) else text


def _with_keys(values: dict, spelled: dict) -> dict:
    """Return values with their keys as spelled: the label no is not false, and 01 is not 1."""
    return dict(zip(spelled, values.values(), strict=True)) if len(spelled) == len(values) else values


# Keys of the data section whose values are always text.
_WORDS = (
    "name",
    "text_column",
    "text_pair_column",
    "label_column",
    "label_names",
    "label_separator",
    "group_column",
    "test_split",
)
# Keys of each section whose values are dicts by label.
_BY_LABEL = {"training": ("class_weights", "thresholds"), "teacher": ("label_map", "columns")}


def as_yaml(value: Any) -> Any:
    """Convert a Python value to one that jsonargparse keeps as it is.

    Paths and numpy values become plain values, and keys become strings. Strings that read as null, a list or a dict get
    the mark `AS_WRITTEN`.

    Args:
        value: Value, or a structure of dicts and lists of values.
    """
    if isinstance(value, dict):
        return {str(key): as_yaml(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_yaml(inner) for inner in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if type(value).__module__ == "numpy":
        return as_yaml(value.tolist())
    if isinstance(value, str):
        try:
            read = yaml.load(value, Loader=Loader)
        except yaml.YAMLError:
            return value
        return AS_WRITTEN + value if read is None or isinstance(read, (list, dict)) else value
    return value


def as_meant(value: Any) -> Any:
    """Remove the marks of [`as_yaml`] from parsed values, in place for namespaces and lists.

    Args:
        value: Parsed value, list or namespace.
    """
    if isinstance(value, Namespace):
        for key, inner in list(vars(value).items()):
            value[key] = as_meant(inner)
    elif isinstance(value, list):
        return [as_meant(inner) for inner in value]
    elif isinstance(value, str):
        return value.removeprefix(AS_WRITTEN)
    return value


__all__ = ["AS_WRITTEN", "as_meant", "as_yaml", "load_value", "names_by_label"]
