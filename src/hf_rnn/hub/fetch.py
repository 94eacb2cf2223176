# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Find the folder of a model: a local one, or one fetched from the Hub or its cache."""

import json
import logging
from pathlib import Path

from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from ..models.configuration_rnn import RNNConfig
from ..models.weight_files import is_intact
from ..utils.errors import UserError, did_you_mean, looks_local
from ..utils.hub_download import snapshot
from .folder import MODEL_FILES, check_model

logger = logging.getLogger(__name__)


def find_model(path: str, **where) -> tuple[Path, RNNConfig]:
    """Find the folder of a whole model, and its configuration.

    Args:
        path: a folder, or the name of a model on the Hub.
        where: options of [`download`], for a model on the Hub.

    Raises:
        UserError: there is no such folder, it holds no whole model, or [`download`] failed.
    """
    folder = Path(path)
    if not folder.is_dir():
        if looks_local(path):
            raise UserError(
                f"there is no folder {path!r}: name the output_dir of a training run that ended.{did_you_mean(path)}"
            )
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
    """Fetch a model from the Hub, or use the cached copy where the Hub does not answer.

    With a copy in the cache, the Hub is asked once. A warning gives the reason if the copy is used against the user's
    wish.

    Args:
        repo_id: `user/name`.
        revision: a branch, a tag or a commit; main if None.
        token: the one of HF_TOKEN or of a login if None.
        cache_dir: the cache; the Hub client's own if None.
        local_files_only: use the cache alone.

    Returns:
        A folder of the cache, with the files of `MODEL_FILES` that the repository has; each is as it was pushed.

    Raises:
        UserError: there is no such model or revision, no right to see it, no network, or what arrives is damaged.
    """
    folder = snapshot(
        repo_id, MODEL_FILES, _has_weights, revision, token, cache_dir, local_files_only, is_intact=is_intact
    )
    if not (folder / CONFIG_NAME).exists():
        raise UserError(f"{repo_id!r} holds no model that can be loaded: it has no {CONFIG_NAME}. Name another one.")
    return folder


def _has_weights(folder: Path) -> bool:
    """Return whether a folder of the cache holds a configuration and all files of weights."""
    if not (folder / CONFIG_NAME).exists():
        return False
    index = folder / SAFE_WEIGHTS_INDEX_NAME
    if (folder / SAFE_WEIGHTS_NAME).exists() or not index.exists():
        return any(folder.glob("*.safetensors"))
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return all((folder / str(name)).exists() for name in names)


__all__ = ["download", "find_model"]
