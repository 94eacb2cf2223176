# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Download the newest checkpoint of a run from the Hub, to resume from it."""

import json
import os
import re
import shutil
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from huggingface_hub import HfApi

from ..hub.folder import RUN_FILE
from ..utils.errors import CheckpointError
from ..utils.hub_answers import head_of
from ..utils.hub_download import matches
from ..utils.hub_errors import NotThere, patiently
from .checkpoints import best_of, damage, set_aside

# Folders of checkpoints in a repository with hub_strategy="checkpoint".
LAST, BEST = "last-checkpoint", "best-checkpoint"


def fetch_checkpoint(repo_id: str, folder: Path, revision: str | None = None, token: str | None = None) -> None:
    """Download the newest checkpoint of a run, its best checkpoint and its run.yaml from the Hub.

    The run was pushed with hub_strategy checkpoint or all_checkpoints. If the repository has no checkpoint, nothing is
    downloaded.

    Args:
        repo_id: Repository of the run, `user/name`, or `name` for a repository of the token's user.
        folder: The `output_dir` of the run. The files get the paths that training would have written.
        revision: Branch, tag or commit; None for the main branch.
        token: Access token of the Hub; None for the token of `hf auth login` or HF_TOKEN.

    Raises:
        CheckpointError: The repository cannot be read, it has no run.yaml, or a checkpoint is damaged.
    """
    api = HfApi(token=token)
    if "/" not in repo_id:
        repo_id = f"{patiently(api.whoami, repo_id, token)['name']}/{repo_id}"
    try:
        head = patiently(lambda: head_of(api.model_info(repo_id, revision=revision)), repo_id, token, revision)
    except NotThere as error:
        raise CheckpointError(f"{error} If the run has not pushed anything yet, leave out training.resume.") from error
    sha, paths = head[0], [path for path in head[1] if _is_plain(path)]
    newest = _newest_checkpoint(paths)
    if newest is None:
        return
    if RUN_FILE not in paths:
        raise CheckpointError(
            f"{repo_id!r} has a checkpoint but no {RUN_FILE}, so it is not a run of hf-rnn train: leave out "
            "training.resume, or name another training.hub_model_id."
        )
    fetching = folder / ".fetching"
    shutil.rmtree(fetching, ignore_errors=True)

    def fetch(patterns: list[str]) -> None:
        wanted = [path for path in paths if matches(path, patterns)]
        patiently(
            lambda: api.snapshot_download(repo_id, revision=sha, local_dir=fetching, allow_patterns=wanted),
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
            raise CheckpointError(
                f"{source} of {repo_id!r} is not complete ({harm}): leave out training.resume to start a new run, "
                "or name another training.hub_revision."
            )
    _move_in(fetching, folder, places)


def _move_in(fetching: Path, folder: Path, places: dict[str, str]) -> None:
    """Move the downloaded files into the folder of a run.

    Args:
        fetching: Folder of the downloaded files.
        folder: Folder of the run.
        places: Final name of each downloaded checkpoint folder, the newest checkpoint first.
    """
    os.replace(fetching / RUN_FILE, folder / RUN_FILE)
    # The newest checkpoint is moved last, so that all files it needs are present.
    for place, target in reversed(places.items()):
        if (folder / target).exists():
            set_aside(folder / target)
        shutil.move(fetching / place, folder / target)
    shutil.rmtree(fetching)


def _newest_checkpoint(paths: list[str]) -> str | None:
    """Return the folder of the newest checkpoint in a repository, or None."""
    folders = [path.rpartition("/")[0] for path in paths if fnmatch(path, "*checkpoint*/trainer_state.json")]
    numbered = [name for name in folders if re.fullmatch(r"checkpoint-\d+", name)]
    if LAST in folders:
        return LAST
    return max(numbered, key=lambda name: int(name.rpartition("-")[2]), default=None)


def _is_plain(path: str) -> bool:
    """Return True if a path of a repository stays inside the download folder."""
    return not path.startswith("/") and "\\" not in path and ":" not in path and ".." not in PurePosixPath(path).parts


__all__ = ["fetch_checkpoint"]
