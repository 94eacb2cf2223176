# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Read and write run.yaml, the file of a training run, without importing the training code."""

import dataclasses
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ..text.arguments import BUILT_IN, IN_MEMORY, DataArguments
from ..text.schema import Schema
from ..utils.errors import HfRnnError, first_line
from .folder import RUN_FILE

SECTION_NAMES = ("data", "tokenizer", "model", "training", "teacher", "distil", "report", "card")


# Settings that name data or models. A relative path is relative to the folder of the YAML file.
PATHS = ("data.path", "data.replay", "teacher.path", "distil.transfer", "distil.generator")


class Loader(yaml.SafeLoader):
    """YAML loader that reads 1e-3 as a number, as Python does."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[+-]?(\d[\d_]*\.?[\d_]*|\.[\d_]+)[eE][+-]?\d+"),
    list("+-.0123456789"),
)


def read_sections(file: Path) -> dict:
    """Return the sections of the YAML file of a run.

    Args:
        file: YAML file of a run, such as run.yaml.

    Raises:
        HfRnnError: The file cannot be read, or it does not have the form of a run.
    """
    check_sections(file)
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader=Loader)
    except OSError as error:
        raise HfRnnError(f"{str(file)!r} cannot be read ({error.strerror}): name the YAML file of a run.") from error


def check_sections(file: Path) -> None:
    """Raise [`HfRnnError`] if a file does not have the form of a run: sections with keys.

    Missing files and unknown keys pass; jsonargparse reports these.

    Args:
        file: YAML file of a run, such as run.yaml.
    """
    if not file.is_file():
        return
    try:
        sections = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark: Any = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", first_line(error))
        where = f"line {mark.line + 1}, column {mark.column + 1}: {what}" if mark else what
        raise HfRnnError(f"{str(file)!r} is not valid YAML ({where}): correct it.") from error
    form = "write its keys below it, indented, such as\nmodel:\n  hidden_size: 256"
    if not isinstance(sections, dict):
        raise HfRnnError(f"{str(file)!r} has no sections: name one, and {form}")
    for name, section in sections.items():
        if name in SECTION_NAMES and not isinstance(section, dict):
            remedy = "leave it out, or " if section is None else ""
            raise HfRnnError(f"the section {name} of {str(file)!r} is {section!r}: {remedy}{form}")


def run_file(folder: Path) -> Path | None:
    """Return the path of the run.yaml of a model; None if there is none.

    Args:
        folder: Folder of a model, or of a checkpoint, whose run.yaml is in the folder above.
    """
    places = [folder, *([folder.parent] if folder.name.startswith("checkpoint-") else [])]
    return next((place / RUN_FILE for place in places if (place / RUN_FILE).is_file()), None)


class SavedRun(NamedTuple):
    """Settings of the training run that are saved with a model.

    Args:
        task: Name of the task; None if the model has no run.yaml.
        data: Data section of the run, with the columns that were found.
        pretrained: Folder or Hub id of the model that training started from; None if there was none.
        schema: Saved decisions about the data; None for models of older releases and models without run.yaml.
    """

    task: str | None
    data: DataArguments
    pretrained: str | None
    schema: Schema | None


def read_run(folder: Path) -> SavedRun:
    """Read the settings of the training run of a model. Without a run.yaml, the data section has an empty path.

    The training section is not read: settings for the machine that trained may not suit the one that predicts.

    Args:
        folder: Folder of the model.

    Raises:
        HfRnnError: The run.yaml is damaged.
    """
    file = run_file(folder)
    if file is None:
        return SavedRun(None, DataArguments(path=""), None, None)
    try:
        sections = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        known = {field.name for field in dataclasses.fields(DataArguments)}
        data = {key: value for key, value in (sections.get("data") or {}).items() if key in known}
        pretrained = (sections.get("model") or {}).get("pretrained")
        found = DataArguments(**data)
    except (yaml.YAMLError, AttributeError, UnicodeDecodeError, TypeError) as error:
        raise HfRnnError(
            f"{str(file)!r} is not the {RUN_FILE} of a training run ({first_line(error)}): correct it."
        ) from error
    found.path = path_from(found.path, file.parent)
    found.replay = found.replay and path_from(found.replay, file.parent)
    schema = Schema.read(folder) or Schema.read(file.parent)
    task = sections.get("task", "text_classification")
    return SavedRun(task, found if schema is None else schema.applied(found), pretrained, schema)


def each_path(paths: str | list[str], change: Callable[[str, Path], str], folder: Path) -> str | list[str]:
    """Return a path, or each path of a list, changed by [`path_from`] or [`path_to`].

    Args:
        paths: Path or list of paths.
        change: `path_from` or `path_to`.
        folder: Folder of the YAML file.
    """
    return [change(path, folder) for path in paths] if isinstance(paths, list) else change(paths, folder)


def path_from(path: str, folder: Path) -> str:
    """Return a path from a YAML file as a path from the current folder.

    The path is relative to the folder of the file. If nothing exists there, it is returned unchanged: older releases
    saved paths relative to the current folder.

    Args:
        path: Path of data as the YAML file has it, a Hub id, a name for built-in or in-memory rows, or "" for none.
        folder: Folder of the YAML file.
    """
    beside = folder / path
    if not path or Path(path).is_absolute() or path in (BUILT_IN, IN_MEMORY) or not beside.exists():
        return path
    return os.path.normpath(beside)


def copy_run(file: Path, to: Path) -> None:
    """Copy the YAML file of a run, and change its relative paths so that they name the same data and models.

    Args:
        file: YAML file of the run.
        to: File to write.
    """
    sections = read_sections(file)
    moved: dict[tuple[str, str], tuple[Any, Any]] = {}
    for key in PATHS:
        section, _, name = key.partition(".")
        path = (sections.get(section) or {}).get(name, BUILT_IN if key == "data.path" else None)
        if path is not None:
            moved[section, name] = path, each_path(each_path(path, path_from, file.parent), path_to, to.parent)
    if all(before == after for before, after in moved.values()):
        shutil.copyfile(file, to)
        return
    for (section, name), (_, after) in moved.items():
        sections[section] = {**(sections.get(section) or {}), name: after}
    to.write_text(write_yaml(sections), encoding="utf-8")


def path_to(path: str, folder: Path) -> str:
    """Return a path from the current folder as a path from the folder of a YAML file.

    Hub ids, absolute paths and paths that do not exist are returned unchanged.

    Args:
        path: Path of data from the current folder.
        folder: Folder of the YAML file.
    """
    if not path or path in (BUILT_IN, IN_MEMORY) or Path(path).is_absolute() or not Path(path).exists():
        return path
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        # On Windows, there is no relative path between two drives.
        return str(Path(path).absolute())


class Dumper(yaml.SafeDumper):
    """YAML dumper that quotes all strings except plain words, so that no string is read back as another type."""


Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, None if re.fullmatch(r"[A-Za-z_./][\w./-]*", text) else '"'
    ),
)


def write_yaml(data: dict) -> str:
    """Return data as YAML, with keys in their order and strings quoted by [`Dumper`].

    Args:
        data: Data to write.
    """
    return yaml.dump(data, Dumper=Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True)


__all__ = [
    "SavedRun",
    "check_sections",
    "copy_run",
    "each_path",
    "path_from",
    "path_to",
    "read_run",
    "read_sections",
    "run_file",
]
