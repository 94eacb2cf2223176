"""Hooks of the documentation site (mkdocs.yml): pages of the repository's root, and the reference out of the code."""

from __future__ import annotations

import dataclasses
import html
import io
import os
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
# Pages that are files of the repository's root.
OF_ROOT = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "CODE_OF_CONDUCT.md": "code_of_conduct.md",
}
TITLES = {
    "models": "Models",
    "text": "Data and tokenizers",
    "tasks": "Tasks",
    "training": "Training",
    "inference": "Prediction",
    "interpret": "Explanation",
    "interchange": "Interchange",
    "hub": "Hub",
    "utils": "Errors",
}
CONFIGURATION, COMMANDS = "reference/configuration.md", "reference/commands.md"
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_EQUATION = re.compile(r'<div class="arithmatex">\\\[(.*?)\\\]</div>', re.DOTALL)
_CODE = re.compile(r"(```.*?```|`[^`]*`)", re.DOTALL)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are not files in docs/.

    Args:
        files: Files of the site.
        config: Configuration of mkdocs.
    """
    pages = {uri: (ROOT / name).read_text(encoding="utf-8") for name, uri in OF_ROOT.items()}
    for uri, content in {**pages, **reference(), CONFIGURATION: configuration(), COMMANDS: commands()}.items():
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Let links to files of the repository lead to their page, or to the repository.

    Args:
        markdown: Text of the page.
        page: The page.
        config: Configuration of mkdocs.
    """
    source = {uri: name for name, uri in OF_ROOT.items()}.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def link(match: re.Match) -> str:
        target, hash_, anchor = match[2].partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return match[0]
        path = os.path.normpath(os.path.join(os.path.dirname(source), target))
        if path in OF_ROOT or path.startswith("docs/"):
            uri = OF_ROOT.get(path, path.removeprefix("docs/"))
            new = os.path.relpath(uri, os.path.dirname(page.file.src_uri) or ".")
        elif (ROOT / path).exists():
            kind = "tree" if (ROOT / path).is_dir() else "blob"
            new = f"{config.repo_url}/{kind}/main/{path}"
        else:
            new = target
        return f"{match[1]}{new}{hash_}{anchor}{match[3]}"

    parts = _CODE.split(markdown)
    return "".join(part if number % 2 else _LINK.sub(link, part) for number, part in enumerate(parts))


def on_page_content(content: str, **_: Any) -> str:
    """Show references of docstrings, written as a name in brackets and backticks, as code; and equations as MathML.

    Args:
        content: HTML of the page.
    """
    content = _EQUATION.sub(lambda found: convert(html.unescape(found[1]), display="block"), content)
    return re.sub(r"\[<code>~?([\w.]+)</code>\]", lambda match: f"<code>{match[1].rpartition('.')[2]}</code>", content)


def public_names() -> dict[str, list[str]]:
    """Return the full names of all that `import hf_rnn` offers, by package."""
    import hf_rnn

    names: dict[str, list[str]] = {package: [] for package in TITLES}
    for name in hf_rnn.__all__:
        value = getattr(hf_rnn, name)
        if not name.startswith("__"):
            # Errors are defined in the package that has no other imports.
            is_error = isinstance(value, type) and issubclass(value, Exception)
            package = "utils" if is_error else value.__module__.split(".")[1]
            names[package].append(f"{value.__module__}.{value.__qualname__}")
    return names


def reference() -> dict[str, str]:
    """Return the pages of the reference, each with the public names of a package."""
    return {
        f"reference/{package}.md": "\n\n".join([f"# {TITLES[package]}", *(f"::: {name}" for name in sorted(names))])
        for package, names in public_names().items()
    }


def configuration() -> str:
    """Return the page of all keys of a run, from the parser of `hf-rnn train`."""
    from hf_rnn.training.run_config import SECTIONS, run_parser

    lines = [
        "# Configuration",
        "",
        "Keys of a run's YAML file, which are options of `hf-rnn train` too: `--training.learning_rate 1e-3`, or",
        "`--learning_rate 1e-3` where one section alone has the key. Keys of `training` that are not listed first come",
        "from transformers' `TrainingArguments`.",
    ]
    actions = {action.dest: action for action in run_parser()._actions}
    for section in ("", *SECTIONS):
        of_section = [key for key in actions if (key.partition(".")[0] if "." in key else "") == section]
        left_out = (*SECTIONS, "help", "config", "print_config", "print_shtab")
        keys = [key for key in of_section if key not in left_out and not key.endswith(".help")]
        if section == "training":
            from hf_rnn import RNNTrainingArguments

            own = [field.name for field in dataclasses.fields(RNNTrainingArguments)]
            ours = RNNTrainingArguments.__annotations__
            names = {key: key.split(".")[1] for key in keys}
            keys.sort(key=lambda key: (names[key] not in ours, own.index(names[key])))
        lines += ["", f"## {section or 'The run'}", "", "| key | default | |", "|---|---|---|"]
        lines += [f"| `{key}` | {_default(actions[key].default)} | {_cell(actions[key].help)} |" for key in keys]
    return "\n".join([*lines, ""])


def commands() -> str:
    """Return the page with the help of all commands."""
    from hf_rnn.cli.main import command_names

    lines = ["# Commands", ""]
    for name in ("", *command_names()):
        asked = [*([name] if name else []), "--help"]
        lines += [f"## hf-rnn {name}".rstrip(), "", "```text", _printed(asked).strip(), "```", ""]
    return "\n".join(lines)


def _printed(arguments: list[str]) -> str:
    """Return the output of a command."""
    from hf_rnn.cli.main import main

    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        with redirect_stdout(io.StringIO()) as printed:
            main(arguments)
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    return printed.getvalue()


def _default(value: Any) -> str:
    return "" if value is None or callable(value) else f"`{str(value).replace('|', '&#124;')}`"


def _cell(text: str | None) -> str:
    return html.escape(" ".join((text or "").split()), quote=False).replace("|", "&#124;")
