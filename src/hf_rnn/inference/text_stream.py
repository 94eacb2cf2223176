# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Text streams: a classifier reads texts as they arrive and answers at any time."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ..runtime.texts import as_text
from ..runtime.tokens import MARGIN
from ..text.collation import RaggedCollator
from ..text.tokenization import settled_ids, token_ids
from ..utils.errors import HfRnnError
from ..utils.machine import on_device

# The maximum number of tokens per stream in one forward pass.
TOKENS_AT_ONCE = 1024


class TextStream:
    """One or several texts that a unidirectional classifier reads piece by piece, each piece once.

    At any time, the logits are those of the whole text that has arrived. Memory does not grow with the texts.

    A piece may end anywhere, even inside a word. The last characters are kept as text until the characters after
    them can no longer change their tokens. A text that cannot be cut, such as one endless word, is kept as a whole.
    `max_length` of the training run does not apply: a stream is never truncated.

    ```python
    >>> stream = model.stream(tokenizer)
    >>> stream.feed("What a wonder")
    >>> stream.feed("ful film!")
    >>> stream.logits().softmax(-1)
    ```

    Args:
        model: Unidirectional text classifier; it is set to eval mode.
        tokenizer: Tokenizer of the model, to feed texts; None to feed token ids.
        streams: Number of texts that are read in parallel, B.
        answers: Function of a task that turns logits `[B, C]` into answers, for [`answers`]. None if only
            [`logits`] is used.

    Raises:
        HfRnnError: The model is bidirectional, or `streams` is under 1.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: PreTrainedTokenizerBase | None = None,
        streams: int = 1,
        answers: Callable[..., list[dict]] | None = None,
    ):
        if model.config.bidirectional:
            raise HfRnnError(
                "bidirectional=True: this model needs the end of each text, which a stream does not have yet. Train "
                "one with model.bidirectional=False, or read the whole text, model(**tokenizer(text))."
            )
        if streams < 1:
            raise HfRnnError(f"streams={streams} must be 1 or greater.")
        self.model, self.tokenizer, self.streams, self._answers = model.eval(), tokenizer, streams, answers
        self.closed = False
        # The text of each stream that has arrived but has not been read yet.
        self._waiting = [""] * streams
        self._state: dict[str, Tensor] = {}
        self._pooled: dict[str, Tensor] | None = None
        self._wide: dict[str, Any] = {}

    def feed(self, pieces: str | Sequence[str]) -> None:
        """Read the next piece of each text.

        Args:
            pieces: One piece for each stream, cut anywhere; an empty one for a stream without new text. A single
                string is the piece of a single stream.

        Raises:
            HfRnnError: The stream is closed or has no tokenizer, or the number of pieces is not the number of streams.
        """
        self._check_open()
        if self.tokenizer is None:
            raise HfRnnError("the stream has no tokenizer: open it with model.stream(tokenizer), or feed_ids(…).")
        pieces = [pieces] if isinstance(pieces, str) else list(pieces)
        if len(pieces) != self.streams:
            raise HfRnnError(f"{len(pieces)} pieces for {self.streams} streams: pass one for each, or '' for none.")
        self._waiting = [waiting + piece for waiting, piece in zip(self._waiting, map(as_text, pieces), strict=True)]
        ready: list[list[int]] = [[] for _ in pieces]
        for place, text in enumerate(self._waiting):
            if len(text) > 2 * MARGIN:
                ready[place], self._waiting[place] = settled_ids(self.tokenizer, text)
        if any(ready):
            self._state, self._pooled, self._wide = self._read(ready)

    def feed_ids(self, ids: Sequence[Sequence[int]]) -> None:
        """Read the next token ids of each text.

        Args:
            ids: One row of token ids for each stream; an empty row for a stream without new tokens.

        Raises:
            HfRnnError: The stream is closed or has a tokenizer, or the number of rows is not the number of streams.
        """
        self._check_open()
        if self.tokenizer is not None:
            raise HfRnnError("the stream has a tokenizer: feed it texts, or open one without, model.stream().")
        if len(ids) != self.streams:
            raise HfRnnError(f"{len(ids)} rows for {self.streams} streams: pass one for each, [] where there is none.")
        self._state, self._pooled, self._wide = self._read([list(row) for row in ids])

    def logits(self) -> Tensor:
        """Return the logits `[B, C]` of all text that has arrived."""
        self._check_open()
        waiting: list[list[int]] = [[] for _ in self._waiting]
        if self.tokenizer is not None:
            waiting = token_ids(self.tokenizer, self._waiting)
        with torch.inference_mode():
            _, pooled, wide = self._read(waiting)
            logits = self.model.classifier(self.model.pooling.pooled(pooled))
            return self.model.wide_path.mixed(logits, wide["sums"], wide["squares"]) if wide else logits

    def answers(self, top_k: int | None = 1) -> list[dict]:
        """Return the answer of a [`Predictor`] for all text that has arrived, one for each stream.

        Args:
            top_k: Number of labels in an answer; None for all.

        Raises:
            HfRnnError: The stream was not opened by a [`Predictor`].
        """
        if self._answers is None:
            raise HfRnnError("this stream has no task: open it with Predictor.from_pretrained(MODEL).open().")
        return self._answers(np.asarray(self.logits().float().cpu()), top_k)

    def close(self) -> None:
        """Close the stream and delete its state."""
        self.closed, self._state, self._pooled, self._wide = True, {}, None, {}
        self._waiting = [""] * self.streams

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the stream: tensors, and the text that has not been read yet.

        Another stream continues from this state with [`load_state_dict`].
        """
        self._check_open()
        read = {"state": dict(self._state), "pooled": dict(self._pooled or {}), "wide": dict(self._wide)}
        return {**read, "waiting": list(self._waiting)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that [`state_dict`] returned.

        Args:
            state: State of a stream with the same model, tokenizer and number of texts.

        Raises:
            HfRnnError: The state has another number of texts.
        """
        self._check_open()
        if len(state["waiting"]) != self.streams:
            raise HfRnnError(
                f"the state has {len(state['waiting'])} streams, but this stream has {self.streams}: open it with "
                f"streams={len(state['waiting'])}."
            )
        device = self.model.device
        self._waiting = list(state["waiting"])
        self._state = {name: part.to(device) for name, part in state["state"].items()}
        self._pooled = {name: part.to(device) for name, part in state["pooled"].items()} or None
        wide = state.get("wide", {})
        self._wide = {name: wide[name].to(device) if name != "ends" else wide[name] for name in wide}

    def _check_open(self) -> None:
        if self.closed:
            raise HfRnnError("the stream was closed: open another one, model.stream(tokenizer).")

    @torch.inference_mode()
    def _read(self, ids: list[list[int]]) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
        """Return the recurrent state, the pooling state and the wide path's totals after further tokens."""
        model, state, pooled, wide = self.model, self._state, self._pooled, self._wide
        collate = RaggedCollator(model.config.pad_token_id or 0)
        for start in range(0, max(1, *map(len, ids)), TOKENS_AT_ONCE):
            rows = [row[start : start + TOKENS_AT_ONCE] for row in ids]
            part = on_device(collate([{"input_ids": row} for row in rows]), model.device)
            out = model.model(**part, initial_state=tuple(state.values()) or None, return_dict=True)
            parts = {"h": out.final_hidden_state, "c": out.final_cell_state}
            state = {name: each for name, each in parts.items() if each is not None}
            pooled, _ = model.pooling.add(pooled, out, part["attention_mask"])
            if model.wide_path is not None:
                wide = self._count(wide, rows)
        return state, pooled, wide  # type: ignore[return-value]

    def _count(self, wide: dict[str, Any], rows: list[list[int]]) -> dict[str, Any]:
        """Return the wide path's totals after further tokens of each stream, and what the next call needs.

        The next call needs the last tokens of each stream, for n-grams that begin in one call and end in the next. With
        `wide_binary`, it also needs the n-grams that were seen.
        """
        path = self.model.wide_path
        ends = wide.get("ends", [[] for _ in rows])
        seen = wide["seen"].clone() if "seen" in wide else path.nothing_seen(self.streams)
        joined = [end + row for end, row in zip(ends, rows, strict=True)]
        collate = RaggedCollator(self.model.config.pad_token_id or 0)
        batch = on_device(collate([{"input_ids": row} for row in joined]), self.model.device)
        sums, squares = path.parts(batch["input_ids"], batch["attention_mask"], seen)
        counted = torch.tensor([len(end) for end in ends], device=sums.device)
        new = torch.arange(sums.shape[1], device=sums.device) >= counted[:, None]
        return {
            "sums": wide.get("sums", 0) + (sums * new.unsqueeze(-1)).sum(1),
            "squares": wide.get("squares", 0) + (squares * new).sum(1),
            "ends": [row[max(0, len(row) - path.order + 1) :] for row in joined],
            **({} if seen is None else {"seen": seen}),
        }


__all__ = ["TextStream"]
