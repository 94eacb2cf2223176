# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Check of a configuration field whose value is one of several names."""

import difflib
from collections.abc import Collection

# Names of other libraries.
SYNONYMS = {"avg": "mean", "average": "mean", "maximum": "max", "bahdanau": "additive", "luong": "multiplicative"}


def check_choice(field: str, value: str, choices: Collection[str]) -> None:
    """Check that a field has one of its allowed values.

    Args:
        field: Name of the field in the configuration.
        value: Value of the field.
        choices: Allowed values.

    Raises:
        ValueError: The value is not allowed; the message lists the allowed values and ends with the line to write.
    """
    if value not in choices:
        word = SYNONYMS.get(str(value).lower(), str(value).lower())
        near = [word] if word in choices else difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
        line = f"{field}={near[0]!r}" if near else f"one of them, such as {field}={next(iter(choices))!r}"
        raise ValueError(f"{field}={value!r} must be one of {', '.join(choices)}: write {line}.")


__all__ = ["check_choice"]
