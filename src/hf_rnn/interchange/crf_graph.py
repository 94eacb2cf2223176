# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Conditional random fields in ONNX graphs: the recursion over time becomes one `Scan` operator.

Shapes: B batch, T time, C tags, K = C + 1 tags and the beginning of the text.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.crf import CRF

DOMAIN, OPERATOR = "hf_rnn", "Sweep"
# Body of the loop in ONNX's text form. `best` are the scores up to the preceding position; `transitions` is a tensor of
# the graph around it.
_STEP = """
step (double[B, K] best, double[B, K] emissions) => (double[B, K] next, double[B, K] found) {
    top = ReduceMax <axes = [1], keepdims = 1> (best)
    relative = Sub (best, top)
    axis = Constant <value_ints = [2]> ()
    before = Unsqueeze (relative, axis)
    paths = Add (before, transitions)
    reached = ReduceMax <axes = [1], keepdims = 0> (paths)
    next = Add (reached, emissions)
    found = Identity (next)
}
"""


class _Sweep(torch.autograd.Function):
    """Loop over time that tracing records as one operator, of the domain `hf_rnn`."""

    @staticmethod
    def forward(ctx: Any, emissions: Tensor, transitions: Tensor, start: Tensor) -> Tensor:
        best, found = start, []
        for of_position in emissions.unbind(1):
            best = best - best.amax(1, keepdim=True)
            best = (best.unsqueeze(2) + transitions).amax(1) + of_position
            found.append(best)
        return torch.stack(found, dim=1)

    @staticmethod
    def symbolic(g: Any, emissions: Any, transitions: Any, start: Any) -> Any:
        return g.op(f"{DOMAIN}::{OPERATOR}", emissions, transitions, start).setType(emissions.type())


class GraphCRF(CRF):
    """[`CRF`] whose max-marginals can be traced for texts of any length, with the same results.

    The model's own loop has a first step without transitions. Here, the beginning of the text is one more tag, so that
    all steps are alike: no tag leads to it, and the scores of first tags lead from it to the others.
    """

    @classmethod
    def of(cls, crf: CRF) -> "GraphCRF":
        """Return a conditional random field with the same parameters.

        Args:
            crf: Conditional random field of a model.
        """
        same = cls(len(crf.start))
        same.__dict__ |= {name: value for name, value in crf.__dict__.items() if name != "training"}
        same.eval()
        return same

    @staticmethod
    def _best(emissions: Tensor, valid: Tensor, transitions: Tensor, start: Tensor) -> Tensor:
        never = -torch.inf
        with_start = F.pad(torch.cat([transitions, start[None]]), (0, 1), value=never)
        before = F.pad(torch.full_like(emissions[:, 0], never), (0, 1))
        return _Sweep.apply(F.pad(emissions, (0, 1)), with_start, before)[..., :-1]


def expand_sweeps(graph: Any) -> Any:
    """Replace the operators of this module by ONNX's own, and return the graph.

    Args:
        graph: ONNX model, which is changed.
    """
    import onnx

    nodes = []
    for node in graph.graph.node:
        if node.domain != DOMAIN:
            nodes.append(node)
            continue
        emissions, transitions, start = node.input
        (output,) = node.output
        body = onnx.parser.parse_graph(_STEP)
        for each in body.node:
            each.input[:] = [transitions if name == "transitions" else name for name in each.input]
        nodes.append(
            onnx.helper.make_node(
                "Scan",
                [start, emissions],
                [f"{output}_last", output],
                body=body,
                num_scan_inputs=1,
                scan_input_axes=[1],
                scan_output_axes=[1],
            )
        )
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    kept = [each for each in graph.opset_import if each.domain != DOMAIN]
    del graph.opset_import[:]
    graph.opset_import.extend(kept)
    return graph


__all__ = ["GraphCRF", "expand_sweeps"]
