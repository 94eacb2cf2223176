"""Describe one break of the package by its code, so that comments, docstrings and the layout of lines do not matter."""

import ast
import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"#[^\n]*"
    r"|[rbfu]*(?P<quotes>\"\"\"|''').*?(?P=quotes)"
    r"|[rbfu]*\"(?:\\.|[^\"\\\n])*\"|[rbfu]*'(?:\\.|[^'\\\n])*'"
    r"|\w+|[^\w\s]",
    re.DOTALL | re.IGNORECASE,
)


def _tokens(code: str) -> list[tuple[str, int, int]]:
    """Return each token with its first and last position; no comments, and no comma before a closing bracket."""
    found: list[tuple[str, int, int]] = []
    for match in _TOKEN.finditer(code):
        token = match[0]
        if token.startswith("#"):
            continue
        if token in (")", "]", "}") and found and found[-1][0] == ",":
            found.pop()
        if token.endswith("'") and '"' not in token:
            token = token.replace("'", '"')
        found.append((token, match.start(), match.end()))
    return found


def _range_of(name: str, source: str) -> tuple[int, int]:
    """Return the first position and the one after the last of the class or function of a qualified name."""
    body, node = ast.parse(source).body, None
    for part in name.split("."):
        named = [n for n in body if isinstance(n, (ast.ClassDef, ast.FunctionDef)) and n.name == part]
        if len(named) != 1:
            raise ValueError(f"{len(named)} definitions of {name!r}, not one")
        node, body = named[0], named[0].body
    assert node is not None
    ends = [0]
    for line in source.splitlines(keepends=True):
        ends.append(ends[-1] + len(line))
    return ends[node.lineno - 1], ends[node.end_lineno or node.lineno]


@dataclass(frozen=True)
class Mutant:
    """One break of the package, and the tests that have to notice it.

    Args:
        name: the fault in words.
        file: the file that is broken, relative to `src/hf_rnn`.
        old: code that is there once. It is compared token by token: layout, comments and the kind of quotes are free.
        new: the code in its place; further lines keep the indentation that they have here.
        tests: file, folder or test for pytest, relative to the project, or "conformance".
        within: class or function, as in `Recurrence.forward`, outside of which `old` may stand too.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str
    within: str | None = None

    def apply(self, source: str) -> str:
        """Return the source with the break.

        Raises:
            ValueError: `old` is not there, or more than once.
        """
        first, last = (0, len(source)) if self.within is None else _range_of(self.within, source)
        tokens = [token for token in _tokens(source) if first <= token[1] < last]
        wanted = [token for token, *_ in _tokens(self.old)]
        texts = [token for token, *_ in tokens]
        places = [i for i in range(len(texts) - len(wanted) + 1) if texts[i : i + len(wanted)] == wanted]
        if len(places) != 1:
            where = self.file if self.within is None else f"{self.within} of {self.file}"
            raise ValueError(f"the mutant {self.name!r} finds its code {len(places)} times in {where}, not once")
        begin, end = tokens[places[0]][1], tokens[places[0] + len(wanted) - 1][2]
        return source[:begin] + self.new.strip() + source[end:]
