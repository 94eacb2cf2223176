# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Trainer for the task `translation`, whose metrics compare generated texts."""

from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase

from ..inference.predictor import Predictor
from ..models.label_checks import IGNORED
from ..tasks import Task
from ..text.batching import BATCH_TOKENS
from ..utils.errors import HfRnnError
from .arguments import RNNTrainingArguments
from .trainer import RNNTrainer

# Default number of beams that the model saves for `generate`. Evaluations during training use one beam.
BEAMS = 5


class TranslationTrainer(RNNTrainer):
    """[`RNNTrainer`] on the rows of the task `translation`.

    Evaluations during training generate texts by greedy decoding. The final evaluations use beam search, which is also
    the default of the saved model.

    Args:
        model: Model to train; its generation configuration is changed.
        args: Training arguments, an [`RNNTrainingArguments`].
        task: Task that provides the collator and the metrics.
        processing_class: Tokenizer of the model.
        train_dataset: Training rows as `task.encode` returns them.
        kwargs: Further arguments of [`RNNTrainer`].

    Raises:
        HfRnnError: `label_smoothing_factor` is set; the setting for this task is `model.label_smoothing`.
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
            raise HfRnnError(
                f"training.label_smoothing_factor={args.label_smoothing_factor} does not apply to a decoder: write "
                f"model.label_smoothing={args.label_smoothing_factor}."
            )
        super().__init__(model, args, task, processing_class, train_dataset=train_dataset, **kwargs)
        longest = max(map(len, train_dataset["labels"])) if train_dataset is not None else 0
        model.generation_config.num_beams = BEAMS
        # The length includes the start token. `max_new_tokens` would override any `max_length` of a caller.
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
        """Return the loss and the metrics of a split, and None, because there are no logits of whole rows.

        Texts are generated with the beams of the model and compared with the original target texts. Each process
        generates all texts.

        Args:
            rows: Encoded rows of the split.
            split: Name of the split.
        """
        tokenizer: Any = self.processing_class
        model = self.accelerator.unwrap_model(self.model)
        # accelerate runs only `forward` under autocast, so `generate` would mix two precisions.
        wrapped = model.__dict__.pop("forward", None)
        loader = self.get_test_dataloader(rows)
        loss: Any = self.evaluation_loop(loader, split, prediction_loss_only=True, metric_key_prefix=split).metrics
        metrics = self.task.judge(Predictor(model.eval(), tokenizer, self.task), rows, BATCH_TOKENS)
        if wrapped is not None:
            model.forward = wrapped
        return {"loss": float(loss[f"{split}_loss"]), **metrics}, None


__all__ = ["TranslationTrainer"]
