# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Train a model as the student of other models: `hf-rnn distil`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..hub.folder import METRICS_FILE
from ..utils.errors import CheckpointError, ConfigError
from .checkpoints import newest_whole
from .distil_arguments import IN_PYTHON
from .python_config import read_config
from .run import Run
from .run_config import with_values

if TYPE_CHECKING:
    from .run_config import RunConfig


def distil(config: str | Path | dict | list[str] | None = None, *, data: Any = None, teacher: Any = None) -> dict:
    """Train a model as the student of one or several teachers, and save it with a comparison of both.

    The answers of the teachers are kept in a cache, so that each text is answered once. The same call continues after
    an interruption.

    Args:
        config: Configuration as [`train`][hf_rnn.training.run.train] reads it. Its section `teacher` names the
            teachers, and `distil` the transfer texts and the loss.
        data: Rows in memory that replace `data.path`, as in [`train`][hf_rnn.training.run.train].
        teacher: Folder, Hub id or URL that replaces `teacher.path`; or a model: a classifier or pipeline of
            scikit-learn, a SetFit model, a [`Predictor`][hf_rnn.inference.predictor.Predictor], or any function from a
            list of texts to probabilities or logits, `[N, C]`. For a tagger, a function gets lists of words and returns
            an array `[words, C]` for each; for a translator, it gets texts and returns texts. A list of them for
            several teachers, all of one kind.

    Returns:
        Content of `metrics.json`. The entry `teacher` compares the student with the teachers.

    Raises:
        HfRnnError: A setting is invalid, there is no teacher or none that fits the labels, or the folder holds another
            run.
    """
    if isinstance(config, dict) and isinstance(config.get("teacher"), (str, list)):
        config = {**config, "teacher": {"path": config["teacher"]}}
    run, text, source = read_config(config, data)
    given = [] if teacher is None else list(teacher) if isinstance(teacher, (list, tuple)) else [teacher]
    paths = [str(each) for each in given if isinstance(each, (str, Path))]
    if paths and len(paths) < len(given):
        raise ConfigError(f"teacher has paths ({', '.join(paths)}) and models: load the models at the paths first.")
    if given:
        run, text = with_values(run, {"teacher.path": paths or [IN_PYTHON]})
    return distil_run(run, text, source, [] if paths else given)


def distil_run(run: RunConfig, text: str, source: Any = None, teachers: Any = ()) -> dict:
    """Train the student of a parsed run, or continue an interrupted training; return its metrics.

    Args:
        run: Parsed configuration with a teacher.
        text: YAML text that reproduces the run.
        source: Rows in memory that replace `data.path`; None to read `data.path`.
        teachers: Teachers that were passed in Python.

    Raises:
        ConfigError: The run has no teacher.
        CheckpointError: The folder holds a run that has ended.
    """
    if not run.teacher:
        raise ConfigError(
            "a student needs a teacher: name a folder or a Hub id, teacher.path=USER/MODEL, or columns of the data "
            "with its answers, teacher.columns={LABEL: COLUMN}."
        )
    args, folder = run.training, Path(str(run.training.output_dir))
    if (folder / METRICS_FILE).exists() and not (args.overwrite or args.resume):
        raise CheckpointError(
            f"{str(folder)!r} already holds a run that has ended: write training.overwrite=True to train another "
            "student in its place (the answers of the teacher are kept), or name another training.output_dir."
        )
    begun = newest_whole(folder, args.load_best_model_at_end)
    if begun and not args.overwrite and not args.resume:
        run, text = with_values(run, {"training.resume": True})
    return Run(run, text, source, teachers=teachers).train()


__all__ = ["distil", "distil_run"]
