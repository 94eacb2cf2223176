# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""transformers' training arguments, with the defaults of a small recurrent model."""

import json
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from ..utils.errors import UserError, check_choice
from ..utils.processes import join_after_restart
from .averaging import AVERAGINGS
from .objectives import OBJECTIVES

SAMPLINGS = ("random", "sequential", "group_by_length", "batch_rebalance")
# Arguments of transformers that cannot hold here, and why.
REFUSED = {
    "prediction_loss_only": "a run is judged by its predictions, and not by its loss alone",
    "batch_eval_metrics": "metrics are those of a whole split, and not of its batches",
    "eval_do_concat_batches": "metrics are those of a whole split, and not of its batches",
    "use_liger_kernel": "its kernels are of layers that a recurrent network does not have",
    "gradient_checkpointing": "model.backprop_window is what saves memory in a recurrent network",
}
LEAST = {
    "per_device_train_batch_size": 1,
    "per_device_eval_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "learning_rate": 0,
    "vectors_frozen_epochs": 0,
    "seed": 0,
    "data_seed": 0,
}


@dataclass
class RNNTrainingArguments(TrainingArguments):
    """The training.

    These are [`~transformers.TrainingArguments`] with other defaults and some more fields. All fields hold here too,
    but for those of `REFUSED`, FSDP and DeepSpeed.

    Args:
        output_dir: the model's folder; checkpoints stand inside it.
        overwrite: replace the run that output_dir holds; it is kept aside until the new one is saved.
        resume: go on from the newest checkpoint in output_dir.
        early_stopping_patience: epochs (or evaluations) without a better model after which training ends; null for
            never.
        train_batch_tokens: tokens that a training batch of each process may have, padding among them, instead of
            per_device_train_batch_size rows chosen by train_sampling_strategy; null for those.
        window: tokens through which a language model's gradients go back, in the mean; its streams are
            per_device_train_batch_size for each process.
        layer_lr_decay: learning rate of each layer, as a share of that of the layer above it, such as 0.4 for a model
            whose encoder has learnt before; learning_rate is that of the topmost.
        gradual_unfreezing: train the topmost layer alone in the first epoch, and one layer more in each epoch after it.
        vectors_frozen_epochs: epochs at the beginning in which the embedding stays as model.vectors has it; 0 for none.
        averaging: ema, swa or nt_asgd: what is measured and saved is a mean of the weights over steps; see
            [`~hf_rnn.training.averaging.WeightAverage`]; null for the weights of the last step.
        averaging_decay: of ema, how many times as much each step counts as the one after it.
        averaging_start: of swa, the share of the steps after which it begins.
        averaging_patience: of nt_asgd, the evaluations after which one that is no better begins it.
        entropy_minimisation: weight of the entropy of a classifier's answers in its loss, from the texts of
            data.unlabelled_splits too; see [`~hf_rnn.training.objectives.Objectives`].
        adversarial: weight of the loss at embedded texts that are moved to where it grows most (the same).
        virtual_adversarial: weight of the change of the answers where embedded texts are moved to where these change
            most, from the texts of data.unlabelled_splits too (the same).
        gradient_flow_steps: steps between measurements of the gradient on its way back through time, which
            gradient_flow.png and gradient_flow.json then show; 0 for none; see
            [`~hf_rnn.interpret.gradient_flow.GradientFlow`].
        perturbation: how far adversarial and virtual_adversarial move an embedded text, as a share of its norm.
    """

    output_dir: str | None = "rnn-model"
    overwrite: bool = False
    resume: bool = False
    early_stopping_patience: int | None = None
    train_batch_tokens: int | None = None
    window: int = 70
    layer_lr_decay: float = 1.0
    gradual_unfreezing: bool = False
    vectors_frozen_epochs: int = 0
    averaging: str | None = None
    averaging_decay: float = 0.999
    averaging_start: float = 0.75
    averaging_patience: int = 5
    entropy_minimisation: float = 0.0
    adversarial: float = 0.0
    virtual_adversarial: float = 0.0
    perturbation: float = 0.1
    gradient_flow_steps: int = 0

    learning_rate: float = 2e-3
    num_train_epochs: float = 5.0
    per_device_train_batch_size: int = 32
    per_device_eval_batch_size: int = 64
    lr_scheduler_type: str = "cosine"
    warmup_steps: float = 0.1
    train_sampling_strategy: str = "group_by_length"
    eval_strategy: str = "epoch"
    save_strategy: str = "epoch"
    save_total_limit: int | None = 1
    restore_callback_states_from_checkpoint: bool = True
    load_best_model_at_end: bool = True
    logging_strategy: str = "epoch"
    # transformers' filter asks the device for the loss of each step. RNNTrainer looks at all of them when it logs.
    logging_nan_inf_filter: bool = False
    report_to: str | None = "none"
    ddp_find_unused_parameters: bool | None = False

    def __post_init__(self) -> None:
        self._check_refused()
        self._check_ranges()
        self._check_averaging()
        self._check_stopping()
        self._check_batches()
        # Without this, the processes of a launcher on a machine without accelerator would each train on their own.
        self.use_cpu = self.use_cpu or not torch.accelerator.is_available()
        self.dataloader_pin_memory = self.dataloader_pin_memory and _trains_on_cuda(self.use_cpu)
        if self.dataloader_pin_memory:
            self._copy_without_waiting()
        # transformers fills in the loss; where nobody chose it, `RNNTrainer` takes the task's own metric.
        self.chose_metric = self.metric_for_best_model is not None
        self.chose_direction = self.greater_is_better is not None
        self._check_saving()
        backend = self.ddp_backend or ("gloo" if self.use_cpu else "nccl")
        join_after_restart(backend, timedelta(seconds=self.ddp_timeout))
        super().__post_init__()

    def _check_refused(self) -> None:
        """Raise [`UserError`] for arguments of transformers that cannot hold, or not alone."""
        for name, why in REFUSED.items():
            default = type(self).__dataclass_fields__[name].default
            if getattr(self, name) not in (default, None, False if default is None else default):
                raise UserError(f"training.{name}={getattr(self, name)} cannot hold: {why}. Leave it out.")
        if self.dataloader_persistent_workers and not self.dataloader_num_workers:
            raise UserError(
                "training.dataloader_persistent_workers=True needs workers: write --training.dataloader_num_workers 2 "
                "too, or leave it out."
            )

    def _check_ranges(self) -> None:
        """Raise [`UserError`] for numbers out of range."""
        for name in OBJECTIVES:
            if getattr(self, name) < 0:
                raise UserError(f"training.{name}={getattr(self, name)} must be 0 or greater.")
        if self.gradient_flow_steps < 0:
            raise UserError(f"training.gradient_flow_steps={self.gradient_flow_steps} must be 0 (none) or greater.")
        check_choice("training.train_sampling_strategy", self.train_sampling_strategy, SAMPLINGS)
        for name, least in LEAST.items():
            if (getattr(self, name) or 0) < least:
                raise UserError(f"training.{name}={getattr(self, name)} must be {least} or greater.")
        if self.num_train_epochs <= 0 or self.max_steps == 0:
            name = "max_steps" if self.max_steps == 0 else "num_train_epochs"
            raise UserError(f"training.{name}={getattr(self, name)} trains nothing: write one greater than 0.")
        if not 0 < self.layer_lr_decay <= 1:
            raise UserError(
                f"training.layer_lr_decay={self.layer_lr_decay} must be greater than 0 and at most 1, such as 0.4."
            )

    def _check_averaging(self) -> None:
        if self.averaging is not None:
            check_choice("training.averaging", self.averaging, AVERAGINGS)
        if self.averaging == "nt_asgd" and self.eval_strategy == "no":
            raise UserError(
                "training.averaging=nt_asgd begins after an evaluation, and training.eval_strategy is no: write "
                "--training.eval_strategy epoch, or --training.averaging swa."
            )
        for name in ("averaging_decay", "averaging_start"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"training.{name}={getattr(self, name)} must be at least 0 and less than 1.")
        if self.averaging_patience < 1:
            raise UserError(f"training.averaging_patience={self.averaging_patience} must be 1 or greater, such as 5.")

    def _check_stopping(self) -> None:
        patience = self.early_stopping_patience
        if patience is not None and patience < 1:
            raise UserError(f"training.early_stopping_patience={patience} must be 1 or greater, or null for never.")
        if patience is not None and self.eval_strategy == "no":
            raise UserError(
                f"training.early_stopping_patience={patience} counts evaluations, and training.eval_strategy is no: "
                "write --training.eval_strategy epoch, or leave it out."
            )

    def _check_batches(self) -> None:
        if self.window < 1:
            raise UserError(f"training.window={self.window} must be 1 or greater, such as 70.")
        if self.train_batch_tokens is not None and self.train_batch_tokens < 1:
            raise UserError(
                f"training.train_batch_tokens={self.train_batch_tokens} must be 1 or greater, such as 16384, or null "
                "for per_device_train_batch_size rows."
            )
        if self.train_batch_tokens is not None and self.auto_find_batch_size:
            raise UserError(
                "training.auto_find_batch_size looks for a number of rows, and training.train_batch_tokens sets a "
                "number of tokens: leave one of them out."
            )

    def _check_saving(self) -> None:
        """Raise [`UserError`] where no checkpoint of the best model is written, or a model is to be divided."""
        if self.load_best_model_at_end and self.save_strategy not in ("best", self.eval_strategy):
            raise UserError(
                f"training.load_best_model_at_end needs a checkpoint at each evaluation, and training.save_strategy is "
                f"{self.save_strategy} where training.eval_strategy is {self.eval_strategy}: make them the same, or "
                "write --training.load_best_model_at_end false."
            )
        if self.fsdp or self.deepspeed or os.environ.get("ACCELERATE_USE_FSDP") == "true":
            raise UserError(
                "FSDP and DeepSpeed divide a model that no device can hold, and one of recurrent layers fits: leave "
                "training.fsdp and training.deepspeed out, or write distributed_type: MULTI_GPU for accelerate. The "
                "processes then share the rows of each step."
            )

    def _copy_without_waiting(self) -> None:
        """Copy batches to the GPU while it computes, unless `accelerator_config` says otherwise."""
        config: Any = {} if self.accelerator_config is None else self.accelerator_config
        if isinstance(config, str) and config.lstrip().startswith("{"):
            config = json.loads(config)
        if isinstance(config, dict):
            self.accelerator_config = {"non_blocking": True, **config}

    @property
    def order_seed(self) -> int:
        """Of the order in which rows are read: `data_seed`, or `seed`."""
        return self.seed if self.data_seed is None else self.data_seed

    @property
    def hub_name(self) -> str:
        """The repository that a run is pushed to: `hub_model_id`, or the name of its folder."""
        assert self.output_dir is not None
        return self.hub_model_id or Path(self.output_dir).absolute().name

    def __getstate__(self) -> dict:
        # Trainer pickles its arguments into each checkpoint, which is no place for a secret.
        return {**self.__dict__, "hub_token": None}


def _trains_on_cuda(use_cpu: bool) -> bool:
    return not use_cpu and torch.cuda.is_available()


__all__ = ["RNNTrainingArguments"]
