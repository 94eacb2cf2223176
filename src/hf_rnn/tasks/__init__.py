# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The registry of tasks.

To add a task, write one file here, add its row to `TASKS`, and name its trainer in `training/trainers.py`.
"""

from __future__ import annotations

from importlib import import_module

from ..utils.errors import DataError, check_choice
from .base import PredictorLike, Task, TaskAnswers, TaskData, TaskModel

# Module and class of each task. A module is imported when its task is used.
TASKS = {
    "text_classification": (".text_classification", "TextClassification"),
    "token_classification": (".token_classification", "TokenClassification"),
    "translation": (".translation", "Translation"),
    "language_modeling": (".language_modeling", "LanguageModeling"),
}


def task_class(name: str) -> type[Task]:
    """Return the class of a task.

    Args:
        name: Name of the task, as in the setting `task` of a run.

    Raises:
        DataError: There is no such task.
    """
    check_choice("task", name, TASKS)
    module, cls = TASKS[name]
    return getattr(import_module(module, __name__), cls)


def task_of(architecture: str, name: str, trained_on: str | None = None) -> type[Task]:
    """Return the task of a trained model.

    Args:
        architecture: Class name of the model, as in its `config.json`.
        name: Name of the model as the user wrote it; used in errors.
        trained_on: Task of the model's training run. It decides between tasks that share a model class. None to choose
            by the model class alone.

    Raises:
        DataError: The model has no head, or there is no task `trained_on`.
    """
    names = TASKS if trained_on is None else (trained_on, *TASKS)
    for task in map(task_class, names):
        if task.model_class.__name__ == architecture:
            return task
    raise DataError(
        f"{name!r} is an {architecture}, which has no head for a task: name a model that was trained on a task, or "
        f"train one from it, hf-rnn train --model.pretrained {name}."
    )


__all__ = ["TASKS", "PredictorLike", "Task", "TaskAnswers", "TaskData", "TaskModel", "task_class", "task_of"]
