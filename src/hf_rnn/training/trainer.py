# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Trainer of transformers for the tasks of hf_rnn."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase
from transformers.trainer_utils import EvalLoopOutput

from ..models.label_checks import IGNORED
from ..models.ragged import may_ask
from ..tasks import Task, TaskAnswers
from ..text.collation import TEACHER
from ..text.schema import SCHEMA_FILE, Schema
from ..utils.errors import HfRnnError, check_choice
from ..utils.machine import bound_kernel_caches, is_out_of_memory, keep_freed_memory, on_device
from .arguments import RNNTrainingArguments
from .averaging import WeightAverage
from .batched_loading import BatchedLoading
from .callbacks import EarlyStopping, Stopwatch, best_loss
from .checkpoints import newest_whole
from .class_balance import class_loss
from .distillation import DistillationLoss
from .fine_tuning import GradualUnfreezing, discriminative_learning_rates, scale_embedding_rate
from .hub_trainer import PushingTrainer
from .hyperparameter_search import MetricSearch
from .objectives import OBJECTIVES, Objectives, UnlabelledRows, check_objectives
from .progress import use_log_lines
from .share_of_all import ShareOfAll
from .stopping import GracefulStop
from .whole_checkpoints import WholeCheckpoints

logger = logging.getLogger(__name__)


class RNNTrainer(MetricSearch, BatchedLoading, WholeCheckpoints, PushingTrainer):
    """Trainer of transformers for the tasks of hf_rnn.

    It adds batches of rows of similar length ([`~hf_rnn.training.batched_loading.BatchedLoading`]), the metrics of the
    task, early stopping, checkpoints that are complete or absent
    ([`~hf_rnn.training.whole_checkpoints.WholeCheckpoints`]), and a checkpoint on SIGTERM and SIGINT
    ([`~hf_rnn.training.stopping.GracefulStop`]).

    On a CPU, the process then keeps freed memory ([`~hf_rnn.utils.machine.keep_freed_memory`]) and caches fewer kernels
    ([`~hf_rnn.utils.machine.bound_kernel_caches`]).

    Args:
        model: Model of the task; None with `model_init`, for `hyperparameter_search`.
        args: Training arguments, an [`RNNTrainingArguments`].
        task: Task that provides the collator and the metrics.
        processing_class: Tokenizer of the model; each checkpoint contains it.
        train_dataset: Training rows as `task.encode` returns them.
        eval_dataset: Validation rows as `task.encode` returns them.
        unlabelled_dataset: Encoded rows without labels for the objectives that need none; None for no such rows.
        distillation: Loss of the answers of a teacher, which the training rows have; None for a run without teachers.
        kwargs: Further arguments of `Trainer`, such as `callbacks`.

    Raises:
        HfRnnError: The task does not have the metric, or does not support label smoothing, an additional objective or
            class weights (see [`~hf_rnn.training.objectives.check_objectives`] and
            [`~hf_rnn.training.class_balance.class_loss`]); or gradual unfreezing is set in several processes.
    """

    extra_columns = (TEACHER,)
    # Decisions about the data; each checkpoint contains them.
    schema: Schema | None = None
    _unchecked: Any = None
    # The type in transformers allows None, but a constructed Trainer always has a model.
    model: Any
    # Sum of the loss in nats and number of labels, for each batch of the current evaluation.
    _measured: Any = ()

    def __init__(
        self,
        model: Any,
        args: RNNTrainingArguments,
        task: Task,
        processing_class: PreTrainedTokenizerBase,
        unlabelled_dataset: Dataset | None = None,
        distillation: DistillationLoss | None = None,
        **kwargs: Any,
    ):
        _choose_metric(args, task, kwargs.get("eval_dataset"))
        if args.device.type == "cpu":
            keep_freed_memory()
            bound_kernel_caches()
        self.task, self.distillation = task, distillation
        self.objectives = Objectives(**{name: getattr(args, name) for name in OBJECTIVES})
        check_objectives(args, task, self.objectives, unlabelled_dataset)
        self.class_loss = class_loss(args, task, kwargs.get("train_dataset"))
        collator = task.collator(processing_class)
        place = args.process_index
        self.unlabelled = (
            None if unlabelled_dataset is None else UnlabelledRows(unlabelled_dataset, collator, args.seed, place)
        )
        self.stop = GracefulStop()
        callbacks = [Stopwatch(), self.stop, *(kwargs.pop("callbacks", None) or [])]
        self.average = WeightAverage()
        if args.averaging is not None:
            callbacks.append(self.average)
        if args.early_stopping_patience is not None:
            callbacks.append(EarlyStopping(args.early_stopping_patience))
        if args.gradual_unfreezing:
            if args.world_size > 1:
                raise HfRnnError(
                    "training.gradual_unfreezing works in one process, and this run has "
                    f"{args.world_size}: leave it out, and write a larger training.layer_lr_decay."
                )
            callbacks.append(GradualUnfreezing())
        super().__init__(
            model,
            args,
            data_collator=collator,
            processing_class=processing_class,
            compute_metrics=self._headline,
            callbacks=callbacks,
            **kwargs,
        )
        use_log_lines(self)

    @property
    def train_seconds(self) -> float:
        """The duration of training in seconds, including the time before a resumed checkpoint."""
        return next(each.seconds for each in self.callback_handler.callbacks if isinstance(each, Stopwatch))

    def train(self, *args: Any, **kwargs: Any) -> Any:
        try:
            with self.stop.listening():
                return super().train(*args, **kwargs)
        except HfRnnError as error:
            # A DataLoader worker puts its traceback into the message; keep the message of the original error only.
            name = type(error).__name__
            if not str(error).startswith(f"Caught {name} in DataLoader worker"):
                raise
            raise type(error)(str(error).strip().rpartition(f"{name}: ")[2]) from error

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Run one training step as transformers does; stop training if the loss is not finite.

        On a GPU the loss is checked at the next log row or checkpoint, because a check waits for the GPU.

        Args:
            model: Model to train, as wrapped by accelerate.
            inputs: Batch from the collator.
            num_items_in_batch: Number of labels in all batches of the optimizer step.

        Raises:
            HfRnnError: The loss is NaN or infinite, or the batch does not fit into memory.
        """
        try:
            loss = super().training_step(model, inputs, num_items_in_batch)
        except (RuntimeError, MemoryError) as error:
            # With `auto_find_batch_size`, the Trainer catches this error and tries a smaller batch.
            if self.args.auto_find_batch_size or not is_out_of_memory(error):
                raise
            raise self._no_room_for(inputs, self._smaller_batches()) from error
        self._unchecked = self._unchecked + loss if self._unchecked is not None else loss
        if may_ask(loss):
            self._check_loss()
        return loss

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the loss as transformers does, plus the additional objectives during training.

        With several processes, the losses are weighted so that each row (or labelled token) counts equally.

        Args:
            model: Model to train or to evaluate, as wrapped by accelerate.
            inputs: Batch from the collator.
            return_outputs: True to return the pair (loss, outputs of the model).
            num_items_in_batch: Number of labels in all batches of the optimizer step.
        """
        share = None
        if model.training and self.args.world_size > 1:
            # The loss is a mean over rows or, for taggers and translation, over labelled tokens.
            ids = inputs["input_ids"]
            # Created on the device, because a copy from the host would block until it arrives.
            rows = ids.new_full((), len(ids))
            share = ShareOfAll((inputs["labels"] != IGNORED).sum() if self.task.counts_tokens else rows)
        loss, outputs = self._loss(model, inputs, num_items_in_batch)
        loss = loss if share is None else share.weigh(loss)
        return (loss, outputs) if return_outputs else loss

    def _loss(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any) -> tuple[torch.Tensor, Any]:
        if not (model.training and (self.objectives or self.class_loss or self.distillation)):
            return super().compute_loss(model, inputs, True, num_items_in_batch)  # type: ignore[return-value]
        if not self.objectives:
            labels, plain = inputs["labels"], self.accelerator.unwrap_model(model)
            # A conditional random field computes its loss from more than the logits.
            has_crf = getattr(plain, "crf", None) is not None
            unread = (TEACHER,) if has_crf else (TEACHER, "labels")
            outputs = model(**{name: value for name, value in inputs.items() if name not in unread})
            logits = outputs.logits.float()
            if self.distillation is None:
                return self.class_loss(logits, labels), outputs
            of_labels = (lambda *_: outputs.loss) if has_crf else self.class_loss or plain.loss_of
            done = self.state.global_step / self.state.max_steps
            return self.distillation(logits, inputs[TEACHER], labels, of_labels, done), outputs
        unlabelled = None
        if self.unlabelled is not None:
            unlabelled = on_device(self.unlabelled.batch(inputs, self.state.global_step), self.args.device)
        plain = self.accelerator.unwrap_model(model)
        of_labels = self.class_loss or F.cross_entropy
        loss, logits = self.objectives.loss(model, plain, inputs, unlabelled, of_labels)
        return loss, {"loss": loss, "logits": logits}

    def evaluation_loop(
        self,
        dataloader: DataLoader,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        self._measured = []
        output: Any = super().evaluation_loop(
            dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix
        )
        counted_twice = self.args.world_size > 1 and output.label_ids is not None and self.label_smoother is None
        if self.task.counts_tokens and self._measured:
            # The Trainer weights the loss of a batch by its rows, not by its labelled tokens.
            nats, known = self.accelerator.reduce(torch.stack(self._measured).sum(0)).tolist()
            output.metrics[f"{metric_key_prefix}_loss"] = nats / max(1, known)
        if counted_twice and self.task.one_answer:
            # accelerate repeats rows to fill the last batches, and the mean of batch losses counts them twice.
            plain: Any = self.accelerator.unwrap_model(self.model)
            logits, labels = torch.as_tensor(output.predictions), torch.as_tensor(output.label_ids)
            output.metrics[f"{metric_key_prefix}_loss"] = float(plain.loss_of(logits, labels))
        return output

    def prediction_step(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        try:
            loss, *rest = super().prediction_step(model, inputs, *args, **kwargs)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            smaller = f"training.per_device_eval_batch_size={max(1, self.args.per_device_eval_batch_size // 2)}"
            raise self._no_room_for(inputs, smaller) from error
        if self.task.counts_tokens and loss is not None:
            known = (inputs["labels"] != IGNORED).sum().to(loss.device)
            self._measured.append(torch.stack([loss.float() * known, known.float()]))
        return loss, *rest

    def _no_room_for(self, inputs: dict, smaller: str) -> HfRnnError:
        rows, longest = inputs["input_ids"].shape
        return HfRnnError(
            f"there was no memory for a batch of {rows} rows, the longest of {longest} tokens, at step "
            f"{self.state.global_step + 1}: write {smaller}."
        )

    def _smaller_batches(self) -> str:
        args = self.args
        if args.train_batch_tokens is not None:
            return f"training.train_batch_tokens={max(1, args.train_batch_tokens // 2)}"
        rows, steps = args.per_device_train_batch_size, args.gradient_accumulation_steps
        return (
            f"training.per_device_train_batch_size={max(1, rows // 2)} and training.gradient_accumulation_steps="
            f"{steps * 2} (the same training in smaller parts)"
            + (", or data.max_length=NUMBER for shorter texts" if self.task.one_answer else "")
        )

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        self._check_loss()
        super().log(logs, start_time)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        with self.average.in_place(self.model):
            return super().evaluate(*args, **kwargs)

    def save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint. With weight averaging, its model has the averaged weights.

        Args:
            model: Model to save.
            trial: Trial of a hyperparameter search; None outside of a search.
        """
        self._check_loss()
        with self.average.in_place(self.model):
            super().save_checkpoint(model, trial)

    def add_to_checkpoint(self, folder: Path) -> None:
        """Write the schema of the data and, with weight averaging, the weights that training continues from.

        Args:
            folder: Folder of the checkpoint.
        """
        super().add_to_checkpoint(folder)
        if self.args.should_save:
            self.average.save(self.model, folder)
            if self.schema is not None:
                (folder / SCHEMA_FILE).write_text(self.schema.to_json(), encoding="utf-8")

    def weights_loaded(self, folder: Path) -> None:
        """Read the weights that training continues from, and keep the loaded weights as the average.

        Args:
            folder: Folder of the checkpoint.
        """
        super().weights_loaded(folder)
        self.average.load(self.model, folder)

    def _check_loss(self) -> None:
        """Raise [`HfRnnError`] if a loss since the last check is NaN or infinite.

        A check at every step would make a GPU wait for the host, so losses on a GPU are summed and checked less often.
        """
        total, self._unchecked = self._unchecked, None
        if total is None or total.isfinite():
            return
        assert self.args.output_dir is not None
        saved = newest_whole(Path(self.args.output_dir))
        go_on = f" Resume from {saved.name} with training.resume=True, or" if saved else " So"
        raise HfRnnError(
            f"the loss became {float(total)} by step {self.state.global_step + 1} (epoch {self.state.epoch or 0:.2f}), "
            f"and training was stopped.{go_on} start a new run with a smaller training.learning_rate than "
            f"{self.args.learning_rate:g}."
        )

    def accelerator_args(self, built: dict[str, Any]) -> dict[str, Any]:
        """Let gradients be views of the buckets of DistributedDataParallel, which saves two copies in each step.

        Args:
            built: Arguments of the Accelerator as transformers builds them; changed in place.
        """
        built["kwargs_handlers"][0].gradient_as_bucket_view = True
        return built

    def before_comparing(self, metrics: dict[str, float]) -> None:
        """Prefer a new evaluation with an equal metric and no higher loss; transformers keeps the first one.

        Args:
            metrics: Metrics of the new evaluation.
        """
        best, name = self.state.best_metric, str(self.args.metric_for_best_model)
        is_equal = best is not None and metrics.get(f"eval_{name.removeprefix('eval_')}") == best
        if is_equal and metrics.get("eval_loss", 0) <= best_loss(self.state):
            self.state.best_metric = None

    def must_save(self) -> bool:
        """Return True if a signal has asked for a checkpoint."""
        return bool(self.stop.agreed)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        optimizer = super().create_optimizer(model)
        if self.args.layer_lr_decay != 1:
            discriminative_learning_rates(optimizer, self.model if model is None else model, self.args.layer_lr_decay)
        if self.args.embedding_lr_factor != 1:
            scale_embedding_rate(optimizer, self.model if model is None else model, self.args.embedding_lr_factor)
        return optimizer

    def _headline(self, prediction: Any) -> dict[str, float]:
        metrics = self.task.metrics(prediction.predictions, prediction.label_ids)
        return {name: value for name, value in metrics.items() if "/" not in name}

    def judge(self, rows: Any, split: str) -> tuple[dict[str, float], tuple[np.ndarray, np.ndarray] | None]:
        """Return all metrics of a split, and its logits and labels in the order of `rows` if each row has one answer.

        Args:
            rows: Encoded rows of the split.
            split: Name of the split.
        """
        output: Any = self.predict(rows, metric_key_prefix=split)
        metrics = self.task.metrics(output.predictions, output.label_ids)
        judged = None
        if self.task.one_answer:
            back = np.argsort(self.evaluation_order(rows))
            judged = output.predictions[back], np.asarray(output.label_ids)[back]
        return {"loss": float(output.metrics[f"{split}_loss"]), **metrics}, judged


def _choose_metric(args: RNNTrainingArguments, task: TaskAnswers, eval_dataset: Any) -> None:
    """Set the metric that selects the best model, and its direction, unless the arguments name them."""
    greater_is_better = {**task.measures, "loss": False}
    if not args.chose_metric:
        args.metric_for_best_model = next(iter(greater_is_better))
    name = str(args.metric_for_best_model).removeprefix("eval_")
    for one_of_several in eval_dataset if isinstance(eval_dataset, dict) else ():
        name = name.removeprefix(f"{one_of_several}_")
    check_choice("training.metric_for_best_model", name, greater_is_better)
    if not args.chose_direction:
        args.greater_is_better = greater_is_better[name]


__all__ = ["RNNTrainer"]
