# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Detect the delimiter, quotes, escapes and header of a CSV or TSV file, and read its records exactly.

Rules of the format: A record ends with a line feed and any carriage returns before it. In a file without line feeds, a
carriage return ends it. A field that begins with the quote character is quoted. It ends at the next quote that is not
doubled, and a delimiter or the end of the record must follow. In other fields, a quote or a single carriage return is
an ordinary character. Blank lines are skipped. Without a setting, the first row is a header if it has a known column
name, or a field unlike its column in form. It is data if a field occurs again in its column, or has the column's form.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ..utils.errors import DataError
from .arguments import DataArguments
from .encodings import Utf8Stream, contains, ending_of

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
# Records that choose the dialect, records that the sample should hold, and its first and its largest size in bytes.
RECORDS, FEW, SAMPLE, MOST = 500, 100, 1 << 17, 1 << 24
DEFAULT = ","  # Delimiter of a file with one column.
# Letters of scripts without spaces between words: Thai, Lao, Burmese, Khmer, Japanese and Chinese.
UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af]"
)
# Combining characters, such as accents and Indic vowel signs. They belong to words, but \w of Python excludes them.
MARKS = "".join(chr(n) for n in range(0x300, 0x20000) if unicodedata.category(chr(n)) in ("Mn", "Mc"))
_LETTERS = rf"[^\W{UNSPACED.pattern[1:-1]}]"
# A word, a punctuation mark, or a character of a script without spaces.
WORD = re.compile(rf"{UNSPACED.pattern}|{_LETTERS}+(?:[{MARKS}]+{_LETTERS}*)*|[^\w\s]")
_NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*%?\s*")


@dataclass(frozen=True)
class Dialect:
    """ASCII characters that separate and quote the fields and records of a file.

    Args:
        delimiter: Character between two fields.
        quote: Character around a quoted field; "" if no field is quoted.
        escape: Character before a literal quote, delimiter or escape character; "" for none.
        header: True if the first record holds the column names.
        line_end: Line feed, or carriage return for a file without line feeds.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    header: bool = True
    line_end: str = "\n"

    def __str__(self) -> str:
        parts = [f"delimiter {DELIMITERS.get(self.delimiter, repr(self.delimiter))}"]
        parts.append(f"quotes {self.quote}" if self.quote else "no quotes")
        parts += [f"escapes {self.escape}"] if self.escape else []
        parts.append("first row is the header" if self.header else "no header")
        return " · ".join(parts)


class Record(NamedTuple):
    """Record of a delimited file.

    `fields` is None if the quotes are broken. `start` and `end` are the byte offsets of the record and of the next one.
    `raw` holds the bytes of the record as in the file, without the line end.
    """

    fields: list[bytes] | None
    start: int
    end: int
    raw: bytes


class ExactReader:
    """Slow and simple reader of records, field by field, by the rules in the docstring of this module.

    Args:
        dialect: Dialect of the file; `header` is not read.
    """

    def __init__(self, dialect: Dialect):
        delimiter, quote, escape = (re.escape(c).encode() for c in (dialect.delimiter, dialect.quote, dialect.escape))
        line, alone = (rb"\r*\n", [rb"\r(?!\r*\n)"]) if dialect.line_end == "\n" else (rb"\r", [])
        end = line + rb"|\r+\Z"
        # Runs of ordinary characters between special ones let a field that does not match fail in linear time.
        run = rb"[^\r%s%s%s]*" % (b"\n" if alone else b"", delimiter, escape)
        special = b"|".join([*alone, *([rb"%s(?:[^\r\n]|(?=[\r\n])|\Z)" % escape] if escape else [])])
        self.plain = re.compile(rb"%s(?:(?:%s)%s)*" % (run, special, run) if special else run)
        run, either = rb"[^%s%s]*" % (quote, escape), quote + quote + (rb"|%s." % escape if escape else b"")
        inside = rb"%s(%s(?:(?:%s)%s)*)" % (quote, run, either, run)
        self.quoted = re.compile(rb"%s%s(?=%s|%s|\Z)" % (inside, quote, delimiter, end), re.DOTALL) if quote else None
        self.unclosed = re.compile(rb"%s%s\Z" % (inside, escape + b"?" * bool(escape)), re.DOTALL) if quote else None
        self.escaped = re.compile(rb"%s([%s%s%s])" % (escape, escape, quote, delimiter)) if escape else None
        self.line, self.end = re.compile(line), re.compile(end)
        self.delimiter, self.quote = dialect.delimiter.encode(), dialect.quote.encode()

    def records(self, data: bytes, final: bool) -> Iterator[Record]:
        """Yield the records in some bytes without blank lines. A line of white space is a record of one field.

        Args:
            data: Bytes that begin with a record.
            final: True if the file ends with these bytes; if False, a record that may continue is not yielded.
        """
        place = 0
        while place < len(data):
            fields, end = self._fields(data, place)
            ending = self.line.search(data, place) if fields is None else self.end.match(data, end)
            # A line with broken quotes may continue, and a final carriage return may be the first half of a line end.
            if not final and (ending is None or not data[end:].strip(b"\r")):
                return
            # After broken quotes, reading continues at the next line.
            stop, next_place = (ending.start(), ending.end()) if ending else (len(data), len(data))
            if fields is None or stop > place:
                yield Record(fields, place, next_place, data[place:stop])
            place = next_place

    def _fields(self, data: bytes, place: int) -> tuple[list[bytes] | None, int]:
        """Return the fields of a record and the offset after them; None for broken quotes.

        With None, the offset is the end of the data if later data may close the quotes, and else that of the quote.
        """
        fields = []
        while True:
            if self.quoted is not None and data.startswith(self.quote, place):
                field = self.quoted.match(data, place)
                if field is None:
                    return None, len(data) if self.unclosed.match(data, place) else place  # type: ignore[union-attr]
                value = field[1].replace(self.quote * 2, self.quote)
            else:
                field = self.plain.match(data, place)
                value = field[0]  # type: ignore[index]
            fields.append(value if self.escaped is None else self.escaped.sub(rb"\1", value))
            place = field.end()  # type: ignore[union-attr]
            if not data.startswith(self.delimiter, place):
                return fields, place
            place += 1


def lines_in(raw: bytes) -> int:
    """Return the number of line feeds in the bytes `raw`, or of carriage returns if there are no line feeds."""
    return raw.count(b"\n") or raw.count(b"\r")


def find_dialect(file: Path, stream: Utf8Stream, data: DataArguments, known: Collection[str]) -> Dialect:
    """Return the dialect of a file: the given settings, and for the others the best fit to the first records.

    A delimiter must occur in the first record, and fits if all records have the same number of fields. Files with tabs
    have no quotes, unless only quotes fit or all fields of the first record are quoted.

    Args:
        file: Path of the file; used in errors. The extension .tsv means tabs.
        stream: Bytes of the file as UTF-8, from the beginning.
        data: Settings; `delimiter`, `quotechar`, `escapechar` and `header` are read.
        known: Column names that mark a row as a header.

    Raises:
        DataError: The file is empty, several dialects fit, or it is unclear if the first row is a header.
    """
    sample, more, known = b"", b"-", {name.lower() for name in known}
    reader = ExactReader(Dialect())
    while more and len(sample) < MOST and lines_in(sample) < 20 * FEW:
        more = stream.read(max(SAMPLE, 3 * len(sample)))
        sample += more
        if len(list(islice(reader.records(sample, final=False), FEW))) == FEW:
            break
    line_end = "\r" if b"\r" in sample and b"\n" not in sample else "\n"
    tried = [_Trial(replace(each, line_end=line_end), sample, not more) for each in _candidates(file, data, sample)]
    tried = [trial for trial in tried if trial.first]
    if not tried:
        raise DataError(f"the file {str(file)!r} is empty.")
    chosen = _choose(file, tried, known)
    if chosen.dialect.quote and data.escapechar is None and _has_escapes(stream, chosen, sample):
        chosen = _Trial(replace(chosen.dialect, escape="\\"), sample, not more)
    line = chosen.records[0].raw.strip()
    if re.fullmatch(rb"sep=[ -~]?", line):
        raise DataError(
            f"{str(file)!r} begins with {line.decode()!r}, which is for Excel and not a row: delete that line; the "
            "delimiter is detected without it."
        )
    if (
        ending_of(file) == ".tsv"
        and not data.delimiter
        and len(chosen.first) == 1
        and re.search(rb"[,;|]", chosen.first[0])
    ):
        raise DataError(
            f"{str(file)!r} is a .tsv file, but its first row, {line[:60].decode('utf-8', 'replace')!r}, has no tab: "
            "write data.delimiter='comma' or another delimiter, or data.delimiter='tab' if the file has one column."
        )
    header = data.header if data.header is not None else has_header(file, chosen.rows(), known)
    return replace(chosen.dialect, header=header)


def _candidates(file: Path, data: DataArguments, sample: bytes) -> list[Dialect]:
    """Return the possible dialects of a file, more likely ones first."""
    may_escape = data.escapechar is None and b"\\" in sample
    delimiters = [data.delimiter] if data.delimiter else ["\t"] if ending_of(file) == ".tsv" else list(DELIMITERS)
    delimiters = [delimiter for delimiter in delimiters if delimiter != data.quotechar]
    found = []
    for delimiter in delimiters:
        quotes = ["", '"'] if delimiter == "\t" else ['"']
        for quote in quotes if data.quotechar is None else [data.quotechar]:
            escapes = ["", "\\"] if quote and may_escape else [data.escapechar or ""]
            found += [Dialect(delimiter, quote, escape) for escape in escapes]
    return found


class _Trial:
    """First records of a file, read with one dialect."""

    def __init__(self, dialect: Dialect, sample: bytes, final: bool):
        self.dialect = dialect
        records = ExactReader(dialect).records(sample, final)
        self.records = list(islice(records, 1))
        # There is no record if the sample does not close the first quote.
        self.first = self.records[0].fields or [b""] if self.records else []
        if len(self.first) > 1 or dialect.delimiter == DEFAULT:
            # Any other delimiter must occur in the first record.
            self.records += islice(records, RECORDS)

    @property
    def share(self) -> float:
        """The share of records with as many fields as the first one; blank records are skipped if it has several."""
        counts = [len(record.fields or ()) for record in self.records if len(self.first) == 1 or record.raw.strip()]
        return sum(count == len(self.first) for count in counts) / max(1, len(counts))

    def rows(self) -> list[list[str]]:
        """Return the records that have as many fields as the first one, as strings."""
        whole = (record.fields for record in self.records if record.fields is not None)
        return [[f.decode("utf-8", "replace") for f in fields] for fields in whole if len(fields) == len(self.first)]

    def has_name(self, known: Collection[str]) -> bool:
        """Return whether a field of the first record is a known column name."""
        return any(name.decode("utf-8", "replace").strip().lower() in known for name in self.first)


def _choose(file: Path, tried: list[_Trial], known: Collection[str]) -> _Trial:
    by_delimiter: dict[str, list[_Trial]] = {}
    for trial in tried:
        by_delimiter.setdefault(trial.dialect.delimiter, []).append(trial)
    best = [_best_quotes(trials) for trials in by_delimiter.values()]
    parting = [trial for trial in best if len(trial.first) > 1]
    if not parting:
        return best[0]

    def fit(trial: _Trial) -> tuple[bool, bool, float]:
        return trial.share == 1, trial.has_name(known), trial.share

    parting.sort(key=fit, reverse=True)
    if len(parting) > 1 and fit(parting[0]) == fit(parting[1]):
        first, second = (DELIMITERS.get(trial.dialect.delimiter, trial.dialect.delimiter) for trial in parting[:2])
        raise DataError(
            f"the fields of {str(file)!r} may be separated by {first} or {second}: write data.delimiter={first!r}, "
            f"or data.delimiter={second!r}."
        )
    return parting[0]


def _best_quotes(trials: list[_Trial]) -> _Trial:
    """Return the first trial with the best share; the one with quotes, if it fits and all header names are quoted."""
    best = max(trials, key=lambda trial: trial.share)
    for trial in trials:
        quote = trial.dialect.quote.encode()
        if quote and not best.dialect.quote and trial.share == 1:
            # Programs that quote the header names quote all text fields.
            quoted = [len(name) > 1 and name[:1] == name[-1:] == quote for name in best.first]
            return trial if all(quoted) else best
    return best


def _has_escapes(stream: Utf8Stream, chosen: _Trial, sample: bytes) -> bool:
    """Return whether the first part of the file has a record that fits only if a backslash escapes quotes."""
    if chosen.dialect.escape:
        return True
    escaped = b"\\" + chosen.dialect.quote.encode()
    if escaped not in sample and not contains(stream.file, escaped, MOST):
        return False
    with Utf8Stream(stream.file, stream.encoding) as again:
        part = again.read(MOST)
    readers = [ExactReader(dialect) for dialect in (chosen.dialect, replace(chosen.dialect, escape="\\"))]
    place = 0
    for record in readers[0].records(part, final=False):
        if escaped in record.raw and len(record.fields or ()) != len(chosen.first):
            whole = next(readers[1].records(part[place:], final=True), None)
            return whole is not None and len(whole.fields or ()) == len(chosen.first)
        place = record.end
    return False


def has_header(file: Path, rows: list[list[str]], known: Collection[str]) -> bool:
    """Return whether the first row holds the column names, by the rules in the docstring of this module.

    Args:
        file: File of the rows; used in errors.
        rows: First rows of the file, as strings.
        known: Column names that mark a row as a header, in lower case.

    Raises:
        DataError: The fields contradict each other or hold undecided phrases, or a title stands above the header.
    """
    first, rest = [field.strip() for field in rows[0]], rows[1:]
    second = {field.strip().lower() for field in rest[0]} if rest else set()
    if sum(map(bool, first)) == 1 < len(first) and "" not in second and second & set(known):
        raise DataError(
            f"{str(file)!r} begins with {next(filter(None, first))[:60]!r}, a title above the names of the columns, "
            f"{', '.join(rest[0])[:80]}: delete all lines above them."
        )
    columns = [[row[place].strip() for row in rest] for place in range(len(first))]
    columns = [[value for value in column if value] for column in columns]
    names = [field.lower() in known for field in first]
    again = [bool(f) and f in column for f, column in zip(first, columns, strict=True)]
    labels = [4 <= 2 * len(set(column)) <= len(column) for column in columns]
    comes_again = [3 * len(set(column)) <= 2 * len(column) or len(column) <= 10 for column in columns]
    a_label_again = any(all(each) for each in zip(names, again, comes_again, strict=True))
    if any(names) and (sum(names) > 1 or not a_label_again):
        return True
    forms = [_common_form(column) for column in columns]
    alike = [
        bool(f) and form is not None and _form(f) == form and _letters(f) in {"", *map(_letters, column)}
        for f, form, column in zip(first, forms, columns, strict=True)
    ]
    classes = [
        each and form is None and min(Counter(column).values()) > 1
        for each, form, column in zip(labels, forms, columns, strict=True)
    ]
    strange = next((f for f, each, seen in zip(first, classes, again, strict=True) if f and each and not seen), None)
    like_the_others = next((f for f, *ways in zip(first, again, alike, strict=True) if any(ways)), None)
    a_class_again = any(all(each) for each in zip(classes, again, strict=True))
    if like_the_others is not None and strange is not None and not a_class_again:
        raise DataError(
            f"the first row of {str(file)!r} may be a header or a row: {like_the_others[:60]!r} is like the fields "
            f"below it, but {strange[:60]!r} does not occur again in its column. Write data.header=True, or "
            "data.header=False."
        )
    if like_the_others is not None:
        return False
    if any(f and form is not None for f, form in zip(first, forms, strict=True)):
        return True
    long = next((f for f in first if _words(f) > 3 or len(f) > 40), None)
    if long and not any(labels):
        return False
    words = long or next((f for f in first if _words(f) > 1.5 and " " in f), None)
    if words is not None:
        raise DataError(
            f"the first row of {str(file)!r} may be a header or a row, because {words[:60]!r} may be a column name or "
            "a text: write data.header=True, or data.header=False."
        )
    return True


def names_of(file: Path, first: Sequence[str] | None, width: int) -> list[str]:
    """Return the column names; an empty or missing name becomes `column_1`, `column_2`, ….

    Args:
        file: File of the columns; used in errors.
        first: Fields of the header; None for a file without a header.
        width: Number of columns.

    Raises:
        DataError: Two columns have the same name.
    """
    names = [name.strip() or f"column_{number}" for number, name in enumerate(first or [""] * width, 1)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(
            f"{str(file)!r} has several columns called {twice!r} ({', '.join(names)}): give each its own name; if the "
            "first row is no header, write data.header=False."
        )
    return names


def _form(field: str) -> str:
    """Return "number", or the field with each run of digits as 9 and each run of letters as a."""
    return "number" if _NUMBER.fullmatch(field) else re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", field))


def _letters(field: str) -> str:
    return re.sub(r"[\W\d_]+", " ", field)


def _common_form(column: list[str]) -> str | None:
    """Return the form that all fields of a column share if it has digits (numbers, dates, keys); else None."""
    form = _form(column[0]) if column else ""
    return form if (form == "number" or "9" in form) and all(_form(value) == form for value in column) else None


def _words(field: str) -> float:
    """Return the number of words of a field; a character of a script without spaces counts half a word."""
    unspaced = len(UNSPACED.findall(field))
    return unspaced / 2 if unspaced else len(field.split())


__all__ = ["Dialect", "ExactReader", "Record", "find_dialect", "has_header", "lines_in", "names_of"]
