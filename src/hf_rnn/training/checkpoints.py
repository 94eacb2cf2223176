# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Checkpoints that are complete or absent: written into a temporary folder, sealed with a manifest, and then moved."""

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

from ..utils.errors import CheckpointError, first_line

logger = logging.getLogger(__name__)

# File of a checkpoint that lists its other files with their sizes and hashes.
MANIFEST = "manifest.json"
# Folder inside a run's folder in which a checkpoint is written, or deleted.
ASIDE = ".checkpoint"
# File of each process in a checkpoint: sum of losses for the next log row.
LOSS_FILE = "loss_{}.json"
# Errors of a full disk, a file size limit, a missing permission or a failing device.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
# torch and safetensors are written in other languages, and report the same errors in these words.
_DISK_WORDS = re.compile(
    r"iostream error|PytorchStreamWriter|unexpected pos|I/O error|os error (28|122|27|30|13|1|5)\b|cannot be opened"
)


def seal(checkpoint: Path) -> None:
    """Write the manifest of a checkpoint, and flush all of its files to disk.

    Args:
        checkpoint: Folder of the checkpoint.
    """
    files = {name: _facts(checkpoint / name) for name in _files(checkpoint)}
    (checkpoint / MANIFEST).write_text(json.dumps({"files": files}, indent=2) + "\n", encoding="utf-8")
    for name in (*files, MANIFEST):
        flush(checkpoint / name)
    for folder in (*(path for path in checkpoint.rglob("*") if path.is_dir()), checkpoint):
        flush(folder)


def damage(checkpoint: Path) -> str | None:
    """Return a description of how a checkpoint differs from its manifest; None if it is complete.

    Args:
        checkpoint: Folder of the checkpoint.
    """
    try:
        manifest = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))["files"]
        for name, facts in manifest.items():
            size = (checkpoint / name).stat().st_size
            if size != facts["bytes"]:
                return f"{name} has {size:,} bytes of {facts['bytes']:,}"
            if _facts(checkpoint / name) != facts:
                return f"{name} has changed since it was saved"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except OSError as error:
        return f"{Path(error.filename or checkpoint).name} cannot be read ({error.strerror})"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{MANIFEST} is damaged"
    return None if TRAINER_STATE_NAME in manifest else f"{MANIFEST} names no {TRAINER_STATE_NAME}"


def numbered(folder: Path) -> list[Path]:
    """Return the checkpoints in a run's folder, complete or not, ordered by step.

    Args:
        folder: Folder of the run.
    """
    found = [path for path in folder.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
    return sorted((path for path in found if path.is_dir()), key=_step)


def newest_whole(folder: Path, with_best: bool = False) -> Path | None:
    """Return the complete checkpoint with the highest step, or None.

    The checkpoint may be in `ASIDE` if the run ended before the move; [`claim`] moves it.

    Args:
        folder: Folder of the run.
        with_best: True to prefer a checkpoint whose best checkpoint is complete to newer ones whose best is damaged.
    """
    # For equal steps, the checkpoint in `ASIDE` is the newer one, because it was about to replace the other.
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


def nothing_whole(folder: Path) -> CheckpointError | None:
    """Return the error for a folder whose checkpoints are all damaged; None if the folder has no checkpoints.

    The caller has found no complete checkpoint before.

    Args:
        folder: Folder of the run.
    """
    found = numbered(folder)
    if not found:
        return None
    each = "; ".join(f"{path.name}: {damage(path)}" for path in found)
    return CheckpointError(
        f"no checkpoint in {str(folder)!r} is complete ({each}): restore the files from a copy, or start a new run "
        "with training.overwrite=True."
    )


def claim(checkpoint: Path, folder: Path) -> Path:
    """Make the checkpoint from which a run resumes the newest one in the run's folder.

    Other checkpoints with the same step or a higher one are renamed to `damaged-checkpoint-N` and logged. Nothing is
    deleted.

    Args:
        checkpoint: Checkpoint to resume from; it may be in `ASIDE`.
        folder: Folder of the run.

    Returns:
        The path of the checkpoint after the move.
    """
    place = folder / checkpoint.name
    for other in numbered(folder):
        if other != checkpoint and _step(other) >= _step(checkpoint):
            replaced = _step(other) == _step(checkpoint)
            harm = damage(other) or ("a newer one replaces it" if replaced else "its best checkpoint is damaged")
            logger.warning(f"{other.name} is skipped ({harm}), and renamed to {set_aside(other).name}.")
    if checkpoint != place:
        os.replace(checkpoint, place)
    return place


def set_aside(checkpoint: Path) -> Path:
    """Rename a checkpoint so that it is no longer found as a checkpoint, and return its new path.

    Args:
        checkpoint: Folder of the checkpoint.
    """
    name = f"damaged-{checkpoint.name}"
    taken = {path.name for path in checkpoint.parent.glob(f"{name}*")}
    free = next(each for each in (name, *(f"{name}-{n}" for n in range(2, 10**6))) if each not in taken)
    return checkpoint.rename(checkpoint.parent / free)


def remove(checkpoint: Path) -> None:
    """Delete a checkpoint. It is renamed first, so an interrupted deletion leaves no partial checkpoint.

    Args:
        checkpoint: Folder of the checkpoint.
    """
    going = checkpoint.parent / ASIDE / "removed"
    shutil.rmtree(going, ignore_errors=True)
    going.parent.mkdir(exist_ok=True)
    checkpoint.rename(going)
    shutil.rmtree(going, ignore_errors=True)


def best_of(checkpoint: Path) -> str | None:
    """Return the name of the best checkpoint at the time when this checkpoint was saved, or None.

    Only the name is returned, because the saved path may be from another machine.

    Args:
        checkpoint: Folder of the checkpoint.
    """
    state = json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    name = PurePosixPath(str(state.get("best_model_checkpoint") or "").replace("\\", "/")).name
    return name if re.fullmatch(r"checkpoint-\d+", name) else None


@contextmanager
def writing(what: str, folder: Path, unfinished: Path, then: str) -> Iterator[None]:
    """Convert errors of a full or write-protected disk in the block into [`CheckpointError`]; delete partial files.

    Args:
        what: Description of the files, for the error.
        folder: Folder to write to, for the error.
        unfinished: Folder to delete after such an error.
        then: Advice for the user after making room on the disk, for the error.

    Raises:
        CheckpointError: The disk is full or cannot be written to.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        of_the_disk = error.errno in _DISK if isinstance(error, OSError) else bool(_DISK_WORDS.search(str(error)))
        if not of_the_disk:
            raise
        shutil.rmtree(unfinished, ignore_errors=True)
        raise CheckpointError(
            f"{what} could not be written to {str(folder)!r} ({first_line(error)}): free disk space there, or grant "
            f"write permission; then {then}"
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
    """Flush a file, or the entries of a folder, to disk.

    Args:
        path: File or folder.
    """
    # Windows cannot open folders, and flushes only files that were opened for writing.
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
