# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Find the checkpoint from which a run resumes, and check that run, model and data are the same as before."""

import logging
import math
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Any

from transformers import TrainerState
from transformers.trainer import TRAINER_STATE_NAME

from ..hub.folder import RUN_FILE
from ..text.arguments import BUILT_IN
from ..text.schema import Schema
from ..utils.errors import CheckpointError, HfRnnError
from ..utils.processes import job_id, was_restarted
from .arguments import RNNTrainingArguments
from .checkpoints import LOSS_FILE, newest_whole, nothing_whole
from .presets import as_begun, rules_of
from .remote_checkpoint import fetch_checkpoint
from .run_config import RunConfig, parse_run
from .run_folder import JOB_FILE, check_writable, traces_of_a_run

logger = logging.getLogger(__name__)


def find_checkpoint(run: RunConfig, text: str) -> tuple[RunConfig, str, Path | None]:
    """Check that a run may write to its folder, and find the checkpoint from which it resumes.

    Args:
        run: Configuration of the run.
        text: YAML that reproduces the run.

    Returns:
        The run, its YAML and the checkpoint; None if the run starts anew. A resumed run has the values that its preset
        chose at the start.

    Raises:
        CheckpointError: The folder is not writable or contains another run, or there is no checkpoint to resume from.
    """
    args, folder = run.training, Path(run.training.output_dir)
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"training.output_dir={str(folder)!r} is a file: name a folder.")
    check_writable(folder)
    _resume_restarted_job(args, folder)
    held = traces_of_a_run(folder)
    if args.resume and args.overwrite:
        raise CheckpointError("training.resume and training.overwrite exclude each other: write one of them.")
    if args.resume:
        return _checkpoint_to_go_on_from(run, text, folder)
    if held and not args.overwrite:
        raise CheckpointError(
            f"{str(folder)!r} already holds a run ({held[0].name}): write training.resume=True to resume it, "
            "training.overwrite=True to replace it, or name another training.output_dir."
        )
    return run, text, None


def _checkpoint_to_go_on_from(run: RunConfig, text: str, folder: Path) -> tuple[RunConfig, str, Path]:
    """Return a resumed run, its YAML and its newest complete checkpoint.

    If there is no complete checkpoint in the folder and the run pushes to the Hub, the checkpoint is downloaded from
    there.
    """
    args = run.training
    checkpoint = newest_whole(folder, args.load_best_model_at_end)
    fetched = checkpoint is None and args.push_to_hub
    if fetched:
        checkpoint = _fetch(args, folder)
    if checkpoint is None:
        where = f", and {args.hub_name!r} has none on the Hub" if fetched else ""
        raise nothing_whole(folder) or HfRnnError(
            f"{str(folder)!r} has no checkpoint to resume from{where}: leave out training.resume."
        )
    begun, _ = parse_run(folder / RUN_FILE)
    if begun.model.keep_head or run.distil.max_megabytes is not None or rules_of(run):
        run, text = as_begun(run, begun)
    _check_same_run(run, begun, folder, checkpoint, elsewhere=fetched)
    _check_steps(args, checkpoint)
    logger.info(f"the run in {folder} resumes from {checkpoint.name}.")
    if fetched and args.should_save:
        # The configuration now names the folder and the data of this machine.
        (folder / RUN_FILE).write_text(text, encoding="utf-8")
    return run, text, checkpoint


def _resume_restarted_job(args: RNNTrainingArguments, folder: Path) -> None:
    """Resume if a launcher or cluster has restarted the job of this run, whatever the command says."""
    job = folder / JOB_FILE
    if not was_restarted():
        if args.should_save:
            job.unlink(missing_ok=True)
    elif job.exists() and job.read_text(encoding="utf-8") == job_id() and newest_whole(folder):
        args.resume, args.overwrite = True, False


def _fetch(args: RNNTrainingArguments, folder: Path) -> Path | None:
    """Download the newest checkpoint from the Hub in the main process, and return its path or None."""
    with args.main_process_first(desc="fetching the checkpoint"):
        if args.should_save:
            folder.mkdir(parents=True, exist_ok=True)
            fetch_checkpoint(args.hub_name, folder, args.hub_revision, args.hub_token)
    return newest_whole(folder, args.load_best_model_at_end)


def _check_same_run(run: RunConfig, begun: RunConfig, folder: Path, checkpoint: Path, elsewhere: bool) -> None:
    """Raise [`CheckpointError`] if a run started with other data, tokenizer, model or settings.

    Args:
        run: Resumed run.
        begun: Run as it started.
        folder: Folder of the run.
        checkpoint: Checkpoint to resume from.
        elsewhere: True if the run started on another machine, where the same data may have another path.
    """
    for section in ("task", "data", "tokenizer", "model", "teacher", "distil"):
        before, now = getattr(begun, section), getattr(run, section)
        if section == "teacher":
            before = replace(before, cache=now.cache)
        # `check_same_data` compares the rows by their fingerprint, so their path may differ.
        by_rows = BUILT_IN not in (begun.data.path, run.data.path) and Schema.read(checkpoint) is not None
        if section == "data" and (elsewhere or by_rows):
            before = replace(before, path=now.path, replay=before.replay and (now.replay or before.replay))
        if before != now:
            raise CheckpointError(
                f"the run in {str(folder)!r} was begun with another {section} section: resume it with "
                f"hf-rnn train --config {quote(str(folder / RUN_FILE))} --training.resume true."
            )
    if begun.training.save_only_model:
        raise CheckpointError(
            f"the run in {str(folder)!r} was begun with training.save_only_model=True, and its checkpoints "
            "have no optimizer state: write training.overwrite=True to start a new run."
        )
    before, now = _reading(run, begun.training), _reading(run, run.training)
    for name in before:
        if before[name] != now[name]:
            # A product is not an argument, which the command line would write as its option.
            equals = " = " if " " in name else "="
            raise CheckpointError(
                f"the run in {str(folder)!r} was begun with training.{name}{equals}{before[name]!r}, and this is "
                f"{now[name]!r}: resume it with hf-rnn train --config {quote(str(folder / RUN_FILE))} "
                "--training.resume true."
            )


def _check_steps(args: RNNTrainingArguments, checkpoint: Path) -> None:
    """Raise [`CheckpointError`] if a checkpoint has another number of processes, or more steps than `max_steps`."""
    saved = len(list(checkpoint.glob(LOSS_FILE.format("*"))))
    if saved not in (0, args.world_size):
        raise CheckpointError(
            f"{checkpoint.name} was saved by {saved} processes, and this run has {args.world_size}: resume with "
            f"{f'torchrun --nproc-per-node {saved}' if saved > 1 else 'one process'}, so that the same rows are read."
        )
    done = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME)).global_step
    if 0 < args.max_steps < done:
        raise CheckpointError(
            f"{checkpoint.name} is at step {done}, and training.max_steps={args.max_steps} is lower: "
            "write that number of steps, or more."
        )


def _reading(run: RunConfig, args: RNNTrainingArguments) -> dict[str, Any]:
    """Return the settings that decide which rows each step reads, and those that the checkpoint contains."""
    names = ["seed", "data_seed", "train_sampling_strategy", "train_batch_tokens", "balanced_sampling", "averaging"]
    # The optimizer state in the checkpoint contains these values.
    names += ["optim", "learning_rate", "layer_lr_decay", "embedding_lr_factor", "weight_decay", "freeze_vectors"]
    parts = ["per_device_train_batch_size", "gradient_accumulation_steps"]
    if run.data.streaming:
        # Each worker reads its own files, so the number of workers affects the order of rows.
        return {name: getattr(args, name) for name in [*names, *parts, "window", "dataloader_num_workers"]}
    if run.task == "language_modeling":
        return {name: getattr(args, name) for name in [*names, "window", *parts]}
    # The batch size per optimizer step must stay, but it may be split differently, such as on a machine with less
    # memory.
    rows = {" * training.".join(parts): math.prod(getattr(args, part) for part in parts)}
    return {name: getattr(args, name) for name in names} | rows


def check_same_data(run: RunConfig, checkpoint: Path | None, schema: Schema) -> None:
    """Raise [`CheckpointError`] if the rows or labels differ from those at the start of the run, whatever their path.

    Args:
        run: Configuration of the run.
        checkpoint: Checkpoint to resume from; None for a run that starts anew, which is not checked.
        schema: Schema of the data as read now.
    """
    begun = Schema.read(checkpoint) if checkpoint else None
    if begun is None or begun.fingerprint == schema.fingerprint:
        if begun is not None and begun.lesson_fingerprint != schema.lesson_fingerprint:
            raise CheckpointError(
                f"the run in {run.training.output_dir!r} was begun with other answers of the teacher, or other texts: "
                "restore them, or write training.overwrite=True to start a new run."
            )
        if begun is not None and begun.replay_fingerprint != schema.replay_fingerprint:
            raise CheckpointError(
                f"the run in {run.training.output_dir!r} was begun with other old rows than data.replay="
                f"{run.data.replay!r} gives now: restore them, or write training.overwrite=True to start a new run."
            )
        return
    labels = f", with the labels {', '.join(begun.labels)}" if begun.labels != schema.labels else ""
    raise CheckpointError(
        f"the run in {run.training.output_dir!r} was begun with other rows than {run.data.path!r} has "
        f"now{labels}: restore the data, or write training.overwrite=True to start a new run."
    )


__all__ = ["check_same_data", "find_checkpoint"]
