# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Printing on any standard output, and suppression of log lines and progress bars of libraries."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Function that messages pass through before they are shown. A message names arguments as a Python user writes them, and
# the command line writes them as its options.
WORDING: ContextVar[Callable[[str], str]] = ContextVar("wording", default=str)
_HUSHED: ContextVar[bool] = ContextVar("hushed", default=False)


def say(text: str) -> None:
    """Print a text, and escape the characters that the encoding of the standard output lacks.

    Args:
        text: One or more lines.
    """
    if _HUSHED.get():
        return
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    text = WORDING.get()(text)
    print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


@contextmanager
def hushed(is_hushed: bool = True) -> Iterator[None]:
    """Show only the warnings of the package inside the block, and neither decisions nor notes.

    Args:
        is_hushed: False to show the decisions again, in a part of such a block.
    """
    logger, before = logging.getLogger("hf_rnn"), _HUSHED.set(is_hushed)
    level = logger.level
    if is_hushed:
        logger.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(level)
        _HUSHED.reset(before)


@contextmanager
def unsaid(name: str, words: str) -> Iterator[None]:
    """Suppress the log lines of a library that contain the given words, inside the block.

    Args:
        name: Name of the library's logger.
        words: Words that identify the line.
    """
    logger = logging.getLogger(name)

    def fits(record: logging.LogRecord) -> bool:
        return words not in record.getMessage()

    logger.addFilter(fits)
    try:
        yield
    finally:
        logger.removeFilter(fits)


def bars_are_seen() -> bool:
    """Return True if somebody sees progress bars: on a terminal or in a notebook."""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())


def disable_progress_bars() -> None:
    """Disable the progress bars of libraries in this process, those imported later included.

    The command line calls it first. Importing the libraries just to call them would take seconds.
    """
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS", "TQDM_DISABLE"):
        os.environ.setdefault(name, "1")
    if "datasets" in sys.modules:
        sys.modules["datasets"].disable_progress_bars()
    if "transformers.utils.logging" in sys.modules:
        sys.modules["transformers.utils.logging"].disable_progress_bar()


@contextmanager
def progress_bars(shown: bool, of_datasets: bool = True) -> Iterator[None]:
    """Disable the progress bars of datasets and transformers inside the block, or leave them as they are.

    Args:
        shown: False to disable them.
        of_datasets: False for the bars of transformers only: importing datasets takes long.
    """
    if shown:
        yield
        return
    from transformers.utils import logging as of_transformers

    transformers_had = of_transformers.is_progress_bar_enabled()
    of_transformers.disable_progress_bar()
    if of_datasets:
        import datasets

        datasets_had = not datasets.are_progress_bars_disabled()
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        if transformers_had:
            of_transformers.enable_progress_bar()
        if of_datasets and datasets_had:
            datasets.enable_progress_bars()


@contextmanager
def bars_if_seen(of_datasets: bool = True) -> Iterator[None]:
    """Disable progress bars inside the block if nobody sees them. It can decorate a function, too.

    Args:
        of_datasets: Same as in [`progress_bars`].
    """
    with progress_bars(bars_are_seen(), of_datasets):
        yield


__all__ = [
    "WORDING",
    "bars_are_seen",
    "bars_if_seen",
    "disable_progress_bars",
    "hushed",
    "progress_bars",
    "say",
    "unsaid",
]
