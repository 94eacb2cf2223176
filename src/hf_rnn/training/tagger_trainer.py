# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Training models that tag words: judged by the words given and by the text that they make."""

from typing import Any

from ..inference.predictor import Predictor
from ..text.batching import BATCH_TOKENS
from .trainer import RNNTrainer


class TaggerTrainer(RNNTrainer):
    """[`RNNTrainer`] on the rows of the task `token_classification`. An evaluation during training reads the words
    given; the last ones read the text too that they make, as whoever uses the model lets it read."""

    def judge(self, rows, split: str) -> tuple[dict[str, float], Any]:
        """All metrics of a split; each process reads all texts."""
        metrics, judged = super().judge(rows, split)
        model: Any = self.accelerator.unwrap_model(self.model)
        tokenizer: Any = self.processing_class
        task: Any = self.task
        return metrics | task.judge_texts(Predictor(model.eval(), tokenizer, task), rows, BATCH_TOKENS), judged


__all__ = ["TaggerTrainer"]
