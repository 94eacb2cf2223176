# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The files of a model's weights: safetensors alone, and as they were pushed."""

import hashlib
import os
import re
from pathlib import Path

from transformers.utils import cached_file, has_file


def safetensors_of(path: str, kwargs: dict) -> Path | None:
    """The file of a model's weights, or of their index; None where transformers itself will say what is wrong.

    Raises:
        OSError: the weights are offered as a pickle only.
    """
    if os.path.isfile(path) and not path.endswith(".safetensors"):
        raise OSError(
            f"{path!r} is no safetensors file, and reading a pickle can run any code: name a .safetensors file."
        )
    if os.path.isfile(path):
        return None
    where = {name: kwargs.get(name) for name in ("revision", "token", "cache_dir") if kwargs.get(name) is not None}
    where["local_files_only"] = kwargs.get("local_files_only", False)
    folder = kwargs.get("subfolder") or ""
    variant = f".{kwargs['variant']}" if kwargs.get("variant") else ""
    quiet = {
        f"_raise_exceptions_for_{reason}": False for reason in ("gated_repo", "missing_entries", "connection_errors")
    }
    for name in (f"model{variant}.safetensors", f"model.safetensors.index{variant}.json"):
        if file := cached_file(path, name, subfolder=folder, **where, **quiet):
            if is_pointer(Path(file)):
                raise OSError(f"{file} is a pointer of Git LFS, not the weights: in its folder, git lfs pull.")
            return Path(file)
    for name in ("pytorch_model.bin", "pytorch_model.bin.index.json"):
        if has_file(path, os.path.join(folder, name), **where):
            raise OSError(
                f"{path!r} offers its weights as a pickle only ({name}), and reading one can run any code. Ask its "
                "owner to save it anew: model.save_pretrained(...) writes model.safetensors."
            )
    return None


def is_pointer(file: Path) -> bool:
    """Whether a file is what Git LFS leaves in the place of a large one that was not fetched."""
    return file.stat().st_size < 1024 and file.read_bytes().startswith(b"version https://git-lfs.github.com/spec/")


def is_intact(file: Path) -> bool:
    """Whether the bytes of a file of the Hub's cache are those that its name there, a hash, promises."""
    blob = file.resolve()
    algorithm = {40: "sha1", 64: "sha256"}.get(len(blob.name))
    if blob == file or algorithm is None or not re.fullmatch(r"[0-9a-f]+", blob.name):
        return True
    data = blob.read_bytes()
    header = b"blob %d\0" % len(data) if algorithm == "sha1" else b""
    return hashlib.new(algorithm, header + data).hexdigest() == blob.name


__all__ = ["is_intact", "is_pointer", "safetensors_of"]
