# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Download of repository files into the cache, with the cached files as a fallback if the Hub does not answer."""

import logging
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

from .errors import HubError
from .hub_answers import head_of
from .hub_errors import LONGEST_QUESTION, PATIENCE, NotServed, patiently

logger = logging.getLogger(__name__)


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Return whether a path matches one of the patterns.

    Args:
        path: Path of a file in a repository.
        patterns: Patterns in the syntax of `fnmatch`.
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
    """Download some files of a model repository into the cache, or use the cached files if the Hub does not answer.

    A damaged file is downloaded once more.

    Args:
        repo_id: `user/name`.
        patterns: Patterns of the files to download, in the syntax of `fnmatch`.
        is_whole: Function that returns True if a cache folder holds enough files to be used without the Hub.
        revision: Branch, tag or commit; None for main.
        token: Access token; None for the one of HF_TOKEN or `hf auth login`.
        cache_dir: Folder of the cache; None for the default of the Hub's client.
        local_files_only: True to use the cache without asking the Hub.
        is_intact: Function that returns True if a cached file has the bytes that were pushed.

    Returns:
        The snapshot folder in the cache.

    Raises:
        NotServed: If the download fails and the cache is not whole.
        HubError: If the name or revision does not exist, or a file is damaged after both downloads. Also if the name
            of a file leads out of the repository's folder.
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
        raise HubError(f"{damaged[0].name} of {repo_id!r} arrives damaged each time: tell the model's owner.")
    return folder


def _in_cache(
    repo_id: str, revision: str | None, where: dict[str, Any], is_whole: Callable[[Path], bool]
) -> Path | None:
    """Return the snapshot folder in the cache, or None if it is missing or not whole."""
    try:
        folder = Path(snapshot_download(repo_id, revision=revision, local_files_only=True, **where))
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    return folder if is_whole(folder) else None


def _fetch(
    repo_id: str, revision: str | None, where: dict[str, Any], cached: Path | None, local_files_only: bool
) -> Path:
    """Return the snapshot folder with the files that the Hub has now, downloading those that are missing.

    The cache's reference of the revision changes only after all files have arrived.
    """
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
        raise HubError(f"{repo_id!r} has a file whose name leads out of its folder: do not use it.") from error
    name = revision or "main"
    if name != sha:
        reference = folder.parents[1] / "refs" / name
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(sha)
    return folder


__all__ = ["matches", "snapshot"]
