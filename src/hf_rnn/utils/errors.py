# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Errors that a user causes; the command line shows them as one message without a traceback."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from ..runtime.errors import ConfigError, DataError, HfRnnError, HubError
from ..runtime.errors import first_line as _first_line
from ..runtime.paths import looks_local

# Endings of files that are neither data nor models.
NO_DATA = (".ipynb", ".log", ".md", ".py", ".sh", ".toml", ".yaml", ".yml")


class CheckpointError(HfRnnError):
    """Error in a checkpoint, or in the folder of a run that is resumed or replaced."""


# Former name.
UserError = HfRnnError


def first_line(error: BaseException) -> str:
    """Return the message of an error on one line; the name of its class if it has none.

    Args:
        error: Error to describe.
    """
    # Imported here, because it takes 0.2 s, which most commands do not need.
    from huggingface_hub.errors import StrictDataclassError

    lines = str(error).strip().splitlines()
    if isinstance(error, StrictDataclassError) and lines:
        # The first line names the failed check, the last line the mistake.
        return lines[-1].strip().rstrip(".")
    return _first_line(error)


def nearest(value: object, choices: Iterable[str]) -> str | None:
    """Return the choice most similar to a value, or None if none is similar.

    Args:
        value: Value that is not among the choices.
        choices: Valid values.
    """
    text, choices = str(value), list(choices)
    near = difflib.get_close_matches(text, choices, n=1, cutoff=0.6)
    # `difflib` does not match an abbreviation with the full word.
    near += [choice for choice in choices if text and choice and (choice.startswith(text) or text.startswith(choice))]
    return near[0] if near else None


def is_mistyped(path: str) -> bool:
    """Return True for a missing path without folder that is nearly the name of data or of a folder here.

    The Hub is not asked for it: names there have the form OWNER/NAME.

    Args:
        path: Path that does not exist.
    """
    return "/" not in path and near_path(path) is not None


def near_path(path: str) -> str | None:
    """Return the file or folder whose name is nearest to one that does not exist, in the same folder; or None.

    Args:
        path: Path that does not exist.
    """
    place = Path(path)
    beside = [each for each in _beside(place) if each.name != place.name]
    names = {name: each.name for each in beside for name in (each.name, each.stem)}
    near = difflib.get_close_matches(place.name, names, n=1, cutoff=0.75)
    return str(place.with_name(names[near[0]])) if near else None


def _beside(place: Path) -> list[Path]:
    try:
        found = sorted(each for each in place.parent.iterdir() if not each.name.startswith("."))
    except OSError:
        return []
    return [each for each in found if each.suffix not in NO_DATA]


def did_you_mean(path: str) -> str:
    """Return the question whether a file or folder near to a missing one was meant; an empty text without one.

    Args:
        path: Path that does not exist.
    """
    near = near_path(path)
    return f" Did you mean {near!r}?" if near else ""


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Raise [`ConfigError`] for a value that is not among the choices, and suggest the nearest choice.

    Args:
        name: Name of the argument; used in the error.
        value: Value to check.
        choices: Valid values.
    """
    choices = list(choices)
    if value not in choices:
        near = nearest(value, choices)
        hint = f": did you mean {name}={near!r}?" if near else "."
        raise ConfigError(f"{name}={value!r} is not one of {', '.join(choices)}{hint}")


__all__ = [
    "NO_DATA",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "HfRnnError",
    "HubError",
    "UserError",
    "check_choice",
    "did_you_mean",
    "first_line",
    "is_mistyped",
    "looks_local",
    "near_path",
    "nearest",
]
