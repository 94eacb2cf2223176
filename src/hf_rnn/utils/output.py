# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Printing on any standard output, and suppression of log lines of libraries."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def say(text: str) -> None:
    """Print a text, and escape the characters that the encoding of the standard output lacks.

    Args:
        text: One or more lines.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


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


__all__ = ["say", "unsaid"]
