# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Checkpoints that are whole or absent: written beside their place, sealed with a manifest, and moved in."""

import errno
import json
import logging
import os
import pickle
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub.utils.sha import sha_fileobj
from safetensors import SafetensorError
from transformers import EarlyStoppingCallback, TrainerCallback, TrainerState
from transformers.trainer import TRAINER_STATE_NAME, TRAINING_ARGS_NAME
from transformers.trainer_callback import ExportableState

from ..utils.errors import UserError, first_line
from ..utils.output import unsaid

logger = logging.getLogger(__name__)

# In a checkpoint: its other files with their sizes and hashes.
MANIFEST = "manifest.json"
# In a run's folder: where a checkpoint is written, or taken apart.
ASIDE = ".checkpoint"
# In a checkpoint, of each process: what was summed up for the next row of the log.
LOSS_FILE = "loss_{}.json"
# What a full disk, a limit or a missing right is called.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
# What torch and safetensors, written in other languages, make of them.
_DISK_WORDS = re.compile(
    r"iostream error|PytorchStreamWriter|unexpected pos|I/O error|os error (28|122|27|30|13|1|5)\b|cannot be opened"
)


# A folder ------------------------------------------------------------------------------------------------------------


def seal(checkpoint: Path) -> None:
    """Writes the manifest of a checkpoint's files, and waits until the disk has all of it."""
    files = {name: _facts(checkpoint / name) for name in _files(checkpoint)}
    (checkpoint / MANIFEST).write_text(json.dumps({"files": files}, indent=2) + "\n", encoding="utf-8")
    for name in (*files, MANIFEST):
        _flush(checkpoint / name)
    for folder in (*(path for path in checkpoint.rglob("*") if path.is_dir()), checkpoint):
        _flush(folder)


def damage(checkpoint: Path) -> str | None:
    """What a checkpoint lacks of what its manifest names, in words; None if it is whole."""
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
    """The checkpoints of a run's folder, whole or not, by their steps."""
    found = [path for path in folder.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
    return sorted((path for path in found if path.is_dir()), key=_step)


def newest_whole(folder: Path, with_best: bool = False) -> Path | None:
    """The whole checkpoint of the most steps, or None. It may stand in `ASIDE`, where it was left before its move:
    [`claim`] brings it to its place.

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
    """The error where a folder has checkpoints and none is whole."""
    found = numbered(folder)
    if not found:
        return None
    each = "; ".join(f"{path.name}: {damage(path)}" for path in found)
    return UserError(
        f"no checkpoint in {str(folder)!r} is whole ({each}): put back the files from a copy, or begin anew with "
        "--training.overwrite true."
    )


def claim(checkpoint: Path, folder: Path) -> Path:
    """Makes the checkpoint that a run goes on from the newest of its folder. Those of as many steps or more are renamed
    to `damaged-checkpoint-N`, and named; nothing is deleted.

    Returns:
        Where it stands now.
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
    """Gives a checkpoint a name under which it is no checkpoint."""
    name = f"damaged-{checkpoint.name}"
    taken = {path.name for path in checkpoint.parent.glob(f"{name}*")}
    free = next(each for each in (name, *(f"{name}-{n}" for n in range(2, 10**6))) if each not in taken)
    return checkpoint.rename(checkpoint.parent / free)


def remove(checkpoint: Path) -> None:
    """Deletes a checkpoint; if that is cut short, what is left has no checkpoint's name."""
    going = checkpoint.parent / ASIDE / "removed"
    shutil.rmtree(going, ignore_errors=True)
    going.parent.mkdir(exist_ok=True)
    checkpoint.rename(going)
    shutil.rmtree(going, ignore_errors=True)


def best_of(checkpoint: Path) -> str | None:
    """The name of the best checkpoint when this one was saved; its path may be that of another machine."""
    state = json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    name = PurePosixPath(str(state.get("best_model_checkpoint") or "").replace("\\", "/")).name
    return name if re.fullmatch(r"checkpoint-\d+", name) else None


@contextmanager
def writing(what: str, folder: Path, unfinished: Path, then: str) -> Iterator[None]:
    """Where a disk is full or may not be written to, the block ends with a [`UserError`] that says so, and what it left
    unfinished is deleted.

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


def _flush(path: Path) -> None:
    # Windows opens no folders, and flushes only what was opened for writing.
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# A Trainer -----------------------------------------------------------------------------------------------------------


class SaveAtEpochEnd(TrainerCallback):
    """Puts off what is to be saved after the last step of an epoch until what is due at its end is done: a run that
    goes on from there would leave that out."""

    put_off = False

    def on_step_end(self, args, state, control, **kwargs):
        if state.epoch == int(state.epoch) or state.global_step >= state.max_steps:
            self.put_off, control.should_save = control.should_save, False

    def on_epoch_end(self, args, state, control, **kwargs):
        control.should_save, self.put_off = control.should_save or self.put_off, False


@contextmanager
def _without_code(checkpoint: str | None) -> Iterator[None]:
    try:
        yield
    except pickle.UnpicklingError as error:
        raise UserError(
            f"a file of {str(checkpoint)!r} is no checkpoint's, or holds a pickle that could run code, and was not "
            f"read ({first_line(error)}). Delete that folder, and go on from another checkpoint, or begin anew."
        ) from error


class WholeCheckpoints:
    """Makes a Trainer of transformers save checkpoints that are whole or absent, and go on exactly from them.

    One is written under `.checkpoint`, sealed with a manifest of sizes and hashes, and moved into its place; older ones
    go after that. `train(resume_from_checkpoint=True)` takes the newest whole one; damaged ones are named and kept. The
    sums behind the log's next row are part of it, and a run that had ended, by its steps or by early stopping, trains
    no further. It holds no pickled arguments.

    ```python
    >>> class SafeTrainer(WholeCheckpoints, Trainer): ...
    ```
    """

    def train(self: Any, resume_from_checkpoint=None, *args, **kwargs):
        """transformers' own.

        Raises:
            UserError: there is no whole checkpoint to go on from, or the one that was named is damaged.
        """
        folder = Path(self.args.output_dir)
        # After all others, which may want to save.
        self.remove_callback(SaveAtEpochEnd)
        self.add_callback(SaveAtEpochEnd())
        if resume_from_checkpoint is True:
            found = newest_whole(folder, self.args.load_best_model_at_end)
            if found is None:
                raise nothing_whole(folder) or UserError(
                    f"{str(folder)!r} has no checkpoint to go on from: leave out resume_from_checkpoint."
                )
            self.accelerator.wait_for_everyone()
            place = claim(found, folder) if self.args.should_save else folder / found.name
            self.accelerator.wait_for_everyone()
            resume_from_checkpoint = str(place)
        elif resume_from_checkpoint:
            harm = damage(Path(resume_from_checkpoint))
            if harm is not None:
                raise UserError(
                    f"the checkpoint {str(resume_from_checkpoint)!r} is not whole ({harm}): name another one, or write "
                    "resume_from_checkpoint=True for the newest whole one."
                )
        return super().train(resume_from_checkpoint, *args, **kwargs)  # type: ignore[misc]

    def _save_checkpoint(self: Any, model, trial) -> None:
        folder = Path(self._get_output_dir(trial))
        place = folder / f"checkpoint-{self.state.global_step}"
        aside = folder / ASIDE / place.name
        then = "go on with --training.resume true. The checkpoints before it are untouched."
        with writing(place.name, folder, folder / ASIDE, then):
            if self.args.should_save:
                if (folder / ASIDE).exists():
                    shutil.rmtree(folder / ASIDE)
                aside.mkdir(parents=True)
            self.accelerator.wait_for_everyone()
            self._write(aside, folder, trial)
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                seal(aside)
                if place.exists():
                    set_aside(place) if damage(place) else remove(place)
                aside.rename(place)
                _flush(folder)
            # A process that is told to stop ends after this.
            self.accelerator.wait_for_everyone()
        if self.args.push_to_hub:
            self._push_from_checkpoint(str(place))
        if self.args.should_save:
            self._rotate(place)

    def _write(self: Any, aside: Path, folder: Path, trial) -> None:
        """What transformers saves in a checkpoint, in its order."""
        args, state = self.args, self.state
        if self.hp_search_backend is None and trial is None:
            self.store_flos()
        self.save_model(str(aside), _internal_call=True)
        best = folder / f"checkpoint-{state.best_global_step}"
        if state.best_global_step and (best.name == aside.name or best.is_dir()):
            state.best_model_checkpoint = str(best)
        if not args.save_only_model:
            self._save_optimizer_and_scheduler(str(aside))
            self._save_scaler(str(aside))
            self._save_rng_state(str(aside))
        if args.should_save:
            callbacks: Any = [*self.callback_handler.callbacks, self.control]
            exported: Any = [callback for callback in callbacks if isinstance(callback, ExportableState)]
            state.stateful_callbacks = TrainerState(stateful_callbacks=exported).stateful_callbacks
            state.save_to_json(str(aside / TRAINER_STATE_NAME))

    def _save(self: Any, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        super()._save(output_dir, state_dict)  # type: ignore[misc]
        # A pickle, which nothing reads.
        Path(output_dir or self.args.output_dir, TRAINING_ARGS_NAME).unlink(missing_ok=True)

    def _rotate(self: Any, newest: Path) -> None:
        limit = self.args.save_total_limit
        if not limit or limit <= 0:
            return
        kept = {newest.name, Path(self.state.best_model_checkpoint or newest).name}
        others = [path for path in numbered(newest.parent) if path.name not in kept]
        for path in others[: max(0, len(others) + len(kept) - max(limit, len(kept)))]:
            remove(path)

    def _save_rng_state(self: Any, output_dir: str) -> None:
        super()._save_rng_state(output_dir)  # type: ignore[misc]
        sums = {"loss": self._tr_loss.item(), "step": self._globalstep_last_logged}
        Path(output_dir, LOSS_FILE.format(self.args.process_index)).write_text(json.dumps(sums), encoding="utf-8")

    def _load_optimizer_and_scheduler(self: Any, checkpoint: str | None) -> None:
        with _without_code(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]

    def _load_rng_state(self: Any, checkpoint: str | None) -> None:
        with _without_code(checkpoint):
            super()._load_rng_state(checkpoint)  # type: ignore[misc]
        file = Path(checkpoint or "", LOSS_FILE.format(self.args.process_index))
        if checkpoint is not None and file.exists():
            sums = json.loads(file.read_text(encoding="utf-8"))
            self._tr_loss.fill_(sums["loss"])
            self._globalstep_last_logged = sums["step"]
            # The mean that is told at the end is that of the steps from here on.
            self._total_loss_scalar = -sums["loss"]

    def _init_training_state(
        self: Any, max_steps, num_update_steps_per_epoch, num_train_epochs, resume_from_checkpoint, trial
    ) -> tuple[int, int]:
        # `_find_best` finds the best checkpoint of a run that was on another machine too.
        with unsaid("transformers.trainer", "recorded in the resumed state does not exist"):
            begin = super()._init_training_state(  # type: ignore[misc]
                max_steps, num_update_steps_per_epoch, num_train_epochs, resume_from_checkpoint, trial
            )
        if resume_from_checkpoint is None:
            return begin
        checkpoint = Path(resume_from_checkpoint)
        self._find_best(checkpoint)
        stopped_early = any(
            callback.early_stopping_patience_counter >= callback.early_stopping_patience
            for callback in self.callback_handler.callbacks
            if isinstance(callback, EarlyStoppingCallback)
        )
        ended = stopped_early or self.state.global_step >= max_steps
        return (num_train_epochs, 0) if ended else begin

    def _find_best(self: Any, checkpoint: Path) -> None:
        """The best checkpoint stands beside the one that is gone on from, wherever they were made."""
        name, state = best_of(checkpoint), self.state
        state.best_model_checkpoint = None
        if name is None:
            return
        best = checkpoint.parent / name
        harm = damage(best)
        if harm is None:
            state.best_model_checkpoint = str(best)
            return
        state.best_metric = state.best_global_step = None
        if self.is_world_process_zero():
            logger.warning(f"the best model so far is lost ({name}: {harm}): the best one from here on is kept.")

    def _finalize_training(self: Any, trial, num_train_samples, start_time):
        # transformers deletes the newest checkpoint here, before the model that it led to is saved.
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            return super()._finalize_training(trial, num_train_samples, start_time)  # type: ignore[misc]
        finally:
            self.args.save_total_limit = limit


__all__ = [
    "WholeCheckpoints",
    "claim",
    "damage",
    "newest_whole",
    "nothing_whole",
    "numbered",
    "remove",
    "seal",
    "writing",
]
