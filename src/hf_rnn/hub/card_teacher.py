# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Comparison of a student with its teachers, for the terminal and for the model card."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .card_words import METRICS, clean, escape, figure


def teacher_text(found: dict) -> str:
    """Return the comparison for the terminal: a table, and a sentence about the rows that differ.

    Args:
        found: Section `teacher` of metrics.json.
    """
    rows = [("", "teacher", "student"), *_rows(found)]
    width = max(len(row[0]) for row in rows)
    splits = " and ".join(f"{each['rows']:,} {split}" for split, each in found["scores"].items())
    lines = [f"teacher    {_names(found, clean)}, compared on {splits} rows"]
    lines += [f"{name:<{width}}  {theirs:>12}  {ours:>12}" for name, theirs, ours in rows]
    more = "" if _correlated(found) else " disagreements.csv in the folder of the run has the others."
    return "\n".join([*lines, f"- {_agreement(found)}{more}"])


def teacher_section(facts: dict) -> dict | None:
    """Return the comparison for the template of the model card; None for a model without a teacher.

    Args:
        facts: Contents of metrics.json.
    """
    found = facts.get("teacher")
    if not found:
        return None
    counts = ", ".join(f"{count:,} {origin}" for origin, count in found["rows"].items() if count)
    return {
        "names": _names(found, escape),
        "licenses": [
            f"{escape(_name(each['name']))}: {escape(each['license'] or 'unknown')}" for each in found["teachers"]
        ],
        "texts": counts,
        "rows": _rows(found),
        "agreement": _agreement(found),
    }


def _name(path: str) -> str:
    """Return the name of a folder without the folders above it; a Hub id or an address as it is."""
    return Path(path).name if Path(path).exists() else path


def _names(found: dict, quote: Callable[[object], str]) -> str:
    return ", ".join(quote(_name(each["name"])) for each in found["teachers"])


def _rows(found: dict) -> list[tuple[str, str, str]]:
    """Return the rows of the table: name, figure of the teacher, figure of the student."""
    metric, both = found["metric"], ("teacher", "student")
    rows: list[tuple[str, str, str]] = []
    for split, scores in found["scores"].items():
        theirs, ours = (figure(metric, scores[which][metric]) for which in both)
        rows.append((f"{METRICS[metric][0]}, {split}", theirs, ours))
    if "teacher" in found:
        theirs, ours = (f"{found[which]['parameters'] / 1e6:.3g} M" for which in both)
        rows.append(("parameters", theirs, ours))
        theirs, ours = (f"{found[which]['bytes'] / 1e6:.3g} MB" for which in both)
        rows.append(("size", theirs, ours))
    if "speed" in found:
        for name, words in (("texts_a_second", "texts a second"), ("milliseconds_for_one", "ms for one short text")):
            theirs, ours = (_short(found["speed"][which][name]) for which in both)
            rows.append((words, theirs, ours))
    return rows


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _correlated(found: dict) -> bool:
    """Return True for a regression."""
    return any("correlation" in scores for scores in found["scores"].values())


def _agreement(found: dict[str, Any]) -> str:
    split = "test" if "test" in found["scores"] else "validation"
    if _correlated(found):
        correlation = found["scores"][split]["correlation"]
        shown = "no correlation" if correlation is None else f"a correlation of {correlation:.3f}"
        return f"The values of student and teacher have {shown} on the {split} rows."
    unit = "words" if "words" in found["scores"][split] else "rows"
    return f"Student and teacher agree on {found['scores'][split]['agreement']:.1%} of the {split} {unit}."


__all__ = ["teacher_section", "teacher_text"]
