# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""One vector per text out of the outputs of its tokens, all at once or part by part."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .configuration_rnn import RNNConfig


class Pooling(nn.Module):
    """One vector per text out of the outputs of its tokens; zeros for a text without tokens."""

    def __init__(self, config: RNNConfig):
        super().__init__()
        self.kind = config.pooling
        self.output_size = config.output_size * (3 if self.kind == "concat" else 1)
        if self.kind == "attention":
            # u_t = tanh(W h_t + b); weights softmax(u_t · v) (Yang et al. 2016, equations 5 to 7).
            self.key = nn.Linear(config.output_size, config.output_size)
            self.query = nn.Linear(config.output_size, 1, bias=False)

    @property
    def weights(self) -> list[Tensor]:
        """What is learnt, if anything: W, b and v of the attention. Copies of a model on several GPUs have no
        `parameters()`."""
        return [self.key.weight, self.key.bias, self.query.weight] if self.kind == "attention" else []

    def forward(self, output: Any, attention_mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """
        Args:
            output: what [`RNNModel`] returned.
            attention_mask: `[B, T]` or None.

        Returns:
            The pooled texts, `[B, D*H]` or, for `"concat"`, `[B, 3*D*H]`, and the attention weights `[B, T]` or None.
        """
        so_far, weights = self.add(None, output, attention_mask)
        return self.pooled(so_far), weights

    def add(
        self,
        so_far: dict[str, Tensor] | None,
        output: Any,
        attention_mask: Tensor | None,
        weights: list[Tensor] | None = None,
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """What has to be known of texts of which one more part was read.

        Args:
            so_far: of the parts before it; None for the first.
            output: what [`RNNModel`] returned for this part, from the state in which the one before it ended.
            attention_mask: `[B, T]` of this part, or None.
            weights: in place of [`weights`].

        Returns:
            Tensors whose first dimension is B, and the attention weights within this part `[B, T]` or None.
        """
        if self.kind == "last":
            return {"last": output.final_hidden_state[:, -1]}, None
        x = output.last_hidden_state
        B, T, size = x.shape
        if T == 0:
            # A place that is no token stands for none.
            x, attention_mask = x.new_zeros(B, 1, size), x.new_zeros(B, 1)
        valid = x.new_ones(x.shape[:2], dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        part, shares = {}, None
        if self.kind == "attention":
            scores = self._scores(x, weights or self.weights)
            scores = scores.masked_fill(~valid, torch.finfo(scores.dtype).min)
            shares = scores.softmax(-1) * valid
            part = {"attended": (shares.unsqueeze(1) @ x).squeeze(1), "score": scores.logsumexp(-1)}
        if self.kind == "concat":
            part["last"] = output.final_hidden_state[:, -1]
        if self.kind in ("max", "concat"):
            part["top"] = x.masked_fill(~valid.unsqueeze(-1), torch.finfo(x.dtype).min).amax(1)
        if self.kind in ("mean", "concat"):
            part["total"] = x.sum(1)
        part["count"] = valid.sum(1)
        return self.joined(so_far or {}, part), shares if T else None

    @staticmethod
    def _scores(x: Tensor, weights: list[Tensor]) -> Tensor:
        """u_t · v of the outputs `[B, T, F]`."""
        key, bias, query = weights
        return F.linear(torch.tanh(F.linear(x, key, bias)), query).squeeze(-1)

    @staticmethod
    def joined(before: dict[str, Tensor], part: dict[str, Tensor]) -> dict[str, Tensor]:
        """What has to be known of two parts of texts in succession; of the first there may be nothing."""
        if not before:
            return part
        joined = {name: part[name] for name in part if name == "last"}
        joined |= {name: before[name] + part[name] for name in ("count", "total") if name in part}
        if "top" in part:
            joined["top"] = torch.maximum(before["top"], part["top"])
        if "score" in part:
            # The softmax over both parts is that over each, weighted by the sums of their exponentials.
            joined["score"] = torch.logaddexp(before["score"], part["score"])
            earlier, later = ((each["score"] - joined["score"]).exp().unsqueeze(-1) for each in (before, part))
            joined["attended"] = earlier * before["attended"] + later * part["attended"]
        return joined

    def after_each(self, outputs: Tensor) -> Tensor:
        """What has been pooled after each token of texts that are read from left to right: `[B, T, D*H]`, or for
        `"concat"` `[B, T, 3*D*H]`.

        Args:
            outputs: `[B, T, D*H]` of texts of the same length.
        """
        if self.kind == "last":
            return outputs
        if self.kind == "attention":
            scores = self._scores(outputs, self.weights).unsqueeze(-1).double()
            weights = (scores - scores.amax(1, keepdim=True)).exp()
            return ((weights * outputs).cumsum(1) / weights.cumsum(1)).to(outputs.dtype)
        parts = [outputs] if self.kind == "concat" else []
        if self.kind in ("max", "concat"):
            parts.append(outputs.cummax(1).values)
        if self.kind in ("mean", "concat"):
            count = torch.arange(1, outputs.shape[1] + 1, device=outputs.device)[:, None]
            parts.append((outputs.double().cumsum(1) / count).to(outputs.dtype))
        return torch.cat(parts, dim=-1)

    def pooled(self, so_far: dict[str, Tensor]) -> Tensor:
        """The vectors of texts, of what [`add`] returned for their last part."""
        if self.kind in ("last", "attention"):
            return so_far["last" if self.kind == "last" else "attended"]
        count = so_far["count"].unsqueeze(-1)
        parts = [so_far["last"]] if self.kind == "concat" else []
        if "top" in so_far:
            parts.append(torch.where(count > 0, so_far["top"], 0))
        if "total" in so_far:
            parts.append((so_far["total"] / count.clamp(min=1)).to(so_far["total"].dtype))
        return torch.cat(parts, dim=-1)


__all__ = ["Pooling"]
