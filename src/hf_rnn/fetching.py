# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""From the Hub, or from the cache where the Hub does not answer: models, and checkpoints of runs that go on."""

import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

from . import auto  # noqa: F401  the command line has not registered the models yet
from .checkpoints import best_of, damage, set_aside
from .configuration_rnn import RNNConfig
from .errors import UserError, looks_local
from .hub_answers import head_of
from .hub_errors import LONGEST_QUESTION, PATIENCE, NotServed, NotThere, patiently
from .model_folder import MODEL_FILES, check_model, matches
from .run_config import RUN_FILE
from .weight_files import is_intact

logger = logging.getLogger(__name__)

# The folders of checkpoints in a repository under hub_strategy="checkpoint".
LAST, BEST = "last-checkpoint", "best-checkpoint"


def find_model(path: str, **where) -> tuple[Path, RNNConfig]:
    """The folder of a whole model and its configuration: the path itself, or where [`download`] brought it, whose
    options and errors are these.

    Raises:
        UserError: the path is that of a folder, and there is none; or it holds no whole model.
    """
    folder = Path(path)
    if not folder.is_dir():
        if looks_local(path):
            raise UserError(f"there is no folder {path!r}: name the output_dir of a training run that ended.")
        try:
            folder = download(path, **where)
        except UserError as error:
            if repr(path) in str(error):
                raise
            raise UserError(f"there is no folder {path!r}, and on the Hub: {error}") from error
    return folder, check_model(folder, path)


def download(
    repo_id: str,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Path:
    """Brings a model from the Hub, or from the cache: without a word where that was asked for, and with the reason
    where the Hub does not answer as it should. With a copy in the cache, the Hub is asked once.

    Returns:
        A folder of the cache, with the files of `MODEL_FILES` that the repository has; each is as it was pushed.

    Raises:
        UserError: there is no such model or revision, no right to see it, no network, or what arrives is damaged.
    """
    folder = snapshot(repo_id, MODEL_FILES, _has_weights, revision, token, cache_dir, local_files_only)
    if not (folder / "config.json").exists():
        raise UserError(f"{repo_id!r} holds no model that can be loaded: it has no config.json. Name another one.")
    return folder


def snapshot(
    repo_id: str,
    patterns: Iterable[str],
    is_whole: Callable[[Path], bool],
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Path:
    """Fetch some files of a model's repository as [`download`] does, whose errors are these.

    Args:
        patterns: of the files, as of `fnmatch`.
        is_whole: whether a folder of the cache holds enough of them to be used where the Hub does not answer.
    """
    where: dict[str, Any] = {"token": token, "cache_dir": cache_dir, "allow_patterns": list(patterns)}
    for _ in range(2):
        cached = _in_cache(repo_id, revision, where, is_whole)
        fetch = partial(_fetch, repo_id, revision, where, cached, local_files_only)
        try:
            folder = patiently(fetch, repo_id, token, revision, PATIENCE if cached is None else 0)
        except NotServed as error:
            if cached is None:
                raise
            logger.warning(
                f"{error} Until then {repo_id!r} is read from the cache, revision {revision or 'main'} as it was at "
                f"commit {cached.name}."
            )
            folder = cached
        damaged = [file for file in folder.glob("*") if not is_intact(file)]
        if not damaged:
            break
        logger.info(f"{damaged[0].name} arrived damaged; fetching it again.")
        for file in damaged:
            file.resolve().unlink(missing_ok=True)
            file.unlink(missing_ok=True)
    else:
        raise UserError(f"{damaged[0].name} of {repo_id!r} arrives damaged each time: tell the model's owner.")
    return folder


def _has_weights(folder: Path) -> bool:
    """Return whether a folder of the cache holds a configuration and all files of weights."""
    if not (folder / "config.json").exists():
        return False
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").exists() or not index.exists():
        return any(folder.glob("*.safetensors"))
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return all((folder / str(name)).exists() for name in names)


def _in_cache(
    repo_id: str, revision: str | None, where: dict[str, Any], is_whole: Callable[[Path], bool]
) -> Path | None:
    """Return the folder of the cache where it is whole, or None."""
    try:
        folder = Path(snapshot_download(repo_id, revision=revision, local_files_only=True, **where))
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    return folder if is_whole(folder) else None


def _fetch(
    repo_id: str, revision: str | None, where: dict[str, Any], cached: Path | None, local_files_only: bool
) -> Path:
    """The folder of the cache with what the Hub has now. A revision names what was fetched only once that is whole."""
    if local_files_only:
        return Path(snapshot_download(repo_id, revision=revision, local_files_only=True, **where))
    try:
        limit = None if cached is None else LONGEST_QUESTION
        sha, paths = head_of(HfApi(token=where["token"]).model_info(repo_id, revision=revision, timeout=limit))
    except OfflineModeIsEnabled:
        if cached is None:
            raise
        return cached
    wanted = [path for path in paths if matches(path, where["allow_patterns"])]
    if cached is not None and cached.name == sha and all((cached / name).exists() for name in wanted):
        return cached
    try:
        folder = Path(snapshot_download(repo_id, revision=sha, **where))
    except ValueError as error:
        if "Invalid filename" not in str(error):
            raise
        raise UserError(f"{repo_id!r} has a file whose name leads out of its folder: do not use it.") from error
    name = revision or "main"
    if name != sha:
        reference = folder.parents[1] / "refs" / name
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(sha)
    return folder


def fetch_checkpoint(repo_id: str, folder: Path, revision: str | None = None, token: str | None = None) -> None:
    """Brings the newest checkpoint of a run, the best one where that is another, and its run.yaml from the Hub.

    Args:
        repo_id: `user/name`, or a name of the token's own user, to which the run was pushed with hub_strategy
            checkpoint or all_checkpoints.
        folder: the run's output_dir, in which they will stand as if they had been written there.

    Raises:
        UserError: the repository cannot be had, or its checkpoint has no run.yaml. Without a checkpoint nothing is
            done.
    """
    api = HfApi(token=token)
    if "/" not in repo_id:
        repo_id = f"{patiently(api.whoami, repo_id, token)['name']}/{repo_id}"
    try:
        head = patiently(lambda: head_of(api.model_info(repo_id, revision=revision)), repo_id, token, revision)
    except NotThere as error:
        raise UserError(f"{error} A run that has pushed nothing yet begins without --training.resume.") from error
    sha, paths = head[0], [path for path in head[1] if _is_plain(path)]
    newest = _newest_checkpoint(paths)
    if newest is None:
        return
    if RUN_FILE not in paths:
        raise UserError(
            f"{repo_id!r} has a checkpoint but no {RUN_FILE}, so it is not a run of hf-rnn train: leave out "
            "--training.resume, or name another --training.hub_model_id."
        )
    fetching = folder / ".fetching"
    shutil.rmtree(fetching, ignore_errors=True)

    def fetch(patterns: list[str]) -> None:
        wanted = [path for path in paths if matches(path, patterns)]
        patiently(
            lambda: api.snapshot_download(repo_id, revision=sha, local_dir=fetching, allow_patterns=wanted),
            repo_id,
            token,
            revision,
        )

    fetch([f"{newest}/*", RUN_FILE])
    state = json.loads((fetching / newest / "trainer_state.json").read_text(encoding="utf-8"))
    places = {newest: f"checkpoint-{int(state['global_step'])}"}
    best = best_of(fetching / newest)
    source = next((name for name in (best, BEST) if f"{name}/config.json" in paths), None)
    if best is not None and source is not None and best != places[newest]:
        fetch([f"{source}/*"])
        places[source] = best
    for source in places:
        harm = damage(fetching / source)
        if harm is not None:
            raise UserError(
                f"{source} of {repo_id!r} is not whole ({harm}): leave out --training.resume to begin anew, or name "
                "another --training.hub_revision."
            )
    # The newest last: where it stands, all that it needs stands too.
    os.replace(fetching / RUN_FILE, folder / RUN_FILE)
    for place, target in reversed(places.items()):
        if (folder / target).exists():
            set_aside(folder / target)
        shutil.move(fetching / place, folder / target)
    shutil.rmtree(fetching)


def _newest_checkpoint(paths: list[str]) -> str | None:
    """The repository's folder that holds the newest checkpoint, or None."""
    folders = [path.rpartition("/")[0] for path in paths if fnmatch(path, "*checkpoint*/trainer_state.json")]
    numbered = [name for name in folders if re.fullmatch(r"checkpoint-\d+", name)]
    if LAST in folders:
        return LAST
    return max(numbered, key=lambda name: int(name.rpartition("-")[2]), default=None)


def _is_plain(path: str) -> bool:
    """Return whether a repository's path stays below the folder that it is downloaded to."""
    return not path.startswith("/") and "\\" not in path and ":" not in path and ".." not in PurePosixPath(path).parts


__all__ = ["download", "fetch_checkpoint", "find_model", "snapshot"]
