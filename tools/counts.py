"""Count long files and functions, complex functions, undocumented arguments and upward imports of the package.

Prints the counts as Markdown. `--names` also lists what was counted, `--write` writes the counts into docs/design.md,
and `--check` fails if a count is above its limit in [`LIMITS`].
"""

import argparse
import ast
import inspect
import io
import json
import re
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import docstring_parser
import grimp
from importlinter.api import read_configuration
from proofs import ROOT, table, write

from hf_rnn.tasks.base import Task

SOURCE = ROOT / "src" / "hf_rnn"
DESIGN = ROOT / "docs" / "design.md"
TASKS = f"{Task.__module__.rpartition('.')[0]}."
LINES_OF_A_FILE, LINES_OF_A_FUNCTION, COMPLEXITY = 400, 60, 15
# Maximum counts for `--check`. Lower a limit whenever its count falls.
LIMITS = {
    "files": 0,
    "functions": 1,
    "complexity": 0,
    "arguments": 0,
    "fragments": 0,
    "upward": 0,
}


def long_files() -> Iterator[str]:
    """Yield the files with more than `LINES_OF_A_FILE` lines."""
    for file in _files():
        lines = len(file.read_text(encoding="utf-8").splitlines())
        if lines > LINES_OF_A_FILE:
            yield f"{file.relative_to(ROOT)}: {lines} lines"


def long_functions() -> Iterator[str]:
    """Yield the functions with more than `LINES_OF_A_FUNCTION` lines, decorators included, the docstring left out."""
    for file in _files():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = node.body[0]
                told = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(node) else 0
                lines = (node.end_lineno or 0) - node.lineno + 1 - told
                if lines > LINES_OF_A_FUNCTION:
                    yield f"{file.relative_to(ROOT)}:{node.lineno}: {node.name}: {lines} lines"


def complex_functions() -> Iterator[str]:
    """Yield the functions whose cyclomatic complexity is more than `COMPLEXITY`, as ruff's rule C901 counts it."""
    limit = f"lint.mccabe.max-complexity={COMPLEXITY}"
    options = ["--isolated", "--select", "C901", "--config", limit, "--output-format", "json", "--exit-zero", "--quiet"]
    ruff = [sys.executable, "-m", "ruff", "check", *options, str(SOURCE)]
    for found in json.loads(subprocess.run(ruff, check=True, capture_output=True, text=True).stdout):
        yield f"{Path(found['filename']).relative_to(ROOT)}:{found['location']['row']}: {found['message']}"


def undocumented_arguments() -> Iterator[str]:
    """Yield the public callables with arguments that their docstrings do not name.

    Functions and classes in their module's `__all__` are public, and so are methods of these classes without a leading
    underscore. Inherited and overridden methods may be documented in the base class, and methods of a task in the
    protocol of tasks. Arguments from a base class of another library are not counted.
    """
    for file in _files():
        # Modules without public names are not imported, because some of them run a command.
        if "\n__all__" not in file.read_text(encoding="utf-8"):
            continue
        module = import_module(_module(file))
        for name in module.__all__:
            value = getattr(module, name)
            if getattr(value, "__module__", None) == module.__name__ and callable(value):
                for called, missing in _undocumented(name, value):
                    if missing:
                        yield f"{file.relative_to(ROOT)}: {called}: {', '.join(sorted(missing))}"


def _undocumented(name: str, value: Any) -> Iterator[tuple[str, set[str]]]:
    """Yield pairs (name, undocumented arguments) for a function, or for the constructor and methods of a class."""
    if not inspect.isclass(value):
        yield name, _arguments(value) - _documented(value.__doc__)
        return
    bases = [base for base in value.__mro__ if base is not object]
    # Tasks implement the protocol without inheriting from it.
    protocols = [each for each in Task.__mro__ if _is_ours(each)] if value.__module__.startswith(TASKS) else []
    if "__init__" in vars(value):
        known = [_documented(base.__doc__) | _documented(base.__init__.__doc__) for base in bases if _is_ours(base)]
        known += [_arguments(base.__init__) for base in bases if not _is_ours(base)]
        yield name, _arguments(value.__init__).difference(*known)
    for method, member in vars(value).items():
        function = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
        if method.startswith("_") or not inspect.isfunction(function):
            continue
        defining = [base for base in bases if method in vars(base)]
        if all(map(_is_ours, defining)):
            told = [each for each in (*bases, *protocols) if method in vars(each)]
            known = [_documented(getattr(each, method).__doc__) for each in told]
            yield f"{name}.{method}", _arguments(function).difference(*known)


def _is_ours(cls: type) -> bool:
    """Return True if the class belongs to the package."""
    return cls.__module__.partition(".")[0] == SOURCE.name


def _arguments(function: Callable[..., Any]) -> set[str]:
    """Return the public arguments of a function, without self and cls."""
    names = inspect.signature(function).parameters
    return {name for name in names if name not in ("self", "cls") and not name.startswith("_")}


def _documented(docstring: str | None) -> set[str]:
    """Return the arguments that a docstring names; one entry may name several, such as `source, target: …`."""
    names = [argument.arg_name for argument in docstring_parser.google.parse(docstring).params]
    in_entries = {part.strip().lstrip("*") for name in names for part in name.split(",")}
    return in_entries | set(re.findall(r"`(\w+)`", docstring or ""))


# A sentence that begins so has often no main clause.
_FRAGMENT = re.compile(r"(What|Whether|Of|Where|How|That|Those|Who|Whose)\b")


def fragments() -> Iterator[str]:
    """Yield the sentences of docstrings and the comments that begin as a fragment does, and not as a question."""
    for file in _python_files():
        text = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)):
                for sentence in re.split(r"(?<=[.:])\s+", (ast.get_docstring(node) or "").strip()):
                    if _FRAGMENT.match(sentence) and not sentence.endswith("?"):
                        yield f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}: {sentence[:60]}"
        before = 0
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                # The lines of one comment follow each other.
                if token.start[0] > before + 1 and _FRAGMENT.match(token.string.lstrip("# ")):
                    yield f"{file.relative_to(ROOT)}:{token.start[0]}: {token.string[:60]}"
                before = token.start[0]


def _python_files() -> Iterator[Path]:
    for folder in ("src", "tests", "benchmarks", "tools", "scripts"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def upward_imports() -> Iterator[str]:
    """Yield the imports of a module from a layer above its own, `TYPE_CHECKING` imports included."""
    order = {name: row for row, names in enumerate(_layers()) for name in names}

    def layer(module: str) -> str | None:
        return next((name for name in order if module == name or module.startswith(f"{name}.")), None)

    graph = grimp.build_graph("hf_rnn", cache_dir=None)
    for importer in sorted(graph.modules):
        for imported in sorted(graph.find_modules_directly_imported_by(importer)):
            low, high = layer(importer), layer(imported)
            # Layers in the same line of the list are independent of each other, so any import between them counts.
            if low and high and low != high and order[high] <= order[low]:
                yield f"{importer} imports {imported}"


def _layers() -> list[list[str]]:
    """Return the layers of import-linter's contract in pyproject.toml, the highest first."""
    contracts = read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
    (lines,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [line.split(" | ") for line in lines]


def _files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def _module(file: Path) -> str:
    return ".".join(file.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")


# Each kind that is counted, with its description and the function that finds it.
KINDS: dict[str, tuple[str, Callable[[], Iterator[str]]]] = {
    "files": (f"files over {LINES_OF_A_FILE} lines", long_files),
    "functions": (f"functions over {LINES_OF_A_FUNCTION} lines", long_functions),
    "complexity": (f"functions of a complexity over {COMPLEXITY}", complex_functions),
    "arguments": ("public callables with undocumented arguments", undocumented_arguments),
    "fragments": ("sentences of docstrings and comments that begin as fragments", fragments),
    "upward": ("imports from a layer above", upward_imports),
}


def modules_per_layer() -> list[list]:
    """Return a row `[layer, modules]` for each layer, the highest first; `__init__.py` files are not counted."""
    rows = []
    for name in [name for names in _layers() for name in names]:
        place = SOURCE.joinpath(*name.split(".")[1:])
        files = [file for file in place.rglob("*.py") if file.name != "__init__.py"]
        rows.append([f"`{name.partition('.')[2]}`", len(files) or 1])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", action="store_true", help="also print what was counted")
    parser.add_argument("--check", action="store_true", help="fail if a count is above its limit")
    parser.add_argument("--write", action="store_true", help="write the counts into docs/design.md")
    options = parser.parse_args()
    found = {kind: list(find()) for kind, (_, find) in KINDS.items()}
    counts = table(["counted", "number", "limit"], [[KINDS[k][0], len(found[k]), LIMITS[k]] for k in KINDS])
    text = f"{table(['layer', 'modules'], modules_per_layer())}\n\n{counts}"
    print(text)
    over = [kind for kind in KINDS if len(found[kind]) > LIMITS[kind]]
    for kind in KINDS if options.names else over if options.check else ():
        print("\n".join([f"\n{KINDS[kind][0]}:", *found[kind]]))
    if options.write:
        write("counts", text, file=DESIGN, measured=False)
    if options.check and over:
        sys.exit(f"\nabove the limits of tools/counts.py: {', '.join(KINDS[kind][0] for kind in over)}.")


if __name__ == "__main__":
    main()
