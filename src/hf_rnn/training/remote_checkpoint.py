# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Download the newest checkpoint of a run from the Hub, to go on from it."""

import json
import os
import re
import shutil
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from huggingface_hub import HfApi

from ..hub.folder import RUN_FILE
from ..utils.errors import UserError
from ..utils.hub_answers import head_of
from ..utils.hub_download import matches
from ..utils.hub_errors import NotThere, patiently
from .checkpoints import best_of, damage, set_aside

# The folders of checkpoints in a repository under hub_strategy="checkpoint".
LAST, BEST = "last-checkpoint", "best-checkpoint"


def fetch_checkpoint(repo_id: str, folder: Path, revision: str | None = None, token: str | None = None) -> None:
    """Bring the newest checkpoint of a run, the best one where that is another, and its run.yaml from the Hub.

    Args:
        repo_id: `user/name`, or a name of the token's own user, to which the run was pushed with hub_strategy
            checkpoint or all_checkpoints.
        folder: the run's output_dir, in which they will stand as if they had been written there.

    Raises:
        UserError: the repository cannot be had, or its checkpoint has no run.yaml. Without a checkpoint nothing is
            done.
    """
    api = HfApi(token=token)
    if "/" not in repo_id:
        repo_id = f"{patiently(api.whoami, repo_id, token)['name']}/{repo_id}"
    try:
        head = patiently(lambda: head_of(api.model_info(repo_id, revision=revision)), repo_id, token, revision)
    except NotThere as error:
        raise UserError(f"{error} A run that has pushed nothing yet begins without --training.resume.") from error
    sha, paths = head[0], [path for path in head[1] if _is_plain(path)]
    newest = _newest_checkpoint(paths)
    if newest is None:
        return
    if RUN_FILE not in paths:
        raise UserError(
            f"{repo_id!r} has a checkpoint but no {RUN_FILE}, so it is not a run of hf-rnn train: leave out "
            "--training.resume, or name another --training.hub_model_id."
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
            raise UserError(
                f"{source} of {repo_id!r} is not whole ({harm}): leave out --training.resume to begin anew, or name "
                "another --training.hub_revision."
            )
    _move_in(fetching, folder, places)


def _move_in(fetching: Path, folder: Path, places: dict[str, str]) -> None:
    """Move what was fetched into the folder of a run.

    Args:
        places: where each fetched folder goes, the newest checkpoint first.
    """
    os.replace(fetching / RUN_FILE, folder / RUN_FILE)
    # The newest last: where it stands, all that it needs stands too.
    for place, target in reversed(places.items()):
        if (folder / target).exists():
            set_aside(folder / target)
        shutil.move(fetching / place, folder / target)
    shutil.rmtree(fetching)


def _newest_checkpoint(paths: list[str]) -> str | None:
    """Return the repository's folder that holds the newest checkpoint, or None."""
    folders = [path.rpartition("/")[0] for path in paths if fnmatch(path, "*checkpoint*/trainer_state.json")]
    numbered = [name for name in folders if re.fullmatch(r"checkpoint-\d+", name)]
    if LAST in folders:
        return LAST
    return max(numbered, key=lambda name: int(name.rpartition("-")[2]), default=None)


def _is_plain(path: str) -> bool:
    """Return whether a repository's path stays below the folder that it is downloaded to."""
    return not path.startswith("/") and "\\" not in path and ":" not in path and ".." not in PurePosixPath(path).parts


__all__ = ["fetch_checkpoint"]
