# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""What the Hub and its client say, as one line that hands over the fix; and another try where that may help."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import get_session

from .errors import UserError, first_line

logger = logging.getLogger(__name__)
T = TypeVar("T")

# Seconds to wait before each further try; the Hub's own word (Retry-After) goes before.
WAITS = (1, 2, 4, 8)
LONGEST_WAIT = 60
# Seconds without a byte after which a connection counts as broken; the client itself would wait for ever.
LONGEST_SILENCE = 60


def patiently(call: Callable[[], T], repo_id: str, token: str | None = None, revision: str | None = None) -> T:
    """Call again where another try may help: too many requests, a failing server, a broken or silent connection, a
    race. The limit on silence is set on the client that the whole process shares, for requests that have none.

    Raises:
        UserError: the Hub refused, or all tries failed.
    """
    for wait in (*WAITS, None):
        hooks = getattr(get_session(), "event_hooks", {}).get("request", [])
        if _limit_silence not in hooks:
            hooks.append(_limit_silence)
        try:
            return call()
        except UserError:
            raise
        except Exception as error:
            if wait is None or not _may_pass(error):
                message = explain(error, repo_id, revision, token)
                if message is None:
                    raise
                raise UserError(message) from error
            told = _retry_after(error)
            seconds = min(wait if told is None else told, LONGEST_WAIT)
            logger.info(f"the Hub did not answer as hoped ({first_line(error)}); trying again in {seconds:g} s.")
            time.sleep(seconds)
    raise AssertionError("the last try returns or raises")


def _limit_silence(request: Any) -> None:
    """Give a request that may wait for ever a limit: some, such as those of `HfApi.model_info`, ask for none, whatever
    the client's own limit is."""
    kinds = ("connect", "read", "write", "pool")
    limits = request.extensions.get("timeout", {})
    request.extensions["timeout"] = {kind: limits.get(kind) or LONGEST_SILENCE for kind in kinds}


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _response(error: BaseException):
    """The Hub's answer behind an error, or None."""
    return next((e.response for e in _chain(error) if isinstance(e, HfHubHTTPError)), None)


def _is_network(error: BaseException) -> bool:
    # The client's HTTP library was requests, is httpx, and will be another.
    names = {kind.__name__ for e in _chain(error) for kind in type(e).__mro__}
    return bool(names & {"TransportError", "RequestException", "ConnectionError"}) and _response(error) is None


def _may_pass(error: BaseException) -> bool:
    if any(isinstance(e, OfflineModeIsEnabled) for e in _chain(error)):
        return False
    response = _response(error)
    if response is None:
        return _is_network(error)
    return response.status_code in (409, 412, 429) or response.status_code >= 500


def _retry_after(error: BaseException) -> float | None:
    response = _response(error)
    given = response.headers.get("Retry-After") if response is not None else None
    return float(given) if given and given.isdigit() else None


def explain(
    error: BaseException,
    repo_id: str,
    revision: str | None = None,
    token: str | None = None,
    repo_type: str = "model",
) -> str | None:
    """One line for what the Hub or its client said, with what to do about it; None for what is not theirs."""
    kinds = {type(e) for e in _chain(error)}

    def among(*wanted: type) -> bool:
        return any(issubclass(kind, wanted) for kind in kinds)

    response = _response(error)
    said = response.headers.get("X-Error-Message", "") if response is not None else ""
    status = response.status_code if response is not None else 0
    if among(HFValidationError):
        return (
            f"{repo_id!r} is not a name that the Hub allows: write USER/NAME, with letters, digits, '-', '_' and '.'."
        )
    if status == 401 and "Invalid credentials" in said:
        return "the Hub does not know the token in use (mistyped, or withdrawn): hf auth login."
    dataset = repo_type == "dataset"
    if among(LocalTokenNotFoundError):
        return "there is no token to ask the Hub with: hf auth login (or set HF_TOKEN)."
    if among(GatedRepoError):
        page = f"{constants.ENDPOINT}/{'datasets/' if dataset else ''}{repo_id}"
        return f"{repo_id!r} is gated: ask for access at {page}, then hf auth login."
    if among(RevisionNotFoundError):
        return f"{repo_id!r} has no revision {revision or 'main'!r}{_revisions(repo_id, token, repo_type)}"
    if among(RepositoryNotFoundError) or "DatasetNotFoundError" in {kind.__name__ for kind in kinds}:
        return (
            f"{repo_id!r} is not on the Hub, or is private and not yours to see: check the name, or hf auth login "
            "with an account that may see it."
        )
    if status in (401, 403):
        return _forbidden(repo_id, token, said)
    if status == 412:
        return f"others commit to {repo_id!r} all the time: run the same command again."
    if status == 429:
        wait = _retry_after(error) or 300
        return f"the Hub takes no more requests for now (429): run the same command again in {wait:g} s."
    if status >= 500:
        return f"the Hub fails ({status}): run the same command again later."
    if among(OfflineModeIsEnabled):
        option = "--repo-type dataset " if dataset else ""
        fetch = f"hf download {option}{repo_id}"
        return f"HF_HUB_OFFLINE is set, and {repo_id!r} is not in the cache: unset it, or first {fetch}."
    texts = [str(e) for e in _chain(error)]
    if any("Invalid metadata in README.md" in text for text in texts):
        reasons = " ".join(next(t for t in texts if "Invalid metadata" in t).split()[4:])
        return f"the Hub finds the card's metadata invalid ({reasons}): mend what stands between the --- of README.md."
    if _is_network(error):
        return f"the Hub at {constants.ENDPOINT} cannot be reached: check the network, and run the same command again."
    return f"the Hub refused ({status}): {said or first_line(error)}" if status else None


def _forbidden(repo_id: str, token: str | None, said: str) -> str:
    """Why a token may not write: whose is it, and what is it for?"""
    try:
        user = HfApi(token=token).whoami()
    except Exception:
        return f"the token in use may not do that to {repo_id!r} ({said}): hf auth login with one that may."
    role = user.get("auth", {}).get("accessToken", {}).get("role")
    if role == "read":
        return (
            f"the token in use may only read: make one that may write at {constants.ENDPOINT}/settings/tokens, then "
            "hf auth login."
        )
    owner, _, name = repo_id.rpartition("/")
    elsewhere = f"push to {user['name']}/{name}, or " if owner not in ("", user["name"]) else ""
    return f"{user['name']} may not do that to {repo_id!r} ({said}): {elsewhere}hf auth login with a token that may."


def _revisions(repo_id: str, token: str | None, repo_type: str) -> str:
    try:
        refs = HfApi(token=token).list_repo_refs(repo_id, repo_type=repo_type)
    except Exception:
        return ": name a branch, a tag or a commit."
    names = [ref.name for ref in [*refs.branches, *refs.tags]]
    option = "--data.revision" if repo_type == "dataset" else "--revision"
    return f", only {', '.join(names)}: write {option} {names[0]}." if names else ": it is empty."


__all__ = ["explain", "patiently"]
