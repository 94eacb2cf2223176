# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Teachers behind an OpenAI-compatible endpoint, such as a server of vLLM, llama.cpp or Ollama."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np

from ..text.labels import SINGLE
from ..utils.errors import ConfigError, HfRnnError, first_line
from .base import PROBABILITIES, Teacher
from .written_labels import from_logprobs, named_in

logger = logging.getLogger(__name__)

PROMPT = "Classify the text. Answer with exactly one of these labels, and nothing else: {labels}\n\nText:\n{text}"
REMINDER = "Answer with exactly one of these labels, and nothing else: {labels}"
# Environment variable with the key of the endpoint.
KEY_VARIABLE = "OPENAI_API_KEY"
# Number of texts that are answered and saved together, and of requests at a time.
GROUP, WORKERS = 32, 8
# Number of tries of a request, and the maximum wait between two of them in seconds. Waits double from 1.
TRIES, LONGEST_WAIT = 5, 60
# Seconds without a byte after which a request counts as failed.
TIMEOUT = 60.0
# Number of tokens with a probability at each place. More than 20 are refused by OpenAI.
TOP_LOGPROBS = 20
# Probability of the label that an answer without probabilities names.
NAMED = 0.9
# Tests replace it to avoid waiting.
sleep = time.sleep


def is_endpoint(name: str) -> bool:
    """Return whether the name of a teacher is the address of an endpoint.

    Args:
        name: Name as the user wrote it.
    """
    return name.lower().startswith(("http://", "https://"))


def endpoint_teacher(
    url: str,
    labels: Sequence[str],
    problem_type: str,
    *,
    model: str | None,
    prompt: str = PROMPT,
    timeout: float = TIMEOUT,
) -> Teacher:
    """Return a chat model behind an OpenAI-compatible endpoint as a teacher.

    The probabilities of the labels are those of the tokens with which the answer begins, if the endpoint tells them
    ([`~hf_rnn.teachers.written_labels.from_logprobs`]). Otherwise the label in the answer has the probability 0.9, and
    the other labels share the rest. If an answer names no label, the question is asked once more with a reminder. If
    that answer names none either, all labels have the same probability. [`EndpointTeacher`] counts such texts.

    The environment variable `OPENAI_API_KEY` holds the key of the endpoint, if it needs one. It is neither printed nor
    saved.

    Args:
        url: Address of the endpoint, such as `http://localhost:8000/v1`.
        labels: Labels of the data.
        problem_type: Problem type of the student: one label per text.
        model: Name of the model at the endpoint.
        prompt: Question about a text, with `{text}` in its place, and `{labels}` in that of the labels. The two texts
            of a pair are two lines of `{text}`.
        timeout: Seconds without a byte after which a request counts as failed.

    Raises:
        ConfigError: The address, the prompt or the key is wrong, the model is None, or the problem has not one label
            per text.
    """
    try:
        parts = httpx.URL(url)
        is_plain = bool(parts.host) and not parts.userinfo and not parts.query
    except httpx.InvalidURL:
        is_plain = False
    if not is_plain:
        shown = re.sub(r"//[^/]*@", "//…@", url)
        raise ConfigError(
            f"teacher.path={shown!r} is not the address of an endpoint: write it as http://localhost:8000/v1, and a "
            f"key into the environment variable {KEY_VARIABLE}."
        )
    if model is None:
        raise ConfigError(f"the endpoint {url!r} serves models by name: write teacher.endpoint_model=NAME.")
    if "{text}" not in prompt:
        raise ConfigError(f"teacher.prompt={prompt!r} has no {{text}}, which stands for the text: write {PROMPT!r}.")
    if problem_type != SINGLE or len(labels) < 2:
        raise ConfigError(
            f"an endpoint names one of several labels for each text, and the data is a {problem_type}: name another "
            "teacher, or pass a function that asks the endpoint, hf_rnn.distil(teacher=function)."
        )
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not (key.isascii() and (key.isprintable() or not key)):
        # The HTTP library would quote the key in its error.
        raise ConfigError(f"{KEY_VARIABLE} holds characters that a key cannot have: set it to the key alone.")
    return EndpointTeacher(url.rstrip("/").removesuffix("/chat/completions"), labels, model, prompt, timeout, key)


class EndpointTeacher:
    """Teacher behind an OpenAI-compatible endpoint. [`endpoint_teacher`] checks the arguments and makes one.

    Args:
        url: Address of the endpoint.
        labels: Labels of the data.
        model: Name of the model at the endpoint.
        prompt: Question about a text.
        timeout: Seconds without a byte after which a request counts as failed.
        api_key: Key of the endpoint; an empty text for none.

    Attributes:
        unnamed: Number of texts whose answers named no label.
    """

    def __init__(self, url: str, labels: Sequence[str], model: str, prompt: str, timeout: float, api_key: str):
        self.name, self.model, self.prompt, self.timeout = url, model, prompt, timeout
        self.labels: list[str] | None = list(labels)
        self.outputs: str | None = PROBABILITIES
        self.license: str | None = None
        self.group, self.unnamed = GROUP, 0
        self.key: str | None = hashlib.sha256(json.dumps([url, model, prompt, self.labels]).encode()).hexdigest()
        self._names, self._api_key, self._asks_logprobs = list(labels), api_key, True

    def answers(self, texts: Sequence[tuple[str, ...]]) -> np.ndarray:
        """Return the probabilities of the labels, `[N, C]`, float64.

        Args:
            texts: N texts as `(text,)`, or pairs of texts as `(text, second text)`.

        Raises:
            HfRnnError: The endpoint refuses a request, or fails several times.
        """
        headers = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        with httpx.Client(headers=headers, timeout=self.timeout) as client, ThreadPoolExecutor(WORKERS) as pool:
            waiting = [pool.submit(self._answer, client, "\n".join(text)) for text in texts]
            try:
                rows = [each.result() for each in waiting]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        unnamed = [row for row in rows if isinstance(row, str)]
        if unnamed and not self.unnamed:
            logger.warning(
                f"the answer {unnamed[0][:80]!r} of {self.model!r} names none of the labels, or several: all labels "
                "get the same probability for such texts. Ask for a label in teacher.prompt, or choose another "
                "teacher.endpoint_model."
            )
        self.unnamed += len(unnamed)
        uniform = np.full(len(self._names), 1 / len(self._names))
        return np.stack([uniform if isinstance(row, str) else row for row in rows])

    def _answer(self, client: httpx.Client, text: str) -> np.ndarray | str:
        """Return the probabilities of the labels for a text, or the last answer if it names no label."""
        messages = [{"role": "user", "content": self._filled(self.prompt, text)}]
        for _ in range(2):
            choice = self._choice(client, messages)
            written = choice["message"]["content"] or ""
            tokens = (choice.get("logprobs") or {}).get("content") or []
            scores = from_logprobs(tokens, self._names)
            place = named_in(written, self._names)
            if scores is None and place is not None:
                scores = np.full(len(self._names), (1 - NAMED) / (len(self._names) - 1))
                scores[place] = NAMED
            if scores is not None:
                return scores
            reminder = {"role": "user", "content": self._filled(REMINDER, text)}
            messages = [*messages, {"role": "assistant", "content": written}, reminder]
        return written

    def _filled(self, template: str, text: str) -> str:
        # A text may contain {labels}, and a prompt other braces.
        values = {"{text}": text, "{labels}": ", ".join(self._names)}
        return re.sub(r"\{(text|labels)\}", lambda found: values[found[0]], template)

    def _choice(self, client: httpx.Client, messages: list[dict[str, str]]) -> dict[str, Any]:
        """Ask the endpoint, again after failures that may pass, and return the first choice of its answer."""
        for number in range(TRIES):
            try:
                return self._asked(client, messages)
            except _Failure as error:
                failure = error
            if number < TRIES - 1:
                sleep(2**number if failure.seconds is None else min(failure.seconds, LONGEST_WAIT))
        raise HfRnnError(
            f"the endpoint {self.name!r} failed {TRIES} times, the last time with {failure}: check the server, and run "
            "the same command again to go on."
        ) from failure

    def _asked(self, client: httpx.Client, messages: list[dict[str, str]]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "temperature": 0,
            # A token has at least one byte.
            "max_tokens": 8 + max(len(name.encode()) for name in self._names),
        }
        asks_logprobs = self._asks_logprobs
        if asks_logprobs:
            body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        try:
            response = client.post(f"{self.name}/chat/completions", json=body)
        except httpx.RequestError as error:
            raise _Failure(f"{type(error).__name__} ({first_line(error)})") from error
        status, said = response.status_code, self._said(response)
        if status == 200:
            return _first_choice(response)
        if status == 400 and asks_logprobs and "logprob" in said:
            self._asks_logprobs = False
            return self._asked(client, messages)
        if status in (408, 429) or status >= 500:
            told = response.headers.get("Retry-After", "")
            raise _Failure(f"status {status} ({said})", float(told) if told.isdigit() else None)
        if status in (401, 403):
            advice = f"set the environment variable {KEY_VARIABLE} to a {'valid ' if self._api_key else ''}key"
        elif status == 404:
            advice = f"check the address, which often ends in /v1, and teacher.endpoint_model={self.model!r}"
        else:
            advice = f"check teacher.endpoint_model={self.model!r} and teacher.prompt"
        raise HfRnnError(
            f"the endpoint {self.name!r} refuses the request with status {status} ({said}): {advice}, and run the same "
            "command again to go on."
        )

    def _said(self, response: httpx.Response) -> str:
        """Return the message of a server on one line, without the key."""
        said: Any = response.text
        try:
            said = response.json()
            said = said.get("error") or said.get("detail") or said.get("message") or said
            said = said.get("message") or said
        except (ValueError, AttributeError):
            # The answer is no JSON, or the message is a string.
            pass
        said = " ".join(str(said).split())
        return (said.replace(self._api_key, "…") if self._api_key else said)[:300].rstrip(".") or "no message"


class _Failure(Exception):
    """Failure of a request that may pass. `seconds` is the time to wait that the server names, or None."""

    def __init__(self, reason: str, seconds: float | None = None):
        super().__init__(reason)
        self.seconds = seconds


def _first_choice(response: httpx.Response) -> dict[str, Any]:
    try:
        choice = response.json()["choices"][0]
        written = choice["message"]["content"]
    except (ValueError, LookupError, TypeError):
        written = 0
    if not isinstance(written, (str, type(None))):
        raise _Failure(f"{response.text[:80]!r}, which is not an answer of the chat API")
    return choice


__all__ = ["EndpointTeacher", "endpoint_teacher", "is_endpoint"]
