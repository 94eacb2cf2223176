# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Clear messages for unknown keys and values of the wrong type, on the command line or in a YAML file."""

import re
from collections.abc import Iterable

from .errors import nearest

# Names of other programs for keys.
_ELSEWHERE = {
    "lr": "learning_rate",
    "batch_size": "per_device_train_batch_size",
    "epochs": "num_train_epochs",
    "num_epochs": "num_train_epochs",
    "dropout": "classifier_dropout",
    "vocabulary_size": "vocab_size",
}


def name_unknown_key(message: str, keys: Iterable[str]) -> str:
    """Return a clearer message for an unknown key or a wrong type, or the given message if it is about something else.

    Args:
        message: Message of an error of jsonargparse.
        keys: Known keys, such as `training.seed`; the first of equally near keys is named.

    Returns:
        A message with the unknown key and the nearest known key. If none is near, it lists the known keys of the
        section.
    """
    keys = [key for key in keys if key not in ("help", "config", "print_config", "print_shtab")]
    name = _unknown_key(message)
    if name is None:
        return _name_wrong_type(message)
    section, _, last = name.rpartition(".")
    inside = {key.rpartition(".")[2]: key for key in keys if key.rpartition(".")[0] == section}
    # Within a known section, only the last part of the key is compared: the section's name would add similarity.
    known = next((key for key in keys if key.rpartition(".")[2] == _ELSEWHERE.get(last)), None)
    near = known or (inside.get(nearest(last, inside) or "") if inside else nearest(name, keys))
    if not near and not section:
        # A key that lacks its section.
        lasts = {key.rpartition(".")[2]: key for key in reversed(keys)}
        near = lasts.get(nearest(last, lasts) or "")
    if near:
        return f"there is no key {name!r}: did you mean {near!r}?"
    return f"there is no key {name!r}; the keys are {', '.join(inside.values() or keys)}."


# Messages of jsonargparse about an unknown key: on the command line, and inside and outside a section of a YAML file.
_UNKNOWN = (
    r"unrecognized arguments: --?()([^\s=]+)",
    r"Group '([^']+)' does not accept option '([^']+)'",
    r"Subcommand '[^']+' does not accept option '()([^']+)'",
    r"[Oo]ption '()([^']+)' is not accepted",
)


def _unknown_key(message: str) -> str | None:
    """Return the unknown key that a message of jsonargparse names, or None."""
    found = (re.search(pattern, message) for pattern in _UNKNOWN)
    return next((f"{match[1]}.{match[2]}".strip(".") for match in found if match), None)


# Messages of jsonargparse about a value of the wrong type, where one type or several are allowed.
_WRONG_TYPE = re.compile(
    r"""Parser\ key\ "(?P<key>[^"]+)":\s+
    (?: Expected\ a\ (?P<one>.+?)\.\ Got\ value:\ (?P<got>.*)
    | Does\ not\ validate\ .*?Subtypes:\ \[(?P<several>.*?)\]\n.*Given\ value:\ (?P<given>.*))""",
    re.DOTALL | re.VERBOSE,
)
_TYPES = {
    "<class 'float'>": "a number",
    "<class 'int'>": "a whole number",
    "<class 'bool'>": "true or false",
    "<class 'str'>": "text",
    "<class 'NoneType'>": "null",
    "list[str]": "a list, such as [a, b]",
    "list[float]": "a list of numbers, such as [0.1, 1.0]",
}


def _name_wrong_type(message: str) -> str:
    found = _WRONG_TYPE.match(message)
    types = [] if found is None else [found["one"]] if found["one"] else found["several"].split(", ")
    if found is None or not set(types) <= set(_TYPES):
        return message
    value = found["got"] if found["one"] else found["given"]
    if types == ["<class 'str'>"] and value.startswith("{"):
        # YAML reads b: c in [a, b: c] as a mapping.
        text = value.strip("{}").replace("'", "")
        return f"{found['key']}={text!r} must be text: put quotes around a text with a colon, ['{text}', …]."
    value = value if value.startswith("[") else repr(value)
    return f"{found['key']}={value} must be {' or '.join(_TYPES[each] for each in types)}."


__all__ = ["name_unknown_key"]
