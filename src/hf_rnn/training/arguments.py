# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Training arguments: those of transformers with defaults for a small recurrent network, and additional ones."""

import json
import os
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from transformers import IntervalStrategy, SchedulerType, TrainingArguments
from transformers.trainer_utils import SaveStrategy

from ..utils.errors import ConfigError, check_choice
from ..utils.output import bars_are_seen
from ..utils.processes import join_after_restart
from .averaging import AVERAGINGS
from .objectives import OBJECTIVES

SAMPLINGS = ("random", "sequential", "group_by_length", "batch_rebalance")
# Arguments of transformers that recurrent models do not support, with the reason for each.
REFUSED = {
    "prediction_loss_only": "a run needs predictions for its metrics, not only the loss",
    "batch_eval_metrics": "metrics are computed over a whole split, not over its batches",
    "eval_do_concat_batches": "metrics are computed over a whole split, not over its batches",
    "use_liger_kernel": "its kernels are for layers that a recurrent network does not have",
    "gradient_checkpointing": "a recurrent network saves memory with model.backprop_window",
}
CHOICES: dict[str, type[Enum]] = {
    "eval_strategy": IntervalStrategy,
    "logging_strategy": IntervalStrategy,
    "save_strategy": SaveStrategy,
    "lr_scheduler_type": SchedulerType,
}
LEAST = {
    "per_device_train_batch_size": 1,
    "per_device_eval_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "learning_rate": 0,
    "vectors_frozen_epochs": 0,
    "focal_gamma": 0,
    "weight_decay": 0,
    "seed": 0,
    "data_seed": 0,
}


@dataclass
class RNNTrainingArguments(TrainingArguments):
    """Training settings, with defaults for a small recurrent network.

    The class extends [`~transformers.TrainingArguments`]. All fields of that class are supported, except those in
    `REFUSED`, FSDP and DeepSpeed.

    Args:
        output_dir: Folder of the trained model. Checkpoints are written into it during training.
        overwrite: Replace the run in output_dir. Its files are kept in a hidden subfolder until the new model is saved.
            If false, a run in output_dir is an error.
        resume: Continue the run in output_dir from its newest complete checkpoint.
        early_stopping_patience: Number of evaluations in a row without a better model after which training stops. There
            is one evaluation per epoch by default (eval_strategy). null disables early stopping.
        train_batch_tokens: Maximum number of tokens, padding included, in a training batch of one process; a longer row
            is a batch of its own. It replaces per_device_train_batch_size. null means batches of
            per_device_train_batch_size rows. Language models do not support it.
        window: Mean number of tokens in a window of truncated backpropagation through time; gradients stop at the
            beginning of each window. Each process reads per_device_train_batch_size windows side by side. Read by
            language models only.
        layer_lr_decay: Ratio between the learning rate of a layer and that of the layer above it. The top layer has
            learning_rate, and the embedding has the lowest rate. 1 gives all layers the same rate; 0.4 suits a
            pretrained encoder.
        embedding_lr_factor: Factor of the learning rate of the token embeddings, and of an output layer that shares
            their weights. It multiplies the rate that layer_lr_decay gives. 0.1 suits pretrained vectors: those of
            words in the training rows then stay near those of other words.
        gradual_unfreezing: Train only the top layer in the first epoch, and unfreeze the next lower layer in each later
            epoch. Needs model.pretrained and a single process.
        freeze_vectors: Do not train the embedding, which keeps the vectors of model.vectors. Vocabulary entries without
            a vector keep random ones. Needs model.vectors.
        vectors_frozen_epochs: Number of epochs at the start of training in which the embedding keeps the vectors of
            model.vectors. 0 trains it from the first epoch. Needs model.vectors.
        averaging: Weight averaging within the run: ema, swa or nt_asgd. The mean of the weights over training steps is
            evaluated and saved; see [`~hf_rnn.training.averaging.WeightAverage`]. null disables averaging.
        averaging_decay: Decay of the moving average: a step counts this many times as much as the step after it. Read
            by ema only.
        averaging_start: Fraction of the training steps after which averaging starts, at least 0 and below 1. Read by
            swa only.
        averaging_patience: Number of previous evaluations that are left out of the comparison. Averaging starts when an
            evaluation is worse than the best of those before them. Read by nt_asgd only.
        entropy_minimisation: Weight of the mean entropy of the predictions in the loss; 0 disables the term. It also
            uses the texts of data.unlabelled_splits. Read by text classifiers with one label per text; see
            [`~hf_rnn.training.objectives.Objectives`].
        adversarial: Weight of the adversarial loss; 0 disables it. This is the cross-entropy loss after the embedded
            texts are moved in the direction that increases the loss most. Read by text classifiers with one label per
            text.
        virtual_adversarial: Weight of the virtual adversarial loss; 0 disables it. This is the divergence of the
            predictions after the embedded texts are moved in the direction that changes the predictions most. It also
            uses the texts of data.unlabelled_splits. Read by text classifiers with one label per text.
        perturbation: Distance by which adversarial and virtual_adversarial move an embedded text, as a fraction of its
            norm.
        class_weights: Weights of the classes in the loss: balanced for weights that give all classes the same sum, a
            list with a weight for each class, or weights by class, such as {spam: 5}, with 1 for the others. With
            several labels per text, the weight of a label applies to the texts that have it. null disables them. Read
            by text classifiers.
        focal_gamma: Focusing parameter of the focal loss, which reduces the loss of rows that are predicted well; 2 is
            usual (Lin et al. 2017). 0 disables it. Read by text classifiers.
        balanced_sampling: Repeat the training rows of rare classes until all classes are equally frequent. Read by text
            classifiers with one label per text.
        calibrate: Fit a temperature on the validation rows after training, by which the logits are divided, so that
            scores are calibrated probabilities (Guo et al. 2017). Read by text classifiers.
        thresholds: Probabilities over which labels are chosen: for each label of a multi-label classifier, or for one
            of two classes. f1 fits them to the highest F1 on the validation rows, where the probabilities of a label
            count too. precision fits them to the highest recall with a precision of at least min_precision. Numbers by
            label, such as {spam: 0.3}, set them. null for 0.5. Read by text classifiers.
        min_precision: Least precision on the validation rows of each label that thresholds chooses. Read with
            thresholds=precision only.
        positive_class: Class of two that has the threshold; the rarer one if null.
        gradient_flow_steps: Number of optimizer steps between measurements of the gradient flow through time. They are
            saved as gradient_flow.png and gradient_flow.json; see [`~hf_rnn.interpret.gradient_flow.GradientFlow`].
            0 disables them. Read by text classifiers and language models.

    Raises:
        ConfigError: A setting is out of range, not supported, or contradicts another one.
    """

    output_dir: str | None = "rnn-model"
    overwrite: bool = False
    resume: bool = False
    early_stopping_patience: int | None = None
    train_batch_tokens: int | None = None
    window: int = 70
    layer_lr_decay: float = 1.0
    embedding_lr_factor: float = 1.0
    gradual_unfreezing: bool = False
    freeze_vectors: bool = False
    vectors_frozen_epochs: int = 0
    averaging: str | None = None
    averaging_decay: float = 0.999
    averaging_start: float = 0.75
    averaging_patience: int = 5
    entropy_minimisation: float = 0.0
    adversarial: float = 0.0
    virtual_adversarial: float = 0.0
    perturbation: float = 0.1
    class_weights: str | list[float] | dict[str, float] | None = None
    focal_gamma: float = 0.0
    balanced_sampling: bool = False
    calibrate: bool = False
    thresholds: str | dict[str, float] | None = None
    min_precision: float = 0.9
    positive_class: str | None = None
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
    # The filter of transformers reads the loss from the device in each step. RNNTrainer checks the sum of the losses
    # instead, at the latest when it logs.
    logging_nan_inf_filter: bool = False
    report_to: str | None = "none"
    ddp_find_unused_parameters: bool | None = False

    def __post_init__(self) -> None:
        if self.disable_tqdm is None:
            self.disable_tqdm = not bars_are_seen()
        for name in ("class_weights", "thresholds"):
            if isinstance(numbers := getattr(self, name), dict):
                # Labels are text, also those that look like numbers: {1: 5}.
                setattr(self, name, {str(label): number for label, number in numbers.items()})
        self._check_refused()
        self._check_ranges()
        self._check_averaging()
        self._check_stopping()
        self._check_batches()
        # Without this, each process of a launcher would train separately on a machine without an accelerator.
        self.use_cpu = self.use_cpu or not torch.accelerator.is_available()
        self.dataloader_pin_memory = self.dataloader_pin_memory and _trains_on_cuda(self.use_cpu)
        if self.dataloader_pin_memory:
            self._copy_without_waiting()
        # transformers sets missing values to those of the loss. `RNNTrainer` needs to know what the user set: otherwise
        # it chooses the metric of the task.
        self.chose_metric = self.metric_for_best_model is not None
        self.chose_direction = self.greater_is_better is not None
        self._check_saving()
        backend = self.ddp_backend or ("gloo" if self.use_cpu else "nccl")
        join_after_restart(backend, timedelta(seconds=self.ddp_timeout))
        super().__post_init__()

    def _check_refused(self) -> None:
        """Raise [`ConfigError`] if an argument is not supported, or needs another argument that is missing."""
        for name, why in REFUSED.items():
            default = type(self).__dataclass_fields__[name].default
            if getattr(self, name) not in (default, None, False if default is None else default):
                raise ConfigError(f"training.{name}={getattr(self, name)!r} is not supported: {why}. Leave it out.")
        if self.dataloader_persistent_workers and not self.dataloader_num_workers:
            raise ConfigError(
                "training.dataloader_persistent_workers=True needs workers: write training.dataloader_num_workers=2 "
                "too, or leave it out."
            )

    def _check_ranges(self) -> None:
        """Raise [`ConfigError`] if a number is out of range, or the sampling strategy is unknown."""
        for name in OBJECTIVES:
            if getattr(self, name) < 0:
                raise ConfigError(f"training.{name}={getattr(self, name)} must be 0 or greater.")
        if self.gradient_flow_steps < 0:
            raise ConfigError(f"training.gradient_flow_steps={self.gradient_flow_steps} must be 0 (none) or greater.")
        check_choice("training.train_sampling_strategy", self.train_sampling_strategy, SAMPLINGS)
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            check_choice(f"training.{name}", getattr(value, "value", value), [each.value for each in choices])
        if not 0 <= self.label_smoothing_factor < 1:
            raise ConfigError(
                f"training.label_smoothing_factor={self.label_smoothing_factor} must be at least 0 and less than 1."
            )
        for name, least in LEAST.items():
            if (getattr(self, name) or 0) < least:
                raise ConfigError(f"training.{name}={getattr(self, name)} must be {least} or greater.")
        if self.num_train_epochs <= 0 or self.max_steps == 0:
            name = "max_steps" if self.max_steps == 0 else "num_train_epochs"
            raise ConfigError(f"training.{name}={getattr(self, name)} trains nothing: write one greater than 0.")
        if not 0 < self.min_precision <= 1:
            raise ConfigError(
                f"training.min_precision={self.min_precision} must be greater than 0 and at most 1, such as 0.9."
            )
        for name, usual in (("layer_lr_decay", 0.4), ("embedding_lr_factor", 0.1)):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(
                    f"training.{name}={getattr(self, name)} must be greater than 0 and at most 1, such as {usual}."
                )

    def _check_averaging(self) -> None:
        if self.averaging is not None:
            check_choice("training.averaging", self.averaging, AVERAGINGS)
        if self.averaging == "nt_asgd" and self.eval_strategy == "no":
            raise ConfigError(
                "training.averaging='nt_asgd' begins after an evaluation, and training.eval_strategy is no: write "
                "training.eval_strategy='epoch', or training.averaging='swa'."
            )
        for name in ("averaging_decay", "averaging_start"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"training.{name}={getattr(self, name)} must be at least 0 and less than 1.")
        if self.averaging_patience < 1:
            raise ConfigError(f"training.averaging_patience={self.averaging_patience} must be 1 or greater, such as 5.")

    def _check_stopping(self) -> None:
        patience = self.early_stopping_patience
        if patience is not None and patience < 1:
            raise ConfigError(
                f"training.early_stopping_patience={patience} must be 1 or greater; write "
                "training.early_stopping_patience=None for never."
            )
        if patience is not None and self.eval_strategy == "no":
            raise ConfigError(
                f"training.early_stopping_patience={patience} counts evaluations, and training.eval_strategy is no: "
                "write training.eval_strategy='epoch', or leave it out."
            )

    def _check_batches(self) -> None:
        if self.window < 1:
            raise ConfigError(f"training.window={self.window} must be 1 or greater, such as 70.")
        if self.train_batch_tokens is not None and self.train_batch_tokens < 1:
            raise ConfigError(
                f"training.train_batch_tokens={self.train_batch_tokens} must be 1 or greater, such as 16384; write "
                "training.train_batch_tokens=None for training.per_device_train_batch_size rows."
            )
        if self.train_batch_tokens is not None and self.auto_find_batch_size:
            raise ConfigError(
                "training.auto_find_batch_size looks for a number of rows, and training.train_batch_tokens sets a "
                "number of tokens: leave one of them out."
            )

    def _check_saving(self) -> None:
        """Raise [`ConfigError`] if the best model would have no checkpoint, or FSDP or DeepSpeed is set."""
        if self.load_best_model_at_end and self.save_strategy not in ("best", self.eval_strategy):
            raise ConfigError(
                f"training.load_best_model_at_end needs a checkpoint at each evaluation, and training.save_strategy is "
                f"{self.save_strategy} where training.eval_strategy is {self.eval_strategy}: make them the same, or "
                "write training.load_best_model_at_end=False."
            )
        if self.fsdp or self.deepspeed or os.environ.get("ACCELERATE_USE_FSDP") == "true":
            raise ConfigError(
                "FSDP and DeepSpeed split models that are too large for one device, and recurrent models are not: "
                "leave training.fsdp and training.deepspeed out, or write distributed_type: MULTI_GPU for accelerate. "
                "The processes then share the rows of each step."
            )

    def _copy_without_waiting(self) -> None:
        """Set asynchronous copies of batches to the GPU, unless `accelerator_config` sets `non_blocking`."""
        config: Any = {} if self.accelerator_config is None else self.accelerator_config
        if isinstance(config, str) and config.lstrip().startswith("{"):
            config = json.loads(config)
        if isinstance(config, dict):
            self.accelerator_config = {"non_blocking": True, **config}

    @property
    def order_seed(self) -> int:
        """The seed of the order of the training rows: `data_seed`, or `seed` if `data_seed` is None."""
        return self.seed if self.data_seed is None else self.data_seed

    @property
    def hub_name(self) -> str:
        """The Hub repository of the model: `hub_model_id`, or the name of `output_dir` if that is not set."""
        assert self.output_dir is not None
        return self.hub_model_id or Path(self.output_dir).absolute().name

    def __getstate__(self) -> dict:
        # Trainer pickles its arguments into each checkpoint, and a checkpoint must not contain the secret token.
        return {**self.__dict__, "hub_token": None}


def _trains_on_cuda(use_cpu: bool) -> bool:
    return not use_cpu and torch.cuda.is_available()


__all__ = ["RNNTrainingArguments"]
