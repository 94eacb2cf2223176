"""Write the results of the long checks into their sections of docs/reliability.md."""

import os
import re
import shlex
import sys
from datetime import date
from pathlib import Path

from hf_rnn.utils.machine import hardware, versions

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"


def table(columns: list[str], rows: list[list]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def write(section: str, text: str, command: str | None = None, file: Path = PAGE, measured: bool = True) -> None:
    """Write a text between the marks of a section of the page, with the command and the date.

    Args:
        section: Name in the marks, `<!-- NAME -->` and `<!-- end of NAME -->`.
        text: Markdown text.
        command: Command that produced the text; the command line of this process if None.
        file: File of the page.
        measured: Add the hardware and the versions of packages, because the text depends on them.

    Raises:
        ValueError: The page has no such marks.
    """
    command = command or shlex.join(["python", os.path.relpath(sys.argv[0], ROOT), *sys.argv[1:]])
    parts = [f"`{command}`", date.today().isoformat()]
    if measured:
        parts += [hardware(), *(f"{name} {number}" for name, number in versions().items())]
    signed = f"{text}\n\n{' · '.join(parts)}"
    begin, end = f"<!-- {section} -->", f"<!-- end of {section} -->"
    page = file.read_text(encoding="utf-8")
    found = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not found.search(page):
        raise ValueError(f"{file} has no section {begin} … {end}: write both marks where its figures are to stand.")
    file.write_text(found.sub(lambda _: f"{begin}\n{signed}\n{end}", page), encoding="utf-8")
