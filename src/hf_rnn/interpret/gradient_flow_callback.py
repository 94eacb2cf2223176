# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The gradient's way back through time, watched while a model is trained."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from ..hub.folder import GRADIENT_FLOW, GRADIENT_FLOW_FILE
from ..inference.predictor import Predictor, labelled_rows
from ..text.arguments import DataArguments
from ..utils.errors import UserError
from ..utils.figures import new_figure
from .gradient_flow import LOST, GradientFlow, check_measurable, measure_gradient_flow, verdict

# Texts of a measurement, tokens that are gone back, and rows that the texts are chosen from.
ROWS, STEPS, SAMPLE = 32, 200, 1000
# Smaller shares of the gradient at the end are drawn as this.
LEAST = 1e-6


def flow_batch(rows: Dataset, language_model: bool, count: int = ROWS, steps: int = STEPS) -> dict[str, list]:
    """The ends of some of the longer texts, all of one length: `input_ids` `[B, T]`, and `labels`.

    Args:
        rows: as `task.encode` gives them.
        language_model: whether each text's last token is its label.
        count: B, at most.
        steps: T, at most.

    Raises:
        UserError: no text has a token.
    """
    rows = _sample(rows)
    texts = [list(ids) for ids in rows["input_ids"]]
    order = sorted(range(len(texts)), key=lambda n: -len(texts[n]))[:count]
    more = 1 if language_model else 0
    T = min(steps, max((len(texts[n]) - more for n in order), default=0))
    if T < 1:
        raise UserError(f"none of {len(texts)} texts has a token to follow a gradient through: name other data.")
    # A few long texts are worth more here than many short ones, and one is not enough.
    T = min(T, max(1, len(texts[order[min(len(order), 8) - 1]]) - more))
    order = [n for n in order if len(texts[n]) >= T + more]
    if language_model:
        return {"input_ids": [texts[n][-T - 1 : -1] for n in order], "labels": [texts[n][-1] for n in order]}
    labels = rows["labels"]
    return {"input_ids": [texts[n][-T:] for n in order], "labels": [labels[n] for n in order]}


def _sample(rows: Dataset) -> Dataset:
    return rows.select(np.linspace(0, len(rows) - 1, min(len(rows), SAMPLE)).astype(int))


class GradientFlowCallback(TrainerCallback, ExportableState):
    """Measures the [`GradientFlow`] of a few texts during training, in a `Trainer` of any kind.

    ```python
    >>> callback = GradientFlowCallback(**flow_batch(encoded["validation"], False), every=50)
    >>> Trainer(model, args, train_dataset=encoded["train"], callbacks=[callback]).train()
    >>> callback.save("runs/mine")  # gradient_flow.png and gradient_flow.json
    ```

    Args:
        input_ids: `[B, T]`.
        labels: `[B]`, as [`measure_gradient_flow`] takes them.
        every: steps between measurements.
    """

    def __init__(self, input_ids: Sequence[Sequence[int]], labels: Sequence, every: int):
        if every < 1:
            raise UserError(f"every={every} must be 1 or greater, such as 50.")
        self.input_ids, self.labels, self.every = input_ids, labels, every
        self.history: list[dict] = []

    def _measure(self, model: Any, step: int) -> None:
        plain = getattr(model, "module", model)
        batch = torch.tensor(self.input_ids, device=plain.device), torch.tensor(self.labels, device=plain.device)
        self.history.append(measure_gradient_flow(plain, *batch, step=step).as_dict())

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        # What a checkpoint holds was measured with its own setting.
        self.every = getattr(args, "gradient_flow_steps", 0) or self.every
        if not state.global_step:
            self.history = []
        if not self.history:
            self._measure(model, state.global_step)

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if state.global_step % self.every == 0:
            self._measure(model, state.global_step)

    @property
    def flows(self) -> list[GradientFlow]:
        """What was measured, in the order of the steps."""
        return [GradientFlow(**flow) for flow in self.history]

    def state(self) -> dict:
        args = {"input_ids": self.input_ids, "labels": self.labels, "every": self.every}
        return {"args": args, "attributes": {"history": list(self.history)}}

    def save(self, folder: str | Path) -> None:
        """Writes what was measured, and a picture of it.

        Raises:
            UserError: nothing was.
        """
        if not self.history:
            raise UserError("nothing was measured: train first, with this callback among the Trainer's.")
        for name in (GRADIENT_FLOW_FILE, GRADIENT_FLOW):
            save_flow(self.flows, Path(folder, name))


def diagnose(
    predictor: Predictor,
    data: DataArguments,
    split: str | None = None,
    rows: int = ROWS,
    steps: int = STEPS,
    given: Collection[str] = ("text_column", "label_column"),
) -> GradientFlow:
    """The [`GradientFlow`] of a saved model on texts of a labelled data set.

    Args:
        data, given: as in [`~hf_rnn.inference.predictor.evaluate`].
        split: of the data set; its only one, or that of the test, of the validation or of the training if None.
        rows: texts that are read, at most.
        steps: tokens that are gone back, at most.

    Raises:
        UserError: see there; or no text has a token.
    """
    check_measurable(predictor.model)
    splits, task = labelled_rows(predictor, data, split, given)
    if split is None and len(splits) > 1:
        wanted = (data.test_split, data.validation_split)
        split = next((name for name in (*wanted, *splits) if name in splits), None)
    encoded = task.encode(_sample(task.prepare_split(splits, split)), predictor.tokenizer)
    batch = flow_batch(encoded, task.problem_type == "language_modeling", rows, steps)
    device = predictor.model.device
    ids, labels = (torch.tensor(batch[name], device=device) for name in ("input_ids", "labels"))
    return measure_gradient_flow(predictor.model, ids, labels)


def save_flow(flows: GradientFlow | Sequence[GradientFlow], path: Path) -> None:
    """Writes measurements: a `.json` file with the verdict on the last of them, or a picture."""
    flows = [flows] if isinstance(flows, GradientFlow) else list(flows)
    if path.suffix.lower() == ".json":
        told = {"verdict": verdict(flows[-1]), "flows": [flow.as_dict() for flow in flows]}
        path.write_text(json.dumps(told) + "\n", encoding="utf-8")
    else:
        draw_gradient_flow(flows, path)


def draw_gradient_flow(flows: Sequence[GradientFlow], path: Any) -> None:
    """Heat maps over training, a panel for each layer; of one measurement, curves.

    Args:
        flows: in the order of their steps.
        path: of the PNG.
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


__all__ = ["GradientFlowCallback", "diagnose", "draw_gradient_flow", "flow_batch"]
