# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Loss by which a student learns the answers of its teacher (Hinton et al. 2015; Tang et al. 2019).

Shapes: B texts, T tokens, C labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.label_checks import IGNORED
from ..teachers.base import TAGS, TRANSLATION
from ..text.labels import MULTI, REGRESSION

if TYPE_CHECKING:
    from .run_config import RunConfig


@dataclass(frozen=True)
class DistillationLoss:
    """Loss of the answers of a teacher, mixed with that of the labels.

    Args:
        problem_type: Problem type of the student.
        loss: `mse` for the mean squared error of logits; of one label per text, which are equal up to a constant, the
            mean over the labels is subtracted from both. `cross_entropy` for the cross-entropy of probabilities.
        temperature: Temperature of the probabilities in `cross_entropy`, whose square multiplies the loss so that its
            gradients keep their size.
        hard_labels: Weight of the loss of the labels, from 0 to 1.
        annealing: True to raise this weight from 0 during training.
        scale: Standard deviation of the values of a regression, by which errors are divided.
    """

    problem_type: str
    loss: str = "mse"
    temperature: float = 1.0
    hard_labels: float = 0.0
    annealing: bool = False
    scale: float = 1.0

    def __call__(
        self,
        logits: Tensor,
        teacher: Tensor,
        labels: Tensor,
        of_labels: Callable[[Tensor, Tensor], Tensor],
        done: float,
    ) -> Tensor:
        """Compute the loss of a batch, a scalar.

        Args:
            logits: Logits of the student, `[B, C]`; of a regression, its values, `[B, 1]`; of a tagger, `[B, T, C]`.
            teacher: Answers of the teacher, in the same shape: log probabilities, log-odds for several labels per text,
                or values. Only tokens with a label count.
            labels: Labels, in the form that `of_labels` reads.
            of_labels: Function that computes the loss of the labels from logits and labels.
            done: Share of the training that is done, from 0 to 1.
        """
        weight = self.hard_labels * (done if self.annealing else 1.0)
        loss = torch.zeros((), device=logits.device)
        if weight < 1:
            of_teacher = self._of_tokens if self.problem_type == TAGS else self._of_rows
            loss = (1 - weight) * of_teacher(logits, teacher, labels)
        # With annealing, all parameters have a gradient from the first step on, as several processes need it.
        return loss + weight * of_labels(logits, labels) if self.hard_labels else loss

    def _of_tokens(self, logits: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        known = labels != IGNORED
        return self._of_rows(logits[known], teacher[known], labels) if known.any() else 0 * logits.sum()

    def _of_rows(self, logits: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        if self.problem_type == REGRESSION:
            return F.mse_loss(logits / self.scale, teacher / self.scale)
        several, T = self.problem_type == MULTI, self.temperature
        if self.loss == "mse":
            if not several:
                logits, teacher = (each - each.mean(-1, keepdim=True) for each in (logits, teacher))
            return F.mse_loss(logits, teacher)
        if several:
            return T * T * F.binary_cross_entropy_with_logits(logits / T, (teacher / T).sigmoid())
        return T * T * F.cross_entropy(logits / T, (teacher / T).softmax(-1))


def loss_of(run: RunConfig, task: Any) -> DistillationLoss | None:
    """Return the loss of a student; None for a translator, whose targets are the translations of its teacher.

    Args:
        run: Run of the student.
        task: Task of the run.
    """
    if task.problem_type == TRANSLATION:
        return None
    distil = run.distil
    how = distil.loss, distil.temperature, distil.hard_labels, distil.annealing
    scale = task.target[1] if task.problem_type == REGRESSION else 1.0
    return DistillationLoss(task.problem_type, *how, scale=scale)


__all__ = ["DistillationLoss", "loss_of"]
