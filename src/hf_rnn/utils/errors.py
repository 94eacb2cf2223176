# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Errors that a user causes, and that the command line shows as one message without a traceback."""

import difflib
from collections.abc import Iterable
from pathlib import Path


class UserError(ValueError):
    """Something in the data, the configuration or the folders; the message says what, and what to write instead."""


def first_line(error: BaseException) -> str:
    """Return an error's message on one line, or its type where it has none."""
    # Imported here: it takes a fifth of a second, which a message of the command line need not wait for.
    from huggingface_hub.errors import StrictDataclassError

    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, StrictDataclassError):
        # Which check failed comes first, what it found last.
        lines = lines[-1:]
    return lines[0].rstrip(".") if lines else type(error).__name__


def nearest(value: object, choices: Iterable[str]) -> str | None:
    """The choice that looks most like a value, or None where none does."""
    text, choices = str(value), list(choices)
    near = difflib.get_close_matches(text, choices, n=1, cutoff=0.6)
    # An abbreviation is far from what it stands for, letter by letter.
    near += [choice for choice in choices if text and choice and (choice.startswith(text) or text.startswith(choice))]
    return near[0] if near else None


def looks_local(path: str) -> bool:
    """Whether a path that does not exist was meant as a local one, so that nobody waits for the Hub to deny it."""
    folder, _, _ = path.rpartition("/")
    local = path.startswith((".", "/", "~")) or path.count("/") > 1 or (folder != "" and Path(folder).is_dir())
    return local or ("/" not in path and near_path(path) is not None)


def near_path(path: str) -> str | None:
    """Return the file or folder whose name is nearest to one that does not exist, in the same folder; or None.

    Args:
        path: Path that does not exist.
    """
    place = Path(path)
    names = {name: each.name for each in _beside(place) for name in (each.name, each.stem)}
    near = difflib.get_close_matches(place.name, names, n=1, cutoff=0.75)
    return str(place.with_name(names[near[0]])) if near else None


def _beside(place: Path) -> list[Path]:
    try:
        return sorted(each for each in place.parent.iterdir() if not each.name.startswith("."))
    except OSError:
        return []


def did_you_mean(path: str) -> str:
    """Return the question whether a file or folder near to a missing one was meant; an empty text without one.

    Args:
        path: Path that does not exist.
    """
    near = near_path(path)
    return f" Did you mean {near!r}?" if near else ""


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Raises [`UserError`] for a value that is not among the choices, with the nearest of them."""
    choices = list(choices)
    if value not in choices:
        near = nearest(value, choices)
        hint = f": did you mean {name}={near!r}?" if near else "."
        raise UserError(f"{name}={value!r} is not one of {', '.join(choices)}{hint}")
