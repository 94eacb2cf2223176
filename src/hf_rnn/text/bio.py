# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The BIO tag scheme, also called IOB2 (Ramshaw and Marcus 1995), which is the only one that models learn.

`B-x` begins a span of kind x, `I-x` continues it, and `O` is outside of all spans. `tag_schemes.py` converts other
schemes to it.
"""

from collections.abc import Iterable, Sequence

from ..utils.errors import DataError, nearest

OUTSIDE = "O"


def of_span(tag: str) -> bool:
    """Return True if a tag begins a span or continues one.

    Args:
        tag: Tag of a word.
    """
    return tag[:2] in ("B-", "I-") and len(tag) > 2


def is_bio(tags: Iterable[str]) -> bool:
    """Return True if any of the tags begins a span or continues one.

    Args:
        tags: Tags to check.
    """
    return any(map(of_span, tags))


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


def begun(tags: Sequence[str]) -> list[str]:
    """Return the tags with `B-x` in place of each `I-x` whose span has not begun, as conlleval reads them.

    Args:
        tags: Tags of a row.
    """
    before = [OUTSIDE, *tags]
    return [
        f"B-{tag[2:]}" if tag.startswith("I-") and not goes_on(tag, last) else tag
        for tag, last in zip(tags, before, strict=False)
    ]


def scheme(seen: Iterable[str], name: str) -> list[str]:
    """Return all labels of a tagger, in order.

    For BIO tags these are `O` and both tags of each kind; otherwise they are the tags of the training split.

    Args:
        seen: Tags of the training split, either BIO or plain tags.
        name: Name of the data set, for errors.

    Raises:
        DataError: There are fewer than two different tags.
    """
    tags = sorted(set(seen))
    if len(tags) < 2:
        raise DataError(
            f"all words of {name!r} have the tag {tags[0] if tags else None!r}: a tagger needs two different "
            "tags. Name their column, data.label_column=NAME."
        )
    if not is_bio(tags):
        return tags
    kinds = sorted({kind_of(tag) for tag in tags if tag != OUTSIDE})
    return [OUTSIDE, *(f"{part}-{kind}" for kind in kinds for part in "BI")]


def check_tags(rows: Sequence[Sequence[str]], names: Sequence[str], split: str) -> None:
    """Raise [`DataError`] for a tag that is not a label, and for a span that continues without a beginning.

    Args:
        rows: Tags of each row.
        names: Labels of the model.
        split: Name of the split, for errors.
    """
    known = set(names)
    for number, tags in enumerate(rows):
        before = OUTSIDE
        for place, tag in enumerate(tags):
            where = f"row {number} of the split {split!r} has the tag {tag!r} at its word {place}"
            if tag not in known:
                near = nearest(tag, names)
                raise DataError(
                    f"{where}, which is none of {', '.join(names)}"
                    + (f"; the nearest is {near!r}" if near else "")
                    + ": correct the rows, or train on rows that have it."
                )
            if tag.startswith("I-") and not goes_on(tag, before):
                raise DataError(
                    f"{where}, after {before!r} and not after B-{tag[2:]} or {tag}: in the BIO scheme a span begins "
                    f"with B-: write B-{tag[2:]} there."
                )
            before = tag


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


__all__ = ["begun", "check_tags", "goes_on", "is_bio", "kind_of", "of_span", "scheme", "spans_of"]
