# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The check of a field whose value is one of a list of names."""

import difflib
from collections.abc import Collection


def check_choice(field: str, value: str, choices: Collection[str]) -> None:
    """Check that a field has one of the values that it can have.

    Args:
        field: of the configuration.
        value: that the field has.
        choices: the values that it can have.

    Raises:
        ValueError: it has none of them; the message lists them, and ends with the line to write.
    """
    if value not in choices:
        near = difflib.get_close_matches(str(value).lower(), choices, n=1, cutoff=0.0)[0]
        raise ValueError(f"{field}={value!r} must be one of {', '.join(choices)}: write {field}={near!r}.")


__all__ = ["check_choice"]
