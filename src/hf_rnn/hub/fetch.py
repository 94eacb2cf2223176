# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Find the folder of a model: a local folder, or a snapshot from the Hub or its cache."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from ..models.configuration_rnn import RNNConfig
from ..models.weight_files import is_intact
from ..runtime.record import ONNX_FOLDER, RECORD_FILE, ExportRecord, read_record
from ..text.vocabulary import check_vocabulary
from ..utils.errors import HfRnnError, HubError, did_you_mean, is_mistyped, looks_local
from ..utils.hub_download import snapshot
from .folder import EXPORTED_FILES, MODEL_FILES, check_model, read_config

logger = logging.getLogger(__name__)


def find_model(path: str, **where) -> tuple[Path, RNNConfig]:
    """Find the folder of a complete model, and return it with the model's configuration.

    Args:
        path: Folder or Hub id of the model.
        where: Options of [`download`], for a model on the Hub.

    Raises:
        HubError: The folder does not exist or holds no complete model, or [`download`] failed.
    """
    folder = _folder_of(path, "the output_dir of a training run that ended", lambda: download(path, **where))
    return folder, check_model(folder, path)


def find_exported(path: str, **where) -> tuple[Path, RNNConfig, ExportRecord]:
    """Find an exported model, and return its folder, its configuration and its record. It may lack the weights.

    Args:
        path: Folder or Hub id of the model.
        where: Options of [`~hf_rnn.utils.hub_download.snapshot`], for a model on the Hub.

    Raises:
        HubError: The folder does not exist or holds no exported model, or the download failed.
    """

    def is_whole(folder: Path) -> bool:
        return (folder / CONFIG_NAME).exists() and (folder / ONNX_FOLDER / RECORD_FILE).exists()

    def download_exported() -> Path:
        return snapshot(path, EXPORTED_FILES, is_whole, **where, is_intact=is_intact)

    folder = _folder_of(path, "a folder that hf-rnn export wrote", download_exported)
    record = read_record(folder, path)
    config = read_config(folder, path)
    check_vocabulary(folder, config, path)
    return folder, config, record


def _folder_of(path: str, which: str, fetched: Callable[[], Path]) -> Path:
    """Return a folder, or the one that a function downloads from the Hub.

    Args:
        path: Folder or Hub id of a model.
        which: Folder to name, for errors.
        fetched: Function that downloads the model.
    """
    folder = Path(path)
    if folder.is_dir():
        return folder
    if looks_local(path) or is_mistyped(path):
        raise HubError(f"there is no folder {path!r}: name {which}.{did_you_mean(path)}")
    try:
        return fetched()
    except HfRnnError as error:
        if repr(path) in str(error):
            raise
        raise HubError(f"there is no folder {path!r}, and on the Hub: {error}") from error


def download(
    repo_id: str,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Path:
    """Download a model from the Hub, or use the cached copy if the Hub does not answer.

    If a copy is cached, the request to the Hub is not repeated. If the request fails, a warning gives the reason and
    the copy is used.

    Args:
        repo_id: Name of the repository, `user/name`.
        revision: Branch, tag or commit; main if None.
        token: Access token; None for the one of HF_TOKEN or of a login.
        cache_dir: Cache folder; None for the default of the Hub client.
        local_files_only: True to use the cache only.

    Returns:
        Folder in the cache with those files of `MODEL_FILES` that the repository has, unchanged.

    Raises:
        HubError: The model or the revision does not exist, access is denied, there is no network and no cached copy,
            or a downloaded file is damaged.
    """
    folder = snapshot(
        repo_id, MODEL_FILES, _has_weights, revision, token, cache_dir, local_files_only, is_intact=is_intact
    )
    if not (folder / CONFIG_NAME).exists():
        raise HubError(f"{repo_id!r} holds no model that can be loaded: it has no {CONFIG_NAME}. Name another one.")
    return folder


def _has_weights(folder: Path) -> bool:
    """Return True if a folder of the cache holds a configuration and all files of weights."""
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


__all__ = ["download", "find_exported", "find_model"]
