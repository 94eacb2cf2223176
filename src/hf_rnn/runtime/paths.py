# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Paths of models as users write them: folders, or names of repositories."""

from pathlib import Path


def looks_local(path: str) -> bool:
    """Return whether a path that does not exist was meant as a local path; the Hub then need not be asked for it.

    Args:
        path: Path or name of a repository, as the user wrote it.
    """
    folder, _, _ = path.rpartition("/")
    return path.startswith((".", "/", "~")) or path.count("/") > 1 or (folder != "" and Path(folder).is_dir())


__all__ = ["looks_local"]
