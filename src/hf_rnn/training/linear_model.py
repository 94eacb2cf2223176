# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Linear model on sparse features, fitted by L-BFGS: logistic regression for labels, least squares for regression."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..text.labels import MULTI, REGRESSION

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Iterations of one fit. More iterations change the loss on held-out rows by less than 1 % at the chosen strength of
# the regularisation.
ITERATIONS = 40


@dataclass
class Labels:
    """Labels of N rows, and the loss function for their problem type.

    Args:
        problem_type: Problem type of the task.
        values: Class indices or regression values `[N]`, or multi-label indicators (0 or 1) `[N, C]`.
        num_labels: Number of labels, C.
        weights: Weight of each class in the loss, `[C]`, of multi-label rows of the labels that a row has; None for 1.
    """

    problem_type: str
    values: np.ndarray
    num_labels: int
    weights: np.ndarray | None = None

    def joined(self, others: Labels) -> Labels:
        """Return these labels followed by those of other rows.

        Args:
            others: Labels of the same problem type.
        """
        return replace(self, values=np.concatenate([self.values, others.values]))

    def some(self, places: np.ndarray) -> Labels:
        """Return the labels of a selection of rows.

        Args:
            places: Indices of the rows.
        """
        return replace(self, values=self.values[places])

    def effective_rows(self) -> float:
        """Return the number of rows of equal weights that determine the loss as well as these rows (Kish 1965).

        A few rows of a large weight say little, however many rows of a small weight there are.
        """
        if self.weights is None or self.problem_type == MULTI:
            return float(len(self.values))
        of_rows = self.weights[self.values]
        return float(of_rows.sum() ** 2 / np.square(of_rows).sum())

    def indicators(self) -> np.ndarray:
        """Return 0/1 indicators of the labels, `[N, C]`; in regression, of values above the mean, `[N, 1]`."""
        if self.problem_type == REGRESSION:
            return (self.values > self.values.mean()).astype(np.float32).reshape(-1, 1)
        if self.problem_type == MULTI:
            return self.values.astype(np.float32)
        return np.eye(self.num_labels, dtype=np.float32)[self.values]

    def loss(self, logits: np.ndarray) -> float:
        """Return the mean loss of [`Labels.torch_loss`] as a number.

        Args:
            logits: Logits, `[N, C]`.
        """
        return float(self.torch_loss(torch.from_numpy(logits.astype(np.float64))))

    def constant_loss(self) -> float:
        """Return the mean loss, without the weights of the classes, of the best logits that are the same for all rows.

        In regression it is the variance of the values, otherwise the entropy of the labels.
        """
        from scipy.special import entr

        if self.problem_type == REGRESSION:
            return float(np.var(self.values))
        shares = self.indicators().mean(0, dtype=np.float64)
        if self.problem_type == MULTI:
            return float((entr(shares) + entr(1 - shares)).mean())
        return float(entr(shares).sum())

    def torch_loss(self, logits: Tensor) -> Tensor:
        """Return the mean loss, with the weights of the classes.

        It is the cross-entropy for one label per row, the binary cross-entropy of each label for multi-label rows, or
        the mean squared error for regression.

        Args:
            logits: Logits, `[N, C]`.
        """
        if self.problem_type == REGRESSION:
            return F.mse_loss(logits.reshape(-1), torch.as_tensor(self.values).to(logits).reshape(-1))
        weights = None if self.weights is None else torch.as_tensor(self.weights).to(logits)
        if self.problem_type == MULTI:
            values = torch.as_tensor(self.values).to(logits)
            return F.binary_cross_entropy_with_logits(logits, values, pos_weight=weights)
        values = torch.as_tensor(self.values.astype(np.int64))
        if weights is None:
            return F.cross_entropy(logits, values)
        # torch would divide by the sum of the weights, and the loss of single rows would depend on the other rows.
        return F.cross_entropy(logits, values, weight=weights, reduction="sum") / len(values)


class LinearModel:
    """Linear model with logits `X W + b` and L2 regularisation.

    A fit minimises `loss + ‖W‖² / (2 · strength · N)`. For multi-label rows the loss is a mean over the C labels, and
    the denominator is `2 · strength · N · C`. So the strength equals the parameter C of scikit-learn in both cases.
    A second fit starts from the weights of the first one.

    Args:
        x: Sparse features, `[N, K]`.
        labels: Labels of the N rows.
    """

    def __init__(self, x: csr_matrix, labels: Labels):
        self.labels, self.rows = labels, x.shape[0]
        self.x, self.transposed = _as_tensor(x), _as_tensor(x.T.tocsr())
        self.mean, self.std = 0.0, 1.0
        if labels.problem_type == REGRESSION:
            # Values are standardised, so that the fit does not depend on their scale.
            self.mean, self.std = float(labels.values.mean()), float(labels.values.std()) or 1.0
            self.labels = Labels(REGRESSION, (labels.values - self.mean) / self.std, 1)
        self.weight_tensor = torch.zeros(x.shape[1], labels.num_labels, requires_grad=True)
        self.bias_tensor = torch.zeros(labels.num_labels, requires_grad=True)

    def fit(self, strength: float) -> LinearModel:
        """Fit the weights, starting from the current ones, and return the model.

        Args:
            strength: Inverse strength of the L2 regularisation.
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

        # The type annotation of `step` does not allow a closure that returns a tensor.
        optimizer.step(loss_and_gradients)  # type: ignore[arg-type]
        return self

    @torch.no_grad()
    def begin_with(self, weight: np.ndarray, bias: np.ndarray) -> None:
        """Set the weights from which the next fit starts.

        Args:
            weight: Weights, `[K, C]`.
            bias: Bias, `[C]`.
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
            # 32-bit indices are twice as fast as 64-bit ones.
            torch.from_numpy(matrix.indptr.astype(np.int32)),
            torch.from_numpy(matrix.indices.astype(np.int32)),
            torch.from_numpy(matrix.data.astype(np.float32)),
            size=matrix.shape,
            check_invariants=True,
        )


__all__ = ["Labels", "LinearModel"]
