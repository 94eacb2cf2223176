# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Study of optuna in the output folder of a search, which an interrupted search continues."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..hub.folder import METRICS_FILE
from ..utils.errors import CheckpointError, HfRnnError
from .written_settings import difference

JOURNAL, LOCK = "journal.log", "lock"
# Number of trials before the sampler chooses the values.
STARTS = 8
# A trial is pruned after this number of finished ones, from this part of its training on.
FINISHED_BEFORE_PRUNING, PARTS_BEFORE_PRUNING = 3, 3
# Settings that may differ when a search continues; the fingerprint of the rows stands for their path.
_MAY_DIFFER = ("data.path", "training.output_dir", "training.disable_tqdm", "hf_rnn_version")


def check_optuna() -> None:
    """Raise [`HfRnnError`] if optuna is not installed."""
    if find_spec("optuna") is None:
        raise HfRnnError('a search of settings needs optuna: pip install "hf-rnn[tune]".')


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from searching in a folder. The operating system unlocks it if this process is killed.

    Args:
        folder: Folder of the search; it is created if it does not exist.

    Raises:
        CheckpointError: Another process searches in the folder, or the folder cannot be locked.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise CheckpointError(
            f"another process searches in {str(folder.parent)!r}: wait until it ends, or name another folder, "
            "training.output_dir=NAME."
        ) from None
    except (OSError, NotImplementedError) as error:
        raise CheckpointError(
            f"{str(folder / LOCK)!r} cannot be locked ({error}): name another folder, training.output_dir=NAME."
        ) from error
    try:
        yield
    finally:
        lock.release()


def remove_search(folder: Path) -> None:
    """Remove an unfinished search from a folder, except for the lock.

    Args:
        folder: Folder of the search.
    """
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def open_study(folder: Path, known: dict[str, Any], is_greater_better: bool, seed: int) -> tuple[Any, dict | None]:
    """Open the study of a search, or create it.

    Args:
        folder: Folder of the search.
        known: Settings that must be the same for a search to continue.
        is_greater_better: True if a greater metric is better.
        seed: Seed of the sampler.

    Returns:
        The study, and the parameters of the trial that an interruption has ended; None if there is none.

    Raises:
        CheckpointError: The folder holds a search with other settings, or a run has ended in it since.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(_mended(folder / JOURNAL)))),
        study_name="tune",
        direction="maximize" if is_greater_better else "minimize",
        pruner=optuna.pruners.MedianPruner(FINISHED_BEFORE_PRUNING, PARTS_BEFORE_PRUNING),
        load_if_exists=True,
    )
    before = study.user_attrs.setdefault("search", known)
    if found := difference(before, known, _MAY_DIFFER):
        raise CheckpointError(
            f"{str(folder.parent)!r} holds an unfinished search that was begun {found}, or write "
            "training.overwrite=True to start a new one."
        )
    study.set_user_attr("search", known)
    _check_model(study, folder.parent)
    # The sampler of a continued search would repeat its random numbers with the same seed.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), n_startup_trials=STARTS)
    again = None
    for trial in study.get_trials(states=[TrialState.RUNNING]):
        study.tell(trial.number, state=TrialState.FAIL)
        again = trial.params
    return study, again


def _check_model(study: Any, folder: Path) -> None:
    """Raise [`CheckpointError`] if a run has ended in the folder since the search began."""
    metrics = folder / METRICS_FILE
    ended = hashlib.sha256(metrics.read_bytes()).hexdigest() if metrics.exists() else None
    if "replaces" not in study.user_attrs:
        study.set_user_attr("replaces", ended)
    elif ended not in (None, study.user_attrs["replaces"]):
        raise CheckpointError(
            f"{str(folder)!r} holds an unfinished search, and a run that has ended since the search began: write "
            "training.overwrite=True to replace both, or name another folder, training.output_dir=NAME."
        )


def _mended(journal: Path) -> Path:
    """Remove what a killed process leaves: the lock of optuna's journal, and half a line at its end."""
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
    if journal.exists():
        whole, end, rest = journal.read_bytes().rpartition(b"\n")
        if rest:
            journal.write_bytes(whole + end)
    return journal


__all__ = ["JOURNAL", "STARTS", "alone_in", "check_optuna", "open_study", "remove_search"]
