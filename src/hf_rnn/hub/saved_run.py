# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The YAML file of the run that made a model: read and written without the libraries that train."""

import dataclasses
import os
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ..text.arguments import BUILT_IN, IN_MEMORY, DataArguments
from ..text.schema import Schema
from ..utils.errors import UserError, first_line
from .folder import RUN_FILE

SECTION_NAMES = ("data", "tokenizer", "model", "training", "report", "card")


class Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, as it is in Python."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[+-]?(\d[\d_]*\.?[\d_]*|\.[\d_]+)[eE][+-]?\d+"),
    list("+-.0123456789"),
)


def read_sections(file: Path) -> dict:
    """Return the sections of a YAML file; raise [`UserError`] where it has not the form of a run.

    Args:
        file: of a run, such as run.yaml.
    """
    check_sections(file)
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader=Loader)
    except OSError as error:
        raise UserError(f"{str(file)!r} cannot be read ({error.strerror}): name the YAML file of a run.") from error


def check_sections(file: Path) -> None:
    """Raise [`UserError`], with the file's name, for a file that has not the form of a run.

    jsonargparse reports a file that does not exist, and keys that a run does not have.

    Args:
        file: of a run, such as run.yaml.
    """
    if not file.is_file():
        return
    try:
        sections = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark: Any = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", first_line(error))
        where = f"line {mark.line + 1}, column {mark.column + 1}: {what}" if mark else what
        raise UserError(f"{str(file)!r} is no YAML that can be read ({where}): mend it.") from error
    form = "write its keys below it, indented, such as\nmodel:\n  hidden_size: 256"
    if not isinstance(sections, dict):
        raise UserError(f"{str(file)!r} has no sections: name one, and {form}")
    for name, section in sections.items():
        if name in SECTION_NAMES and not isinstance(section, dict):
            remedy = "leave it out, or " if section is None else ""
            raise UserError(f"the section {name} of {str(file)!r} is {section!r}: {remedy}{form}")


def run_file(folder: Path) -> Path | None:
    """Return the file of the run that made a model; None where there is none.

    Args:
        folder: of the model. That of a checkpoint stands in the folder of its run, and the file beside it.
    """
    places = [folder, *([folder.parent] if folder.name.startswith("checkpoint-") else [])]
    return next((place / RUN_FILE for place in places if (place / RUN_FILE).is_file()), None)


class SavedRun(NamedTuple):
    """The run that made a model, as its folder describes it.

    Args:
        task: by its name; None where no run made the model.
        data: its data section, with the columns that were found.
        pretrained: the model that it began with.
        schema: what was decided about the data; None of models that an older release saved.
    """

    task: str | None
    data: DataArguments
    pretrained: str | None
    schema: Schema | None


def read_run(folder: Path) -> SavedRun:
    """Read which run made a model; a nameless data set where no run did.

    The training section is left alone: what suits the machine that trained may not suit the one that predicts.

    Args:
        folder: of the model.
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
        raise UserError(
            f"{str(file)!r} is not the {RUN_FILE} of a training run ({first_line(error)}): mend it."
        ) from error
    found.path = path_from(found.path, file.parent)
    schema = Schema.read(folder) or Schema.read(file.parent)
    task = sections.get("task", "text_classification")
    return SavedRun(task, found if schema is None else schema.applied(found), pretrained, schema)


def path_from(path: str, folder: Path) -> str:
    """Return a path that a YAML file names, as it is found from here: relative to the file's folder, or, if nothing is
    there, as older releases meant it, to the current one.

    Args:
        path: as the file names it.
        folder: of the file.
    """
    beside = folder / path
    if Path(path).is_absolute() or path in (BUILT_IN, IN_MEMORY) or not beside.exists():
        return path
    return os.path.normpath(beside)


def copy_run(file: Path, to: Path) -> None:
    """Copy the YAML file of a run, so that its `data.path` names the same data from there.

    Args:
        file: of the run.
        to: the file to write.
    """
    sections = read_sections(file)
    data = sections.get("data") or {}
    before = data.get("path", BUILT_IN)
    path = path_to(path_from(str(before), file.parent), to.parent)
    if path == before:
        shutil.copyfile(file, to)
        return
    data["path"] = path
    to.write_text(write_yaml(sections), encoding="utf-8")


def path_to(path: str, folder: Path) -> str:
    """Return the path of data as a YAML file in a folder names it; Hub ids and absolute paths stay as they are.

    Args:
        path: as it is found from here.
        folder: of the file.
    """
    if path in (BUILT_IN, IN_MEMORY) or Path(path).is_absolute() or not Path(path).exists():
        return path
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        # Another drive.
        return str(Path(path).absolute())


class Dumper(yaml.SafeDumper):
    """Puts quotes around all texts that are no plain words, whatever YAML or jsonargparse would take them for."""


Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, None if re.fullmatch(r"[A-Za-z_./][\w./-]*", text) else '"'
    ),
)


def write_yaml(data: dict) -> str:
    return yaml.dump(data, Dumper=Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True)


__all__ = ["SavedRun", "check_sections", "copy_run", "path_from", "path_to", "read_run", "read_sections", "run_file"]
