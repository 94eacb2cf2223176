# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""What the Hub and its client say, as one line that hands over the fix; and another try where that may help."""

import json
import logging
import os
import re
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import get_session

from .errors import UserError, first_line

logger = logging.getLogger(__name__)
T = TypeVar("T")

# Seconds in which a call is tried again: while somebody, or a training run, waits for it; and for a push, which has to
# get over a server that restarts.
PATIENCE, PATIENCE_OF_A_PUSH = 20, 150
# Waits between tries double from one second up to this; the Hub's own word (Retry-After) may ask for more.
LONGEST_STEP, LONGEST_WAIT = 30, 60
# Seconds without a byte after which a connection counts as broken; the client itself would wait for ever.
LONGEST_SILENCE = 60
# The client's words for large files that the Hub refused.
_LFS_ERRORS = "LFS batch API returned errors:"
# Tests put their own in the place of these.
clock, sleep = time.monotonic, time.sleep


class NotServed(UserError):
    """The Hub did not give what it was asked for; a copy in the cache may do in its place."""


def patiently(
    call: Callable[[], T],
    repo_id: str,
    token: str | None = None,
    revision: str | None = None,
    patience: float = PATIENCE,
) -> T:
    """Call again where another try may help: too many requests, a failing server, a broken or silent connection, an
    answer that is not the Hub's, a race. The limit on silence is set on the client that the whole process shares, for
    requests that have none.

    Args:
        patience: seconds after which no further try begins; 0 for a single try.

    Raises:
        NotServed: all tries failed, or the Hub refused.
        UserError: there is no such name or revision.
    """
    begun, step = clock(), 1
    while True:
        hooks = getattr(get_session(), "event_hooks", {}).get("request", [])
        if _limit_silence not in hooks:
            hooks.append(_limit_silence)
        try:
            return call()
        except UserError:
            raise
        except Exception as error:
            told = _retry_after(error) or 0
            seconds = min(max(step, told), LONGEST_WAIT)
            left = (max(patience, LONGEST_WAIT) if told and patience else patience) - (clock() - begun)
            if seconds > left or not _may_pass(error):
                message = explain(error, repo_id, revision, token)
                if message is None:
                    raise
                final = _among(error, HFValidationError, RevisionNotFoundError)
                raise (UserError if final else NotServed)(message) from error
            logger.info(
                f"the Hub did not answer as hoped ({first_line(error)}); trying again in {seconds:g} s, for "
                f"{left:.0f} s at most."
            )
            sleep(seconds)
            step = min(2 * step, LONGEST_STEP)


def _limit_silence(request: Any) -> None:
    """Give a request that may wait for ever a limit: some, such as those of `HfApi.model_info`, ask for none, whatever
    the client's own limit is."""
    kinds = ("connect", "read", "write", "pool")
    limits = request.extensions.get("timeout", {})
    request.extensions["timeout"] = {kind: limits.get(kind) or LONGEST_SILENCE for kind in kinds}


# Kinds of errors -----------------------------------------------------------------------------------------------------


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _among(error: BaseException, *kinds: type) -> bool:
    return any(isinstance(e, kinds) for e in _chain(error))


def _answer(error: BaseException) -> HfHubHTTPError | None:
    """The error that holds the Hub's answer, or None."""
    return next((e for e in _chain(error) if isinstance(e, HfHubHTTPError)), None)


def _status(error: BaseException) -> int:
    answer = _answer(error)
    return answer.response.status_code if answer is not None else 0


def _reason(error: BaseException) -> str:
    """The reason that the Hub gives, in the body of its answer or in a header, on one line."""
    answer = _answer(error)
    if answer is None:
        # An answer that refuses single files is no HTTP error.
        said = next((str(e) for e in _chain(error) if str(e).startswith(_LFS_ERRORS)), "").removeprefix(_LFS_ERRORS)
    else:
        said = answer.server_message or answer.response.headers.get("X-Error-Message") or ""
    return " ".join(said.split())[:400].rstrip(".")


def _network_error(error: BaseException) -> BaseException | None:
    # The client's HTTP library was requests, is httpx, and will be another.
    if _answer(error) is not None or _among(error, OfflineModeIsEnabled):
        return None
    wanted = {"RequestError", "RequestException", "ConnectionError"}
    return next((e for e in _chain(error) if wanted & {kind.__name__ for kind in type(e).__mro__}), None)


def _of_a_stranger(error: BaseException) -> str | None:
    """What came in the place of an answer of the Hub: the page of a network that asks for a login, above all."""
    for e in _chain(error):
        if isinstance(e, json.JSONDecodeError):
            title = re.search(r"<title[^>]*>(.*?)</title>", e.doc, re.DOTALL | re.IGNORECASE)
            if title or "<html" in e.doc.lower():
                return f"a web page, {' '.join(title[1].split())!r}" if title else "a web page"
            return f"{e.doc[:60]!r}, which is no JSON" if e.doc else "an empty answer"
        if isinstance(e, UnicodeDecodeError):
            return "bytes that are no text"
        if isinstance(e, FileMetadataError):
            return first_line(e)
    if isinstance(error, (KeyError, TypeError, AttributeError, AssertionError)):
        place = traceback.extract_tb(error.__traceback__)[-1].filename
        # The validators call what was called with the caller's own arguments.
        if re.search(r"\bhuggingface_hub\b(?!.*_validators)|\bhttpx2?\b", place):
            return f"JSON of another form, {type(error).__name__}: {first_line(error)}"
    return None


def _lacks_room(error: BaseException) -> bool:
    said = re.search(r"quota|storage|out of space|exceed|too large|payment|upgrade", _reason(error), re.IGNORECASE)
    return _status(error) in (402, 413, 507) or (_status(error) in (0, 400, 403, 422) and said is not None)


def _may_pass(error: BaseException) -> bool:
    status = _status(error)
    if status:
        return (status in (408, 409, 412, 429) or status >= 500) and not _lacks_room(error)
    return _network_error(error) is not None or _of_a_stranger(error) is not None


def _retry_after(error: BaseException) -> float | None:
    answer = _answer(error)
    given = answer.response.headers.get("Retry-After") if answer is not None else None
    return float(given) if given and given.isdigit() else None


# Words ---------------------------------------------------------------------------------------------------------------


def explain(
    error: BaseException,
    repo_id: str,
    revision: str | None = None,
    token: str | None = None,
    repo_type: str = "model",
) -> str | None:
    """One line for what the Hub or its client said, with what to do about it; None for what is not theirs."""
    if _among(error, HFValidationError):
        return (
            f"{repo_id!r} is not a name that the Hub allows: write USER/NAME, with letters, digits, '-', '_' and '.'."
        )
    if _among(error, LocalTokenNotFoundError):
        return "there is no token to ask the Hub with: hf auth login (or set HF_TOKEN)."
    texts = [str(e) for e in _chain(error)]
    if any("Invalid metadata in README.md" in text for text in texts):
        return _bad_card(" ".join(next(t for t in texts if "Invalid metadata" in t).split()[4:]))
    if _answer(error) is not None or _reason(error) or _names(error, "DatasetNotFoundError"):
        return _refusal(error, repo_id, revision, token, repo_type)
    if _among(error, OfflineModeIsEnabled) or (_among(error, LocalEntryNotFoundError) and error.__cause__ is None):
        which = repo_id if revision is None else f"{repo_id} --revision {revision}"
        kind = "--repo-type dataset " if repo_type == "dataset" else ""
        asked = repr(repo_id) if revision is None else f"revision {revision!r} of {repo_id!r}"
        reason, undo = ("HF_HUB_OFFLINE is set", "unset it")
        if not _among(error, OfflineModeIsEnabled):
            reason, undo = ("local_files_only=True", "leave it out")
        return f"{reason}, and {asked} is not in the cache: {undo}, or first hf download {kind}{which} while online."
    broken = _network_error(error)
    if broken is not None:
        return (
            f"the Hub at {constants.ENDPOINT} cannot be reached ({first_line(broken)}): check the network, and run the "
            "same command again."
        )
    came = _of_a_stranger(error)
    if came is None:
        return None
    return (
        f"{constants.ENDPOINT} does not answer as the Hub does; it sends {came}: log in to the network if it asks for "
        "that in a browser, check the proxy and HF_ENDPOINT, and run the same command again."
    )


def _refusal(error: BaseException, repo_id: str, revision: str | None, token: str | None, repo_type: str) -> str:
    """The line for an answer of the Hub that is an error."""
    answer, status, said = _answer(error), _status(error), _reason(error)
    reason = f" The Hub says: {said}." if said else ""
    if _lacks_room(error):
        return (
            f"the Hub has no room for {repo_id!r} ({said or status}): free space (hf repos delete NAME, or "
            f"{constants.ENDPOINT}/settings/billing), or push to another owner's name."
        )
    if answer is not None and status == 401 and _knows_no_token(answer, said):
        return f"the Hub does not know the token in use, or no longer ({said or status}): {_another_token(token)}."
    if _among(error, GatedRepoError):
        page = f"{constants.ENDPOINT}/{'datasets/' if repo_type == 'dataset' else ''}{repo_id}"
        return f"{repo_id!r} is gated: ask for access at {page}, then hf auth login."
    if _among(error, RevisionNotFoundError):
        return f"{repo_id!r} has no revision {revision or 'main'!r}{_revisions(repo_id, token, repo_type)}"
    if _among(error, RepositoryNotFoundError) or _names(error, "DatasetNotFoundError"):
        return _other_kind(repo_id, token, repo_type) or (
            f"{repo_id!r} is not on the Hub, or is private and not yours to see: check the name, or hf auth login "
            "with an account that may see it."
        )
    if answer is not None and status in (401, 403):
        writes = answer.response.request.method not in ("GET", "HEAD")
        return _forbidden(repo_id, token, said or str(status), writes)
    if status == 412:
        return f"others commit to {repo_id!r} all the time: run the same command again."
    if status == 429:
        wait = _retry_after(error) or 300
        return f"the Hub takes no more requests for now (429): run the same command again in {wait:g} s.{reason}"
    if status >= 500:
        return f"the Hub fails ({status}): run the same command again later.{reason}"
    if re.search(r"README|metadata|YAML", said):
        return _bad_card(said)
    return f"the Hub refused{f' ({status})' if status else ''}: {said or first_line(error)}."


def _names(error: BaseException, kind: str) -> bool:
    return any(type(e).__name__ == kind for e in _chain(error))


def _knows_no_token(answer: HfHubHTTPError, said: str) -> bool:
    """Whether a 401 is about the token that was sent; where none was, it is about what was asked for."""
    sent = "authorization" in answer.response.request.headers
    about_it = re.search(r"token|credential|expired|authorization", said, re.IGNORECASE) is not None
    return sent and (about_it or "X-Error-Code" not in answer.response.headers)


def _another_token(token: str | None) -> str:
    """The way to another token: one that is passed goes before HF_TOKEN, and that before the one of a login."""
    if token:
        return "pass one that is valid"
    return "set HF_TOKEN to one that is valid" if os.environ.get("HF_TOKEN") else "log in again, hf auth login"


def _bad_card(reasons: str) -> str:
    return (
        f"the Hub finds the card's metadata invalid ({reasons}): mend what stands between the --- of README.md, here "
        "or on the Hub; hf-rnn push with --overwrite_card lets the Hub's give way."
    )


def _forbidden(repo_id: str, token: str | None, said: str, writes: bool) -> str:
    """Why a token may not do something: whose is it, and what is it for?"""
    act = "push to" if writes else "read"
    try:
        user = HfApi(token=token).whoami()
    except Exception:
        return f"the token in use may not {act} {repo_id!r} ({said}): hf auth login with one that may."
    role = user.get("auth", {}).get("accessToken", {}).get("role")
    if role == "read" and writes:
        return (
            f"the token in use may only read: make one that may write at {constants.ENDPOINT}/settings/tokens, then "
            f"hf auth login. The Hub says: {said}."
        )
    owner, _, name = repo_id.rpartition("/")
    elsewhere = f"push to {user['name']}/{name}, or " if writes and owner not in ("", user["name"]) else ""
    return f"{user['name']} may not {act} {repo_id!r} ({said}): {elsewhere}hf auth login with a token that may."


def _other_kind(repo_id: str, token: str | None, repo_type: str) -> str | None:
    """The line for a name that is there, but as that of something else."""
    kinds = {
        "model": f"a model on the Hub, not a data set: name a data set, or ask the model, hf-rnn predict {repo_id}",
        "dataset": f"a data set on the Hub, not a model: name a model, or train one, --data.path {repo_id}",
        "space": f"a Space on the Hub, not a {'model' if repo_type == 'model' else 'data set'}: name one",
    }
    for kind in kinds.keys() - {repo_type}:
        try:
            HfApi(token=token).repo_info(repo_id, repo_type=kind, timeout=LONGEST_SILENCE)
        except Exception:
            continue
        return f"{repo_id!r} is {kinds[kind]}."
    return None


def _revisions(repo_id: str, token: str | None, repo_type: str) -> str:
    try:
        refs = HfApi(token=token).list_repo_refs(repo_id, repo_type=repo_type)
    except Exception:
        return ": name a branch, a tag or a commit."
    names = [ref.name for ref in [*refs.branches, *refs.tags]]
    option = "--data.revision" if repo_type == "dataset" else "--revision"
    return f", only {', '.join(names)}: write {option} {names[0]}." if names else ": it is empty."


__all__ = ["PATIENCE", "PATIENCE_OF_A_PUSH", "NotServed", "explain", "patiently"]
