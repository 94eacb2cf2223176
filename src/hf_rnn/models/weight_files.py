# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Files of a model's weights: only safetensors are read, and their hashes are checked."""

import hashlib
import logging
import os
import re
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants
from transformers.utils import cached_file, has_file

logger = logging.getLogger(__name__)

# Seconds without an answer after which weights are read from the cache. transformers itself requests each file several
# times, and waits for minutes.
LONGEST_QUESTION = 10


def safetensors_of(path: str, kwargs: dict) -> Path | None:
    """Find the safetensors file of a model's weights, or the index of several files.

    If the Hub does not answer and the weights are in the cache, this sets `local_files_only` in `kwargs`.

    Args:
        path: Weight file, folder, or name of a model on the Hub.
        kwargs: Keyword arguments of `from_pretrained`; may be changed.

    Returns:
        The file, or None if transformers itself finds the file or raises an error.

    Raises:
        OSError: If the weights exist only as a pickle, or the file is a Git LFS pointer. Also if the Hub does not
            answer and the weights are not in the cache.
    """
    if os.path.isfile(path) and not path.endswith(".safetensors"):
        raise OSError(
            f"{path!r} is no safetensors file, and reading a pickle can run any code: name a .safetensors file."
        )
    if os.path.isfile(path):
        return None
    where: dict[str, Any] = {
        name: kwargs.get(name) for name in ("revision", "token", "cache_dir") if kwargs.get(name) is not None
    }
    where["local_files_only"] = kwargs.get("local_files_only", False)
    silent = not where["local_files_only"] and not os.path.isdir(path) and _is_silent(path, where)
    if silent:
        where["local_files_only"] = kwargs["local_files_only"] = True
    folder = kwargs.get("subfolder") or ""
    variant = f".{kwargs['variant']}" if kwargs.get("variant") else ""
    quiet = {
        f"_raise_exceptions_for_{reason}": False for reason in ("gated_repo", "missing_entries", "connection_errors")
    }
    for name in (f"model{variant}.safetensors", f"model.safetensors.index{variant}.json"):
        if file := cached_file(path, name, subfolder=folder, **where, **quiet):
            if is_pointer(Path(file)):
                raise OSError(f"{file} is a pointer of Git LFS, not the weights: run git lfs pull in its folder.")
            if silent:
                logger.warning(f"{constants.ENDPOINT} does not answer; {path!r} is read from the cache.")
            return Path(file)
    for name in ("pytorch_model.bin", "pytorch_model.bin.index.json"):
        if has_file(path, os.path.join(folder, name), **where):
            raise OSError(
                f"{path!r} has its weights only as a pickle ({name}), and reading one can run any code. Ask its "
                "owner to save it again: model.save_pretrained(...) writes model.safetensors."
            )
    if silent:
        raise OSError(
            f"{constants.ENDPOINT} has not answered for {LONGEST_QUESTION} seconds, and the weights of {path!r} are "
            "not in the cache: check the network, the proxy and HF_ENDPOINT, and load the model again."
        )
    return None


def _is_silent(path: str, where: dict) -> bool:
    """Return whether a request to the Hub times out.

    Other errors count as answers; transformers reports them.
    """
    try:
        HfApi(token=where.get("token")).model_info(path, revision=where.get("revision"), timeout=LONGEST_QUESTION)
    except Exception as error:
        # Compared by name, because the HTTP library of huggingface_hub changes between versions.
        return any(kind.__name__ in ("Timeout", "TimeoutException") for kind in type(error).__mro__)
    return False


def is_pointer(file: Path) -> bool:
    """Return whether a file is a Git LFS pointer instead of the large file that it stands for.

    Args:
        file: File to read.
    """
    return file.stat().st_size < 1024 and file.read_bytes().startswith(b"version https://git-lfs.github.com/spec/")


def is_intact(file: Path) -> bool:
    """Return whether a file of the Hub's cache has the hash after which its blob is named; True for all other files.

    Args:
        file: File in a snapshot folder of the cache, usually a link to the blob.
    """
    blob = file.resolve()
    algorithm = {40: "sha1", 64: "sha256"}.get(len(blob.name))
    if blob == file or algorithm is None or not re.fullmatch(r"[0-9a-f]+", blob.name):
        return True
    digest = hashlib.new(algorithm, b"blob %d\0" % blob.stat().st_size if algorithm == "sha1" else b"")
    with blob.open("rb") as data:
        # Read in chunks, because a file may be larger than memory.
        while part := data.read(1 << 20):
            digest.update(part)
    return digest.hexdigest() == blob.name


__all__ = ["is_intact", "is_pointer", "safetensors_of"]
