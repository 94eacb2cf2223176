# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The task of a saved model, with the data settings of its training run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..auto import architecture
from ..hub.folder import RUN_FILE
from ..hub.saved_run import read_run
from ..tasks import Task, task_class, task_of
from ..utils.errors import HfRnnError

if TYPE_CHECKING:
    from ..models.configuration_rnn import RNNConfig


def saved_task(folder: Path, config: RNNConfig, path: str) -> Task:
    """Return the task of a saved model.

    Args:
        folder: Folder of the model.
        config: Configuration of the model.
        path: Name of the model as the user wrote it, for errors.

    Raises:
        HfRnnError: The model has no head for a task, or its run.yaml is damaged or that of another model.
    """
    run = read_run(folder)
    cls_of_task = task_of(architecture(config), path, run.task)
    if run.task is not None and task_class(run.task) is not cls_of_task:
        raise HfRnnError(
            f"{path!r} is an {architecture(config)}, but its {RUN_FILE} has the task {run.task}: put back the "
            "files of one training run."
        )
    task: Any = cls_of_task(run.data, config)
    task.has_schema, task.fingerprint = run.schema is not None, getattr(run.schema, "fingerprint", None)
    task.test_fingerprint = getattr(run.schema, "test_fingerprint", None)
    return task


__all__ = ["saved_task"]
