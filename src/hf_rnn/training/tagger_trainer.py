# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Trainer for the task `token_classification`, with metrics on given words and on texts made of them."""

from typing import Any

from ..inference.predictor import Predictor
from ..text.batching import BATCH_TOKENS
from .trainer import RNNTrainer


class TaggerTrainer(RNNTrainer):
    """[`RNNTrainer`] on the rows of the task `token_classification`.

    Evaluations during training use the given words. The final evaluations also use the texts that the words form, which
    is how users call the model.
    """

    def judge(self, rows, split: str) -> tuple[dict[str, float], Any]:
        """Return all metrics of a split, and None, because a row has no single answer. Each process reads all texts.

        Args:
            rows: Encoded rows of the split.
            split: Name of the split.
        """
        metrics, judged = super().judge(rows, split)
        model: Any = self.accelerator.unwrap_model(self.model)
        tokenizer: Any = self.processing_class
        task: Any = self.task
        return metrics | task.judge_texts(Predictor(model.eval(), tokenizer, task), rows, BATCH_TOKENS), judged


__all__ = ["TaggerTrainer"]
