# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Write the answers to the rows of a file as JSON Lines, CSV, TSV or Parquet."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..text.tables import collect, spelled, tables_of
from ..utils.errors import DataError, HfRnnError, first_line


def write_answers(parts: Sequence[Path], output: Path) -> None:
    """Write the answers of all parts into one file, which appears when it is whole.

    In CSV and TSV, the fields of an answer are columns such as `prediction.label`, and lists are JSON.

    Args:
        parts: JSON Lines files, in the order of their rows.
        output: File of the answers; its ending says its format, [`check_format`].
    """
    whole = output.with_name(output.name + ".part")
    _WRITERS[output.suffix.lower()](parts, whole)
    os.replace(whole, output)


def check_format(output: Path) -> None:
    """Check that answers can be written into a file.

    Args:
        output: File of the answers. One without an ending becomes JSON Lines.

    Raises:
        HfRnnError: The ending names no format that is written.
    """
    if output.suffix.lower() not in _WRITERS:
        endings = ", ".join(filter(None, _WRITERS))
        other = output.with_suffix(".csv")
        raise HfRnnError(
            f"answers are not written as {output.suffix!r}, only as {endings}: write output={str(other)!r}."
        )


def _rows(parts: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for part in parts:
        with part.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def _write_lines(parts: Sequence[Path], file: Path) -> None:
    with file.open("wb") as stream:
        for part in parts:
            with part.open("rb") as lines:
                shutil.copyfileobj(lines, stream)


def _write_csv(parts: Sequence[Path], file: Path, delimiter: str = ",") -> None:
    # Rows of JSON may lack columns that later ones have.
    names = list(dict.fromkeys(name for row in _rows(parts) for name in _flat(row)))
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names, delimiter=delimiter)
        writer.writeheader()
        writer.writerows(map(_flat, _rows(parts)))


def _write_tsv(parts: Sequence[Path], file: Path) -> None:
    _write_csv(parts, file, delimiter="\t")


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        inner = {f"{name}.{key}": each for key, each in value.items()} if isinstance(value, dict) else {name: value}
        for key, each in inner.items():
            flat[key] = spelled(each)
    return flat


def _write_parquet(parts: Sequence[Path], file: Path) -> None:
    try:
        collect(tables_of(_rows(parts))).to_parquet(str(file))
    except pa.ArrowException as error:
        raise DataError(
            f"the answers cannot be written as .parquet ({first_line(error)}): write output=FILE with another ending. "
            f"The answers are kept in {str(parts[0].parent)!r}."
        ) from error


_WRITERS: dict[str, Callable[[Sequence[Path], Path], None]] = {
    "": _write_lines,
    ".jsonl": _write_lines,
    ".csv": _write_csv,
    ".tsv": _write_tsv,
    ".parquet": _write_parquet,
}

__all__ = ["check_format", "write_answers"]
