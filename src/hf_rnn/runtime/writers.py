# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Exported language models and translators: their steps, and the texts that they write.

Shapes: B texts, N rows of a step, S time of the source text, V vocabulary.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from onnxruntime import InferenceSession, RunOptions
from tokenizers import Tokenizer

from .batching import BATCH_TOKENS, by_tokens, padded
from .errors import HfRnnError
from .generation import (
    GenerationSettings,
    State,
    check_sampling,
    check_whole,
    continued,
    generate,
    longest_targets,
)
from .record import ExportRecord
from .texts import as_text
from .tokens import token_ids

logger = logging.getLogger(__name__)

# Options of sampling that change nothing.
_OFF = {"top_k": 0, "top_p": 1.0, "seed": None}
# Tokens of a prompt that are read at once.
CHUNK = 256


class LanguageModelSteps:
    """Steps of an exported language model.

    Args:
        session: Session of its graph.
        state: Entry `state` of its export record.
    """

    def __init__(self, session: InferenceSession, state: Sequence[dict]):
        self.session, self.state = session, state

    def read(self, ids: Sequence[int]) -> tuple[np.ndarray, State]:
        """Return the logits `[1, V]` after a prompt of any length, and the state.

        Args:
            ids: Token ids of the prompt, at least one.
        """
        parts = [np.array([ids[start : start + CHUNK]], dtype=np.int64) for start in range(0, len(ids), CHUNK)]
        state, names = State(_zeros(self.state, {"batch": 1})), [part["output"] for part in self.state]
        # Only the last token needs logits, which take most of the time with a large vocabulary.
        state_alone = RunOptions()
        state_alone.only_execute_path_to_fetches = True
        for part in [*parts[:-1], parts[-1][:, :-1]]:
            if part.size:
                inputs = {"input_ids": part, "attention_mask": np.ones_like(part), **state.recurrent}
                state = State(_renamed(self.state, self.session.run(names, inputs, state_alone)))
        return self.step(parts[-1][:, -1], state)

    def step(self, tokens: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Return the logits `[N, V]` after one more token of each row, and the new state.

        Args:
            tokens: Token ids, `[N]`.
            state: State before these tokens.
        """
        logits, state = self.run(tokens[:, None], np.ones((len(tokens), 1), np.int64), state)
        return logits[:, 0], state

    def run(
        self, input_ids: np.ndarray, attention_mask: np.ndarray, state: State | None = None
    ) -> tuple[np.ndarray, State]:
        """Return the logits `[N, T, V]` of the next token at each position, and the new state.

        Args:
            input_ids: Token ids, `[N, T]`.
            attention_mask: Mask, `[N, T]`; padding may be anywhere.
            state: State before these tokens; None at the beginning of a text.
        """
        state = state or State(_zeros(self.state, {"batch": len(input_ids)}))
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, **state.recurrent}
        logits, recurrent = _stepped(self.session, self.state, inputs)
        return logits, State(recurrent)


class TranslatorSteps:
    """Steps of an exported translator.

    Args:
        encoder: Session of its encoder.
        decoder: Session of one step of its decoder.
        state: Entry `state` of its export record.
    """

    def __init__(self, encoder: InferenceSession, decoder: InferenceSession, state: Sequence[dict]):
        self.encoder, self.decoder, self.state = encoder, decoder, state
        self._read_by_decoder = {each.name for each in decoder.get_inputs()}

    def read(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> State:
        """Return the state before the first target token.

        Args:
            input_ids: Token ids of the source texts, `[B, S]`.
            attention_mask: Mask of these tokens, `[B, S]`.
        """
        names = [each.name for each in self.encoder.get_outputs()]
        found = self.encoder.run(names, {"input_ids": input_ids, "attention_mask": attention_mask})
        encoded = dict(zip(names, found, strict=True))
        sizes = {"batch": input_ids.shape[0], "source": input_ids.shape[1]}
        begun = {part["input"]: encoded[part["initial"]] for part in self.state if part.get("initial")}
        source = {name: array for name, array in encoded.items() if name in self._read_by_decoder}
        return State(
            {**_zeros([part for part in self.state if part["input"] not in begun], sizes), **begun},
            {**source, "encoder_attention_mask": attention_mask},
        )

    def step(self, tokens: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Return the logits `[N, V]` after one more token of each row, and the new state.

        Args:
            tokens: Token ids, `[N]`.
            state: State before these tokens.
        """
        inputs = {"input_ids": tokens[:, None], **state.source, **state.recurrent}
        logits, recurrent = _stepped(self.decoder, self.state, inputs)
        return logits[:, 0], State(recurrent, state.source)


def _zeros(parts: Iterable[dict], sizes: dict[str, int]) -> dict[str, np.ndarray]:
    """Return zeros for parts of a state, with numbers for the sizes that have names."""
    return {part["input"]: np.zeros([sizes.get(size, size) for size in part["shape"]], np.float32) for part in parts}


def _stepped(
    session: InferenceSession, parts: Sequence[dict], inputs: dict[str, np.ndarray]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the logits of a step, and the parts of the new state."""
    logits, *found = session.run(["logits", *(part["output"] for part in parts)], inputs)
    return logits, _renamed(parts, found)


def _renamed(parts: Sequence[dict], found: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Return the parts of a new state by the names under which the next step reads them."""
    return {part["input"]: array for part, array in zip(parts, found, strict=True)}


def settings_of(
    generation: dict[str, Any], max_length: int | np.ndarray, given: int, **chosen: Any
) -> GenerationSettings:
    """Return the settings of a generation: those of the export record, unless others are chosen.

    Args:
        generation: Entry `generation` of an export record.
        max_length: Largest number of tokens of a text; one number, or one for each text.
        given: Number of given tokens of a row.
        **chosen: Settings that replace those of the record; None for the record's.
    """
    saved = {**generation, **{name: value for name, value in chosen.items() if value is not None}}
    return GenerationSettings(
        max_length=max_length,
        min_length=max(saved["min_length"], given + saved["min_new_tokens"] if saved["min_new_tokens"] else 0),
        eos_token_ids=tuple(saved["eos_token_ids"]),
        **{
            name: saved[name]
            for name in (
                "num_beams",
                "length_penalty",
                "early_stopping",
                "no_repeat_ngram_size",
                "repetition_penalty",
                "temperature",
                "top_k",
                "top_p",
            )
        },
    )


def continue_text(
    model: LanguageModelSteps,
    tokenizer: Tokenizer,
    record: ExportRecord,
    text: Any,
    max_new_tokens: int = 50,
    *,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    num_beams: int | None = None,
    seed: int | None = None,
) -> str:
    """Continue a text with a language model.

    Args:
        model: Steps of the model.
        tokenizer: Tokenizer of the model, without padding and truncation.
        record: Export record of the model.
        text: Prompt of any length; an empty one or None starts a new document.
        max_new_tokens: Maximum number of generated tokens. Generation also stops at the end-of-text token.
        temperature: Divisor of the logits before sampling; 0 for greedy decoding. None for 1, or 0 with beams.
        top_k: Number of the most probable tokens among which a token is drawn; 0 or None for all.
        top_p: Probability of the most probable tokens among which a token is drawn; None for the value saved with the
            model.
        num_beams: Number of beams; None for the number saved with the model, or 1 with a temperature.
        seed: Seed of the random numbers; None for a new one.

    Returns:
        The prompt and its continuation.

    Raises:
        HfRnnError: A number is out of its range; or an option of sampling is given, and beams or greedy decoding too.
    """
    text, saved = as_text(text), _saved(record)
    check_whole("max_new_tokens", max_new_tokens, 50)
    sampling = {"top_k": 0 if top_k is None else top_k, "top_p": 1.0 if top_p is None else top_p, "seed": seed}
    check_sampling(1.0 if temperature is None else temperature, **sampling)
    if num_beams is None:
        # Sampling has no beams.
        num_beams = 1 if temperature else saved["num_beams"]
    _check_beams(num_beams, model.session)
    _check_draws(num_beams, temperature, sampling)
    if temperature is None:
        temperature = 0.0 if num_beams > 1 else 1.0
    marks = record.tokenizer
    ids = token_ids(tokenizer, [text])[0] or [marks["bos_token_id"]]
    if ids == [None]:
        raise HfRnnError("the prompt is empty, and this model has no token that begins a text: write some text.")
    if marks["unk_token_id"] is not None and marks["unk_token_id"] in ids:
        unknown = tokenizer.id_to_token(marks["unk_token_id"])
        logger.warning(f"{text[:60]!r} has words outside the vocabulary, which are read as {unknown}.")
    chosen = {"temperature": temperature, "top_k": top_k or 0, "top_p": top_p, "num_beams": num_beams}
    settings = settings_of(saved, len(ids) + max_new_tokens, len(ids), **chosen)
    logits, state = model.read(ids)
    (written,) = generate(model, logits, state, [ids], settings, np.random.default_rng(seed))
    return continued(text, *(tokenizer.decode(row, skip_special_tokens=True) for row in (ids, written)))


def translate(
    model: TranslatorSteps,
    tokenizer: Tokenizer,
    record: ExportRecord,
    texts: Sequence[str],
    batch_tokens: int = BATCH_TOKENS,
    num_beams: int | None = None,
) -> list[dict]:
    """Return the generated `text` for each text.

    Args:
        model: Steps of the model.
        tokenizer: Tokenizer of the model, without padding and truncation.
        record: Export record of the model.
        texts: Source texts.
        batch_tokens: Maximum number of tokens in a batch, padding and beams included.
        num_beams: Number of beams; None for the number saved with the model.

    Raises:
        HfRnnError: The number of beams is out of its range.
    """
    saved, marks = _saved(record), record.tokenizer
    beams = saved["num_beams"] if num_beams is None else num_beams
    _check_beams(beams, model.decoder)
    end = [marks["eos_token_id"]]
    rows = token_ids(tokenizer, [text if text.strip() else "" for text in texts])
    rows = [row if row[-1:] == end else row + end for row in rows]
    longest = max(map(len, rows), default=0)
    if record.max_length is not None and longest > record.max_length:
        logger.warning(f"a text has {longest} tokens, more than the {record.max_length} of the longest training text.")
    answers = [""] * len(rows)
    for places in by_tokens([len(row) for row in rows], max(1, batch_tokens // beams)):
        input_ids, attention_mask = padded([rows[place] for place in places], marks["pad_token_id"] or 0)
        written = targets_of(model, saved, input_ids, attention_mask, beams)
        for place, row in zip(places, written, strict=True):
            answers[place] = tokenizer.decode(row, skip_special_tokens=True).strip()
    (nothing,) = token_ids(tokenizer, [""])
    least = len(nothing if nothing[-1:] == end else nothing + end)
    return [{"text": said if len(row) > least else ""} for row, said in zip(rows, answers, strict=True)]


def targets_of(
    model: TranslatorSteps,
    saved: dict[str, Any],
    input_ids: np.ndarray,
    attention_mask: np.ndarray,
    num_beams: int | None = None,
) -> list[list[int]]:
    """Return the generated target tokens of each text of a batch, the start token included.

    Args:
        model: Steps of the model.
        saved: Entry `generation` of its export record.
        input_ids: Token ids of the source texts, `[B, S]`.
        attention_mask: Mask of these tokens, `[B, S]`.
        num_beams: Number of beams; None for the number saved with the model.
    """
    start = saved["decoder_start_token_id"]
    state = model.read(input_ids, attention_mask)
    logits, state = model.step(np.full(len(input_ids), start), state)
    limits = longest_targets(attention_mask.sum(1), saved["max_new_tokens"])
    settings = settings_of(saved, limits, 1, num_beams=num_beams)
    return generate(model, logits, state, [[start]] * len(input_ids), settings)


def _saved(record: ExportRecord) -> dict[str, Any]:
    assert record.generation is not None, "the record of a model that generates text has been checked"
    return record.generation


def _check_draws(num_beams: int, temperature: float | None, sampling: dict[str, Any]) -> None:
    """Raise [`HfRnnError`] if an option of sampling is given, but no token is drawn."""
    given = {name: value for name, value in sampling.items() if value != _OFF[name]}
    if num_beams > 1:
        given = {**({"temperature": temperature} if temperature else {}), **given}
        other = f"num_beams={num_beams} searches for the most probable text"
    elif temperature == 0:
        other = "temperature=0 selects the most probable one"
    else:
        return
    for name, value in given.items():
        raise HfRnnError(f"{name}={value} is for drawing tokens, and {other}: leave one of them out.")


def _check_beams(beams: Any, session: InferenceSession) -> None:
    check_whole("num_beams", beams, 5)
    vocab_size = next(each.shape[-1] for each in session.get_outputs() if each.name == "logits")
    if beams > vocab_size:
        raise HfRnnError(f"num_beams={beams} must be from 1 to {vocab_size}, the size of the vocabulary, such as 5.")


__all__ = ["LanguageModelSteps", "TranslatorSteps", "continue_text", "settings_of", "targets_of", "translate"]
