# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Output folder of a run: check that it is writable, claim it before training and fill it after training."""

import json
import logging
import os
import shutil
from pathlib import Path
from shlex import quote

from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_NAME

from ..hub.card import render_folder
from ..hub.card_merge import merge, read_card
from ..hub.folder import (
    CARD_FILE,
    CLASSES_FILE,
    CODE_FILES,
    DISAGREEMENTS_FILE,
    ERRORS_FILE,
    GRADIENT_FLOW,
    GRADIENT_FLOW_FILE,
    LABEL_ERRORS,
    METRICS_FILE,
    OUT_OF_FOLD,
    PICTURES,
    RUN_FILE,
    TRIALS_FILE,
)
from ..hub.push import kept_for_later, push
from ..text.schema import SCHEMA_FILE
from ..utils.errors import HfRnnError
from ..utils.processes import job_id
from .arguments import RNNTrainingArguments
from .checkpoints import ASIDE, claim, numbered, remove

logger = logging.getLogger(__name__)

# File in the folder of a run until the run ends: id of the launcher's or cluster's job that trains.
JOB_FILE = ".job"
# Subfolders in the folder of a run until the run ends: files of the run that it replaces, and folds.
REPLACED, FOLDS = ".replaced", ".cross_validation"
# A folder with a match of the first patterns holds a run. The second patterns match all files that a run writes.
_RUN_TRACES = (CONFIG_NAME, SAFE_WEIGHTS_NAME, METRICS_FILE, "checkpoint-*")
_RUN_FILES = (
    *_RUN_TRACES,
    RUN_FILE,
    SCHEMA_FILE,
    CLASSES_FILE,
    *CODE_FILES,
    "tokenizer*.json",
    ASIDE,
    *PICTURES,
    GRADIENT_FLOW_FILE,
    ERRORS_FILE,
    DISAGREEMENTS_FILE,
    OUT_OF_FOLD,
    LABEL_ERRORS,
    TRIALS_FILE,
)


def command_to_go_on(folder: Path, args: RNNTrainingArguments) -> str:
    """Return the command that resumes the run of a folder, with as many processes as it has.

    Args:
        folder: Output folder of the run.
        args: Training arguments of the run.
    """
    command, processes = "hf-rnn", os.environ.get("LOCAL_WORLD_SIZE", "1")
    if args.world_size > 1:
        one_host = int(processes) == args.world_size
        where = f"--standalone --nproc-per-node {processes}" if one_host else "…"
        command = f"torchrun {where} -m hf_rnn"
    return f"{command} train --config {quote(str(folder / RUN_FILE))} --training.resume true"


def check_writable(folder: Path) -> None:
    """Raise [`HfRnnError`] if a folder is not writable or cannot be created.

    Args:
        folder: Output folder; it need not exist.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise HfRnnError(
            f"training.output_dir={str(folder)!r} cannot be written to (no write permission in {str(there)!r}): grant "
            "the permission, or name another folder."
        )


def traces_of_a_run(folder: Path) -> list[Path]:
    """Return the files and checkpoints which show that a folder holds a run.

    Args:
        folder: Folder to search.
    """
    return [path for trace in _RUN_TRACES for path in folder.glob(trace)]


def claim_folder(folder: Path, checkpoint: Path | None, text: str | None) -> None:
    """Prepare the output folder for a run, and move the files of an older run aside.

    The files of the older run are in a subfolder until the new run ends, so that they survive if it fails. Files that
    no run writes are not touched. If the run resumes, its checkpoint becomes the newest one of the folder instead.

    Args:
        folder: Output folder of the run; it is created if it does not exist.
        checkpoint: Checkpoint to resume from; None for a new run.
        text: YAML text that reproduces the run; None before a cross-validation, whose presets have not chosen yet.
    """
    aside = folder / REPLACED
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JOB_FILE).write_text(job_id(), encoding="utf-8")
    if checkpoint is not None:
        claim(checkpoint, folder)
        return
    old = [path for kind in _RUN_FILES for path in folder.glob(kind)]
    if aside.exists() and not (folder / METRICS_FILE).exists():
        # The run that ended is aside already. The folder has the files of a run that did not end: delete those.
        for path in old:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    elif old and traces_of_a_run(folder):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        for path in old:
            path.rename(aside / path.name)
    if text is not None:
        (folder / RUN_FILE).write_text(text, encoding="utf-8")


def write_results(results: dict, whole: Path, folder: Path, model_id: str) -> None:
    """Write the metrics of a run and its model card into the folder of the model's files.

    Args:
        results: Metrics for metrics.json.
        whole: Folder that has all other files of the model.
        folder: Output folder of the run. If it has a model card, the new card is merged with it.
        model_id: Name of the model on the Hub.
    """
    text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
    replace_text(whole / METRICS_FILE, text)
    card = render_folder(whole, model_id)
    try:
        card = merge(card, read_card(folder / CARD_FILE), title=folder.absolute().name)
        replace_text(whole / CARD_FILE, card)
    except HfRnnError as error:
        logger.warning(f"{folder / CARD_FILE} is left as it is: {error}")


def replace_text(file: Path, text: str) -> None:
    """Write a text file atomically: write a temporary file beside it, and rename that.

    Args:
        file: File to write or replace.
        text: New content.
    """
    part = file.with_name(f".{file.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, file)


def put_in_place(saving: Path, folder: Path, with_flow: bool, keep_only: str | None) -> None:
    """Move the files of a finished run into its folder, metrics.json last, and delete files that are no longer needed.

    These are the files of the run that was replaced, the folds, the job file, and checkpoints other than `keep_only`.

    Args:
        saving: Folder that the files were written to; it is deleted.
        folder: Output folder of the run.
        with_flow: True if the run measured the gradient flow.
        keep_only: Path of the only checkpoint to keep; None to keep all.
    """
    for file in sorted(saving.iterdir(), key=lambda file: file.name == METRICS_FILE):
        os.replace(file, folder / file.name)
    saving.rmdir()
    if not with_flow:
        # Before it was resumed, the run may have measured a gradient flow, which is not that of the final model.
        for name in (GRADIENT_FLOW_FILE, GRADIENT_FLOW):
            (folder / name).unlink(missing_ok=True)
    (folder / JOB_FILE).unlink(missing_ok=True)
    for name in (REPLACED, FOLDS):
        shutil.rmtree(folder / name, ignore_errors=True)
    if keep_only:
        for checkpoint in numbered(folder):
            if checkpoint.name != Path(keep_only).name:
                remove(checkpoint)
    shutil.rmtree(folder / ASIDE, ignore_errors=True)


def saved_bytes(folder: Path) -> int:
    """Return the number of bytes of the weights and the tokenizer in the folder of a model.

    Args:
        folder: Folder of the model.
    """
    return sum(file.stat().st_size for name in (SAFE_WEIGHTS_NAME, "tokenizer.json") for file in folder.glob(name))


def push_run(folder: Path, args: RNNTrainingArguments, repo_id: str) -> None:
    """Push the model of a run to the Hub, and keep it for a later push if that fails.

    Args:
        folder: Output folder of the run.
        args: Training arguments of the run.
        repo_id: Hub id of the repository.
    """
    with kept_for_later(folder, repo_id, args.hub_revision):
        pushed = push(
            folder, repo_id, revision=args.hub_revision, token=args.hub_token, commit_message="End of training"
        )
    logger.info(f"pushed: {pushed.commit_url}")


__all__ = [
    "check_writable",
    "claim_folder",
    "command_to_go_on",
    "push_run",
    "put_in_place",
    "saved_bytes",
    "traces_of_a_run",
    "write_results",
]
