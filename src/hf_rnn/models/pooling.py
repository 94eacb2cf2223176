# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Poolings: one vector per text from the outputs of its tokens, all at once or part by part.

A pooling is one class. A subclass of [`Pooling`] with a `name` of its own is registered under it, and configurations
accept the name. Shapes: B batch, T time, F width of an output.
"""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .choices import check_choice

# Pooling classes by their names in a configuration.
POOLINGS: dict[str, type["Pooling"]] = {}


class Pooling(nn.Module):
    """Base class of poolings, which compute one vector per text; zeros for a text without tokens.

    A subclass with a `name` implements [`part`] and [`pooled`]. To read texts in windows or as a stream, it also
    implements [`joined`]; for reading curves, it also implements [`after_each`].

    Args:
        size: Width F of an output.
    """

    name: ClassVar[str] = ""
    # The pooled vector is `parts` times as wide as an output.
    parts: ClassVar[int] = 1

    def __init__(self, size: int):
        super().__init__()
        self.output_size = self.parts * size

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # A subclass without a name of its own is a base class, or a variant that is not registered.
        if cls.__dict__.get("name"):
            POOLINGS[cls.name] = cls

    @property
    def in_windows(self) -> bool:
        """True if [`joined`] is implemented, so that a text can be read in windows."""
        return type(self).joined is not Pooling.joined

    @property
    def weights(self) -> list[Tensor]:
        """Learned tensors, in the order in which [`part`] takes them.

        A property replaces `parameters()`, which is empty in the copies of a model on several GPUs.
        """
        return []

    def forward(self, output: Any, attention_mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Pool whole texts.

        Args:
            output: Output of [`RNNModel`].
            attention_mask: Mask, shape `[B, T]`, non-zero on tokens; None: no padding.

        Returns:
            The pooled texts `[B, output_size]`, and the weights of their tokens `[B, T]` or None.
        """
        so_far, shares = self.add(None, output, attention_mask)
        return self.pooled(so_far), shares

    def add(
        self,
        so_far: dict[str, Tensor] | None,
        output: Any,
        attention_mask: Tensor | None,
        weights: list[Tensor] | None = None,
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """Add one more part of the texts to their summary.

        Args:
            so_far: Summary of the preceding parts; None for the first part.
            output: Output of [`RNNModel`] for this part, which started from the final state of the preceding part.
            attention_mask: Mask of this part, shape `[B, T]`; None: no padding.
            weights: Tensors to use instead of [`weights`]; None to use [`weights`].

        Returns:
            The new summary, tensors whose first axis is B, and the weights within this part `[B, T]` or None.
        """
        x = output.last_hidden_state
        B, T, size = x.shape
        if T == 0:
            # One padding position takes the place of an empty part.
            x, attention_mask = x.new_zeros(B, 1, size), x.new_zeros(B, 1)
        valid = x.new_ones(x.shape[:2], dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        part, shares = self.part(x, valid, output.final_hidden_state[:, -1], weights or self.weights)
        return self.joined(so_far, part) if so_far else part, shares if T else None

    def part(
        self, x: Tensor, valid: Tensor, last: Tensor, weights: list[Tensor]
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """Return the summary of one part of the texts.

        Args:
            x: Outputs, shape `[B, T, F]`, zeros on padding.
            valid: Mask, shape `[B, T]`, bool, True on tokens.
            last: Final state of the top layer, shape `[B, F]`.
            weights: Learned tensors, in the order of [`weights`].

        Returns:
            The summary, tensors whose first axis is B, and the weights of the tokens `[B, T]` or None.
        """
        raise NotImplementedError

    def joined(self, before: dict[str, Tensor], part: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the summary of two successive parts of the texts.

        Args:
            before: Summary of the earlier part.
            part: Summary of the later part.
        """
        raise NotImplementedError(
            f"pooling={self.name!r} needs a text all at once, and this one is read in parts: train with another "
            "pooling, such as 'concat', or implement joined()."
        )

    def pooled(self, so_far: dict[str, Tensor]) -> Tensor:
        """Return the pooled vectors `[B, output_size]`.

        Args:
            so_far: Summary of all parts of the texts.
        """
        raise NotImplementedError

    def after_each(self, outputs: Tensor) -> Tensor:
        """Return the pooled vector after each token, `[B, T, output_size]`, of texts read from left to right.

        Args:
            outputs: Outputs, shape `[B, T, F]`, without padding.
        """
        raise NotImplementedError(f"pooling={self.name!r} has no after_each(), and so no reading curve.")


class LastPooling(Pooling):
    """Pooling to the final state of each direction."""

    name = "last"

    def part(
        self, x: Tensor, valid: Tensor, last: Tensor, weights: list[Tensor]
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        return {"last": last}, None

    def joined(self, before: dict[str, Tensor], part: dict[str, Tensor]) -> dict[str, Tensor]:
        return part

    def pooled(self, so_far: dict[str, Tensor]) -> Tensor:
        return so_far["last"]

    def after_each(self, outputs: Tensor) -> Tensor:
        return outputs


class MeanPooling(Pooling):
    """Mean over tokens."""

    name = "mean"

    def part(
        self, x: Tensor, valid: Tensor, last: Tensor, weights: list[Tensor]
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        return {"total": x.sum(1), "count": valid.sum(1)}, None

    def joined(self, before: dict[str, Tensor], part: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: before[name] + part[name] for name in ("count", "total")}

    def pooled(self, so_far: dict[str, Tensor]) -> Tensor:
        count = so_far["count"].unsqueeze(-1)
        return (so_far["total"] / count.clamp(min=1)).to(so_far["total"].dtype)

    def after_each(self, outputs: Tensor) -> Tensor:
        count = torch.arange(1, outputs.shape[1] + 1, device=outputs.device)[:, None]
        return (outputs.double().cumsum(1) / count).to(outputs.dtype)


class MaxPooling(Pooling):
    """Maximum of each feature over tokens."""

    name = "max"

    def part(
        self, x: Tensor, valid: Tensor, last: Tensor, weights: list[Tensor]
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        top = x.masked_fill(~valid.unsqueeze(-1), torch.finfo(x.dtype).min).amax(1)
        return {"top": top, "count": valid.sum(1)}, None

    def joined(self, before: dict[str, Tensor], part: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"count": before["count"] + part["count"], "top": torch.maximum(before["top"], part["top"])}

    def pooled(self, so_far: dict[str, Tensor]) -> Tensor:
        return torch.where(so_far["count"].unsqueeze(-1) > 0, so_far["top"], 0)

    def after_each(self, outputs: Tensor) -> Tensor:
        return outputs.cummax(1).values


class ConcatPooling(Pooling):
    """Concatenation [last, max, mean] (Howard and Ruder 2018)."""

    name = "concat"
    parts = 3

    def __init__(self, size: int):
        super().__init__(size)
        self.each = (LastPooling(size), MaxPooling(size), MeanPooling(size))

    def part(
        self, x: Tensor, valid: Tensor, last: Tensor, weights: list[Tensor]
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        found: dict[str, Tensor] = {}
        for pooling in self.each:
            found |= pooling.part(x, valid, last, [])[0]
        return found, None

    def joined(self, before: dict[str, Tensor], part: dict[str, Tensor]) -> dict[str, Tensor]:
        # Summaries of windows have no last state, which belongs to the whole text.
        found = {name: part[name] for name in part if name == "last"}
        for pooling in self.each[1:]:
            found |= pooling.joined(before, part)
        return found

    def pooled(self, so_far: dict[str, Tensor]) -> Tensor:
        return torch.cat([pooling.pooled(so_far) for pooling in self.each], dim=-1)

    def after_each(self, outputs: Tensor) -> Tensor:
        return torch.cat([pooling.after_each(outputs) for pooling in self.each], dim=-1)


class AttentionPooling(Pooling):
    """Weighted mean: u_t = tanh(W h_t + b), weights softmax(u_t · v) (Yang et al. 2016, equations 5 to 7)."""

    name = "attention"

    def __init__(self, size: int):
        super().__init__(size)
        self.key = nn.Linear(size, size)
        self.query = nn.Linear(size, 1, bias=False)

    @property
    def weights(self) -> list[Tensor]:
        return [self.key.weight, self.key.bias, self.query.weight]

    def part(
        self, x: Tensor, valid: Tensor, last: Tensor, weights: list[Tensor]
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        scores = self._scores(x, weights)
        scores = scores.masked_fill(~valid, torch.finfo(scores.dtype).min)
        shares = scores.softmax(-1) * valid
        attended = (shares.unsqueeze(1) @ x).squeeze(1)
        return {"attended": attended, "score": scores.logsumexp(-1)}, shares

    @staticmethod
    def _scores(x: Tensor, weights: list[Tensor]) -> Tensor:
        """Return u_t · v of the outputs `[B, T, F]`."""
        key, bias, query = weights
        return F.linear(torch.tanh(F.linear(x, key, bias)), query).squeeze(-1)

    def joined(self, before: dict[str, Tensor], part: dict[str, Tensor]) -> dict[str, Tensor]:
        # The softmax over both parts is the softmax over each, weighted by the sums of their exponentials.
        score = torch.logaddexp(before["score"], part["score"])
        earlier, later = ((each["score"] - score).exp().unsqueeze(-1) for each in (before, part))
        return {"score": score, "attended": earlier * before["attended"] + later * part["attended"]}

    def pooled(self, so_far: dict[str, Tensor]) -> Tensor:
        return so_far["attended"]

    def after_each(self, outputs: Tensor) -> Tensor:
        scores = self._scores(outputs, self.weights).unsqueeze(-1).double()
        weights = (scores - scores.amax(1, keepdim=True)).exp()
        return ((weights * outputs).cumsum(1) / weights.cumsum(1)).to(outputs.dtype)


def pooling_class(name: str) -> type[Pooling]:
    """Return the pooling class with a name.

    Args:
        name: Name of the pooling, as in a configuration.

    Raises:
        ValueError: An unknown name; the message lists the known ones.
    """
    check_choice("pooling", name, POOLINGS)
    return POOLINGS[name]


__all__ = ["POOLINGS", "Pooling", "pooling_class"]
