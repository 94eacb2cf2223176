# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Errors of the Hub and its client as one-line messages that name the fix, and retries where they may help."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
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

from .errors import HfRnnError, HubError, first_line
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

# Seconds during which a failed call is retried. A push gets more time than other calls, because it must survive the
# restart of a server.
PATIENCE, PATIENCE_OF_A_PUSH = 20, 150
# Maximum wait in seconds between two tries. Waits double from 1 to the first value; `Retry-After` may ask for up to
# the second.
LONGEST_STEP, LONGEST_WAIT = 30, 60
# Seconds without a byte after which a connection counts as broken; some requests of the client have no limit. Requests
# that the cache may replace use the second, shorter limit.
LONGEST_SILENCE, LONGEST_QUESTION = 60, 10
# Tests replace both to avoid waiting.
clock, sleep = time.monotonic, time.sleep


class NotServed(HubError):
    """The Hub did not deliver what was requested; a cached copy may replace it."""


class NotThere(NotServed):
    """The repository does not exist, or is not visible to this user."""


class BadCard(NotServed):
    """The metadata of a card is invalid.

    Args:
        reason: Message without the alternative command.
        line: Command that pushes the folder; the message suggests it with `--overwrite_card`.
    """

    def __init__(self, reason: str, line: str):
        super().__init__(reason, line)
        self.reason, self.line = reason, line

    def __str__(self) -> str:
        return f"{self.reason} Or overwrite the Hub's card: {self.line} --overwrite_card."


def push_line(folder: str, repo_id: str, revision: str | None = None) -> str:
    """Return the command that pushes a folder.

    Args:
        folder: Folder of the model, quoted for a shell.
        repo_id: `user/name`.
        revision: Branch; None for main.
    """
    return f"hf-rnn push {folder} {repo_id}" + (f" --revision {quote(revision)}" if revision else "")


def patiently(
    call: Callable[[], T],
    repo_id: str,
    token: str | None = None,
    revision: str | None = None,
    patience: float = PATIENCE,
    repo_type: str = "model",
) -> T:
    """Call a function that asks the Hub, and retry it after errors that may pass, such as too many requests.

    Others are a failing server, a broken or silent connection, an answer that is not the Hub's, and a conflicting
    commit.

    Args:
        call: Function that asks the Hub.
        repo_id: Repository that is asked for; used in errors.
        token: Token that is sent, or None; errors suggest how to replace it.
        revision: Revision that is asked for; used in errors.
        patience: Seconds after which no further try begins; 0 for a single try. The first answer with `Retry-After`
            extends it, so that one wait of `LONGEST_WAIT` seconds fits.
        repo_type: `"model"`, `"dataset"` or `"space"`; used in errors.

    Raises:
        NotServed: If all tries failed, or the Hub refused.
        HubError: If the name or the revision does not exist.
    """
    begun, step, promised = clock(), 1, 0.0
    while True:
        try:
            return call()
        except HfRnnError:
            raise
        except Exception as error:
            now, told = clock(), min(retry_after(error) or 0, LONGEST_WAIT)
            if told and patience:
                promised = promised or now + LONGEST_WAIT
            seconds, left = max(step, told), max(begun + patience, promised) - now
            if seconds > left or not may_pass(error):
                explained = as_user_error(error, repo_id, revision, token, repo_type)
                if explained is None:
                    raise
                raise explained from error
            logger.info(
                f"the request to the Hub failed ({first_line(error)}); trying again in {seconds:g} s, for "
                f"{left:.0f} s at most."
            )
            sleep(seconds)
            step = min(2 * step, LONGEST_STEP)


def _limited(factory: Callable[[], Any]) -> Callable[[], Any]:
    """Wrap a factory of HTTP clients so that each client limits the silence of its connections."""

    def make() -> Any:
        client = factory()
        getattr(client, "event_hooks", {}).setdefault("request", []).append(_limit_silence)
        return client

    return make


def _limit_silence(request: Any) -> None:
    """Set a timeout for a request that has none, such as those of `HfApi.model_info`, whatever the client allows."""
    kinds = ("connect", "read", "write", "pool")
    limits = request.extensions.get("timeout", {})
    request.extensions["timeout"] = {kind: limits.get(kind) or LONGEST_SILENCE for kind in kinds}


# huggingface_hub makes a new session after a refused connection, so the limit is set by the factory of sessions.
set_client_factory(_limited(_http._GLOBAL_CLIENT_FACTORY))


# Error messages ------------------------------------------------------------------------------------------------------


def as_user_error(
    error: BaseException,
    repo_id: str,
    revision: str | None = None,
    token: str | None = None,
    repo_type: str = "model",
) -> HubError | None:
    """Return an error with a one-line message that names the fix, for an error of the Hub or its client.

    Args:
        error: Error that was raised.
        repo_id: Repository that was asked for.
        revision: Branch, tag or commit; None for main.
        token: Token that was passed; None for the one of HF_TOKEN or a login.
        repo_type: `"model"`, `"dataset"` or `"space"`.

    Returns:
        The error to raise, or None if the given one is not of the Hub or its client.
    """
    texts = [str(e) for e in chain_of(error) if "Invalid metadata in README.md" in str(e)]
    if texts or (cause_of(error) == "card" and status_of(error) in (400, 422)):
        reasons = " ".join(texts[0].split()[4:]) if texts else reason_of(error)
        mend = "correct the text between the --- of README.md, here or on the Hub."
        return BadCard(
            f"the Hub finds the card's metadata invalid ({reasons}): {mend}", push_line("FOLDER", repo_id, revision)
        )
    line = _line(error, repo_id, revision, token, repo_type)
    if line is None:
        return None
    if is_among(error, HFValidationError, RevisionNotFoundError):
        return HubError(line)
    return NotThere(line) if is_absent(error) else NotServed(line)


def _line(error: BaseException, repo_id: str, revision: str | None, token: str | None, repo_type: str) -> str | None:
    if is_among(error, HFValidationError):
        return (
            f"{repo_id!r} is not a name that the Hub allows: write USER/NAME, with letters, digits, '-', '_' and '.'."
        )
    if is_among(error, LocalTokenNotFoundError):
        return "there is no token for the Hub: hf auth login (or set HF_TOKEN)."
    came = of_a_stranger(error)
    if came is None and (answer_of(error) is not None or reason_of(error) or is_absent(error)):
        refusal = _Refusal(error, repo_id, revision, token, repo_type)
        return next(line(refusal) for fits, line in _REFUSALS if fits(refusal))
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


@dataclass
class _Refusal:
    """Answer of the Hub that refuses a request; [`_REFUSALS`] has the message for each kind."""

    error: BaseException
    repo_id: str
    revision: str | None
    token: str | None
    repo_type: str

    def __post_init__(self):
        self.answer, self.status = answer_of(self.error), status_of(self.error)
        self.cause, self.said = cause_of(self.error), reason_of(self.error)
        self.reason = f" The Hub says: {self.said}." if self.said else ""
        self.code = f" ({self.status})" if self.status else ""

    @property
    def page(self) -> str:
        """The repository's address on the Hub."""
        return f"{constants.ENDPOINT}/{'datasets/' if self.repo_type == 'dataset' else ''}{self.repo_id}"


def _another_token(token: str | None) -> str:
    """Return the advice for a rejected token: an argument has priority over HF_TOKEN, and HF_TOKEN over a login."""
    if token:
        return "pass one that is valid"
    return "set HF_TOKEN to one that is valid" if os.environ.get("HF_TOKEN") else "log in again, hf auth login"


def _forbidden(refusal: _Refusal) -> str:
    """Return the message for a token without permission, with the token's user if the Hub knows it."""
    repo_id, said = refusal.repo_id, refusal.said or str(refusal.status)
    writes = refusal.answer is not None and refusal.answer.response.request.method not in ("GET", "HEAD")
    act = "push to" if writes else "read"
    try:
        user = HfApi(token=refusal.token).whoami()
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
    """Return the message for a name that belongs to another kind of repository, or None."""
    kinds = {
        "model": f"a model on the Hub, not a data set: name a data set, or use the model, hf-rnn predict {repo_id}",
        "dataset": f"a data set on the Hub, not a model: name a model, or train one, hf-rnn train {repo_id}",
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
    """Return the end of the message for an unknown revision, with the revisions that exist."""
    try:
        refs = HfApi(token=token).list_repo_refs(repo_id, repo_type=repo_type)
    except Exception:
        return ": name a branch, a tag or a commit."
    names = [ref.name for ref in [*refs.branches, *refs.tags]]
    argument = "data.revision" if repo_type == "dataset" else "revision"
    return f", only {', '.join(names)}: write {argument}={names[0]!r}." if names else ": it is empty."


# Pairs of a condition on a refusal and the message for it. The first condition that holds counts.
_REFUSALS: tuple[tuple[Callable[[_Refusal], bool], Callable[[_Refusal], str]], ...] = (
    (
        lambda r: r.cause == "room",
        lambda r: (
            f"the Hub has no room for {r.repo_id!r} ({r.said or r.status}): free space (hf repos delete NAME, or "
            f"{constants.ENDPOINT}/settings/billing), or push to another owner's name."
        ),
    ),
    (
        lambda r: r.cause == "size",
        lambda r: (
            f"a file of {r.repo_id!r} is larger than the Hub takes ({r.said or r.status}): write the weights in "
            'smaller files, model.save_pretrained(FOLDER, max_shard_size="5GB"), and push that folder.'
        ),
    ),
    (
        lambda r: r.cause == "rate",
        lambda r: (
            f"the Hub takes no more requests for now{r.code}: run the same command again in "
            f"{retry_after(r.error) or 300:g} s.{r.reason}"
        ),
    ),
    (lambda r: r.status == 407, lambda r: _PROXY_LOGIN),
    (
        lambda r: r.status == 408,
        lambda r: (
            "the Hub, or a proxy on the way to it, waited too long for the request (408): check the network and the "
            f"proxy, and run the same command again.{r.reason}"
        ),
    ),
    (
        lambda r: r.answer is not None and knows_no_token(r.answer, r.said),
        lambda r: f"the Hub does not accept the token in use ({r.said or r.status}): {_another_token(r.token)}.",
    ),
    (
        lambda r: is_among(r.error, GatedRepoError),
        lambda r: f"{r.repo_id!r} is gated: ask for access at {r.page}, then hf auth login.",
    ),
    (
        lambda r: is_among(r.error, RevisionNotFoundError),
        lambda r: (
            f"{r.repo_id!r} has no revision {r.revision or 'main'!r}{_revisions(r.repo_id, r.token, r.repo_type)}"
        ),
    ),
    (
        lambda r: is_absent(r.error),
        lambda r: (
            _other_kind(r.repo_id, r.token, r.repo_type)
            or f"{r.repo_id!r} is not on the Hub, or is private and not visible to you: check the name, or hf auth "
            "login with an account that may see it."
        ),
    ),
    (lambda r: r.status in (401, 403), _forbidden),
    (
        lambda r: r.status == 412,
        lambda r: f"other commits to {r.repo_id!r} arrived first: run the same command again.",
    ),
    (
        lambda r: r.status >= 500,
        lambda r: f"the Hub fails ({r.status}): run the same command again later.{r.reason}",
    ),
    (lambda r: True, lambda r: f"the Hub refused{r.code}: {r.said or first_line(r.error)}."),
)


__all__ = [
    "PATIENCE",
    "PATIENCE_OF_A_PUSH",
    "BadCard",
    "NotServed",
    "NotThere",
    "as_user_error",
    "patiently",
    "push_line",
]
