# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""To the Hub: one push is one commit, made whole or not at all."""

import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from transformers.utils import CONFIG_NAME

from ..models.configuration_rnn import RNNConfig
from ..utils.errors import UserError, first_line
from ..utils.hub_answers import head_of
from ..utils.hub_download import matches
from ..utils.hub_errors import PATIENCE, PATIENCE_OF_A_PUSH, BadCard, as_user_error, patiently, push_line
from ..utils.output import unsaid
from .card import render_folder
from .card_merge import add_tags, check_card, decode, is_untouched, merge, read_card
from .folder import CARD_FILE, CODE_FILES, METRICS_FILE, PICTURES, WEIGHTS, check_model, model_files

logger = logging.getLogger(__name__)

# Files of an earlier model that a later one may lack, and that would then belong to nothing.
STALE = (*WEIGHTS, *CODE_FILES, METRICS_FILE, *PICTURES)


def push(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    token: str | None = None,
    overwrite_card: bool = False,
) -> CommitInfo:
    """Push a model's folder as one commit: weights, configuration, code, tokenizer, card, metrics and figures.

    Args:
        folder: the output_dir of a training run that ended, or what `save_pretrained` wrote.
        repo_id: `user/name`; made if it is not there.
        private: of a repository that is made.
        revision: a branch, made if it is not there; main if None.
        commit_message: the title of the commit.
        token: that of `hf auth login` or HF_TOKEN if None.
        overwrite_card: whether the repository's card, with what was written there by hand, gives way to the folder's.

    Returns:
        The commit; the newest one where the repository holds all of it already.

    Raises:
        UserError: the folder is not a whole model, or the Hub did not take it; the repository is as it was then.
    """
    folder = Path(folder)
    check_model(folder)

    here = read_card(folder / CARD_FILE)

    repo_id = create(repo_id, private, token, PATIENCE_OF_A_PUSH)
    new = render_folder(folder, repo_id)
    return commit(
        repo_id,
        model_files(folder),
        card=lambda old: merge(new, old, here, title=folder.absolute().name),
        revision=revision,
        message=commit_message or "Upload model",
        token=token,
        is_stale=is_stale,
        patience=PATIENCE_OF_A_PUSH,
        overwrite_card=overwrite_card,
    )


def push_model(
    model: Any,
    repo_id: str,
    *,
    commit_message: str | None = None,
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
    max_shard_size: int | str = "50GB",
    tags: list[str] | None = None,
    **options: Any,
) -> CommitInfo:
    """Push a model as `model.push_to_hub(repo_id)`: weights, configuration and code; a card where there is none.

    Args:
        model: a model of ours.
        repo_id: `user/name`; made if it is not there.
        commit_message: the title of the commit.
        private: of a repository that is made.
        token: that of `hf auth login` or HF_TOKEN if None.
        revision: a branch, made if it is not there; main if None.
        max_shard_size: the largest file of weights; more are split.
        tags: of the card, beside those that it has.
        options: of `HfApi.create_commit`, such as commit_description and create_pr.

    Returns:
        The commit; the newest one where the repository holds all of it already.

    Raises:
        UserError: the Hub did not take it; the repository is as it was then.
    """
    repo_id = create(repo_id, private, token, PATIENCE_OF_A_PUSH)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, max_shard_size=max_shard_size)
        new = render_folder(Path(folder), repo_id)
        return commit(
            repo_id,
            model_files(Path(folder)),
            card=lambda old: add_tags(new if is_untouched(old) else str(old), tags or []),
            message=commit_message or "Upload model",
            is_stale=lambda path: matches(path, (*WEIGHTS, *CODE_FILES)),
            revision=revision,
            token=token,
            patience=PATIENCE_OF_A_PUSH,
            **options,
        )


def is_stale(path: str) -> bool:
    """Return whether a file of a repository belongs to the model there, and so to nothing once another is pushed."""
    return matches(path, STALE)


@contextmanager
def kept_for_later(folder: Path, repo_id: str, revision: str | None = None) -> Iterator[None]:
    """Raise [`UserError`] for any error of a push after training, with the model's folder and the line to push it."""
    try:
        yield
    except Exception as error:
        line = push_line(quote(str(folder)), repo_id, revision)
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {first_line(error)}."
        if isinstance(error, BadCard):
            # Its own line names another folder.
            reason, line = error.reason, f"{line} --overwrite_card"
        raise UserError(f"{reason} The model is whole in {str(folder)!r}: later, {line}") from error


# Talking to the Hub --------------------------------------------------------------------------------------------------


def check_name(repo_id: str) -> None:
    """Raise [`UserError`] for a name that no repository can have."""
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise (as_user_error(error, repo_id) or error) from error


def check_token(token: str | None) -> None:
    """Raise [`UserError`] where there is no token to write with."""
    if not (token or get_token()):
        raise UserError("there is no token to write to the Hub with: hf auth login (or set HF_TOKEN).")


def create(repo_id: str, private: bool | None = None, token: str | None = None, patience: float = PATIENCE) -> str:
    """Make a repository, unless it is there and holds a model of ours or nothing yet.

    Args:
        repo_id: `user/name`, or a name alone, of the token's user.
        private: of a repository that is made.
        token: that of `hf auth login` or HF_TOKEN if None.
        patience: seconds for another try of each request.

    Returns:
        Its full name, `user/name`.

    Raises:
        UserError: no token or not the right one, no such name, or one that holds something else.
    """
    check_name(repo_id)
    check_token(token)
    api = HfApi(token=token)

    def ask(call: Callable[[], Any]) -> Any:
        return patiently(call, repo_id, token, patience=patience)

    with_owner = ask(lambda: api.create_repo(repo_id, private=private, exist_ok=True).repo_id)
    sha, held = ask(lambda: head_of(api.model_info(with_owner)))
    other = None
    if CONFIG_NAME in held:
        other = _model_type(ask(lambda: _read(api, with_owner, CONFIG_NAME, sha)))
    elif any(matches(path, WEIGHTS) for path in held):
        other = f"weights without a {CONFIG_NAME}"
    if other not in (None, f"a model of type {RNNConfig.model_type!r}"):
        raise UserError(
            f"the name {with_owner!r} is taken by {other}: push to another name, or first make room with "
            f"hf repos delete {with_owner}."
        )
    return with_owner


def _model_type(config: bytes) -> str:
    """Describe the contents of a repository by its configuration."""
    try:
        return f"a model of type {json.loads(config)['model_type']!r}"
    except (ValueError, TypeError, KeyError):
        return f"a model whose {CONFIG_NAME} is no JSON object with a model_type"


def commit(
    repo_id: str,
    files: Mapping[str, Path | bytes],
    *,
    message: str,
    card: Callable[[str | None], str],
    revision: str | None = None,
    token: str | None = None,
    is_stale: Callable[[str], bool],
    patience: float = PATIENCE,
    overwrite_card: bool = False,
    **options: Any,
) -> CommitInfo:
    """Make one commit of all files, on top of what the branch holds when it arrives.

    Args:
        repo_id: `user/name`, of a repository that is there.
        files: their paths in the repository, and what they hold.
        message: the title of the commit.
        card: makes the repository's card out of the one that it has.
        revision: a branch, made if it is not there; main if None.
        token: that of `hf auth login` or HF_TOKEN if None.
        is_stale: whether a file of the repository, by its path, is to go where `files` lacks it.
        patience: seconds for another try.
        overwrite_card: whether `card` is made as if the repository had none.
        options: of `HfApi.create_commit`.

    Returns:
        The commit; the newest one where the repository holds all of it already.

    Raises:
        UserError: the Hub did not take it, after all tries; the repository is as it was.
    """
    api = HfApi(token=token)
    branch = revision or "main"
    if revision is not None and not revision.startswith("refs/pr/"):
        make = partial(api.create_branch, repo_id, branch=revision, exist_ok=True)
        patiently(make, repo_id, token, revision, patience)

    def attempt() -> CommitInfo:
        # The parent is named: if someone else commits in between, the Hub refuses, and the next try builds on theirs.
        sha, held = head_of(api.model_info(repo_id, revision=branch))
        keeps = CARD_FILE in held and not overwrite_card
        old = _card_there(_read(api, repo_id, CARD_FILE, sha), repo_id, revision) if keeps else None
        added = {**files, CARD_FILE: card(old).encode()}
        gone = [path for path in held if path not in added and is_stale(path)]
        operations: list[Any] = [
            CommitOperationAdd(path, str(f) if isinstance(f, Path) else f) for path, f in added.items()
        ]
        operations += [CommitOperationDelete(path) for path in gone]
        # The client's own line names no repository, and is printed twice.
        with unsaid("huggingface_hub.hf_api", "No files have been modified"):
            done = api.create_commit(
                repo_id, operations, commit_message=message, revision=branch, parent_commit=sha, **options
            )
        if done.oid == sha:
            logger.info(f"{repo_id!r} holds all of this already: there is nothing to commit.")
        return done

    return patiently(attempt, repo_id, token, branch, patience)


def _card_there(card: bytes, repo_id: str, revision: str | None) -> str:
    """Return the text of a repository's card; raises [`BadCard`] where it cannot be read."""
    try:
        text = decode(card)
        check_card(text)
    except UserError as error:
        raise BadCard(f"on the Hub, in {repo_id!r}, {error}", push_line("FOLDER", repo_id, revision)) from error
    return text


def _read(api: HfApi, repo_id: str, path: str, revision: str) -> bytes:
    """A file that the repository is known to have: an error is never taken for its absence."""
    return Path(api.hf_hub_download(repo_id, path, revision=revision)).read_bytes()


__all__ = ["push", "push_model"]
