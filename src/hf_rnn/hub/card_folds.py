# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Results of a cross-validation, for the terminal and for the model card."""

from collections.abc import Callable
from typing import Any

from .card_words import METRICS, clean, escape, figure

# Share of suspected labels above which many are likely to be errors of the models.
_MANY = 0.2


def folds_text(facts: dict) -> str:
    """Return the results of a cross-validation for the terminal: a table, and the suspected label errors.

    Args:
        facts: Section `cross_validation` of metrics.json.
    """
    header, *rows = _table(facts)
    widths = [max(len(row[place]) for row in (header, *rows)) for place in range(len(header))]
    lines = ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in (header, *rows)]
    lines = ["cross-validation", *lines]
    errors = facts.get("label_errors")
    if errors:
        lines.append(
            f"{_suspected(errors, facts)} The first of them:" if errors["first"] else _suspected(errors, facts)
        )
        lines += [f"  {_example(row, lambda text: repr(clean(text)))}" for row in errors["first"]]
    return "\n".join(lines)


def folds_section(facts: dict) -> dict[str, Any] | None:
    """Return the parts of a cross-validation for the template of the model card; None without a cross-validation.

    Args:
        facts: Contents of metrics.json.
    """
    found = facts.get("cross_validation")
    if not found:
        return None
    groups = f", with the rows of each {escape(found['group_column'])} in one fold" if found["group_column"] else ""
    header, *rows = _table(found)
    errors = found.get("label_errors")
    return {
        "sentence": f"{len(found['folds'])} folds of {found['rows']:,} rows "
        f"({' and '.join(map(escape, found['splits']))}{groups}). Each fold was answered by a model that was trained "
        "on the rows of the other folds, with the settings of this one. ± is the standard deviation over folds.",
        "header": header,
        "rows": rows,
        "errors": None if errors is None else _suspected(errors, found),
        "examples": [_example(row, lambda text: f"“{escape(text)}”") for row in errors["first"]] if errors else [],
    }


def _table(facts: dict) -> list[list[str]]:
    """Return the header and the rows of the table: each fold, the mean and the standard deviation of each metric."""
    names = [name for name in facts["measures"] if name in facts["mean"]]
    rows = [(f"{number}", f"{fold['rows']:,}", fold["metrics"]) for number, fold in enumerate(facts["folds"], 1)]
    rows += [("mean", "", facts["mean"]), ("±", "", facts["std"])]
    return [
        ["fold", "rows", *(METRICS[name][0] for name in names)],
        *([fold, count, *(figure(name, values[name]) for name in names)] for fold, count, values in rows),
    ]


def _suspected(errors: dict, facts: dict) -> str:
    share = f"{errors['rows']:,} of {facts['rows']:,} labels"
    if not errors["rows"]:
        return f"None of the {facts['rows']:,} labels is suspected to be wrong."
    are = "is" if errors["rows"] == 1 else "are"
    text = f"{share} {are} suspected to be wrong; label_errors.csv in the folder of the run lists the rows."
    if errors["rows"] > _MANY * facts["rows"]:
        text += " Most of so many may be errors of the models."
    return text


def _example(row: dict[str, str], quote: Callable[[object], str]) -> str:
    texts = [quote(row[name]) for name in ("text", "text_pair") if name in row]
    labels = f"{quote(row['label'] or 'no label')}, suggested {quote(row['suggested'] or 'no label')}"
    return f"{row['row']}: {labels} ({row['confidence']})" + (f": {' / '.join(texts)}" if texts else "")


__all__ = ["folds_section", "folds_text"]
