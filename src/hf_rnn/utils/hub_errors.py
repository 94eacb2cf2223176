# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Errors of the Hub and its client, each as one line that hands over the fix; and another try where that may help."""

import logging
import os
import time
from collections.abc import Callable
from shlex import quote
from typing import Any, TypeVar

from huggingface_hub import HfApi, constants, set_client_factory
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
)
from huggingface_hub.utils import _http

from .errors import UserError, first_line
from .hub_answers import (
    answer_of,
    cause_of,
    chain_of,
    is_absent,
    is_among,
    knows_no_token,
    may_pass,
    named,
    network_error,
    of_a_stranger,
    reason_of,
    retry_after,
    status_of,
)

logger = logging.getLogger(__name__)
T = TypeVar("T")

# Seconds in which a call is tried again: while somebody, or a training run, waits for it; and for a push, which has to
# get over a server that restarts.
PATIENCE, PATIENCE_OF_A_PUSH = 20, 150
# Waits between tries double from one second up to this; the Hub's own word (Retry-After) may ask for more.
LONGEST_STEP, LONGEST_WAIT = 30, 60
# Seconds without a byte after which a connection counts as broken; the client itself would wait for ever. A question
# whose answer may be in the cache waits for less.
LONGEST_SILENCE, LONGEST_QUESTION = 60, 10
# Tests replace both, so that no test waits.
clock, sleep = time.monotonic, time.sleep


class NotServed(UserError):
    """The Hub did not give what it was asked for; a copy in the cache may do in its place."""


class NotThere(NotServed):
    """The Hub says that there is no such repository, or none that this user may see."""


class BadCard(NotServed):
    """A card is broken.

    Args:
        reason: the message without the line to write.
        line: a command that pushes a folder.
    """

    def __init__(self, reason: str, line: str):
        super().__init__(reason, line)
        self.reason, self.line = reason, line

    def __str__(self) -> str:
        return f"{self.reason} Or let the Hub's card give way: {self.line} --overwrite_card."


def push_line(folder: str, repo_id: str, revision: str | None = None) -> str:
    """Return the command that pushes a folder."""
    return f"hf-rnn push {folder} {repo_id}" + (f" --revision {quote(revision)}" if revision else "")


def patiently(
    call: Callable[[], T],
    repo_id: str,
    token: str | None = None,
    revision: str | None = None,
    patience: float = PATIENCE,
    repo_type: str = "model",
) -> T:
    """Call again where another try may help: too many requests, a failing server, a broken or silent connection, an
    answer that is not the Hub's, a race.

    Args:
        patience: seconds after which no further try begins; 0 for a single try. The first answer with `Retry-After`
            extends it, so that one wait of `LONGEST_WAIT` seconds fits.

    Raises:
        NotServed: all tries failed, or the Hub refused.
        UserError: there is no such name or revision.
    """
    begun, step, promised = clock(), 1, 0.0
    while True:
        try:
            return call()
        except UserError:
            raise
        except Exception as error:
            now, told = clock(), min(retry_after(error) or 0, LONGEST_WAIT)
            if told and patience:
                promised = promised or now + LONGEST_WAIT
            seconds, left = max(step, told), max(begun + patience, promised) - now
            if seconds > left or not may_pass(error):
                explained = explain(error, repo_id, revision, token, repo_type)
                if explained is None:
                    raise
                raise explained from error
            logger.info(
                f"the Hub did not answer as hoped ({first_line(error)}); trying again in {seconds:g} s, for "
                f"{left:.0f} s at most."
            )
            sleep(seconds)
            step = min(2 * step, LONGEST_STEP)


def _limited(factory: Callable[[], Any]) -> Callable[[], Any]:
    """Return a factory of clients that gives each of them the limit on silence."""

    def make() -> Any:
        client = factory()
        getattr(client, "event_hooks", {}).setdefault("request", []).append(_limit_silence)
        return client

    return make


def _limit_silence(request: Any) -> None:
    """Give a limit to a request that may wait for ever. Some, such as those of `HfApi.model_info`, ask for none,
    whatever the client's own limit is."""
    kinds = ("connect", "read", "write", "pool")
    limits = request.extensions.get("timeout", {})
    request.extensions["timeout"] = {kind: limits.get(kind) or LONGEST_SILENCE for kind in kinds}


# The client makes a new session whenever a connection is refused, so the limit belongs to whatever makes sessions.
set_client_factory(_limited(_http._GLOBAL_CLIENT_FACTORY))


# Words ---------------------------------------------------------------------------------------------------------------


def explain(
    error: BaseException,
    repo_id: str,
    revision: str | None = None,
    token: str | None = None,
    repo_type: str = "model",
) -> UserError | None:
    """Return the error to raise for what the Hub or its client said, one line with what to do about it; None for what
    is not theirs."""
    texts = [str(e) for e in chain_of(error) if "Invalid metadata in README.md" in str(e)]
    if texts or (cause_of(error) == "card" and status_of(error) in (400, 422)):
        reasons = " ".join(texts[0].split()[4:]) if texts else reason_of(error)
        mend = "mend what stands between the --- of README.md, here or on the Hub."
        return BadCard(
            f"the Hub finds the card's metadata invalid ({reasons}): {mend}", push_line("FOLDER", repo_id, revision)
        )
    line = _line(error, repo_id, revision, token, repo_type)
    if line is None:
        return None
    if is_among(error, HFValidationError, RevisionNotFoundError):
        return UserError(line)
    return NotThere(line) if is_absent(error) else NotServed(line)


def _line(error: BaseException, repo_id: str, revision: str | None, token: str | None, repo_type: str) -> str | None:
    if is_among(error, HFValidationError):
        return (
            f"{repo_id!r} is not a name that the Hub allows: write USER/NAME, with letters, digits, '-', '_' and '.'."
        )
    if is_among(error, LocalTokenNotFoundError):
        return "there is no token to ask the Hub with: hf auth login (or set HF_TOKEN)."
    came = of_a_stranger(error)
    if came is None and (answer_of(error) is not None or reason_of(error) or is_absent(error)):
        return _refusal(error, repo_id, revision, token, repo_type)
    if is_among(error, OfflineModeIsEnabled) or (is_among(error, LocalEntryNotFoundError) and error.__cause__ is None):
        which = repo_id if revision is None else f"{repo_id} --revision {revision}"
        kind = "--repo-type dataset " if repo_type == "dataset" else ""
        asked = repr(repo_id) if revision is None else f"revision {revision!r} of {repo_id!r}"
        reason, undo = ("HF_HUB_OFFLINE is set", "unset it")
        if not is_among(error, OfflineModeIsEnabled):
            reason, undo = ("local_files_only=True", "leave it out")
        return f"{reason}, and {asked} is not in the cache: {undo}, or first hf download {kind}{which} while online."
    broken = network_error(error)
    if broken is not None and named(broken, "ProxyError") and "407" in str(broken):
        return _PROXY_LOGIN
    if broken is not None:
        return (
            f"the Hub at {constants.ENDPOINT} cannot be reached ({first_line(broken)}): check the network, and run the "
            "same command again."
        )
    if came is None:
        return None
    return (
        f"{constants.ENDPOINT} does not answer as the Hub does; it sends {came}: log in to the network if it asks for "
        "that in a browser, check the proxy and HF_ENDPOINT, and run the same command again."
    )


_PROXY_LOGIN = (
    "a proxy on the way to the Hub asks for a login (407): set HTTPS_PROXY to http://USER:PASSWORD@PROXY:PORT, and run "
    "the same command again."
)


def _refusal(error: BaseException, repo_id: str, revision: str | None, token: str | None, repo_type: str) -> str:
    """Return the line for an answer of the Hub that is an error."""
    answer, status, said = answer_of(error), status_of(error), reason_of(error)
    reason = f" The Hub says: {said}." if said else ""
    cause, code = cause_of(error), f" ({status})" if status else ""
    if cause == "room":
        return (
            f"the Hub has no room for {repo_id!r} ({said or status}): free space (hf repos delete NAME, or "
            f"{constants.ENDPOINT}/settings/billing), or push to another owner's name."
        )
    if cause == "size":
        return (
            f"a file of {repo_id!r} is larger than the Hub takes ({said or status}): write the weights in smaller "
            'files, model.save_pretrained(FOLDER, max_shard_size="5GB"), and push that folder.'
        )
    if cause == "rate":
        wait = retry_after(error) or 300
        return f"the Hub takes no more requests for now{code}: run the same command again in {wait:g} s.{reason}"
    if status == 407:
        return _PROXY_LOGIN
    if status == 408:
        return (
            "the Hub, or a proxy on the way to it, waited too long for the request (408): check the network and the "
            f"proxy, and run the same command again.{reason}"
        )
    if answer is not None and knows_no_token(answer, said):
        return f"the Hub does not know the token in use, or no longer ({said or status}): {_another_token(token)}."
    if is_among(error, GatedRepoError):
        page = f"{constants.ENDPOINT}/{'datasets/' if repo_type == 'dataset' else ''}{repo_id}"
        return f"{repo_id!r} is gated: ask for access at {page}, then hf auth login."
    if is_among(error, RevisionNotFoundError):
        return f"{repo_id!r} has no revision {revision or 'main'!r}{_revisions(repo_id, token, repo_type)}"
    if is_absent(error):
        return _other_kind(repo_id, token, repo_type) or (
            f"{repo_id!r} is not on the Hub, or is private and not yours to see: check the name, or hf auth login "
            "with an account that may see it."
        )
    if answer is not None and status in (401, 403):
        writes = answer.response.request.method not in ("GET", "HEAD")
        return _forbidden(repo_id, token, said or str(status), writes)
    if status == 412:
        return f"others commit to {repo_id!r} all the time: run the same command again."
    if status >= 500:
        return f"the Hub fails ({status}): run the same command again later.{reason}"
    return f"the Hub refused{code}: {said or first_line(error)}."


def _another_token(token: str | None) -> str:
    """The way to another token: one that is passed goes before HF_TOKEN, and that before the one of a login."""
    if token:
        return "pass one that is valid"
    return "set HF_TOKEN to one that is valid" if os.environ.get("HF_TOKEN") else "log in again, hf auth login"


def _forbidden(repo_id: str, token: str | None, said: str, writes: bool) -> str:
    """Return the line for a token that may not do something, with its owner and its role."""
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
    for kind in [kind for kind in kinds if kind != repo_type]:
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


__all__ = [
    "PATIENCE",
    "PATIENCE_OF_A_PUSH",
    "BadCard",
    "NotServed",
    "NotThere",
    "explain",
    "patiently",
    "push_line",
]
