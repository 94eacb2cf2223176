"""Description of one break of the package by its tokens, so that comments and the layout of lines do not matter."""

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
    """Return each token with its start and end; comments and commas before closing brackets are left out."""
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
    """Return the start and the end, in characters, of the class or function with a qualified name."""
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
    """Break of the package, with the tests that must fail because of it.

    Args:
        name: Description of the fault.
        file: File to break, relative to `src/hf_rnn`.
        old: Code to replace, which must occur once. It is compared token by token, so layout, comments and the kind of
            quotes do not matter.
        new: Code to write in its place. Further lines keep the indentation that they have here.
        tests: File, folder or test for pytest, relative to the project, or "conformance".
        within: Class or function to search, such as `Recurrence.forward`. None to search the whole file.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str
    within: str | None = None

    def apply(self, source: str) -> str:
        """Return the source with the break.

        Args:
            source: Source code of the file.

        Raises:
            ValueError: `old` does not occur exactly once.
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
