# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Gradient flow: the norm of the gradient at each step back through time, and the activity of gates and units."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..inference.onnx_model import OnnxModel
from ..models.cells import Cell, find_cell
from ..models.modeling_causal_rnn import RNNForCausalLM
from ..models.modeling_rnn import RNNForSequenceClassification
from ..models.recurrence import Recurrence
from ..utils.errors import HfRnnError
from .answers import reading_mode

# Thresholds of the gradient norm, as a share of that at the end: the gradient has vanished below the first and
# exploded above the second.
LOST, EXPLODED = 0.01, 100.0
# A gate is shut where its value is below the first threshold, and open above the second (Karpathy et al. 2015).
SHUT, OPEN = 0.1, 0.9
# A unit is dead if the standard deviation of its values is smaller.
STILL = 1e-3


@dataclass
class GradientFlow:
    """A measurement of the gradient flow, with the activity of gates and units.

    Args:
        curves: Gradient norms by layer, each `[T]`, as means over texts. Entry t is the norm of the gradient of the
            loss with respect to h, t steps before the last step of the layer.
        gates: Two shares by layer and gate: that of its values that are shut, and that of its values that are open.
        dead: Share of units whose values do not change, by layer.
        radius: Spectral radius of the recurrent weight matrix, by layer and gate.
        settings: Settings of the model on which the advice depends.
        step: Optimizer step at which the measurement was made.
    """

    curves: dict[str, list[float]]
    gates: dict[str, dict[str, tuple[float, float]]]
    dead: dict[str, float]
    radius: dict[str, dict[str, float]]
    settings: dict[str, Any] = field(default_factory=dict)
    step: int = 0

    def as_dict(self) -> dict:
        """Return the measurement as a dict for JSON, with None for infinities and NaN."""
        told = asdict(self)
        told["curves"] = {name: _finite(curve) for name, curve in self.curves.items()}
        told["radius"] = {name: dict(zip(of, _finite(of.values()), strict=True)) for name, of in self.radius.items()}
        return told

    def shares(self, layer: str) -> np.ndarray:
        """Return the curve of a layer, divided by the gradient norm at the end of the text.

        The norm at the end is the largest one within the last 5 % of the steps, since a pooling need not read the last
        step.

        Args:
            layer: Name of the layer in `curves`.
        """
        curve = np.asarray(self.curves[layer], dtype=float)
        end = curve[: max(1, len(curve) // 20)].max()
        return curve / end if end else curve

    def lost_after(self, layer: str) -> int | None:
        """Return the number of steps back after which the gradient stays below 1 % of its norm at the end.

        Args:
            layer: Name of the layer in `curves`.

        Returns:
            Number of steps; None if at least 1 % of the gradient reaches the first step that the layer reads.
        """
        kept = np.flatnonzero(self.shares(layer) >= LOST)
        steps = int(kept[-1]) + 1 if len(kept) else 0
        return steps if steps < len(self.curves[layer]) else None


def _finite(values: Iterable[float | None]) -> list[float | None]:
    return [value if value is not None and math.isfinite(value) else None for value in values]


def measure_gradient_flow(
    model: Any,
    input_ids: Tensor | None = None,
    labels: Tensor | None = None,
    inputs_embeds: Tensor | None = None,
    step: int = 0,
) -> GradientFlow:
    """Measure the gradient of the loss with respect to the hidden state after each time step.

    The loss of a language model is that of one token, predicted from all tokens before it. The model is not changed,
    and dropout is off.

    Args:
        model: An [`RNNForSequenceClassification`] or [`RNNForCausalLM`].
        input_ids: Token ids of texts of equal length, `[B, T]`.
        labels: Labels as in the `forward` of a classifier; for a language model, the token after each text, `[B]`.
        inputs_embeds: Embedded tokens `[B, T, E]`, instead of `input_ids`.
        step: Optimizer step to record in the measurement.

    Raises:
        HfRnnError: The model is of another class, the texts have no tokens, or `labels` or the texts are missing.
    """
    check_measurable(model)
    if (input_ids is None) == (inputs_embeds is None) or labels is None:
        raise HfRnnError("pass texts of one length and their labels: measure_gradient_flow(model, input_ids, labels).")
    encoder = model.model
    x = encoder.lookup(input_ids) if inputs_embeds is None else inputs_embeds
    if not x.shape[1]:
        raise HfRnnError("the texts have no tokens: pass texts of one token or more, [B, T].")
    with reading_mode(model), torch.enable_grad():
        # A bidirectional language model predicts the token after the text with its first stack alone.
        stacks = encoder.stacks[:1] if isinstance(model, RNNForCausalLM) else encoder.stacks
        reading = _StepByStep(stacks, x.detach())
        loss = _loss(model, reading, labels)
        # A state on which the loss does not depend has no gradient; `allow_unused` then gives None.
        places = [(name, h) for name, states in reading.states.items() for h in states]
        grads = torch.autograd.grad(loss, [h for _, h in places], allow_unused=True)
    curves: dict[str, list[float]] = {name: [] for name in reading.states}
    for (name, _), grad in zip(places, grads, strict=True):
        # The loss is a mean over rows, so the sum of the norms over rows is already the mean over texts.
        curves[name].append(0.0 if grad is None else float(grad.float().norm(dim=-1).sum()))
    config = model.config
    settings = {name: getattr(config, name) for name in ("cell_type", "forget_gate_bias", "pooling")}
    settings["language_model"] = isinstance(model, RNNForCausalLM)
    return GradientFlow(
        {name: curve[::-1] for name, curve in curves.items()},
        reading.gates,
        reading.dead,
        reading.radius,
        settings,
        step,
    )


def check_measurable(model: Any) -> None:
    """Raise [`HfRnnError`] if a model is neither a text classifier nor a language model.

    Args:
        model: Model to check.
    """
    if isinstance(model, OnnxModel):
        raise model.refusal("the gradient flow")
    if not isinstance(model, RNNForSequenceClassification | RNNForCausalLM):
        raise HfRnnError(
            f"the gradient flow is measured from one loss at the end of a text, which {type(model).__name__} "
            "does not have: pass a classifier or a language model."
        )


def _loss(model: RNNForCausalLM | RNNForSequenceClassification, reading: "_StepByStep", labels: Tensor) -> Tensor:
    if isinstance(model, RNNForCausalLM):
        hidden = reading.outputs[:, -1:]
        loss, _ = model._loss_and_logits(hidden, labels[:, None], None)
        assert loss is not None
        return loss
    read = SimpleNamespace(last_hidden_state=reading.outputs, final_hidden_state=reading.final[:, None])
    pooled, _ = model.pooling(read, None)
    return model.loss_of(model.classifier(pooled), labels)


class _StepByStep:
    """A forward pass of an encoder over texts `[B, T, E]`, one time step at a time.

    Each h is a separate tensor. The next step and the layer above read this tensor, so that its gradient includes all
    later uses.
    """

    def __init__(self, stacks: Sequence[tuple[Recurrence, tuple[int, ...]]], x: Tensor):
        self.states: dict[str, list[Tensor]] = {}
        self.gates: dict[str, dict[str, tuple[float, float]]] = {}
        self.dead: dict[str, float] = {}
        self.radius: dict[str, dict[str, float]] = {}
        read = [self._read(stack, directions, x) for stack, directions in stacks]
        # Outputs are `[B, T, D*H]`, the final hidden state is `[B, D*H]`.
        self.outputs, self.final = (torch.cat(parts, dim=-1) for parts in zip(*read, strict=True))

    def _read(self, stack: Recurrence, directions: Sequence[int], x: Tensor) -> tuple[Tensor, Tensor]:
        final: list[Tensor] = []
        for layer in range(stack.num_layers):
            outputs, final = [], []
            for direction, weights in zip(directions, stack.weights(layer), strict=True):
                name = f"layer {layer + 1}" + (", from right to left" if direction else "")
                inputs = x.flip(1) if direction else x
                states = self._steps(stack, layer, weights, inputs)
                self.states[name] = states
                out = torch.stack(states, dim=1)
                self._look(name, stack.cell, weights, inputs.detach(), out.detach())
                outputs.append(out.flip(1) if direction else out)
                final.append(states[-1])
            x = torch.cat(outputs, dim=-1)
        return x, torch.cat(final, dim=-1)

    @staticmethod
    def _steps(stack: Recurrence, layer: int, weights: list[Tensor], x: Tensor) -> list[Tensor]:
        """Return h after each time step, each `[B, H]`."""
        h = x.new_zeros(1, len(x), stack.hidden_size)
        c = h if stack.cell.has_cell_state else None
        states = []
        for token in x.split(1, dim=1):
            _, h, c = stack.layers[layer](token, h, c, [weights], None, True)
            states.append(h[0].requires_grad_() if not h.requires_grad else h[0])
            h = states[-1][None]
        return states

    @torch.no_grad()
    def _look(self, name: str, cell: Cell, weights: list[Tensor], x: Tensor, out: Tensor) -> None:
        """Measure gates, units and spectral radii of a layer from its inputs `[B, T, F]` and outputs `[B, T, H]`."""
        w_ih, w_hh, b_ih, b_hh = weights
        H = out.shape[-1]
        before = torch.cat([torch.zeros_like(out[:, :1]), out[:, :-1]], dim=1)
        from_x, from_h = (x @ w_ih.T + b_ih).split(H, -1), (before @ w_hh.T + b_hh).split(H, -1)
        values = {
            block: (a + b).sigmoid()
            for block, a, b in zip(cell.blocks, from_x, from_h, strict=True)
            if block in cell.gates
        }
        if not cell.gates and cell.is_bounded:
            # A cell without gates has a state in [-1, 1]. It is mapped to [0, 1] and treated like a gate.
            values = {"state": (out + 1) / 2}
        self.gates[name] = {
            gate: (float((value < SHUT).float().mean()), float((value > OPEN).float().mean()))
            for gate, value in values.items()
        }
        moves = out.flatten(0, 1).std(0, correction=0) >= STILL
        # A single value has no standard deviation, so no unit counts as dead.
        self.dead[name] = float((~moves).float().mean()) if out.shape[:2].numel() > 1 else 0.0
        self.radius[name] = {
            gate: float(torch.linalg.eigvals(part.double()).abs().max()) if part.isfinite().all() else math.nan
            for gate, part in zip(cell.blocks, w_hh.split(H), strict=True)
        }


def verdict(flow: GradientFlow) -> list[str]:
    """Return sentences that describe a measurement, with settings that improve it.

    Args:
        flow: Measurement to describe.
    """
    sentences: list[str] = []
    for name, curve in flow.curves.items():
        lost = flow.lost_after(name)
        shares = flow.shares(name)
        if not np.isfinite(shares).all():
            sentences.append(
                f"{name}: the gradient is NaN or infinite: train again with a smaller training.learning_rate."
            )
        elif len(curve) == 1:
            sentences.append(f"{name}: a text of one token has no earlier time steps: read longer texts.")
        elif not any(curve):
            sentences.append(f"{name}: the gradient is zero at all time steps.")
        elif shares.max() > EXPLODED:
            sentences.append(
                f"{name}: the gradient grows {shares.max():,.0f} times back in time: write "
                "training.max_grad_norm=1.0, and a smaller training.learning_rate."
            )
        elif lost is None:
            left = f"{100 * shares[-1]:.3g} % of the gradient is left after all {len(curve) - 1} steps"
            sentences.append(f"{name}: {left}.")
        else:
            sentences.append(f"{name}: the gradient falls below 1 % after {lost} steps: {_more_reach(flow, name)}.")
        sentences += _of_units(flow, name)
    return sentences


def _more_reach(flow: GradientFlow, name: str) -> str:
    """Return the settings with which the gradient reaches further back in time."""
    settings, advice = flow.settings, []
    cell = find_cell(settings["cell_type"])
    if not cell.gates:
        advice.append("model.cell_type='lstm' carries it further")
    elif "forget" not in cell.bias_fields:
        advice.append("model.cell_type='lstm' with its model.forget_gate_bias can carry it further")
    else:
        # With a forget gate bias of b, a cell keeps its state for about e^b steps (Tallec and Ollivier 2018).
        bias = round(math.log(2 * len(flow.curves[name])))
        if bias > settings["forget_gate_bias"]:
            advice.append(f"model.forget_gate_bias={bias} begins with cells that hold it longer")
    if settings["pooling"] == "last" and not settings["language_model"]:
        advice.append("model.pooling='concat' gives each token a short way to the loss")
    return "; ".join(advice) or "more training may carry it further"


def _of_units(flow: GradientFlow, name: str) -> list[str]:
    sentences = []
    if flow.dead[name] >= 0.1:
        sentences.append(
            f"{name}: {flow.dead[name]:.0%} of the units are dead: a smaller training.learning_rate can prevent "
            "this, and a smaller model.hidden_size may be enough."
        )
    for gate, (shut, opened) in flow.gates[name].items():
        if shut > 0.9 or opened > 0.9:
            state = "shut" if shut > opened else "open"
            what = "the state is saturated" if gate == "state" else f"the {gate} gate is {state}"
            sentences.append(
                f"{name}: {what} for over 90 % of the values, which slows down learning: a smaller "
                "training.learning_rate, or training.weight_decay=0.01, can prevent this."
            )
    return sentences


__all__ = ["GradientFlow", "measure_gradient_flow", "verdict"]
