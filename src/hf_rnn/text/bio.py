# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The BIO scheme ("IOB2", Ramshaw and Marcus 1995): `B-x` begins a span of the kind x, `I-x` goes on with it, and `O`
is outside of all. Models learn it alone; `tag_schemes.py` converts others to it."""

from collections.abc import Iterable, Sequence

from ..utils.errors import UserError, nearest

OUTSIDE = "O"


def of_span(tag: str) -> bool:
    """Return whether a tag begins a span, or goes on with one."""
    return tag[:2] in ("B-", "I-") and len(tag) > 2


def is_bio(tags: Iterable[str]) -> bool:
    """Whether some of the tags begin spans, or go on with them."""
    return any(map(of_span, tags))


def kind_of(tag: str) -> str:
    """What a tag's span is of."""
    return tag[2:] if of_span(tag) else tag


def goes_on(tag: str, before: str) -> bool:
    """Return whether a tag goes on with the span of the tag before it."""
    return tag.startswith("I-") and of_span(before) and kind_of(before) == kind_of(tag)


def begun(tags: Sequence[str]) -> list[str]:
    """Return the tags, with `B-x` for each `I-x` whose span has not begun before it, as conlleval reads it."""
    before = [OUTSIDE, *tags]
    return [
        f"B-{tag[2:]}" if tag.startswith("I-") and not goes_on(tag, last) else tag
        for tag, last in zip(tags, before, strict=False)
    ]


def scheme(seen: Iterable[str], name: str) -> list[str]:
    """All tags that a model has to know, in order: of spans, `O` and both tags of each kind; else those that were seen.

    Args:
        seen: the tags of a training split, of the BIO scheme or of none.
        name: of the data set.

    Raises:
        UserError: fewer than two tags.
    """
    tags = sorted(set(seen))
    if len(tags) < 2:
        raise UserError(
            f"all words of {name!r} have the tag {tags[0] if tags else None!r}: a tagger needs two or more. Is "
            "--data.label_column the right one?"
        )
    if not is_bio(tags):
        return tags
    kinds = sorted({kind_of(tag) for tag in tags if tag != OUTSIDE})
    return [OUTSIDE, *(f"{part}-{kind}" for kind in kinds for part in "BI")]


def check_tags(rows: Sequence[Sequence[str]], names: Sequence[str], split: str) -> None:
    """Raises [`UserError`] for a tag that is not among the names, and for a span that goes on without having begun."""
    known = set(names)
    for number, tags in enumerate(rows):
        before = OUTSIDE
        for place, tag in enumerate(tags):
            where = f"row {number} of the split {split!r} has the tag {tag!r} at its word {place}"
            if tag not in known:
                near = nearest(tag, names)
                raise UserError(
                    f"{where}, which is none of {', '.join(names)}"
                    + (f"; the nearest is {near!r}" if near else "")
                    + ": correct the rows, or train on rows that have it."
                )
            if tag.startswith("I-") and not goes_on(tag, before):
                raise UserError(
                    f"{where}, after {before!r} and not after B-{tag[2:]} or {tag}: in the BIO scheme a span begins "
                    f"with B-: write B-{tag[2:]} there."
                )
            before = tag


def spans_of(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """Kind, first and last place of each span; of tags without the scheme, each place but those outside. A span that
    goes on without having begun begins there, as conlleval reads it."""
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
