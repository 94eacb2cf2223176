# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""All overrides of private methods of transformers' Trainer, each with its reason.

Our trainers override the public hooks of [`TrainerHooks`] instead. This file is written for transformers 5.23.0. A
change of a private method in transformers affects this file only; `tests/training/test_trainer_hooks.py` compares the
signatures.
"""

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Sampler

from ..utils.errors import HfRnnError, first_line
from ..utils.output import unsaid


class TrainerHooks:
    """Mixin that adds public hooks to `Trainer`; it precedes `Trainer` among the base classes.

    By default, each hook does what transformers does. An override calls `super()`.
    """

    # True for a trainer that deletes old checkpoints itself, and finds the best one in `take_up`.
    manages_checkpoints = False
    # Columns of the training rows that the collator reads, besides the arguments of the model.
    extra_columns: tuple[str, ...] = ()

    # Hooks -----------------------------------------------------------------------------------------------------------

    def save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint of the current step.

        Args:
            model: Model to save.
            trial: Trial of a hyperparameter search; None outside of a search.
        """
        super()._save_checkpoint(model, trial)  # type: ignore[misc]

    def push_checkpoint(self, folder: str) -> None:
        """Push a written checkpoint to the Hub.

        Args:
            folder: Folder of the checkpoint.
        """
        super()._push_from_checkpoint(folder)  # type: ignore[misc]

    def model_saved(self, folder: Path) -> None:
        """Add files to a folder after the model was saved into it, or remove files.

        Args:
            folder: Folder of the saved model.
        """

    def add_to_checkpoint(self, folder: Path) -> None:
        """Write the data of this process into a checkpoint, after the state of its random numbers.

        Args:
            folder: Folder of the checkpoint.
        """

    def weights_loaded(self, folder: Path) -> None:
        """Read data that belongs to the weights of a checkpoint, after the model has loaded them.

        Args:
            folder: Folder of the checkpoint.
        """

    def checkpoint_loaded(self, folder: Path) -> None:
        """Read the data that [`add_to_checkpoint`] wrote.

        Args:
            folder: Folder of the checkpoint.
        """

    def take_up(self, folder: Path, max_steps: int) -> bool:
        """Prepare to resume from a checkpoint.

        Args:
            folder: Folder of the checkpoint, whose trainer state is loaded.
            max_steps: Number of optimizer steps of the run.

        Returns:
            True if the run is finished and there is nothing to train.
        """
        return False

    def ordered(self, sampler: Any) -> Sampler | None:
        """Return the sampler of the training rows.

        Args:
            sampler: Sampler that transformers made, or None.
        """
        return sampler

    def evaluation_order(self, rows: Any) -> np.ndarray:
        """Return the indices of rows in the order in which an evaluation reads them.

        Args:
            rows: Encoded rows of a split.
        """
        # transformers also sorts these rows by length, with a fixed seed of its own.
        sampler = self._get_eval_sampler(rows)  # type: ignore[attr-defined]
        return np.arange(len(rows)) if sampler is None else np.fromiter(sampler, dtype=int)

    def loader(self, make: Callable[[], DataLoader], is_training: bool) -> DataLoader:
        """Return the DataLoader of some rows.

        Args:
            make: Function that makes the loader as transformers does.
            is_training: True for training rows.
        """
        return make()

    def accelerator_args(self, built: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the Accelerator.

        Args:
            built: Arguments as transformers builds them.
        """
        return built

    def before_comparing(self, metrics: dict[str, float]) -> None:
        """Prepare the comparison of an evaluation with the best evaluation so far.

        Args:
            metrics: Metrics of the new evaluation.
        """

    def must_save(self) -> bool:
        """Return True if `save_strategy="best"` must write a checkpoint although the evaluation was not the best."""
        return False

    # Private parts of Trainer that our trainers use ------------------------------------------------------------------

    @property
    def loss_sums(self: Any) -> dict[str, float]:
        """The sum of losses for the next log row, and the step of the last log row.

        A checkpoint needs both. Without them, the first log row after resuming differs from that of an uninterrupted
        run.
        """
        return {"loss": self._tr_loss.item(), "step": self._globalstep_last_logged}

    @loss_sums.setter
    def loss_sums(self, sums: dict[str, float]) -> None:
        trainer: Any = self
        trainer._tr_loss.fill_(sums["loss"])
        trainer._globalstep_last_logged = sums["step"]
        # The mean loss that is logged at the end covers the steps after resuming only.
        trainer._total_loss_scalar = -sums["loss"]

    def save_training_state(self: Any, folder: Path) -> None:
        """Write optimizer, scheduler, gradient scaler and random number states as transformers does.

        Args:
            folder: Folder of the checkpoint.
        """
        self._save_optimizer_and_scheduler(str(folder))
        self._save_scaler(str(folder))
        self._save_rng_state(str(folder))

    def checkpoints_folder(self: Any, trial: Any) -> Path:
        """Return the folder that contains the checkpoints of a run, or of a trial of a hyperparameter search.

        Args:
            trial: Trial of the search; None outside of a search.
        """
        return Path(self._get_output_dir(trial))

    # Overrides -------------------------------------------------------------------------------------------------------

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        # transformers writes directly into the final folder. An interrupted write leaves a partial checkpoint, which
        # auto-resume takes (huggingface/transformers#35782). There is no public hook before or after.
        self.save_checkpoint(model, trial)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        # transformers pushes in the background with its own model card, and may delete the files during the upload.
        self.push_checkpoint(checkpoint_folder)

    def _save(self: Any, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        # `save_model` calls this method in each process that saves, and no callback runs after it.
        super()._save(output_dir, state_dict)  # type: ignore[misc]
        self.model_saved(Path(output_dir or self.args.output_dir))

    def _save_rng_state(self, output_dir: str) -> None:
        # This is the only method that runs in each process for each checkpoint. `on_save` runs later, when the
        # checkpoint has its manifest already.
        super()._save_rng_state(output_dir)  # type: ignore[misc]
        self.add_to_checkpoint(Path(output_dir))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        # This is the counterpart of `_save_rng_state` for loading.
        with _without_code(checkpoint):
            super()._load_rng_state(checkpoint)  # type: ignore[misc]
        if checkpoint is not None:
            self.checkpoint_loaded(Path(checkpoint))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        # The error of torch names neither the checkpoint nor a solution.
        with _without_code(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        # Weights are loaded before any callback runs.
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
        # A finished run, by its steps or by early stopping, would train further. transformers also warns if the path of
        # the best checkpoint is from another machine; `take_up` finds that checkpoint.
        words = "recorded in the resumed state does not exist"
        with unsaid("transformers.trainer", words) if self.manages_checkpoints else nullcontext():
            begin = super()._init_training_state(  # type: ignore[misc]
                max_steps, num_update_steps_per_epoch, num_train_epochs, resume_from_checkpoint, trial
            )
        if resume_from_checkpoint is not None and self.take_up(Path(resume_from_checkpoint), max_steps):
            return num_train_epochs, 0
        return begin

    def _finalize_training(self: Any, trial: Any, num_train_samples: int, start_time: float) -> Any:
        # transformers deletes the newest checkpoint here, before the trained model is saved.
        limit = self.args.save_total_limit
        if self.manages_checkpoints:
            self.args.save_total_limit = None
        try:
            return super()._finalize_training(trial, num_train_samples, start_time)  # type: ignore[misc]
        finally:
            self.args.save_total_limit = limit

    def _build_accelerator_args(self, **kwargs: Any) -> dict[str, Any]:
        # TrainingArguments have fields for only three options of DistributedDataParallel.
        return self.accelerator_args(super()._build_accelerator_args(**kwargs))  # type: ignore[misc]

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        # There is no hook for the comparison of evaluations. With `save_strategy="best"`, this return value alone
        # decides about saving a checkpoint.
        self.before_comparing(metrics)
        return super()._determine_best_metric(metrics, trial) or self.must_save()  # type: ignore[misc]

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler | None:
        # A public override of `get_train_dataloader` would have to repeat all of its other arguments.
        return self.ordered(super()._get_train_sampler(train_dataset))  # type: ignore[misc]

    def _set_signature_columns_if_needed(self: Any) -> None:
        # transformers drops all columns that are no arguments of the model, before the collator.
        super()._set_signature_columns_if_needed()  # type: ignore[misc]
        self._signature_columns += [name for name in self.extra_columns if name not in self._signature_columns]

    def _get_dataloader(self, *args: Any, is_training: bool = False, **kwargs: Any) -> DataLoader:
        # This method also caches and prepares the loaders of evaluations.
        make = partial(super()._get_dataloader, *args, is_training=is_training, **kwargs)  # type: ignore[misc]
        return self.loader(make, is_training)


@contextmanager
def _without_code(checkpoint: str | None) -> Iterator[None]:
    """Raise [`HfRnnError`] if a file of a checkpoint is a pickle that torch refuses to load."""
    try:
        yield
    except pickle.UnpicklingError as error:
        raise HfRnnError(
            f"a file in {str(checkpoint)!r} is not from a checkpoint, or is a pickle that could run code, and was not "
            f"read ({first_line(error)}). Delete that folder, and resume from another checkpoint, or start a new run."
        ) from error


__all__ = ["TrainerHooks"]
