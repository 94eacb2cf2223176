# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Push a model to the Hub as one commit, which is made completely or not at all."""

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
from ..utils.errors import HfRnnError, HubError, first_line
from ..utils.hub_answers import head_of
from ..utils.hub_download import matches
from ..utils.hub_errors import PATIENCE, PATIENCE_OF_A_PUSH, BadCard, as_user_error, patiently, push_line
from ..utils.output import unsaid
from .card import render_folder
from .card_merge import add_tags, check_card, decode, is_untouched, merge, read_card
from .exported import check_exported
from .folder import (
    CARD_FILE,
    CLASSES_FILE,
    CODE_FILES,
    IMPORT_FILE,
    METRICS_FILE,
    ONNX_FILES,
    PICTURES,
    WEIGHTS,
    check_model,
    model_files,
)

logger = logging.getLogger(__name__)

# Patterns of files that a push deletes from the repository if the new model does not have them.
STALE = (*WEIGHTS, *CODE_FILES, METRICS_FILE, CLASSES_FILE, IMPORT_FILE, *PICTURES, *ONNX_FILES)


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
    """Push a model's folder as one commit: weights, configuration, code, tokenizer, card, metrics, figures, ONNX.

    Args:
        folder: `output_dir` of a finished training run, or a folder that `save_pretrained` wrote.
        repo_id: Name of the repository, `user/name`; it is created if it does not exist.
        private: True for a private repository if one is created; None for the default of the account.
        revision: Branch, created if it does not exist; main if None.
        commit_message: Title of the commit; "Upload model" if None.
        token: Access token; None for the one of `hf auth login` or HF_TOKEN.
        overwrite_card: True to replace the card of the repository, with all text that people wrote in it, by the
            card of the folder. False to merge the two.

    Returns:
        The new commit; the latest one if the repository already has the same files.

    Raises:
        HfRnnError: The folder does not hold a complete model, its ONNX files are not those of the model, or the Hub
            rejected the commit. The repository is then unchanged.
    """
    folder = Path(folder)
    check_model(folder)
    check_exported(folder)

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
    """Push a model: weights, configuration and code, and a card if there is none. Called by `model.push_to_hub`.

    Args:
        model: Model of hf_rnn.
        repo_id: Name of the repository, `user/name`; it is created if it does not exist.
        commit_message: Title of the commit; "Upload model" if None.
        private: True for a private repository if one is created; None for the default of the account.
        token: Access token; None for the one of `hf auth login` or HF_TOKEN.
        revision: Branch, created if it does not exist; main if None.
        max_shard_size: Maximum size of a file of weights; larger weights are split.
        tags: Tags to add to the card.
        options: Further options of `HfApi.create_commit`, such as `commit_description` and `create_pr`.

    Returns:
        The new commit; the latest one if the repository already has the same files.

    Raises:
        HubError: The Hub rejected the commit. The repository is then unchanged.
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
            is_stale=lambda path: matches(path, (*WEIGHTS, *CODE_FILES, *ONNX_FILES)),
            revision=revision,
            token=token,
            patience=PATIENCE_OF_A_PUSH,
            **options,
        )


def is_stale(path: str) -> bool:
    """Return True if a file of a repository is part of a model, so that the push of another model deletes it.

    Args:
        path: Path of the file in the repository.
    """
    return matches(path, STALE)


@contextmanager
def kept_for_later(folder: Path, repo_id: str, revision: str | None = None) -> Iterator[None]:
    """Raise [`HubError`] for any error of a push after training, with the folder and the command to push it later.

    Args:
        folder: Folder of the trained model.
        repo_id: Name of the repository, `user/name`.
        revision: Branch of the push; main if None.
    """
    try:
        yield
    except Exception as error:
        line = push_line(quote(str(folder)), repo_id, revision)
        reason = str(error) if isinstance(error, HfRnnError) else f"{type(error).__name__}: {first_line(error)}."
        if isinstance(error, BadCard):
            # The command in the message of `BadCard` does not name this folder.
            reason, line = error.reason, f"{line} --overwrite_card"
        raise HubError(f"{reason} The model is complete in {str(folder)!r}: push it later, {line}") from error


# Requests to the Hub -------------------------------------------------------------------------------------------------


def check_name(repo_id: str) -> None:
    """Raise [`HubError`] if the Hub does not allow the name for a repository.

    Args:
        repo_id: Name of the repository, `user/name`.
    """
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise (as_user_error(error, repo_id) or error) from error


def check_token(token: str | None) -> None:
    """Raise [`HubError`] if there is no access token, neither as an argument nor from a login or HF_TOKEN.

    Args:
        token: Access token; None for the one of `hf auth login` or HF_TOKEN.
    """
    if not (token or get_token()):
        raise HubError("there is no token to write to the Hub with: run hf auth login (or set HF_TOKEN).")


def create(repo_id: str, private: bool | None = None, token: str | None = None, patience: float = PATIENCE) -> str:
    """Create a repository, or check that an existing one holds a model of hf_rnn or no model.

    Args:
        repo_id: Name of the repository, `user/name`, or `name` for one of the token's user.
        private: True for a private repository if one is created; None for the default of the account.
        token: Access token; None for the one of `hf auth login` or HF_TOKEN.
        patience: Seconds during which each request is repeated if it fails.

    Returns:
        Full name of the repository, `user/name`.

    Raises:
        HubError: There is no token or it is not allowed to write, the name is invalid, or the repository holds a
            model of another library.
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
        raise HubError(
            f"the name {with_owner!r} is taken by {other}: push to another name, or delete that one first, "
            f"hf repos delete {with_owner}."
        )
    return with_owner


def _model_type(config: bytes) -> str:
    """Return a description of the model in a repository, from the bytes of its configuration."""
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
    """Commit all files and the card at once, on top of the latest commit of the branch.

    Args:
        repo_id: Name of an existing repository, `user/name`.
        files: Local path or contents of each file, by its path in the repository.
        message: Title of the commit.
        card: Function that takes the card of the repository, or None, and returns the new one.
        revision: Branch, created if it does not exist; main if None.
        token: Access token; None for the one of `hf auth login` or HF_TOKEN.
        is_stale: Function that takes the path of a file in the repository. If it returns True and `files` lacks the
            file, the commit deletes it.
        patience: Seconds during which a failing request is repeated.
        overwrite_card: True to call `card` with None even if the repository has a card.
        options: Further options of `HfApi.create_commit`.

    Returns:
        The new commit; the latest one if the repository already has the same files.

    Raises:
        HubError: The Hub rejected the commit or all attempts failed. The repository is then unchanged.
    """
    api = HfApi(token=token)
    branch = revision or "main"
    if revision is not None and not revision.startswith("refs/pr/"):
        make = partial(api.create_branch, repo_id, branch=revision, exist_ok=True)
        patiently(make, repo_id, token, revision, patience)

    def attempt() -> CommitInfo:
        # The commit names its parent. If someone else commits in between, the Hub rejects this commit, and the next
        # attempt starts from the new state.
        sha, held = head_of(api.model_info(repo_id, revision=branch))
        keeps = CARD_FILE in held and not overwrite_card
        old = _card_there(_read(api, repo_id, CARD_FILE, sha), repo_id, revision) if keeps else None
        added = {**files, CARD_FILE: card(old).encode()}
        gone = [path for path in held if path not in added and is_stale(path)]
        operations: list[Any] = [
            CommitOperationAdd(path, str(f) if isinstance(f, Path) else f) for path, f in added.items()
        ]
        operations += [CommitOperationDelete(path) for path in gone]
        # The client's own message does not name the repository, and it is logged twice.
        with unsaid("huggingface_hub.hf_api", "No files have been modified"):
            done = api.create_commit(
                repo_id, operations, commit_message=message, revision=branch, parent_commit=sha, **options
            )
        if done.oid == sha:
            logger.info(f"{repo_id!r} has the same files already: there is nothing to commit.")
        return done

    return patiently(attempt, repo_id, token, branch, patience)


def _card_there(card: bytes, repo_id: str, revision: str | None) -> str:
    """Return the text of a repository's card; raise [`BadCard`] if it cannot be read."""
    try:
        text = decode(card)
        check_card(text)
    except HfRnnError as error:
        raise BadCard(f"on the Hub, in {repo_id!r}, {error}", push_line("FOLDER", repo_id, revision)) from error
    return text


def _read(api: HfApi, repo_id: str, path: str, revision: str) -> bytes:
    """Download a file that the repository has, and return its contents; a failed request raises an error."""
    return Path(api.hf_hub_download(repo_id, path, revision=revision)).read_bytes()


__all__ = ["push", "push_model"]
