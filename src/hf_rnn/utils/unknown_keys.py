# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Say which key was probably meant where a command line or a YAML file has an unknown one."""

import re
from collections.abc import Iterable

from .errors import nearest


def name_unknown_key(message: str, keys: Iterable[str]) -> str:
    """Return a message of jsonargparse in our words where it is about an unknown key.

    Args:
        message: of an error of jsonargparse.
        keys: the known ones, such as `training.seed`.

    Returns:
        The unknown key and the nearest known one, or all those of its section; other messages as they are.
    """
    keys = [key for key in keys if key not in ("help", "config", "print_config", "print_shtab")]
    name = _unknown_key(message)
    if name is None:
        return message
    section, _, last = name.rpartition(".")
    inside = {key.rpartition(".")[2]: key for key in keys if key.rpartition(".")[0] == section}
    # Within a known section its own keys are meant, and the section's name must not count as likeness.
    near = inside.get(nearest(last, inside) or "") if inside else nearest(name, keys)
    if not near and not section:
        # A key that lacks its section.
        lasts = {key.rpartition(".")[2]: key for key in keys}
        near = lasts.get(nearest(last, lasts) or "")
    if near:
        return f"there is no key {name!r}: did you mean {near!r}?"
    return f"there is no key {name!r}; the keys are {', '.join(inside.values() or keys)}."


# How jsonargparse names an unknown key: on the command line, in a section of a YAML file, and outside of the sections.
_UNKNOWN = (
    r"unrecognized arguments: --?()([^\s=]+)",
    r"Group '([^']+)' does not accept option '([^']+)'",
    r"Subcommand '[^']+' does not accept option '()([^']+)'",
    r"[Oo]ption '()([^']+)' is not accepted",
)


def _unknown_key(message: str) -> str | None:
    found = (re.search(pattern, message) for pattern in _UNKNOWN)
    return next((f"{match[1]}.{match[2]}".strip(".") for match in found if match), None)


__all__ = ["name_unknown_key"]
