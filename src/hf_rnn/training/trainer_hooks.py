# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""All overrides of private methods of transformers' Trainer, each with its reason.

Our trainers override the public hooks of [`TrainerHooks`] instead. This file was written against transformers 5.23.0. A
release of transformers that changes a private method is followed here alone; `tests/training/test_trainer_hooks.py`
compares the signatures.
"""

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Sampler

from ..utils.errors import UserError, first_line
from ..utils.output import unsaid


class TrainerHooks:
    """A mixin that stands before `Trainer` among the bases of a class and gives it hooks. Each does by default what
    transformers does; an override calls `super()`."""

    # True for a trainer that deletes old checkpoints itself, and finds the best one again in `take_up`.
    manages_checkpoints = False

    # Hooks -----------------------------------------------------------------------------------------------------------

    def save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint of the step that was done last."""
        super()._save_checkpoint(model, trial)  # type: ignore[misc]

    def push_checkpoint(self, folder: str) -> None:
        """Push a checkpoint that was written.

        Args:
            folder: of the checkpoint.
        """
        super()._push_from_checkpoint(folder)  # type: ignore[misc]

    def model_saved(self, folder: Path) -> None:
        """Add to a folder into which the model was saved, or remove from it."""

    def add_to_checkpoint(self, folder: Path) -> None:
        """Write what this process has to keep into a checkpoint, beside the state of its random numbers."""

    def weights_loaded(self, folder: Path) -> None:
        """Read what belongs to the weights of a checkpoint, once they are in the model."""

    def checkpoint_loaded(self, folder: Path) -> None:
        """Read what [`add_to_checkpoint`] wrote."""

    def take_up(self, folder: Path, max_steps: int) -> bool:
        """Take up a run from a checkpoint.

        Args:
            folder: of the checkpoint, whose state was read.
            max_steps: of the run.

        Returns:
            Whether nothing is left to train.
        """
        return False

    def ordered(self, sampler: Any) -> Sampler | None:
        """Return the sampler of the training rows, given transformers' own."""
        return sampler

    def evaluation_order(self, rows: Any) -> np.ndarray:
        """Return the places of rows in the order in which an evaluation reads them.

        Args:
            rows: an encoded split.
        """
        # transformers groups these rows by length too, by a generator with a seed of its own.
        sampler = self._get_eval_sampler(rows)  # type: ignore[attr-defined]
        return np.arange(len(rows)) if sampler is None else np.fromiter(sampler, dtype=int)

    def loader(self, make: Callable[[], DataLoader], is_training: bool) -> DataLoader:
        """Return the loader of some rows, which `make` makes as transformers does."""
        return make()

    def accelerator_args(self, built: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the Accelerator, given transformers' own."""
        return built

    def before_comparing(self, metrics: dict[str, float]) -> None:
        """Prepare the comparison of an evaluation with the best one."""

    def must_save(self) -> bool:
        """Return whether a checkpoint is due with `save_strategy="best"` though the evaluation was not the best."""
        return False

    # What our trainers ask of private parts --------------------------------------------------------------------------

    @property
    def loss_sums(self: Any) -> dict[str, float]:
        """The sum of losses behind the next row of the log, and the step of the row before it. Without both in a
        checkpoint, the first row after resuming differs from that of a run that was not cut."""
        return {"loss": self._tr_loss.item(), "step": self._globalstep_last_logged}

    @loss_sums.setter
    def loss_sums(self, sums: dict[str, float]) -> None:
        trainer: Any = self
        trainer._tr_loss.fill_(sums["loss"])
        trainer._globalstep_last_logged = sums["step"]
        # The mean that is logged at the end is that of the steps from here on.
        trainer._total_loss_scalar = -sums["loss"]

    def save_training_state(self: Any, folder: Path) -> None:
        """Write optimizer, scheduler, scaler and the state of the random numbers, as transformers does."""
        self._save_optimizer_and_scheduler(str(folder))
        self._save_scaler(str(folder))
        self._save_rng_state(str(folder))

    def checkpoints_folder(self: Any, trial: Any) -> Path:
        """Return the folder in which the checkpoints of a run, or of a trial of a search, stand."""
        return Path(self._get_output_dir(trial))

    # Overrides -------------------------------------------------------------------------------------------------------

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        # transformers writes into the checkpoint's place, so that a cut leaves half of one, which auto-resume takes
        # (huggingface/transformers#35782); and it has no public hook before or after.
        self.save_checkpoint(model, trial)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        # transformers pushes in the background, with a card of its own, and deletes what it pushes meanwhile.
        self.push_checkpoint(checkpoint_folder)

    def _save(self: Any, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        # `save_model` calls this in each process that saves; there is no callback after it.
        super()._save(output_dir, state_dict)  # type: ignore[misc]
        self.model_saved(Path(output_dir or self.args.output_dir))

    def _save_rng_state(self, output_dir: str) -> None:
        # The one method that runs in each process for each checkpoint: `on_save` comes after it was sealed.
        super()._save_rng_state(output_dir)  # type: ignore[misc]
        self.add_to_checkpoint(Path(output_dir))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        # As above, on the way back.
        with _without_code(checkpoint):
            super()._load_rng_state(checkpoint)  # type: ignore[misc]
        if checkpoint is not None:
            self.checkpoint_loaded(Path(checkpoint))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        # torch's error says nothing of the checkpoint or of what to do.
        with _without_code(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        # Weights are loaded before the callbacks are told of anything.
        super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
        self.weights_loaded(Path(resume_from_checkpoint))

    def _init_training_state(
        self,
        max_steps: int,
        num_update_steps_per_epoch: int,
        num_train_epochs: int,
        resume_from_checkpoint: str | None,
        trial: Any,
    ) -> tuple[int, int]:
        # A run that had ended, by its steps or by early stopping, would train on. transformers warns where the best
        # checkpoint of a run was made on another machine, and `take_up` finds it.
        words = "recorded in the resumed state does not exist"
        with unsaid("transformers.trainer", words) if self.manages_checkpoints else nullcontext():
            begin = super()._init_training_state(  # type: ignore[misc]
                max_steps, num_update_steps_per_epoch, num_train_epochs, resume_from_checkpoint, trial
            )
        if resume_from_checkpoint is not None and self.take_up(Path(resume_from_checkpoint), max_steps):
            return num_train_epochs, 0
        return begin

    def _finalize_training(self: Any, trial: Any, num_train_samples: int, start_time: float) -> Any:
        # transformers deletes the newest checkpoint here, before the model that it led to is saved.
        limit = self.args.save_total_limit
        if self.manages_checkpoints:
            self.args.save_total_limit = None
        try:
            return super()._finalize_training(trial, num_train_samples, start_time)  # type: ignore[misc]
        finally:
            self.args.save_total_limit = limit

    def _build_accelerator_args(self, **kwargs: Any) -> dict[str, Any]:
        # TrainingArguments have no field for the options of DistributedDataParallel beyond three.
        return self.accelerator_args(super()._build_accelerator_args(**kwargs))  # type: ignore[misc]

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        # There is no hook for how evaluations are compared. With `save_strategy="best"`, what this returns decides
        # alone whether a checkpoint is saved.
        self.before_comparing(metrics)
        return super()._determine_best_metric(metrics, trial) or self.must_save()  # type: ignore[misc]

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler | None:
        # A public sampler would have to be made in `get_train_dataloader`, with all of its other arguments.
        return self.ordered(super()._get_train_sampler(train_dataset))  # type: ignore[misc]

    def _get_dataloader(self, *args: Any, is_training: bool = False, **kwargs: Any) -> DataLoader:
        # The loaders of evaluations are cached and prepared inside of it.
        make = partial(super()._get_dataloader, *args, is_training=is_training, **kwargs)  # type: ignore[misc]
        return self.loader(make, is_training)


@contextmanager
def _without_code(checkpoint: str | None) -> Iterator[None]:
    """Raise [`UserError`] where a file of a checkpoint is a pickle that torch refuses to read."""
    try:
        yield
    except pickle.UnpicklingError as error:
        raise UserError(
            f"a file of {str(checkpoint)!r} is no checkpoint's, or holds a pickle that could run code, and was not "
            f"read ({first_line(error)}). Delete that folder, and go on from another checkpoint, or begin anew."
        ) from error


__all__ = ["TrainerHooks"]
