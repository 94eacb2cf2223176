# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The registry of tasks. To add a task, write one file here, add its row to `TASKS`, and name its trainer in
`training/trainers.py`."""

from __future__ import annotations

from importlib import import_module

from ..utils.errors import UserError, check_choice
from .base import PredictorLike, Task, TaskAnswers, TaskData, TaskModel

# The module and the class of each task. Modules are imported when they are needed.
TASKS = {
    "text_classification": (".text_classification", "TextClassification"),
    "token_classification": (".token_classification", "TokenClassification"),
    "translation": (".translation", "Translation"),
    "language_modeling": (".language_modeling", "LanguageModeling"),
}


def task_class(name: str) -> type[Task]:
    """Return the class of a task.

    Args:
        name: the task, as the `task` of a run names it.

    Raises:
        UserError: there is no such task.
    """
    check_choice("task", name, TASKS)
    module, cls = TASKS[name]
    return getattr(import_module(module, __name__), cls)


def task_of(architecture: str, name: str, trained_on: str | None = None) -> type[Task]:
    """Return the task of a trained model.

    Args:
        architecture: the class of the model, as `config.json` names it.
        name: the name by which the user knows the model, for the error.
        trained_on: the task that the run of the model names. It decides between tasks that share a model class.

    Raises:
        UserError: the model has no head, or there is no task `trained_on`.
    """
    names = TASKS if trained_on is None else (trained_on, *TASKS)
    for task in map(task_class, names):
        if task.model_class.__name__ == architecture:
            return task
    raise UserError(
        f"{name!r} is an {architecture}, which answers nothing: name a model that was trained on a task, or train one "
        f"on it, hf-rnn train --model.pretrained {name}."
    )


__all__ = ["TASKS", "PredictorLike", "Task", "TaskAnswers", "TaskData", "TaskModel", "task_class", "task_of"]
