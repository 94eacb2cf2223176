# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Pictures of a training run."""

from pathlib import Path

from ..hub.folder import CALIBRATION, CONFUSION_MATRIX, TRAINING_CURVES
from ..interpret.gradient_flow_callback import GradientFlowCallback
from ..text.labels import MULTI, SINGLE
from ..utils.figures import draw_confusion, draw_curves
from .calibration import draw
from .trainer import RNNTrainer


def draw_pictures(folder: Path, trainer: RNNTrainer, predicted: dict) -> None:
    """Draw training curves and, if the run has them, calibration, confusion matrix and gradient flow.

    Args:
        folder: Folder to write to.
        trainer: Trainer after training.
        predicted: Logits and labels by split.
    """
    draw_curves(trainer.state.log_history, str(trainer.args.metric_for_best_model), folder / TRAINING_CURVES)
    task, split = trainer.task, "test" if "test" in predicted else "validation"
    if task.problem_type in (SINGLE, MULTI):
        logits, labels = predicted[split]
        draw(task, logits, labels, split, folder / CALIBRATION)
        if task.problem_type == SINGLE:
            draw_confusion(task.predicted(logits), labels, task.label_names, split, folder / CONFUSION_MATRIX)
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, GradientFlowCallback):
            callback.save(folder)


__all__ = ["draw_pictures"]
