# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The folder of a run: whether it may be written to, made the run's own, and filled at the end."""

import json
import logging
import os
import shutil
from pathlib import Path

from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_NAME

from ..hub.card import render_folder
from ..hub.card_merge import merge, read_card
from ..hub.folder import (
    CARD_FILE,
    CODE_FILES,
    ERRORS_FILE,
    GRADIENT_FLOW,
    GRADIENT_FLOW_FILE,
    METRICS_FILE,
    PICTURES,
    RUN_FILE,
)
from ..text.schema import SCHEMA_FILE
from ..utils.errors import UserError
from ..utils.processes import job_id
from .checkpoints import ASIDE, claim, numbered, remove

logger = logging.getLogger(__name__)

# In a run's folder until it ends: the launcher's or cluster's job that trains.
JOB_FILE = ".job"
# In a run's folder until it ends: the files of the run that it replaces.
REPLACED = ".replaced"
# A folder that holds any of the first holds a run; all that a run writes is of these kinds.
_RUN_TRACES = (CONFIG_NAME, SAFE_WEIGHTS_NAME, METRICS_FILE, "checkpoint-*")
_RUN_FILES = (
    *_RUN_TRACES,
    RUN_FILE,
    SCHEMA_FILE,
    *CODE_FILES,
    "tokenizer*.json",
    ASIDE,
    *PICTURES,
    GRADIENT_FLOW_FILE,
    ERRORS_FILE,
)


def check_writable(folder: Path) -> None:
    """Raise [`UserError`], before any work, where nothing can be written to a folder, or it cannot be made."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(
            f"training.output_dir={str(folder)!r} cannot be written to (no right to write in {str(there)!r}): give the "
            "right, or name another folder."
        )


def traces_of_a_run(folder: Path) -> list[Path]:
    """Return the files and checkpoints by which a folder is known to hold a run."""
    return [path for trace in _RUN_TRACES for path in folder.glob(trace)]


def claim_folder(folder: Path, checkpoint: Path | None, text: str) -> None:
    """Make a folder a run's own. The files of a run that is to be replaced are moved aside, not deleted: if this one
    does not end, they are still there. Files that no run writes are not touched.

    Args:
        folder: of the run.
        checkpoint: from which the run goes on; None where it begins.
        text: the YAML that reproduces the run.
    """
    aside = folder / REPLACED
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JOB_FILE).write_text(job_id(), encoding="utf-8")
    if checkpoint is not None:
        claim(checkpoint, folder)
        return
    old = [path for kind in _RUN_FILES for path in folder.glob(kind)]
    if aside.exists() and not (folder / METRICS_FILE).exists():
        # What stands aside is the run that ended; what stands in the folder is one that did not.
        for path in old:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    elif old:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        for path in old:
            path.rename(aside / path.name)
    (folder / RUN_FILE).write_text(text, encoding="utf-8")


def write_results(results: dict, whole: Path, folder: Path, model_id: str) -> None:
    """Write the metrics of a run, and its card, beside the other files of a model.

    Args:
        results: the metrics, for metrics.json.
        whole: where the files of the model are.
        folder: of the run, whose card is continued if there is one.
        model_id: the model's name on the Hub.
    """
    text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
    replace_text(whole / METRICS_FILE, text)
    card = render_folder(whole, model_id)
    try:
        card = merge(card, read_card(folder / CARD_FILE), title=folder.absolute().name)
        replace_text(whole / CARD_FILE, card)
    except UserError as error:
        logger.warning(f"{folder / CARD_FILE} is left as it is: {error}")


def replace_text(file: Path, text: str) -> None:
    """Write a text beside a file, and move it into its place.

    Args:
        file: the place.
        text: the whole text.
    """
    part = file.with_name(f".{file.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, file)


def put_in_place(saving: Path, folder: Path, with_flow: bool, keep_only: str | None) -> None:
    """Move the files of a finished run into its folder, metrics.json last, and delete what is left of older ones.

    Args:
        saving: where the files were written.
        folder: of the run.
        with_flow: whether the run measured the gradient flow.
        keep_only: path of the one checkpoint that is to stay; None where all stay.
    """
    for file in sorted(saving.iterdir(), key=lambda file: file.name == METRICS_FILE):
        os.replace(file, folder / file.name)
    saving.rmdir()
    if not with_flow:
        # What an earlier part of the run measured is not of this model.
        for name in (GRADIENT_FLOW_FILE, GRADIENT_FLOW):
            (folder / name).unlink(missing_ok=True)
    (folder / JOB_FILE).unlink(missing_ok=True)
    shutil.rmtree(folder / REPLACED, ignore_errors=True)
    if keep_only:
        for checkpoint in numbered(folder):
            if checkpoint.name != Path(keep_only).name:
                remove(checkpoint)
    shutil.rmtree(folder / ASIDE, ignore_errors=True)


__all__ = ["check_writable", "claim_folder", "put_in_place", "traces_of_a_run", "write_results"]
