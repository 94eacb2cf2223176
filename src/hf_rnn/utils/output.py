# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Print on any standard output, and leave out lines of libraries that do not fit."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def say(text: str) -> None:
    """Print a text on a standard output of any encoding; a character that it lacks is escaped.

    Args:
        text: one or more lines.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


@contextmanager
def unsaid(name: str, words: str) -> Iterator[None]:
    """Keep a library from a line that does not fit here.

    Args:
        name: of its logger.
        words: by which the line is known.
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
