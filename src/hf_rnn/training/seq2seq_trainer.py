# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Training models that write texts: judged by what they write."""

from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase

from ..inference.predictor import Predictor
from ..models.label_checks import IGNORED
from ..tasks import Task
from ..text.batching import BATCH_TOKENS
from ..utils.errors import UserError
from .arguments import RNNTrainingArguments
from .trainer import RNNTrainer

# Of what is written by `generate`, unless it is told otherwise; while training goes on it is one.
BEAMS = 5


class TranslationTrainer(RNNTrainer):
    """[`RNNTrainer`] on the rows of the task `translation`. An evaluation writes each text, by the likeliest token at a
    time; the last ones by beam search, as the model then does by itself.

    Raises:
        UserError: labels that are to be smoothed by the Trainer.
    """

    def __init__(
        self,
        model: Any,
        args: RNNTrainingArguments,
        task: Task,
        processing_class: PreTrainedTokenizerBase,
        train_dataset: Any = None,
        **kwargs: Any,
    ):
        if args.label_smoothing_factor:
            raise UserError(
                f"training.label_smoothing_factor={args.label_smoothing_factor}: what is to be written is smoothed by "
                f"--model.label_smoothing {args.label_smoothing_factor}."
            )
        super().__init__(model, args, task, processing_class, train_dataset=train_dataset, **kwargs)
        longest = max(map(len, train_dataset["labels"])) if train_dataset is not None else 0
        model.generation_config.num_beams = BEAMS
        # With the token that begins it. `max_new_tokens` would override every `max_length` that a caller gives.
        model.generation_config.max_length = 1 + max(50, 2 * longest)

    def prediction_step(
        self, model: nn.Module, inputs: Any, prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Any, Any, Any]:
        loss, *_ = super().prediction_step(model, inputs, True, ignore_keys)
        if prediction_loss_only:
            return loss, None, None
        inputs = self._prepare_inputs(inputs)
        plain: Any = self.accelerator.unwrap_model(model)
        text = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        with self.compute_loss_context_manager():
            written = plain.generate(**text, num_beams=1)
        task: Any = self.task
        empty = text["attention_mask"].sum(1) <= task.length_of_nothing(self.processing_class)
        return loss, written[:, 1:].masked_fill(empty[:, None], IGNORED), inputs["labels"]

    def judge(self, rows: Any, split: str) -> tuple[dict[str, Any], None]:
        """All metrics of a split, against its texts as they stand there, by the beams of the model; each process reads
        all of them."""
        tokenizer: Any = self.processing_class
        model = self.accelerator.unwrap_model(self.model)
        # With accelerate's autocast around it alone, `generate` would run in part with few bits, and in part without.
        wrapped = model.__dict__.pop("forward", None)
        loader = self.get_test_dataloader(rows)
        loss: Any = self.evaluation_loop(loader, split, prediction_loss_only=True, metric_key_prefix=split).metrics
        metrics = self.task.judge(Predictor(model.eval(), tokenizer, self.task), rows, BATCH_TOKENS)
        if wrapped is not None:
            model.forward = wrapped
        return {"loss": float(loss[f"{split}_loss"]), **metrics}, None


__all__ = ["TranslationTrainer"]
