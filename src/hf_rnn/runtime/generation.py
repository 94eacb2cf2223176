# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Generation of tokens with any model that computes one step: greedy decoding, sampling and beam search.

The results are those of transformers' `generate` (5.23). A text that is finished leaves the batch, which then costs
less.

Shapes: B texts, K beams of each, N rows of a step (B, or B·K with beams), V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Protocol

import numpy as np

from .answers import softmax
from .errors import HfRnnError

# Logits that are divided by a lower temperature than this overflow to infinity.
COLDEST = 0.01
# Score of a beam that must not go on. transformers has the same number.
_NEVER = np.float32(-1e9)
# Rows of more scores than this are searched for their greatest ones by parts of `_PART` scores.
_MANY, _PART = 4096, 64


@dataclass(frozen=True)
class State:
    """State of the N rows of a batch between two steps; each array has N rows.

    Args:
        recurrent: Arrays that a step reads and replaces.
        source: Arrays that a step only reads. They are the same in all beams of a text.
    """

    recurrent: dict[str, np.ndarray]
    source: dict[str, np.ndarray] = field(default_factory=dict)

    def take(self, rows: np.ndarray, same_texts: bool = False) -> State:
        """Return the state of some rows.

        Args:
            rows: Indices of the rows, in any order and number.
            same_texts: True if each of these rows belongs to the same text as the one in its place.
        """
        source = self.source if same_texts else {name: array[rows] for name, array in self.source.items()}
        return State({name: array[rows] for name, array in self.recurrent.items()}, source)


class Stepper(Protocol):
    """Model that computes the logits of the next token, one step at a time."""

    def step(self, tokens: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Return the logits `[N, V]`, float32, after one more token of each row, and the new state.

        Args:
            tokens: Token ids, `[N]`.
            state: State before these tokens.
        """


@dataclass(frozen=True)
class GenerationSettings:
    """Settings of a generation, with the meanings of transformers' `GenerationConfig`.

    Args:
        max_length: Largest number of tokens of a text, the given ones included; one number, or one for each text.
        min_length: Number of tokens of a row, the given ones included, before which it does not end.
        eos_token_ids: Ids of the tokens that end a row.
        num_beams: Number of beams; 1 for none.
        length_penalty: Exponent of the length by which the score of a finished beam is divided.
        early_stopping: True to end a text when it has `num_beams` finished beams; False to end it when its best open
            beam does not score higher than the finished ones; `"never"` to end it when that is impossible.
        no_repeat_ngram_size: Length of the n-grams that a row has only once; 0 to allow all.
        repetition_penalty: Number over 1 that lowers the scores of tokens that a row already has; 1 for none.
        temperature: Divisor of the logits before sampling; 0 for greedy decoding.
        top_k: Number of the likeliest tokens among which a token is drawn; 0 for all.
        top_p: Probability of the likeliest tokens among which a token is drawn; 1 for all.
    """

    max_length: int | np.ndarray
    min_length: int = 0
    eos_token_ids: tuple[int, ...] = ()
    num_beams: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | str = False
    no_repeat_ngram_size: int = 0
    repetition_penalty: float = 1.0
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0


def generate(
    model: Stepper,
    logits: np.ndarray,
    state: State,
    rows: Sequence[Sequence[int]],
    settings: GenerationSettings,
    draw: np.random.Generator | None = None,
) -> list[list[int]]:
    """Return the given tokens of each text and those that the model writes after them.

    Args:
        model: Model that computes a step.
        logits: Logits after the given tokens, `[B, V]`.
        state: State after the given tokens.
        rows: Given tokens of each text; with beams, equally many of each.
        settings: Settings of the generation.
        draw: Random numbers for sampling; None for new ones.
    """
    limits = np.broadcast_to(settings.max_length, len(rows))
    if settings.num_beams > 1:
        return _Beams(model, settings, len(rows[0]), limits).search(logits, state, rows)
    draw = draw or np.random.default_rng()
    written, places = [list(row) for row in rows], np.arange(len(rows))
    while True:
        scores = _processed(logits, [written[place] for place in places], settings)
        tokens = sampled(scores, settings, draw) if settings.temperature else scores.argmax(-1)
        for place, token in zip(places, tokens.tolist(), strict=True):
            written[place].append(token)
        lengths = np.array([len(written[place]) for place in places])
        going = np.flatnonzero(~np.isin(tokens, settings.eos_token_ids) & (lengths < limits[places]))
        if not len(going):
            return written
        if len(going) < len(places):
            places, tokens, state = places[going], tokens[going], state.take(going)
        logits, state = model.step(tokens, state)


def longest_targets(lengths: Sequence[int], max_new_tokens: int) -> np.ndarray:
    """Return the largest number of target tokens of each text, `[B]`, the start token included.

    A long source text may have a longer target than all training texts.

    Args:
        lengths: Number of tokens of each source text.
        max_new_tokens: Largest number of target tokens that is saved with the model.
    """
    return 1 + np.maximum(max_new_tokens, 2 * np.asarray(lengths) + 20)


def check_whole(name: str, value: Any, example: int) -> None:
    """Raise [`HfRnnError`] unless a value is a whole number of at least 1.

    Args:
        name: Name of the argument.
        value: Value to check.
        example: A usual value, for the error.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise HfRnnError(f"{name}={value!r} must be a whole number, 1 or greater, such as {example}.")


def check_sampling(temperature: Any, top_k: Any = 0, top_p: Any = 1.0, seed: Any = None) -> None:
    """Raise [`HfRnnError`] for settings of sampling that are no numbers or out of their range.

    Args:
        temperature: Divisor of the logits; 0 for greedy decoding.
        top_k: Number of the most probable tokens among which a token is drawn; 0 for all.
        top_p: Probability of the most probable tokens among which a token is drawn; 1 for all.
        seed: Seed of the random numbers; None for a new one.
    """
    if not (_is_number(temperature, Real) and (temperature == 0 or COLDEST <= temperature < math.inf)):
        raise HfRnnError(f"temperature={temperature!r} must be 0, for greedy decoding, or {COLDEST} or greater.")
    if not (_is_number(top_k, Integral) and top_k >= 0):
        raise HfRnnError(f"top_k={top_k!r} must be 0, for all tokens, or a greater whole number, such as 50.")
    if not (_is_number(top_p, Real) and 0 < top_p <= 1):
        raise HfRnnError(f"top_p={top_p!r} must be greater than 0, and at most 1, for all tokens.")
    if seed is not None and not (_is_number(seed, Integral) and seed >= 0):
        raise HfRnnError(f"seed={seed!r} must be a whole number, 0 or greater; leave it out for a new one.")


def _is_number(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def continued(text: str, read: str, whole: str) -> str:
    """Return a prompt with its continuation.

    Args:
        text: Prompt as it was given.
        read: Prompt as it is decoded from its tokens.
        whole: Prompt and continuation, decoded together. Decoded alone, a continuation would lose its leading space.
    """
    return (text + whole[len(read) :]).lstrip()


def sampled(logits: np.ndarray, settings: GenerationSettings, draw: np.random.Generator) -> np.ndarray:
    """Return a token for each row, `[N]`, drawn from the softmax of its logits.

    Args:
        logits: Logits, `[N, V]`.
        settings: Settings with `temperature`, `top_k` and `top_p`, which act in this order.
        draw: Random numbers.
    """
    scores = logits.astype(np.float64) / settings.temperature
    if 0 < settings.top_k < scores.shape[-1]:
        least = np.partition(scores, -settings.top_k, axis=-1)[:, -settings.top_k, None]
        scores[scores < least] = -np.inf
    if settings.top_p < 1:
        order = np.argsort(scores, axis=-1, kind="stable")
        ascending = np.take_along_axis(softmax(scores), order, axis=-1)
        too_unlikely = ascending.cumsum(-1) <= 1 - settings.top_p
        too_unlikely[:, -1] = False  # The likeliest token stays.
        np.put_along_axis(scores, order, np.where(too_unlikely, -np.inf, np.take_along_axis(scores, order, -1)), -1)
    up_to = softmax(scores).cumsum(-1)
    drawn = draw.random(len(scores)) * up_to[:, -1]
    return np.array([np.searchsorted(row, number, side="right") for row, number in zip(up_to, drawn, strict=True)])


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _processed(scores: np.ndarray, rows: Sequence[Sequence[int]], settings: GenerationSettings) -> np.ndarray:
    """Return scores `[N, V]` after the rules about repetition and the least length, in transformers' order."""
    size, penalty = settings.no_repeat_ngram_size, settings.repetition_penalty
    too_short = [len(row) < settings.min_length for row in rows] if settings.eos_token_ids else [False]
    if size == 0 and penalty == 1 and not any(too_short):
        return scores
    scores = scores.copy()
    for row, of_row in zip(rows, scores, strict=True):
        if penalty != 1:
            seen = np.unique(row)
            of_row[seen] = np.where(of_row[seen] < 0, of_row[seen] * penalty, of_row[seen] / penalty)
        if 0 < size <= len(row):
            end = tuple(row[len(row) - size + 1 :])
            of_row[
                [row[at + size - 1] for at in range(len(row) - size + 1) if tuple(row[at : at + size - 1]) == end]
            ] = -np.inf
        if len(row) < settings.min_length:
            of_row[list(settings.eos_token_ids)] = -np.inf
    return scores


def _greatest(scores: np.ndarray, count: int) -> np.ndarray:
    """Return the places of the `count` greatest scores of each row `[B, N]`, the greatest first."""
    B, N = scores.shape
    places = np.broadcast_to(np.arange(N), (B, N))
    if max(_MANY, count * _PART) < N:
        # The greatest scores are in the parts that have the greatest maxima, or after the last whole part.
        whole = N // _PART
        parts = scores[:, : whole * _PART].reshape(B, whole, _PART).max(-1)
        chosen = np.argpartition(-parts, count - 1, axis=-1)[:, :count]
        inside = (chosen[:, :, None] * _PART + np.arange(_PART)).reshape(B, -1)
        places = np.concatenate([inside, places[:, whole * _PART :]], axis=1)
    found = np.take_along_axis(scores, places, axis=-1)
    best = np.argpartition(-found, min(count, found.shape[1]) - 1, axis=-1)[:, :count]
    order = np.argsort(-np.take_along_axis(found, best, axis=-1), axis=-1, kind="stable")
    return np.take_along_axis(places, np.take_along_axis(best, order, axis=-1), axis=-1)


class _Beams:
    """Beam search over the texts of a batch.

    Args:
        model: Model that computes a step.
        settings: Settings of the search.
        given: Number of given tokens of each text.
        limits: Largest number of tokens of each text, `[B]`.
    """

    def __init__(self, model: Stepper, settings: GenerationSettings, given: int, limits: np.ndarray):
        self.model, self.settings, self.given, self.limits = model, settings, given, limits

    def search(self, logits: np.ndarray, state: State, rows: Sequence[Sequence[int]]) -> list[list[int]]:
        """Return the best finished beam of each text, with the given tokens.

        Args:
            logits: Logits after the given tokens, `[B, V]`.
            state: State after the given tokens, of B rows.
            rows: Given tokens of each text.
        """
        settings, K = self.settings, self.settings.num_beams
        # A beam may end with each of the ending tokens, and K beams have to go on.
        keep = max(2, 1 + len(settings.eos_token_ids)) * K
        # The finished beams of each text, as their scores and tokens.
        finished: list[list[tuple[float, list[int]]]] = [[] for _ in rows]
        texts = np.arange(len(rows))
        tokens = np.repeat(np.array(rows, dtype=np.int64)[:, None], K, axis=1)
        # At first, all beams of a text are the same, so only one of them counts.
        scores = np.where(np.arange(K) == 0, np.float32(0), _NEVER)[None].repeat(len(rows), axis=0)
        of_beams = np.repeat(np.arange(len(rows)), K)
        logits, state = logits[of_beams], state.take(of_beams)
        while True:
            B, V = len(texts), logits.shape[-1]
            added = _log_softmax(logits.astype(np.float32, copy=False))
            added = _processed(added, tokens.reshape(B * K, -1).tolist() if self._reads_tokens else (), settings)
            summed = (added.reshape(B, K, V) + scores[:, :, None]).reshape(B, K * V)
            best = _greatest(summed, min(keep, K * V))
            found, beams, last = np.take_along_axis(summed, best, axis=1), best // V, best % V
            ends = np.isin(last, settings.eos_token_ids) | (tokens.shape[2] + 1 >= self.limits[texts, None])
            self._finish(finished, texts, tokens, found, beams, last, ends)
            # Beams that end here come last, and then have the lowest scores.
            going = np.argsort(ends, axis=1, kind="stable")[:, :K]
            found, beams, last, ends = (np.take_along_axis(part, going, axis=1) for part in (found, beams, last, ends))
            scores = np.where(ends, found + _NEVER, found)
            tokens = np.concatenate([np.take_along_axis(tokens, beams[:, :, None], axis=1), last[:, :, None]], axis=2)
            is_open = ~ends.all(1) & self._may_improve(finished, texts, scores[:, 0], tokens.shape[2])
            if not is_open.any():
                return [max(of_text, key=lambda beam: beam[0])[1] for of_text in finished]
            chosen = np.flatnonzero(is_open)
            rows_of_step = (chosen[:, None] * K + beams[chosen]).ravel()
            state = state.take(rows_of_step, same_texts=len(chosen) == B)
            texts, tokens, scores = texts[chosen], tokens[chosen], scores[chosen]
            logits, state = self.model.step(tokens[:, :, -1].ravel(), state)

    @property
    def _reads_tokens(self) -> bool:
        settings = self.settings
        return bool(settings.no_repeat_ngram_size or settings.min_length) or settings.repetition_penalty != 1

    def _finish(
        self,
        finished: list[list[tuple[float, list[int]]]],
        texts: np.ndarray,
        tokens: np.ndarray,
        found: np.ndarray,
        beams: np.ndarray,
        last: np.ndarray,
        ends: np.ndarray,
    ) -> None:
        """Add the beams that end here to the finished ones of their texts, and keep the K best of each text.

        Args:
            finished: Finished beams of all texts, as their scores and tokens.
            texts: Indices of the open texts, `[B]`.
            tokens: Tokens of their open beams, `[B, K, T]`.
            found: Sums of the log-probabilities of the best continuations, `[B, at least K]`, the best first.
            beams: Open beam that each continues.
            last: Token with which each continues it.
            ends: Which of them end.
        """
        K, length = self.settings.num_beams, tokens.shape[2] + 1 - self.given
        for row, rank in np.argwhere(ends[:, :K]).tolist():
            beam = [*tokens[row, beams[row, rank]].tolist(), int(last[row, rank])]
            finished[texts[row]].append(
                (float(found[row, rank] / np.float32(length**self.settings.length_penalty)), beam)
            )
        for text in texts[ends[:, :K].any(1)]:
            finished[text] = sorted(finished[text], key=lambda beam: -beam[0])[:K]

    def _may_improve(
        self, finished: list[list[tuple[float, list[int]]]], texts: np.ndarray, best: np.ndarray, length: int
    ) -> np.ndarray:
        """Return for each open text whether the search goes on.

        Args:
            finished: Finished beams of all texts, as their scores and tokens.
            texts: Indices of the open texts, `[B]`.
            best: Score of the best open beam of each of them, `[B]`.
            length: Number of tokens of the open beams.
        """
        settings = self.settings
        full = np.array([len(finished[text]) == settings.num_beams for text in texts])
        if settings.early_stopping is True:
            return ~full
        longest = settings.early_stopping == "never" and settings.length_penalty > 0
        written = (self.limits[texts] if longest else np.array(length)) - float(self.given)
        worst = np.array([finished[text][-1][0] if finished[text] else 0.0 for text in texts])
        return ~full | (best / (written**settings.length_penalty).astype(np.float32) > worst)


__all__ = [
    "COLDEST",
    "GenerationSettings",
    "State",
    "Stepper",
    "check_sampling",
    "check_whole",
    "continued",
    "generate",
    "longest_targets",
    "sampled",
]
