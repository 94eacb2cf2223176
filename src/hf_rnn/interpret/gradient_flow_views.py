# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Write measurements of the gradient flow as a picture or as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.figures import new_figure
from .gradient_flow import LOST, GradientFlow, verdict

# The smallest share that is drawn, since the scale is logarithmic; smaller shares are drawn as this.
LEAST = 1e-6


def save_flow(flows: GradientFlow | Sequence[GradientFlow], path: Path) -> None:
    """Write measurements to a file.

    Args:
        flows: One measurement, or several in the order of their optimizer steps.
        path: Path of the file. A `.json` file holds the measurements and a description of the last one; any other file
            is a PNG picture.
    """
    flows = [flows] if isinstance(flows, GradientFlow) else list(flows)
    if path.suffix.lower() == ".json":
        told = {"verdict": verdict(flows[-1]), "flows": [flow.as_dict() for flow in flows]}
        path.write_text(json.dumps(told) + "\n", encoding="utf-8")
    else:
        draw_gradient_flow(flows, path)


def draw_gradient_flow(flows: Sequence[GradientFlow], path: Any) -> None:
    """Draw measurements as a PNG picture: a heat map over training for each layer, or curves of one measurement.

    Args:
        flows: Measurements in the order of their optimizer steps.
        path: Path of the PNG file, or a binary file object.
    """
    names = list(flows[0].curves)
    shares = {name: np.array([flow.shares(name) for flow in flows]) for name in names}
    if len(flows) == 1:
        figure = new_figure(9, 3.6)
        axes = figure.subplots()
        for name in names:
            axes.plot(np.maximum(shares[name][0], LEAST), label=name)
        axes.axhline(LOST, color="gray", linewidth=0.8, linestyle=":")
        axes.set(yscale="log", xlabel="steps before the end", ylabel="gradient, as a share of that at the end")
        axes.grid(alpha=0.3)
        axes.legend()
    else:
        figure = new_figure(9, 0.6 + 2.4 * len(names))
        panels = figure.subplots(len(names), 1, squeeze=False)[:, 0]
        for axes, name in zip(panels, names, strict=True):
            image = axes.imshow(
                np.log10(np.clip(shares[name], LEAST, None)).T,
                aspect="auto",
                origin="lower",
                vmin=-4,
                vmax=1,
                cmap="viridis",
                interpolation="nearest",
                extent=(-0.5, len(flows) - 0.5, -0.5, shares[name].shape[1] - 0.5),
            )
            ticks = np.unique(np.linspace(0, len(flows) - 1, min(len(flows), 8)).astype(int))
            axes.set_xticks(ticks, [str(flows[n].step) for n in ticks])
            axes.set(title=name, xlabel="training step", ylabel="steps before the end")
            figure.colorbar(image, ax=axes, label="gradient, share of the end's", format=lambda x, _: f"1e{x:.0f}")
    figure.savefig(path, dpi=120, format="png")


__all__ = ["draw_gradient_flow", "save_flow"]
