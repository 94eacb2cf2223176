# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Checkpoints that are whole or absent: written beside their place, sealed with a manifest, and moved in."""

import errno
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub.utils.sha import sha_fileobj
from safetensors import SafetensorError
from transformers.trainer import TRAINER_STATE_NAME

from ..utils.errors import UserError, first_line

logger = logging.getLogger(__name__)

# In a checkpoint: its other files with their sizes and hashes.
MANIFEST = "manifest.json"
# In a run's folder: where a checkpoint is written, or taken apart.
ASIDE = ".checkpoint"
# In a checkpoint, of each process: what was summed up for the next row of the log.
LOSS_FILE = "loss_{}.json"
# The errors of a full disk, a limit or a missing right.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
# The words for them of torch and safetensors, which are written in other languages.
_DISK_WORDS = re.compile(
    r"iostream error|PytorchStreamWriter|unexpected pos|I/O error|os error (28|122|27|30|13|1|5)\b|cannot be opened"
)


def seal(checkpoint: Path) -> None:
    """Write the manifest of a checkpoint's files, and wait until the disk has all of it."""
    files = {name: _facts(checkpoint / name) for name in _files(checkpoint)}
    (checkpoint / MANIFEST).write_text(json.dumps({"files": files}, indent=2) + "\n", encoding="utf-8")
    for name in (*files, MANIFEST):
        flush(checkpoint / name)
    for folder in (*(path for path in checkpoint.rglob("*") if path.is_dir()), checkpoint):
        flush(folder)


def damage(checkpoint: Path) -> str | None:
    """Return in words how a checkpoint differs from its manifest; None if it is whole."""
    try:
        manifest = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))["files"]
        for name, facts in manifest.items():
            size = (checkpoint / name).stat().st_size
            if size != facts["bytes"]:
                return f"{name} has {size:,} bytes of {facts['bytes']:,}"
            if _facts(checkpoint / name) != facts:
                return f"{name} has other bytes than were saved"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except OSError as error:
        return f"{Path(error.filename or checkpoint).name} cannot be read ({error.strerror})"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{MANIFEST} is damaged"
    return None if TRAINER_STATE_NAME in manifest else f"{MANIFEST} names no {TRAINER_STATE_NAME}"


def numbered(folder: Path) -> list[Path]:
    """Return the checkpoints of a run's folder, whole or not, by their steps."""
    found = [path for path in folder.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
    return sorted((path for path in found if path.is_dir()), key=_step)


def newest_whole(folder: Path, with_best: bool = False) -> Path | None:
    """Return the whole checkpoint of the most steps, or None.

    It may stand in `ASIDE`, where it was left before its move: [`claim`] brings it to its place.

    Args:
        folder: of a run.
        with_best: rather take one whose best checkpoint is whole too, than a newer one whose best is damaged.
    """
    # Of the same step, that which is to replace the other comes first.
    found = sorted(
        numbered(folder) + numbered(folder / ASIDE), key=lambda path: (_step(path), path.parent.name == ASIDE)
    )
    newest = None
    for path in reversed(found):
        if damage(path) is not None:
            continue
        best = best_of(path) if with_best else None
        if best is None or best == path.name or damage(folder / best) is None:
            return path
        newest = newest or path
    return newest


def nothing_whole(folder: Path) -> UserError | None:
    """Return the error for a folder that has checkpoints of which none is whole; None for other folders."""
    found = numbered(folder)
    if not found:
        return None
    each = "; ".join(f"{path.name}: {damage(path)}" for path in found)
    return UserError(
        f"no checkpoint in {str(folder)!r} is whole ({each}): put back the files from a copy, or begin anew with "
        "--training.overwrite true."
    )


def claim(checkpoint: Path, folder: Path) -> Path:
    """Make the checkpoint that a run goes on from the newest of its folder.

    Checkpoints of as many steps or more are renamed to `damaged-checkpoint-N`, and the log names them. Nothing is
    deleted.

    Returns:
        The path at which it stands now.
    """
    place = folder / checkpoint.name
    for other in numbered(folder):
        if other != checkpoint and _step(other) >= _step(checkpoint):
            replaced = _step(other) == _step(checkpoint)
            harm = damage(other) or ("a newer one was there" if replaced else "its best checkpoint is damaged")
            logger.warning(f"{other.name} is passed over ({harm}), and kept as {set_aside(other).name}.")
    if checkpoint != place:
        os.replace(checkpoint, place)
    return place


def set_aside(checkpoint: Path) -> Path:
    """Give a checkpoint a name under which it is no checkpoint."""
    name = f"damaged-{checkpoint.name}"
    taken = {path.name for path in checkpoint.parent.glob(f"{name}*")}
    free = next(each for each in (name, *(f"{name}-{n}" for n in range(2, 10**6))) if each not in taken)
    return checkpoint.rename(checkpoint.parent / free)


def remove(checkpoint: Path) -> None:
    """Delete a checkpoint; if that is cut short, the rest has no checkpoint's name."""
    going = checkpoint.parent / ASIDE / "removed"
    shutil.rmtree(going, ignore_errors=True)
    going.parent.mkdir(exist_ok=True)
    checkpoint.rename(going)
    shutil.rmtree(going, ignore_errors=True)


def best_of(checkpoint: Path) -> str | None:
    """Return the name of the best checkpoint when this one was saved; its path may be that of another machine."""
    state = json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    name = PurePosixPath(str(state.get("best_model_checkpoint") or "").replace("\\", "/")).name
    return name if re.fullmatch(r"checkpoint-\d+", name) else None


@contextmanager
def writing(what: str, folder: Path, unfinished: Path, then: str) -> Iterator[None]:
    """Raise [`UserError`] where a disk is full or may not be written to inside the block, and delete what it left
    unfinished.

    Args:
        what: is written, in words.
        folder: it is written to.
        unfinished: the folder that it leaves where it fails.
        then: what to do after making room, in words.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        of_the_disk = error.errno in _DISK if isinstance(error, OSError) else bool(_DISK_WORDS.search(str(error)))
        if not of_the_disk:
            raise
        shutil.rmtree(unfinished, ignore_errors=True)
        raise UserError(
            f"{what} could not be written to {str(folder)!r} ({first_line(error)}): make room there, or give the right "
            f"to write; then {then}"
        ) from error


def _files(checkpoint: Path) -> list[str]:
    found = (path for path in checkpoint.rglob("*") if path.is_file())
    return sorted(name for name in (path.relative_to(checkpoint).as_posix() for path in found) if name != MANIFEST)


def _facts(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        return {"bytes": file.stat().st_size, "sha256": sha_fileobj(stream).hex()}


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def flush(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder."""
    # Windows opens no folders, and flushes only what was opened for writing.
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


__all__ = [
    "best_of",
    "claim",
    "damage",
    "flush",
    "newest_whole",
    "nothing_whole",
    "numbered",
    "remove",
    "seal",
    "set_aside",
    "writing",
]
