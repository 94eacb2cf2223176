# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Download files of a repository into the cache, or use the cached ones where the Hub does not answer."""

import logging
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

from .errors import UserError
from .hub_answers import head_of
from .hub_errors import LONGEST_QUESTION, PATIENCE, NotServed, patiently

logger = logging.getLogger(__name__)


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Return whether a path matches one of the patterns.

    Args:
        path: of a file in a repository.
        patterns: as of `fnmatch`.
    """
    return any(fnmatch(path, pattern) for pattern in patterns)


def snapshot(
    repo_id: str,
    patterns: Iterable[str],
    is_whole: Callable[[Path], bool],
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    *,
    is_intact: Callable[[Path], bool],
) -> Path:
    """Fetch some files of a model's repository into the cache, or from it where the Hub does not answer.

    Args:
        repo_id: `user/name`.
        patterns: of the files, as of `fnmatch`.
        is_whole: whether a folder of the cache holds enough of them to be used where the Hub does not answer.
        revision: a branch, tag or commit; main if None.
        token: that of `hf auth login` or HF_TOKEN if None.
        cache_dir: another place of the cache.
        local_files_only: whether the Hub is not asked.
        is_intact: whether a file of the cache has the bytes that were pushed.
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


__all__ = ["matches", "snapshot"]
