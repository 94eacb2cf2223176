# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Short forms of the command line of a training run: `train reviews.csv --learning_rate 1e-3 --config imdb`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path

from ..utils.errors import ConfigError, nearest
from .run_values import names_by_label

# Options that take no value.
FLAGS = ("-h", "--help", "--print_config")
# Sections whose keys are not written without the section: they have names of other sections too.
WITH_SECTION = ("teacher.", "distil.")
# Options whose values are names by label.
_NAMES = ("--teacher.label_map", "--teacher.columns")
PACKAGE = Path(__file__).parents[1]


def shipped_configs() -> dict[str, Path]:
    """Return the configurations that come with the package, by their names."""
    # A source tree has them beside `src`, and an installed wheel beside the package.
    tree = PACKAGE.parents[1]
    folder = tree / "configs" if (tree / "pyproject.toml").is_file() else PACKAGE.parent / "hf_rnn_configs"
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def written_out(arguments: list[str], keys: Collection[str]) -> list[str]:
    """Return a command line with its short forms written out; one without short forms stays as it is.

    A data set may stand alone, or after `--data`; `--teacher` names a teacher, and may stand several times; a key may
    lack its section where one section alone has it; and `--config` may name a configuration that comes with the
    package.

    Args:
        arguments: Command line after `hf-rnn train`.
        keys: Keys of a run, such as `training.learning_rate`.

    Raises:
        ConfigError: Several data sets, or a key that several sections have.
    """
    written: list[str] = []
    data: list[str] = []
    teachers: list[str] = []
    for option, value in _pairs(arguments):
        if option is None:
            data.append(str(value))
            continue
        name = option.removeprefix("--")
        if name == "data" and value is not None and not _is_section(value):
            data.append(value)
            continue
        if name == "teacher" and value is not None and not _is_section(value):
            teachers.append(value)
            continue
        if name == "config" and value is not None:
            value = _config(value)
        elif option.startswith("--"):
            option = f"--{_with_section(name, keys)}"
        if option in _NAMES and value is not None:
            value = names_by_label(value)
        written.append(option if value is None else f"{option}={value}")
    if teachers:
        written.append(f"--teacher.path={json.dumps(teachers)}")
    if data:
        named = [value for option, value in _pairs(written) if option == "--data.path"]
        wrong = next((each for each in data if each.startswith("-") and not Path(each).exists()), None)
        if wrong is not None:
            raise ConfigError(f"{wrong!r} is neither a file nor an option: options begin with two dashes, --KEY VALUE.")
        if len(data) + len(named) > 1:
            raise ConfigError(
                f"a run has one data set, and the command names {', '.join(map(repr, [*data, *map(str, named)]))}: "
                "name one file, folder or Hub data set, hf-rnn train reviews.csv. A name with spaces needs quotes."
            )
        if data[0].endswith((".yaml", ".yml")):
            raise ConfigError(f"{data[0]!r} is a configuration, not data: write --config {data[0]}.")
        written.append(f"--data.path={data[0]}")
    return written


def _pairs(arguments: list[str]) -> Iterator[tuple[str | None, str | None]]:
    """Yield each option with its value, and None with each argument that stands alone."""
    rest = iter(arguments)
    waiting: str | None = None
    for argument in rest:
        if waiting is not None:
            if not argument.startswith("--"):
                yield waiting, argument
                waiting = None
                continue
            yield waiting, None
            waiting = None
        if argument == "--":
            yield from ((None, each) for each in rest)
        elif argument in FLAGS:
            yield argument, None
        elif argument.startswith("--"):
            name, equals, value = argument.partition("=")
            if equals:
                yield name, value
            else:
                waiting = argument
        else:
            yield None, argument
    if waiting is not None:
        yield waiting, None


def _is_section(value: str) -> bool:
    """Return True for a value of `--data` that is a whole section: a YAML file, or YAML itself."""
    return value.endswith((".yaml", ".yml")) or value.lstrip().startswith("{")


def _with_section(name: str, keys: Collection[str]) -> str:
    bare, plus = name.removesuffix("+"), "+" if name.endswith("+") else ""
    if "." in bare or bare in keys:
        return name
    found = [key for key in keys if key.partition(".")[2] == bare and not key.startswith(WITH_SECTION)]
    if len(found) > 1:
        raise ConfigError(f"--{bare} is a key of several sections: write {' or '.join(f'--{key}' for key in found)}.")
    return f"{found[0]}{plus}" if found else name


def _config(value: str) -> str:
    """Return the path of a configuration that comes with the package; another path as it is."""
    shipped = shipped_configs()
    path = Path(value)
    if path.is_file():
        return value
    if path.name == value and not path.suffix:
        if value in shipped:
            return str(shipped[value])
        near = nearest(value, shipped)
        hint = f"did you mean {near!r}?" if near else f"those that come with hf_rnn are {', '.join(shipped)}."
        raise ConfigError(f"there is no configuration {value!r}: {hint}")
    if path.stem in shipped:
        raise ConfigError(
            f"there is no file {value!r} here, and one of this name comes with hf_rnn: write --config {path.stem}."
        )
    return value


__all__ = ["WITH_SECTION", "shipped_configs", "written_out"]
