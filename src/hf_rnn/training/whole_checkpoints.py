# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Mixin for a Trainer whose checkpoints are complete or absent, and which resumes exactly from them."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from transformers import EarlyStoppingCallback, TrainerCallback, TrainerState
from transformers.trainer import TRAINER_STATE_NAME, TRAINING_ARGS_NAME
from transformers.trainer_callback import ExportableState

from ..utils.errors import CheckpointError, HfRnnError
from .checkpoints import (
    ASIDE,
    LOSS_FILE,
    best_of,
    claim,
    damage,
    flush,
    newest_whole,
    nothing_whole,
    numbered,
    remove,
    seal,
    set_aside,
    writing,
)
from .trainer_hooks import TrainerHooks

logger = logging.getLogger(__name__)


class SaveAtEpochEnd(TrainerCallback):
    """Callback that delays a checkpoint at the last step of an epoch to the end of the epoch.

    A run that resumes from a checkpoint of the last step would skip the events at the end of the epoch, such as an
    evaluation.
    """

    put_off = False

    def on_step_end(self, args, state, control, **kwargs):
        if state.epoch == int(state.epoch) or state.global_step >= state.max_steps:
            self.put_off, control.should_save = control.should_save, False

    def on_epoch_end(self, args, state, control, **kwargs):
        control.should_save, self.put_off = control.should_save or self.put_off, False


class WholeCheckpoints(TrainerHooks):
    """Mixin that makes a Trainer save checkpoints that are complete or absent, and resume exactly from them.

    A checkpoint is written under `.checkpoint`, sealed with a manifest of sizes and hashes, and moved to its final
    path. Old checkpoints are deleted afterwards. A checkpoint contains the sums for the next log row, and no pickled
    arguments.

    `train(resume_from_checkpoint=True)` resumes from the newest complete checkpoint. Damaged checkpoints are logged and
    kept. A run that is finished, by its steps or by early stopping, is not trained further.

    ```python
    >>> class SafeTrainer(WholeCheckpoints, Trainer): ...
    ```
    """

    manages_checkpoints = True

    def train(self: Any, resume_from_checkpoint=None, *args, **kwargs):
        """Train as transformers does, from a complete checkpoint if `resume_from_checkpoint` is set.

        Args:
            resume_from_checkpoint: True for the newest complete checkpoint; a path for that checkpoint; None to start
                anew.
            args: Further positional arguments of `Trainer.train`.
            kwargs: Further keyword arguments of `Trainer.train`.

        Raises:
            CheckpointError: There is no complete checkpoint, or the named checkpoint is damaged.
        """
        folder = Path(self.args.output_dir)
        # This callback must run last, because the others may request a checkpoint.
        self.remove_callback(SaveAtEpochEnd)
        self.add_callback(SaveAtEpochEnd())
        if resume_from_checkpoint is True:
            found = newest_whole(folder, self.args.load_best_model_at_end)
            if found is None:
                raise nothing_whole(folder) or HfRnnError(
                    f"{str(folder)!r} has no checkpoint to resume from: leave out resume_from_checkpoint."
                )
            self.accelerator.wait_for_everyone()
            place = claim(found, folder) if self.args.should_save else folder / found.name
            self.accelerator.wait_for_everyone()
            resume_from_checkpoint = str(place)
        elif resume_from_checkpoint:
            harm = damage(Path(resume_from_checkpoint))
            if harm is not None:
                raise CheckpointError(
                    f"the checkpoint {str(resume_from_checkpoint)!r} is not complete ({harm}): name another one, or "
                    "write resume_from_checkpoint=True for the newest complete one."
                )
        return super().train(resume_from_checkpoint, *args, **kwargs)  # type: ignore[misc]

    def save_checkpoint(self: Any, model: Any, trial: Any) -> None:
        """Write a checkpoint to a temporary folder, seal it and move it; then push it, and delete old checkpoints.

        Args:
            model: Not used; the model of the trainer is saved.
            trial: Trial of a hyperparameter search; None outside of a search.
        """
        folder = self.checkpoints_folder(trial)
        place = folder / f"checkpoint-{self.state.global_step}"
        aside = folder / ASIDE / place.name
        then = "resume with training.resume=True. Earlier checkpoints are not changed."
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
                flush(folder)
            # A process that received a stop signal exits after this barrier.
            self.accelerator.wait_for_everyone()
        if self.args.push_to_hub:
            self.push_checkpoint(str(place))
        if self.args.should_save:
            self._rotate(place)

    def _write(self: Any, aside: Path, folder: Path, trial) -> None:
        """Write the files that transformers saves in a checkpoint, in the same order."""
        args, state = self.args, self.state
        if self.hp_search_backend is None and trial is None:
            self.store_flos()
        self.save_model(str(aside), _internal_call=True)
        best = folder / f"checkpoint-{state.best_global_step}"
        if state.best_global_step and (best.name == aside.name or best.is_dir()):
            state.best_model_checkpoint = str(best)
        if not args.save_only_model:
            self.save_training_state(aside)
        if args.should_save:
            callbacks: Any = [*self.callback_handler.callbacks, self.control]
            exported: Any = [callback for callback in callbacks if isinstance(callback, ExportableState)]
            state.stateful_callbacks = TrainerState(stateful_callbacks=exported).stateful_callbacks
            state.save_to_json(str(aside / TRAINER_STATE_NAME))

    def model_saved(self, folder: Path) -> None:
        """Delete the pickled training arguments, which nothing reads.

        Args:
            folder: Folder of the saved model.
        """
        super().model_saved(folder)
        (folder / TRAINING_ARGS_NAME).unlink(missing_ok=True)

    def _rotate(self: Any, newest: Path) -> None:
        limit = self.args.save_total_limit
        if not limit or limit <= 0:
            return
        kept = {newest.name, Path(self.state.best_model_checkpoint or newest).name}
        others = [path for path in numbered(newest.parent) if path.name not in kept]
        for path in others[: max(0, len(others) + len(kept) - max(limit, len(kept)))]:
            remove(path)

    def add_to_checkpoint(self: Any, folder: Path) -> None:
        """Write the sums for the next log row.

        Args:
            folder: Folder of the checkpoint.
        """
        super().add_to_checkpoint(folder)
        (folder / LOSS_FILE.format(self.args.process_index)).write_text(json.dumps(self.loss_sums), encoding="utf-8")

    def checkpoint_loaded(self: Any, folder: Path) -> None:
        """Read the sums for the next log row.

        Args:
            folder: Folder of the checkpoint.
        """
        super().checkpoint_loaded(folder)
        file = folder / LOSS_FILE.format(self.args.process_index)
        if file.exists():
            self.loss_sums = json.loads(file.read_text(encoding="utf-8"))

    def take_up(self: Any, folder: Path, max_steps: int) -> bool:
        """Find the best checkpoint; return True if the run is finished, by its steps or by early stopping.

        Args:
            folder: Folder of the checkpoint to resume from.
            max_steps: Number of optimizer steps of the run.
        """
        self._find_best(folder)
        stopped_early = any(
            callback.early_stopping_patience_counter >= callback.early_stopping_patience
            for callback in self.callback_handler.callbacks
            if isinstance(callback, EarlyStoppingCallback)
        )
        return stopped_early or self.state.global_step >= max_steps

    def _find_best(self: Any, checkpoint: Path) -> None:
        """Set the path of the best checkpoint, which is in the same folder as the given one, also on another machine.

        If the best checkpoint is damaged, reset the best metric.
        """
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


__all__ = ["SaveAtEpochEnd", "WholeCheckpoints"]
