# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Trainer callback that measures the gradient flow during training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState
from transformers.trainer_callback import ExportableState

from ..hub.folder import GRADIENT_FLOW, GRADIENT_FLOW_FILE
from ..utils.errors import HfRnnError
from .gradient_flow import GradientFlow, measure_gradient_flow
from .gradient_flow_views import save_flow


class GradientFlowCallback(TrainerCallback, ExportableState):
    """Callback for any `Trainer` that measures the [`GradientFlow`] on a few texts during training.

    ```python
    >>> from hf_rnn.interpret.diagnosis import flow_batch

    >>> callback = GradientFlowCallback(**flow_batch(encoded["validation"], False), every=50)
    >>> Trainer(model, args, train_dataset=encoded["train"], callbacks=[callback]).train()
    >>> callback.save("runs/mine")  # gradient_flow.png and gradient_flow.json
    ```

    Args:
        input_ids: Token ids of texts of equal length, `[B, T]`.
        labels: Labels `[B]`, as in [`measure_gradient_flow`].
        every: Number of optimizer steps between two measurements. The setting `gradient_flow_steps` of the training
            arguments takes precedence, if there is one.
    """

    def __init__(self, input_ids: Sequence[Sequence[int]], labels: Sequence, every: int):
        if every < 1:
            raise HfRnnError(f"every={every} must be 1 or greater, such as 50.")
        self.input_ids, self.labels, self.every = input_ids, labels, every
        self.history: list[dict] = []

    def _measure(self, model: Any, step: int) -> None:
        plain = getattr(model, "module", model)
        batch = torch.tensor(self.input_ids, device=plain.device), torch.tensor(self.labels, device=plain.device)
        self.history.append(measure_gradient_flow(plain, *batch, step=step).as_dict())

    def on_train_begin(
        self, args: Any, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        # When training resumes, `every` comes from the checkpoint; the setting of the current run takes precedence.
        self.every = getattr(args, "gradient_flow_steps", 0) or self.every
        if not state.global_step:
            self.history = []
        if not self.history:
            self._measure(model, state.global_step)

    def on_step_end(
        self, args: Any, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        if state.global_step % self.every == 0:
            self._measure(model, state.global_step)

    @property
    def flows(self) -> list[GradientFlow]:
        """The measurements in the order of their optimizer steps."""
        return [GradientFlow(**flow) for flow in self.history]

    def state(self) -> dict:
        """Return the arguments and the measurements, which the `Trainer` saves in checkpoints."""
        args = {"input_ids": self.input_ids, "labels": self.labels, "every": self.every}
        return {"args": args, "attributes": {"history": list(self.history)}}

    def save(self, folder: str | Path) -> None:
        """Write gradient_flow.json and gradient_flow.png into a folder.

        Args:
            folder: Folder for the two files.

        Raises:
            HfRnnError: There is no measurement.
        """
        if not self.history:
            raise HfRnnError("nothing was measured: pass this callback to the Trainer, and train first.")
        for name in (GRADIENT_FLOW_FILE, GRADIENT_FLOW):
            save_flow(self.flows, Path(folder, name))


__all__ = ["GradientFlowCallback"]
