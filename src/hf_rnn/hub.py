# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""To the Hub and back: one push is one commit, made whole or not at all."""

import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi, get_token, snapshot_download
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from . import auto  # noqa: F401  the command line has not registered the models yet
from .checkpoints import best_of, damage, set_aside
from .configuration_rnn import RNNConfig
from .errors import UserError, looks_local
from .handwriting import CARD_FILE, add_tags, decode, is_untouched, merge, read_card
from .hub_errors import explain, patiently
from .model_card import PICTURES, render_folder
from .model_folder import MODEL_FILES, WEIGHTS, check_model, matches, model_files
from .run_config import METRICS_FILE, RUN_FILE
from .weight_files import is_intact

logger = logging.getLogger(__name__)

# Where checkpoints stand in a repository under hub_strategy="checkpoint".
LAST, BEST = "last-checkpoint", "best-checkpoint"
# Files of an earlier model that a later one may lack, and that would then belong to nothing.
STALE = (*WEIGHTS, METRICS_FILE, *PICTURES)


def push(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    token: str | None = None,
    overwrite_card: bool = False,
) -> CommitInfo:
    """Pushes a model's folder as one commit: weights, configuration, code, tokenizer, card, metrics and figures.

    Args:
        folder: the output_dir of a training run that ended, or what `save_pretrained` wrote.
        repo_id: `user/name`; made if it is not there.
        private: of a repository that is made.
        revision: a branch, made if it is not there; main if None.
        token: that of `hf auth login` or HF_TOKEN if None.
        overwrite_card: whether what was written by hand in the repository's card gives way to the folder's.

    Returns:
        The commit; the newest one where the repository holds all of it already.

    Raises:
        UserError: the folder is not a whole model, or the Hub did not take it; the repository is as it was then.
    """
    folder = Path(folder)
    check_model(folder)

    here = read_card(folder / CARD_FILE)

    def card(old: str | None) -> str:
        order = (here, old) if overwrite_card else (old, here)
        return merge(render_folder(folder, repo_id), *order, title=folder.absolute().name)

    repo_id = create(repo_id, private, token)
    return commit(
        repo_id,
        model_files(folder),
        card=card,
        revision=revision,
        message=commit_message or "Upload model",
        token=token,
        is_stale=is_stale,
    )


def push_model(
    model,
    repo_id: str,
    *,
    commit_message: str | None = None,
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
    max_shard_size: int | str = "50GB",
    tags: list[str] | None = None,
    **options,
) -> CommitInfo:
    """What `model.push_to_hub(repo_id)` does: weights, configuration and code; a card where there is none.

    Args:
        tags: of the card, beside those that it has.
        options: of `HfApi.create_commit`, such as commit_description and create_pr.
    """
    repo_id = create(repo_id, private, token)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, max_shard_size=max_shard_size)
        new = render_folder(Path(folder), repo_id)
        return commit(
            repo_id,
            model_files(Path(folder)),
            card=lambda old: add_tags(new if is_untouched(old) else str(old), tags or []),
            message=commit_message or "Upload model",
            is_stale=lambda path: matches(path, WEIGHTS),
            revision=revision,
            token=token,
            **options,
        )


def is_stale(path: str) -> bool:
    """Whether a file of a repository belongs to the model there, and so to nothing once another one is pushed."""
    return matches(path, STALE)


# Talking to the Hub --------------------------------------------------------------------------------------------------


def check_token(token: str | None) -> None:
    """Raises [`UserError`] where there is no token to write with."""
    if not (token or get_token()):
        raise UserError("there is no token to write to the Hub with: hf auth login (or set HF_TOKEN).")


def create(repo_id: str, private: bool | None = None, token: str | None = None) -> str:
    """The full name, `user/name`, of a repository that holds a model of ours or nothing yet; it is made if need be.

    Raises:
        UserError: no token or not the right one, no such name, or one that holds something else.
    """
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise UserError(explain(error, repo_id)) from error
    check_token(token)
    api = HfApi(token=token)
    with_owner = patiently(lambda: api.create_repo(repo_id, private=private, exist_ok=True).repo_id, repo_id, token)
    head = patiently(lambda: api.model_info(with_owner), repo_id, token)
    held = [file.rfilename for file in head.siblings or []]
    other = None
    if "config.json" in held:
        config = patiently(lambda: _read(api, with_owner, "config.json", head.sha), repo_id, token)
        other = f"a model of type {json.loads(config).get('model_type')!r}"
    elif any(matches(path, WEIGHTS) for path in held):
        other = "weights without a config.json"
    if other not in (None, f"a model of type {RNNConfig.model_type!r}"):
        raise UserError(
            f"the name {with_owner!r} is taken by {other}: push to another name, or first make room with "
            f"hf repos delete {with_owner}."
        )
    return with_owner


def commit(
    repo_id: str,
    files: Mapping[str, Path | bytes],
    *,
    message: str,
    card: Callable[[str | None], str],
    revision: str | None = None,
    token: str | None = None,
    is_stale: Callable[[str], bool],
    **options,
) -> CommitInfo:
    """One commit of all files, on top of what the branch holds when it arrives.

    Args:
        files: their paths in the repository, and what they hold.
        card: makes the repository's card out of the one that it has.
        is_stale: whether a file of the repository, by its path, is to go where `files` lacks it.
        options: of `HfApi.create_commit`.

    Raises:
        UserError: the Hub did not take it, after all tries; the repository is as it was.
    """
    api = HfApi(token=token)
    branch = revision or "main"
    if revision is not None and not revision.startswith("refs/pr/"):
        patiently(lambda: api.create_branch(repo_id, branch=revision, exist_ok=True), repo_id, token, revision)

    def attempt() -> CommitInfo:
        # The parent is named: if someone else commits in between, the Hub refuses, and the next try builds on theirs.
        head = api.model_info(repo_id, revision=branch)
        held = [file.rfilename for file in head.siblings or []]
        old = decode(_read(api, repo_id, CARD_FILE, head.sha)) if CARD_FILE in held else None
        added = {**files, CARD_FILE: card(old).encode()}
        gone = [path for path in held if path not in added and is_stale(path)]
        operations: list[Any] = [
            CommitOperationAdd(path, str(f) if isinstance(f, Path) else f) for path, f in added.items()
        ]
        operations += [CommitOperationDelete(path) for path in gone]
        return api.create_commit(
            repo_id, operations, commit_message=message, revision=branch, parent_commit=head.sha, **options
        )

    return patiently(attempt, repo_id, token, branch)


def _read(api: HfApi, repo_id: str, path: str, revision: str) -> bytes:
    """A file that the repository is known to have: an error is never taken for its absence."""
    return Path(api.hf_hub_download(repo_id, path, revision=revision)).read_bytes()


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
    """Brings a model from the Hub, or from the cache where there is no network.

    Returns:
        A folder of the cache, with the files of `MODEL_FILES` that the repository has; each is as it was pushed.

    Raises:
        UserError: there is no such model or revision, no right to see it, no network, or what arrives is damaged.
    """

    where: dict[str, Any] = {
        "revision": revision,
        "token": token,
        "cache_dir": cache_dir,
        "local_files_only": local_files_only,
    }

    def fetch() -> Path:
        try:
            return Path(snapshot_download(repo_id, allow_patterns=list(MODEL_FILES), **where))
        except ValueError as error:
            if "Invalid filename" not in str(error):
                raise
            raise UserError(f"{repo_id!r} has a file whose name leads out of its folder: do not use it.") from error

    for _ in range(2):
        folder = patiently(fetch, repo_id, token, revision)
        damaged = [file for file in folder.glob("*") if not is_intact(file)]
        if not damaged:
            break
        logger.info(f"{damaged[0].name} arrived damaged; fetching it again.")
        for file in damaged:
            file.resolve().unlink(missing_ok=True)
            file.unlink(missing_ok=True)
    else:
        raise UserError(f"{damaged[0].name} of {repo_id!r} arrives damaged each time: tell the model's owner.")
    if not (folder / "config.json").exists():
        raise UserError(f"{repo_id!r} holds no model that can be loaded: it has no config.json. Name another one.")
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
    info = patiently(lambda: api.model_info(repo_id, revision=revision), repo_id, token, revision)
    paths = [file.rfilename for file in info.siblings or [] if _is_plain(file.rfilename)]
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
            lambda: api.snapshot_download(repo_id, revision=info.sha, local_dir=fetching, allow_patterns=wanted),
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
    """Whether a repository's path stays below the folder that it is downloaded to."""
    return not path.startswith("/") and "\\" not in path and ":" not in path and ".." not in PurePosixPath(path).parts


__all__ = ["download", "fetch_checkpoint", "find_model", "push", "push_model"]
