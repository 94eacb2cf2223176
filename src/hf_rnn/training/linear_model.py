# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""A linear model of sparse features, fitted by L-BFGS: logistic for classes, least squares for numbers."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..text.labels import MULTI, REGRESSION

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Iterations of one fit: more change the loss on other rows by less than 1 %, where regularisation is chosen.
ITERATIONS = 40


@dataclass
class Labels:
    """The labels of rows, and the loss that a model of them has.

    Args:
        problem_type: of the task.
        values: `[N]` class indices or numbers, or `[N, C]` of 0 and 1.
        num_labels: C.
    """

    problem_type: str
    values: np.ndarray
    num_labels: int

    def joined(self, others: Labels) -> Labels:
        """Return these labels, and those of other rows after them.

        Args:
            others: labels of the same kind.
        """
        return Labels(self.problem_type, np.concatenate([self.values, others.values]), self.num_labels)

    def some(self, places: np.ndarray) -> Labels:
        """Return the labels of some rows.

        Args:
            places: of these rows.
        """
        return Labels(self.problem_type, self.values[places], self.num_labels)

    def indicators(self) -> np.ndarray:
        """Return which labels each row has, `[N, C]`; in regression, on which side of the mean it is, `[N, 1]`."""
        if self.problem_type == REGRESSION:
            return (self.values > self.values.mean()).astype(np.float32).reshape(-1, 1)
        if self.problem_type == MULTI:
            return self.values.astype(np.float32)
        return np.eye(self.num_labels, dtype=np.float32)[self.values]

    def loss(self, logits: np.ndarray) -> float:
        """Return the mean loss, as [`Labels.torch_loss`] does.

        Args:
            logits: `[N, C]`.
        """
        return float(self.torch_loss(torch.from_numpy(logits.astype(np.float64))))

    def torch_loss(self, logits: Tensor) -> Tensor:
        """Return the mean loss: cross-entropy over the labels, or in each label of several, or the mean square of the
        difference.

        Args:
            logits: `[N, C]`.
        """
        if self.problem_type == REGRESSION:
            return F.mse_loss(logits.reshape(-1), torch.as_tensor(self.values).to(logits).reshape(-1))
        if self.problem_type == MULTI:
            return F.binary_cross_entropy_with_logits(logits, torch.as_tensor(self.values).to(logits))
        return F.cross_entropy(logits, torch.as_tensor(self.values.astype(np.int64)))


class LinearModel:
    """Logits `X W + b`, fitted to the least `loss + ‖W‖² / (2 · strength · N)`; with several labels for a row, whose
    loss is a mean over the C labels, `2 · strength · N · C`. So the strength is scikit-learn's C in each of them.

    A second fit goes on from the weights of the first one.

    Args:
        x: features `[N, K]`.
        labels: of the N rows.
    """

    def __init__(self, x: csr_matrix, labels: Labels):
        self.labels, self.rows = labels, x.shape[0]
        self.x, self.transposed = _as_tensor(x), _as_tensor(x.T.tocsr())
        self.mean, self.std = 0.0, 1.0
        if labels.problem_type == REGRESSION:
            # Numbers of any size are fitted alike.
            self.mean, self.std = float(labels.values.mean()), float(labels.values.std()) or 1.0
            self.labels = Labels(REGRESSION, (labels.values - self.mean) / self.std, 1)
        self.weight_tensor = torch.zeros(x.shape[1], labels.num_labels, requires_grad=True)
        self.bias_tensor = torch.zeros(labels.num_labels, requires_grad=True)

    def fit(self, strength: float) -> LinearModel:
        """Fit the weights.

        Args:
            strength: inverse strength of the L2 regularisation.
        """
        W, b = self.weight_tensor, self.bias_tensor
        optimizer = torch.optim.LBFGS(
            [W, b], max_iter=ITERATIONS, tolerance_grad=1e-7, history_size=10, line_search_fn="strong_wolfe"
        )
        decay = 1 / (strength * self.rows * (self.labels.num_labels if self.labels.problem_type == MULTI else 1))

        @torch.no_grad()
        def loss_and_gradients() -> Tensor:
            logits = (self.x @ W + b).requires_grad_()
            with torch.enable_grad():
                loss = self.labels.torch_loss(logits)
                (gradient,) = torch.autograd.grad(loss, logits)
            W.grad, b.grad = self.transposed @ gradient + decay * W, gradient.sum(0)
            return loss + 0.5 * decay * W.square().sum()

        # Its types know no closure that returns a tensor.
        optimizer.step(loss_and_gradients)  # type: ignore[arg-type]
        return self

    @torch.no_grad()
    def begin_with(self, weight: np.ndarray, bias: np.ndarray) -> None:
        """Begin the next fit with weights.

        Args:
            weight: `[K, C]`.
            bias: `[C]`.
        """
        self.weight_tensor.copy_(torch.from_numpy(weight / self.std))
        self.bias_tensor.copy_(torch.from_numpy((bias - self.mean) / self.std))

    @property
    def weight(self) -> np.ndarray:
        """The fitted weights, `[K, C]`."""
        return self.std * self.weight_tensor.detach().numpy()

    @property
    def bias(self) -> np.ndarray:
        """The fitted bias, `[C]`."""
        return self.std * self.bias_tensor.detach().numpy() + np.float32(self.mean)


def _as_tensor(matrix: csr_matrix) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        return torch.sparse_csr_tensor(
            # Indices of 32 bits are twice as fast.
            torch.from_numpy(matrix.indptr.astype(np.int32)),
            torch.from_numpy(matrix.indices.astype(np.int32)),
            torch.from_numpy(matrix.data.astype(np.float32)),
            size=matrix.shape,
            check_invariants=True,
        )


__all__ = ["Labels", "LinearModel"]
