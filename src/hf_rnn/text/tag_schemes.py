# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Tag schemes of data sets, and their conversion to BIO, the scheme that models learn.

- BIO, also called IOB2: `B-x` begins each span, `I-x` continues it.
- IOB1 (Ramshaw and Marcus 1995): all words of a span have `I-x`; `B-x` only begins a span right after one of its kind.
- BILOU, BIOES (also IOBES), BMES and BMEWO: the last word of a span has a letter of its own, and so has a span of one
  word.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence

from ..runtime.bio import OUTSIDE, goes_on, kind_of, of_span
from ..utils.errors import DataError
from .bio import begun, is_bio

logger = logging.getLogger(__name__)

Rows = Sequence[Sequence[str]]

# Letters of the first, a middle and the last word of a span, and of a span of one word.
LETTERS = {
    "BILOU": ("B", "I", "L", "U"),
    "BIOES": ("B", "I", "E", "S"),
    "BMES": ("B", "M", "E", "S"),
    "BMEWO": ("B", "M", "E", "W"),
}
_AS_BIO = {"M": "I", "L": "I", "E": "I", "U": "B", "S": "B", "W": "B"}
_ALL = {"B", "I", *_AS_BIO}
# Tags that are probably meant as O.
_NEARLY_OUTSIDE = {"o", "0", "Other", "OUT"}


def _letter(tag: str) -> str:
    """Return the scheme letter of a tag, or an empty string for a tag of no scheme."""
    return tag[0] if len(tag) > 2 and tag[1] == "-" and tag[0] in _ALL else ""


def find_scheme(rows: Rows, name: str, split: str) -> str | None:
    """Return the scheme of the tags of a split: BIO, IOB1 or a key of `LETTERS`; None for tags that are not spans.

    Args:
        rows: Tags of each row.
        name: Name of the data set, for errors.
        split: Name of the split, for errors.

    Raises:
        DataError: The tags mix two schemes, mix a scheme with other tags, or form spans that the scheme does not allow.
            The message names a row, its tag and the tag to write.
    """
    seen = {tag for row in rows for tag in row}
    spaced = next((tag for tag in sorted(seen) if tag != tag.strip()), None)
    if spaced is not None:
        raise DataError(f"the tag {spaced!r} of {name!r} has spaces around it: write {spaced.strip()!r}.")
    tags = sorted(seen - {OUTSIDE})
    letters = set(map(_letter, tags))
    if letters and letters <= {"B", "I"}:
        return _bio_or_iob1(rows, split)
    fitting = [scheme for scheme, of_scheme in LETTERS.items() if letters and letters <= set(of_scheme)]
    wrong = list(_broken(rows, fitting[0])) if fitting else []
    # S-PER beside O belongs to a scheme. S-Bahn and E-Mail, without O and without B, I or M, are plain tags.
    others = sum(tag != OUTSIDE and not of_span(tag) for row in rows for tag in row)
    if fitting and not wrong and (letters & {"B", "I", "M"} or OUTSIDE in seen):
        return fitting[0]
    mostly = fitting and OUTSIDE in seen and 2 * len(wrong) < others
    if not (is_bio(tags) or mostly):
        _check_nearly(tags, OUTSIDE in seen, name)
        return None
    if fitting and len(wrong) <= others:
        raise DataError(_advice(*wrong[0], fitting[0], split))
    raise _strange(rows, tags, {"BIO": ("B", "I"), **({} if fitting else LETTERS)}, name, split)


def converted(rows: Rows, scheme: str | None, split: str) -> tuple[list[list[str]], int]:
    """Return the tags converted to BIO, and the number of rows that begin inside a span.

    A row that is a part of a longer text may begin inside a span; there the span is read as beginning. For IOB1 and for
    tags without spans the number is 0.

    Args:
        rows: Tags of each row.
        scheme: Scheme that [`find_scheme`] returned. Wrong BIO tags stay as they are, except for the first of a row.
        split: Name of the split, for errors.

    Raises:
        DataError: The spans break a scheme of `LETTERS`.
    """
    if scheme is None:
        return [list(row) for row in rows], 0
    if scheme in LETTERS:
        wrong = next(_broken(rows, scheme), None)
        if wrong is not None:
            raise DataError(_advice(*wrong, scheme, split))
        of_scheme = set(LETTERS[scheme])
        rows = [[_bio_tag(tag) if _letter(tag) in of_scheme else tag for tag in row] for row in rows]
    if scheme == "IOB1":
        return [begun(row) for row in rows], 0
    return [[*begun(row[:1]), *row[1:]] for row in rows], sum(row[:1] != begun(row[:1]) for row in rows)


def _bio_tag(tag: str) -> str:
    return _AS_BIO.get(tag[0], tag[0]) + tag[1:]


def _bio_or_iob1(rows: Rows, split: str) -> str:
    """Return IOB1 if all spans fit it and some begin with `I-`; otherwise return BIO.

    Raise [`DataError`] if fewer tags break IOB1 than BIO. An `I-` at the first word of a row does not count as breaking
    BIO, because the row may be a part of a longer text.
    """
    not_bio = first_inside = not_iob1 = 0
    misplaced = None
    for number, row in enumerate(rows):
        for place, (before, tag) in enumerate(zip([OUTSIDE, *row], row, strict=False)):
            if tag.startswith("I-") and not goes_on(tag, before):
                not_bio += place > 0
                first_inside += place == 0
            elif tag.startswith("B-") and not (of_span(before) and kind_of(before) == kind_of(tag)):
                not_iob1 += 1
                misplaced = misplaced or (number, place, tag, before)
    if misplaced is None:
        return "IOB1" if not_bio or first_inside else "BIO"
    if not_bio > not_iob1:
        number, place, tag, before = misplaced
        raise DataError(
            f"row {number} of the split {split!r} has the tag {tag!r} at its word {place}, after {before!r}, but most "
            "spans begin with I-, as in the scheme IOB1, where B- comes only right after a span of the same kind: "
            f"write I-{tag[2:]} there, or begin all spans with B-."
        )
    return "BIO"


def _broken(rows: Rows, scheme: str) -> Iterator[tuple[int, int, str, str, str]]:
    """Yield each place where a span breaks a scheme of `LETTERS`: row, word, tag, its neighbor and the tag to write."""
    begins, inside, ends, alone = LETTERS[scheme]
    for number, row in enumerate(rows):
        for place, (before, tag) in enumerate(zip([OUTSIDE, *row], row, strict=False)):
            is_open = _letter(before) in (begins, inside)
            on = _letter(tag) in (inside, ends)
            if on and place and not (is_open and before[2:] == tag[2:]):
                yield number, place, tag, f"after {before!r}", f"{begins if tag[0] == inside else alone}-{tag[2:]}"
            elif is_open and not on:
                end = alone if before[0] == begins else ends
                yield number, place - 1, before, f"before {tag!r}", f"{end}-{before[2:]}"


def _advice(number: int, place: int, tag: str, beside: str, better: str, scheme: str, split: str) -> str:
    begins, inside, ends, alone = LETTERS[scheme]
    return (
        f"row {number} of the split {split!r} has the tag {tag!r} at its word {place}, {beside}: in the scheme "
        f"{scheme} a span of several words is {begins}-, {inside}-, {ends}-, and one of a single word is {alone}-: "
        f"write {better} there, or all tags in BIO."
    )


def _check_nearly(tags: list[str], outside: bool, name: str) -> None:
    """Raise [`DataError`] for tags such as b-per or B_PER, which are almost BIO; warn of a bare B beside O."""
    bare = next((tag for tag in tags if tag.upper() in ("B-", "I-")), None)
    if bare is not None:
        raise DataError(
            f"the tag {bare!r} of {name!r} does not name the kind of its span: write {bare.upper()}KIND, such as "
            f"{bare.upper()}TERM where there is one kind, and O for words outside of all spans."
        )
    if outside and "B" in tags and set(tags) <= _ALL:
        logger.warning(
            f"the tags {', '.join(tags)} of {name!r} do not name the kinds of their spans and are used as tags of "
            "single words: for spans, write B-TERM and so on."
        )
    behind = [tag for tag in tags if len(tag) > 2 and tag[-2] in "-_" and tag[-1].upper() in _ALL]
    if outside and behind and behind == tags:
        raise DataError(
            f"the tag {behind[0]!r} of {name!r} has the letter of the scheme after its kind: write "
            f"{behind[0][-1].upper()}-{behind[0][:-2]}, and O for words outside of all spans."
        )
    outside = outside or not _NEARLY_OUTSIDE.isdisjoint(tags)
    lower = [tag for tag in tags if of_span(tag.upper())]
    if outside and not lower and tags:
        lower = [tag for tag in tags if _letter(tag.upper()) and not _letter(tag)]
    low = [tag for tag in tags if tag[1:2] == "_" and tag[2:] and tag[0].upper() in _ALL]
    nearly = lower or (low if outside and low == tags else [])
    if nearly:
        raise DataError(
            f"the tag {nearly[0]!r} of {name!r} is almost a tag of the BIO scheme: write "
            f"{nearly[0][0].upper()}-{nearly[0][2:]}, and O for words outside of all spans."
        )


def _strange(rows: Rows, tags: list[str], schemes: dict[str, tuple[str, ...]], name: str, split: str) -> DataError:
    """Return the error for tags that are not of the scheme of the other tags."""
    counts = Counter(tag for row in rows for tag in row)
    others = {of: [tag for tag in tags if _letter(tag) not in letters] for of, letters in schemes.items()}
    strays = {of: sum(map(counts.__getitem__, strange)) for of, strange in others.items()}
    nearest = [of for of, count in strays.items() if count == min(strays.values())]
    scheme = nearest[0] if all(others[of] == others[nearest[0]] for of in nearest) else "BIO"
    begins, inside = schemes[scheme][:2]
    tag = min(others[scheme], key=counts.__getitem__)
    row, place = next((number, row.index(tag)) for number, row in enumerate(rows) if tag in row)
    kind = tag[2:] if tag[1:2] == "-" else tag
    remedy = f"write {begins}-{kind} where a span begins, {inside}-{kind} where it goes on"
    if scheme != "BIO":
        remedy += f", {schemes[scheme][2]}-{kind} where it ends, {schemes[scheme][3]}-{kind} for one of a single word"
    remedy += ", and O elsewhere"
    if kind in _NEARLY_OUTSIDE or not any(map(str.isalpha, kind)):
        remedy = "write O for words outside of all spans"
    one = next(tag for tag in tags if _letter(tag) in schemes[scheme])
    return DataError(
        f"the tag {tag!r} of {name!r} is not in the {scheme} scheme, but {one!r} is: {remedy}. It is the tag of word "
        f"{place} of row {row} of the split {split!r}. (Whole data sets in IOB1, {', '.join(LETTERS)} are converted.)"
    )


__all__ = ["LETTERS", "converted", "find_scheme"]
