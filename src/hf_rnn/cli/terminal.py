# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Print tables and coloured text with rich on a terminal, and plain text if the output goes to a file or a pipe."""

import sys


def print_table(rows: dict[str, str]) -> None:
    """Print a table with one name and its value per line.

    Args:
        rows: Values by name.
    """
    if not sys.stdout.isatty():
        for name, value in rows.items():
            print(f"  {name:<30}{value}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, pad_edge=True, padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in rows.items():
        table.add_row(Text(name), Text(value))
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


__all__ = ["print_coloured", "print_table"]
