# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Tags of data in the BIO scheme (`runtime/bio.py`), which is the only one that models learn.

`tag_schemes.py` converts other schemes to it.
"""

from collections.abc import Iterable, Sequence

from ..runtime.bio import OUTSIDE, goes_on, kind_of, of_span
from ..utils.errors import DataError, nearest


def is_bio(tags: Iterable[str]) -> bool:
    """Return True if any of the tags begins a span or continues one.

    Args:
        tags: Tags to check.
    """
    return any(map(of_span, tags))


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


__all__ = ["begun", "check_tags", "is_bio", "scheme"]
