# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Classification of the errors of the Hub and its client: the cause, and whether a retry may help."""

import json
import re
import traceback
from collections.abc import Iterator
from typing import Any

from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from .errors import first_line

# Beginning of the client's message about large files that the Hub refused.
_LFS_ERRORS = "LFS batch API returned errors:"


class StrangeAnswer(Exception):
    """JSON that the client accepts but the Hub does not send; the message describes it."""


def head_of(info: Any) -> tuple[str, list[str]]:
    """Read the commit and the file list from the result of `HfApi.model_info`.

    Args:
        info: Result of `HfApi.model_info`.

    Returns:
        The hash of the commit, and the paths of the repository's files.

    Raises:
        StrangeAnswer: If the result is not what the Hub sends; [`patiently`] turns it into [`NotServed`].
    """
    if info.siblings is None:
        raise StrangeAnswer("unexpected JSON, without a list of files")
    paths = [file.rfilename for file in info.siblings]
    strange = [path for path in paths if not isinstance(path, str)]
    if strange:
        raise StrangeAnswer(f"unexpected JSON, with the file name {strange[0]!r}")
    if not isinstance(info.sha, str) or not re.fullmatch(r"[0-9a-f]{40,64}", info.sha):
        raise StrangeAnswer(f"unexpected JSON, with the commit {info.sha!r}")
    return info.sha, paths


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, the error that it was raised from, and so on.

    Args:
        error: First error of the chain; None yields nothing.
    """
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def is_among(error: BaseException, *kinds: type) -> bool:
    """Return whether any error of the chain is of one of the given classes.

    Args:
        error: Error, with the errors that it was raised from.
        *kinds: Classes of errors.
    """
    return any(isinstance(e, kinds) for e in chain_of(error))


def answer_of(error: BaseException) -> HfHubHTTPError | None:
    """Return the error of the chain that holds the Hub's answer, or None.

    Args:
        error: Error, with the errors that it was raised from.
    """
    return next((e for e in chain_of(error) if isinstance(e, HfHubHTTPError)), None)


def status_of(error: BaseException) -> int:
    """Return the HTTP status of the Hub's answer; 0 without an answer.

    Args:
        error: Error, with the errors that it was raised from.
    """
    answer = answer_of(error)
    return answer.response.status_code if answer is not None else 0


def reason_of(error: BaseException) -> str:
    """Return the Hub's reason on one line, from the body or a header of its answer; "" without one.

    Args:
        error: Error, with the errors that it was raised from.
    """
    answer = answer_of(error)
    if answer is None:
        # The client does not raise an HTTP error if the Hub refuses single files.
        said = next((str(e) for e in chain_of(error) if str(e).startswith(_LFS_ERRORS)), "").removeprefix(_LFS_ERRORS)
    else:
        said = answer.server_message or answer.response.headers.get("X-Error-Message") or ""
    return "" if _page(said) else " ".join(said.split())[:400].rstrip(".")


def _page(text: str) -> str | None:
    """Describe a web page by its title; return None for a text that is not a web page."""
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.DOTALL | re.IGNORECASE)
    if title:
        return f"a web page, {' '.join(title[1].split())!r}"
    return "a web page" if re.search(r"<html|<!doctype html|<body", text, re.IGNORECASE) else None


def named(error: BaseException, *names: str) -> BaseException | None:
    """Return the first error of the chain whose class, or one of its bases, has one of the given names, or None.

    Args:
        error: Error, with the errors that it was raised from.
        *names: Names of classes; their library need not be installed.
    """
    return next((e for e in chain_of(error) if {kind.__name__ for kind in type(e).__mro__}.intersection(names)), None)


def network_error(error: BaseException) -> BaseException | None:
    """Return the error of a connection that failed before the Hub answered; None for others.

    Args:
        error: Error, with the errors that it was raised from.
    """
    # Compared by name, because the HTTP library of huggingface_hub changes between versions.
    if answer_of(error) is not None or is_among(error, OfflineModeIsEnabled):
        return None
    return named(error, "RequestError", "RequestException", "ConnectionError")


def is_absent(error: BaseException) -> bool:
    """Return whether the Hub says that a repository does not exist, or is not visible with the token in use.

    Args:
        error: Error, with the errors that it was raised from.
    """
    answer = answer_of(error)
    if answer is not None and (is_among(error, GatedRepoError) or knows_no_token(answer, reason_of(error))):
        return False
    return is_among(error, RepositoryNotFoundError) or named(error, "DatasetNotFoundError") is not None


def of_a_stranger(error: BaseException) -> str | None:
    """Describe an answer that did not come from the Hub, such as the login page of a network; None if the Hub answered.

    Args:
        error: Error, with the errors that it was raised from.
    """
    answer = answer_of(error)
    if answer is not None:
        # The Hub gives its reasons as JSON. Web pages with status 429 or 5xx come from the servers in front of it.
        marked = any(name in answer.response.headers for name in ("X-Error-Code", "X-Error-Message"))
        return None if marked or answer.response.status_code not in (401, 403, 404, 511) else _page(_body(answer))
    for e in chain_of(error):
        if isinstance(e, StrangeAnswer):
            return str(e)
        if isinstance(e, json.JSONDecodeError):
            return _page(e.doc) or (f"{e.doc[:60]!r}, which is not JSON" if e.doc else "an empty answer")
        if isinstance(e, UnicodeDecodeError):
            return "bytes that are not text"
        if isinstance(e, FileMetadataError):
            return first_line(e)
    if isinstance(error, (KeyError, TypeError, AttributeError, AssertionError, ValueError)):
        place = traceback.extract_tb(error.__traceback__)[-1]
        # A ValueError that the client raises itself is about an argument, unless it parses a date.
        about_arguments = isinstance(error, ValueError) and (place.line or "").startswith("raise")
        # An error in `_validators` is the caller's: the decorator there passes on the arguments of the call.
        theirs = re.search(r"\bhuggingface_hub\b(?!.*_validators)|\bhttpx2?\b", place.filename)
        if theirs and (not about_arguments or "_datetime" in place.filename):
            return f"unexpected JSON, {type(error).__name__}: {first_line(error)}"
    return None


def _body(answer: HfHubHTTPError) -> str:
    try:
        return answer.response.text
    except RuntimeError:  # The body is a stream that was not read.
        return ""


def cause_of(error: BaseException) -> str | None:
    """Return why the Hub refused a request, from the status or the words of its reason; None for other reasons.

    Args:
        error: Error, with the errors that it was raised from.

    Returns:
        `"rate"` (too many requests), `"card"` (invalid metadata of the card), `"size"` (a file is too large) or
        `"room"` (the storage is full).
    """
    status, said = status_of(error), reason_of(error)
    if status in _STATUSES:
        return _STATUSES[status]
    if status not in (0, 400, 403, 422):
        return None
    return next((cause for cause, words in _WORDS.items() if re.search(words, said, re.IGNORECASE)), None)


_STATUSES = {402: "room", 413: "size", 429: "rate", 507: "room"}
# The first match counts: a reason about a rate limit may also mention a quota, and one about a card a size.
_WORDS = {
    "rate": r"retry later|hourly|rate.?limit|too many requests",
    "card": r"README|metadata|YAML",
    "size": r"too large",
    "room": r"\b(storage|quotas?|space)\b.*\b(limit|full|reach|exceed|left)|exceed\w*.*\b(storage|quota)|"
    r"(not enough|insufficient) (storage|space)|out of space|payment required|upgrade your plan",
}


def may_pass(error: BaseException) -> bool:
    """Return whether another try may help.

    Args:
        error: Error, with the errors that it was raised from.
    """
    cause, status = cause_of(error), status_of(error)
    if cause is not None:
        return cause == "rate"
    passes = status in (408, 409, 412) or status >= 500 or network_error(error) is not None
    return passes or of_a_stranger(error) is not None


def retry_after(error: BaseException) -> float | None:
    """Return the seconds that the Hub asks to wait before another try (`Retry-After`); None if it names none.

    Args:
        error: Error, with the errors that it was raised from.
    """
    answer = answer_of(error)
    given = answer.response.headers.get("Retry-After") if answer is not None else None
    return float(given) if given and given.isdigit() else None


def knows_no_token(answer: HfHubHTTPError, said: str) -> bool:
    """Return whether an answer is a 401 that rejects the token; a 401 to a request without one is about the repository.

    Args:
        answer: Error that holds the Hub's answer.
        said: Reason that the Hub gives, from [`reason_of`].
    """
    sent = answer.response.status_code == 401 and "authorization" in answer.response.request.headers
    about_it = re.search(r"token|credential|expired|authorization", said, re.IGNORECASE) is not None
    return sent and (about_it or "X-Error-Code" not in answer.response.headers)


__all__ = [
    "StrangeAnswer",
    "answer_of",
    "cause_of",
    "chain_of",
    "head_of",
    "is_absent",
    "is_among",
    "knows_no_token",
    "may_pass",
    "named",
    "network_error",
    "of_a_stranger",
    "reason_of",
    "retry_after",
    "status_of",
]
