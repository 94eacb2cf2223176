# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Print tables and coloured text with rich on a terminal, and plain text if the output goes to a file or a pipe."""

import sys
from typing import Any


def print_metrics(metrics: dict[str, Any]) -> None:
    """Print the metrics of classes as a table: one class per line, one column per metric.

    Args:
        metrics: Values by names such as `f1/positive`; other names are left out.
    """
    classes: dict[str, dict[str, str]] = {}
    for name, value in metrics.items():
        metric, slash, label = name.partition("/")
        if slash:
            written = value if isinstance(value, str) else f"{value:.{0 if metric == 'support' else 4}f}"
            classes.setdefault(label, {})[metric] = written
    if not classes:
        return
    columns = list(dict.fromkeys(metric for values in classes.values() for metric in values))
    rows = [[label, *(values.get(metric, "") for metric in columns)] for label, values in classes.items()]
    if sys.stdout.isatty():
        _print_with_rich(columns, rows)
        return
    widths = [max(map(len, column)) for column in zip(["", *columns], *rows, strict=True)]
    for label, *values in [["", *columns], *rows]:
        cells = (value.rjust(width) for value, width in zip(values, widths[1:], strict=True))
        print(f"  {label:<{widths[0]}}  {'  '.join(cells)}")


def _print_with_rich(columns: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=True, padding=(0, 1))
    table.add_column(style="bold")
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def print_coloured(ansi: str) -> None:
    """Print a text with ANSI colours on a terminal; print nothing if the output has no colours.

    rich reads `NO_COLOR` and reduces the colours to those of the terminal.

    Args:
        ansi: Text with ANSI escape codes.
    """
    if not sys.stdout.isatty():
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    if console.color_system and not console.no_color:
        console.print(Text.from_ansi(ansi), soft_wrap=True)


__all__ = ["print_coloured", "print_metrics"]
