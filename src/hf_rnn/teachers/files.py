# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Fingerprint of the files of a model, for the keys of teachers."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from huggingface_hub.utils.sha import sha_fileobj
from transformers.utils import CONFIG_NAME

from ..text.tokenization import TOKENIZER_FILES
from ..utils.errors import ConfigError

# Files of weights, in the order in which transformers looks for them. It reads only the first kind that there is.
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def fingerprint_of(folder: Path) -> str:
    """Return a SHA-256 over the configuration, the weights and the tokenizer files of a model folder.

    A copy of the folder, or the same model in the cache of the Hub, has the same fingerprint.

    Args:
        folder: Folder of the model.

    Raises:
        ConfigError: The folder has no configuration or no weights.
    """
    weights: list[Path] = next((found for kind in WEIGHTS if (found := sorted(folder.glob(kind)))), [])
    for name, there in ((CONFIG_NAME, (folder / CONFIG_NAME).is_file()), (" or ".join(WEIGHTS), bool(weights))):
        if not there:
            raise ConfigError(
                f"the teacher {str(folder)!r} has no {name}: name the folder of a model, or one on the Hub, USER/NAME."
            )
    tokenizer = {file for pattern in TOKENIZER_FILES for file in folder.glob(pattern) if file.is_file()}
    digest = hashlib.sha256()
    for file in sorted({folder / CONFIG_NAME, *weights, *tokenizer}):
        digest.update(f"{file.name} {_sha256(file)}\n".encode())
    return digest.hexdigest()


def _sha256(file: Path) -> str:
    # The cache of the Hub stores a large file under its SHA-256, and a small one under its Git hash.
    blob = file.resolve()
    if file.is_symlink() and blob.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", blob.name):
        return blob.name
    with file.open("rb") as stream:
        return sha_fileobj(stream).hex()


__all__ = ["fingerprint_of"]
