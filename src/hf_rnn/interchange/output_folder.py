# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Folder of an export, which is written completely or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from tempfile import mkdtemp

from ..hub.folder import CARD_FILE, EXPORT_RECORD, MODEL_FILES, ONNX_FILES, ONNX_FOLDER
from ..utils.errors import HfRnnError
from ..utils.hub_download import matches

# Folders inside the temporary folder of an export: the new export, and the earlier one until it is replaced.
_NEW, _OLD = "new", "old"


def check_output(output: Path) -> None:
    """Raise [`HfRnnError`] unless an export can be written to a folder.

    Args:
        output: Folder to write, as the user named it.
    """
    place = output.resolve()
    if not place.exists():
        return
    if not (place / ONNX_FOLDER / EXPORT_RECORD).is_file():
        raise HfRnnError(f"{str(output)!r} exists already and is no earlier export: name a new folder, output=FOLDER.")
    here = Path.cwd()
    if place in (here, *here.parents):
        raise HfRnnError(
            f"{str(output)!r} is replaced by an export, and the command runs inside it: run it from another folder, or "
            "name a new folder, output=FOLDER."
        )
    ours = (*MODEL_FILES, *ONNX_FILES, CARD_FILE, ONNX_FOLDER)
    names = [str(file.relative_to(place)) for file in place.rglob("*")]
    other = next((name for name in names if not matches(name, ours)), None)
    if other is not None:
        raise HfRnnError(
            f"{str(output)!r} holds an earlier export, which would be replaced, and also {other}: move that file "
            "elsewhere, or name a new folder, output=FOLDER."
        )


@contextmanager
def parents_made(output: Path) -> Iterator[None]:
    """Make the missing parent folders of an output, and remove them again if the block fails.

    Args:
        output: File or folder to write, as the user named it.

    Raises:
        HfRnnError: A folder cannot be made.
    """
    place = output.resolve()
    missing = [folder for folder in place.parents if not folder.exists()]
    try:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HfRnnError(
                f"the folder {str(output.parent)!r} cannot be made ({error.strerror}): name another output."
            ) from error
        yield
    except BaseException:
        for folder in missing:
            # Another process may have written to it.
            with suppress(OSError):
                folder.rmdir()
        raise


@contextmanager
def replaced(output: Path) -> Iterator[Path]:
    """Yield a new folder beside another one, and put it in the place of that one if the block succeeds.

    Missing parent folders are made. Each call has a folder of its own, so that several exports to the same folder do
    not disturb each other.

    Args:
        output: Folder to write, as the user named it.

    Raises:
        HfRnnError: The folder cannot be made.
    """
    with parents_made(output), _beside(output) as new:
        yield new


@contextmanager
def _beside(output: Path) -> Iterator[Path]:
    """Do the same as [`replaced`], in a folder that exists."""
    place = output.resolve()
    _restore(place)
    try:
        beside = Path(mkdtemp(prefix=f".{place.name}.", suffix=".exporting", dir=place.parent))
    except OSError as error:
        raise HfRnnError(f"{str(output)!r} cannot be made ({error.strerror}): name another folder.") from error
    new, old = beside / _NEW, beside / _OLD
    try:
        # Unlike the folder around it, this one can be read by others.
        new.mkdir()
        yield new
        try:
            if place.exists():
                os.replace(place, old)
            os.replace(new, place)
        except BaseException:
            # An interrupt between the two moves restores the earlier export too.
            if old.exists() and not place.exists():
                os.replace(old, place)
            raise
    finally:
        if place.exists() or not old.exists():
            shutil.rmtree(beside, ignore_errors=True)


def _restore(place: Path) -> None:
    """Move an earlier export back to its place, if a process ended between the two moves of its replacement."""
    for old in place.parent.glob(f".{escape(place.name)}.*.exporting/{_OLD}"):
        if not place.exists():
            os.replace(old, place)
            shutil.rmtree(old.parent, ignore_errors=True)


__all__ = ["check_output", "parents_made", "replaced"]
