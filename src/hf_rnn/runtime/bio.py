# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Spans of tags in the BIO scheme, also called IOB2 (Ramshaw and Marcus 1995).

`B-x` begins a span of kind x, `I-x` continues it, and `O` is outside of all spans.
"""

from collections.abc import Sequence

OUTSIDE = "O"


def of_span(tag: str) -> bool:
    """Return True if a tag begins a span or continues one.

    Args:
        tag: Tag of a word.
    """
    return tag[:2] in ("B-", "I-") and len(tag) > 2


def kind_of(tag: str) -> str:
    """Return the kind of a tag's span; a tag outside of the scheme is returned unchanged.

    Args:
        tag: Tag of a word.
    """
    return tag[2:] if of_span(tag) else tag


def goes_on(tag: str, before: str) -> bool:
    """Return True if a tag continues the span of the tag before it.

    Args:
        tag: Tag of a word.
        before: Tag of the word before it.
    """
    return tag.startswith("I-") and of_span(before) and kind_of(before) == kind_of(tag)


def spans_of(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return the kind, the first and the last position of each span.

    A span that continues without a beginning is read as beginning there, as in conlleval. A plain tag other than `O` is
    a span of one word.

    Args:
        tags: Tags of a row.
    """
    spans: list[tuple[str, int, int]] = []
    before = OUTSIDE
    for place, tag in enumerate(tags):
        if tag != OUTSIDE:
            if goes_on(tag, before):
                spans[-1] = (spans[-1][0], spans[-1][1], place)
            else:
                spans.append((kind_of(tag), place, place))
        before = tag
    return spans


__all__ = ["goes_on", "kind_of", "of_span", "spans_of"]
