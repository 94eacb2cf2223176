# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Download of an exported model from the Hub."""

from __future__ import annotations

from pathlib import Path

from .errors import HubError, first_line
from .record import ONNX_FOLDER, RECORD_FILE, read_record, without_record


def download(
    repo_id: str,
    quantized: bool | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Path:
    """Download the files of an exported model that a runtime reads, and return their folder in the cache.

    If the Hub does not answer, the client of the Hub uses the files in its cache.

    Args:
        repo_id: Name of the repository, `user/name`.
        quantized: Same as in [`Model.from_pretrained`].
        revision: Branch, tag or commit; None for main.
        token: Token of the Hub; None for the one that `hf auth login` saved.
        cache_dir: Folder of the cache; None for the cache of huggingface_hub.
        local_files_only: True to read the cache only.

    Raises:
        HubError: huggingface_hub is not installed, or the repository, the revision or the model does not exist, or the
            Hub does not answer and the model is not in the cache.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            HFValidationError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError as error:
        raise HubError(
            f"there is no folder {repo_id!r}, and a model of the Hub needs huggingface_hub: pip install "
            '"hf-rnn-runtime[hub]".'
        ) from error

    def fetched(revision: str | None, *patterns: str) -> Path:
        try:
            return Path(
                snapshot_download(
                    repo_id,
                    revision=revision,
                    token=token,
                    cache_dir=cache_dir,
                    local_files_only=local_files_only,
                    allow_patterns=list(patterns),
                )
            )
        except (HFValidationError, RepositoryNotFoundError) as error:
            raise HubError(
                f"there is no folder {repo_id!r}, and no such model on the Hub that you may read: name a folder that "
                "hf-rnn export wrote, or a Hub id; a private model needs hf auth login."
            ) from error
        except RevisionNotFoundError as error:
            raise HubError(f"{repo_id!r} has no revision {revision!r} on the Hub: leave revision out.") from error
        except LocalEntryNotFoundError as error:
            raise HubError(
                f"there is no folder {repo_id!r}, the Hub does not answer, and its cache here has no such model: try "
                "again with a network."
            ) from error
        except OSError as error:
            raise HubError(
                f"{repo_id!r} cannot be downloaded from the Hub ({first_line(error)}): try again, or name a folder "
                "that hf-rnn export wrote."
            ) from error

    folder = fetched(revision, f"{ONNX_FOLDER}/{RECORD_FILE}")
    if not (folder / ONNX_FOLDER / RECORD_FILE).is_file():
        raise HubError(without_record(repo_id))
    record = read_record(folder, repo_id)
    graphs = [f"{ONNX_FOLDER}/{file}" for file in record.graph_files(quantized, repo_id)]
    # The name of the folder is the commit: all files are of one.
    return fetched(folder.name, f"{ONNX_FOLDER}/{RECORD_FILE}", record.tokenizer["file"], *graphs)


__all__ = ["download"]
