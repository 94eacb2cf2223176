# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Write new texts with a language model, as transfer text for a teacher to label."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from random import Random
from typing import Any

import torch

from ..runtime.generation import COLDEST
from ..text.written_text import unspaced
from ..utils.errors import HfRnnError
from .predictor import Predictor

# Texts that are written side by side, and the tokens after which a document is cut.
STREAMS, MOST_TOKENS = 128, 1000
# Written texts without a new one, one after the other, after which the model counts as exhausted.
PATIENCE = 1000
# The corpus has texts up to the length that this share of its texts does not exceed.
SHARE = 0.95
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])\s*|\s*\n\s*")


def generated(
    folder: str,
    count: int,
    seed: int,
    *,
    temperature: float = 1.0,
    like: Sequence[str] = (),
    known: Collection[str] = (),
) -> list[str]:
    """Return texts that a language model wrote, each of them once.

    The model writes documents from their beginning to the end-of-text token. A longer list begins with the texts of a
    shorter one. The list is shorter than `count` if 1,000 texts in sequence are not new. The texts are the same in
    each process on the same machine; the sums of another machine may differ in the last bit, and so may the texts.

    Args:
        folder: Folder or Hub id of a language model of this package.
        count: Number of texts.
        seed: Seed of the random numbers. The global random state does not change.
        temperature: Divisor of the logits before sampling, at least 0.01.
        like: Texts of the corpus. A document that is longer than 95% of them is split at ends of lines and sentences
            into pieces; each is at least as long as one of these texts, drawn at random. Empty to split no document.
        known: Texts that are not returned, such as those of the corpus.

    Raises:
        HfRnnError: The model does not exist or is not a language model, or the temperature is under 0.01.
    """
    if not temperature >= COLDEST:
        raise HfRnnError(f"temperature={temperature} must be {COLDEST} or greater, such as 1.0.")
    predictor = Predictor.from_pretrained(folder)
    if predictor.task.problem_type != "language_modeling":
        raise HfRnnError(
            f"distil.generator={folder!r} is not a language model: its task is {predictor.task.problem_type}. Train "
            "one on texts of the domain, hf-rnn train --task language_modeling --data.path FILE "
            "--training.output_dir FOLDER, and write distil.generator=FOLDER."
        )
    return list(islice(_new(_pieces(_documents(predictor, seed, temperature), like, seed), known), count))


def _new(texts: Iterator[str], known: Collection[str]) -> Iterator[str]:
    """Yield the texts that are not empty and were not seen before, until there are hardly any."""
    seen = {"", *(text.strip() for text in known)}
    failed = 0
    for text in texts:
        failed = failed + 1 if text in seen else 0
        if failed == PATIENCE:
            return
        if not failed:
            seen.add(text)
            yield text


def _pieces(documents: Iterator[str], like: Sequence[str], seed: int) -> Iterator[str]:
    """Yield the documents; those longer than the texts of the corpus in pieces of whole sentences."""
    lengths = sorted(len(text) for text in like)
    if not lengths:
        yield from documents
        return
    longest = lengths[int(SHARE * (len(lengths) - 1))]
    random = Random(seed)
    for document in documents:
        start = 0
        if len(document) > longest:
            least = lengths[int(random.random() * len(lengths))]
            for end in _SENTENCE_END.finditer(document):
                if end.start() - start >= least:
                    yield document[start : end.start()]
                    start, least = end.end(), lengths[int(random.random() * len(lengths))]
        yield document[start:]


def _documents(predictor: Predictor, seed: int, temperature: float) -> Iterator[str]:
    """Yield documents that the model writes, one of each stream in turn, without end."""
    tokenizer, model = predictor.tokenizer, predictor.model
    end: Any = tokenizer.eos_token_id
    generator = torch.Generator(model.device).manual_seed(seed)
    # Unknown words and padding are not text.
    never = sorted(set(tokenizer.all_special_ids) - {end})
    written: list[list[int]] = [[] for _ in range(STREAMS)]
    # In the order in which they end, the first documents would be the shortest.
    ended: list[deque[list[int]]] = [deque() for _ in range(STREAMS)]
    ids, state = torch.full((STREAMS, 1), end, device=model.device), None
    while True:
        # Each document follows the end of another one, as in training.
        ids, state = _step(model, ids, state, never, temperature, generator)
        for stream, token in enumerate(ids[:, 0].tolist()):
            if token != end:
                written[stream].append(token)
            if token == end or len(written[stream]) == MOST_TOKENS:
                ended[stream].append(written[stream])
                written[stream] = []
        while all(ended):
            for documents in ended:
                text = str(tokenizer.decode(documents.popleft(), skip_special_tokens=True))
                yield _without_made_up_spaces(text.strip())


@torch.inference_mode()
def _step(
    model: Any, ids: torch.Tensor, state: Any, never: list[int], temperature: float, generator: torch.Generator
) -> tuple[torch.Tensor, Any]:
    """Return the next token of each stream, `[B, 1]`, and the state after the last one."""
    out = model(input_ids=ids, past_key_values=state, use_cache=True, return_dict=True)
    logits = out.logits[:, -1].float() / temperature
    logits[:, never] = -torch.inf
    return torch.multinomial(logits.softmax(-1), 1, generator=generator), out.past_key_values


def _without_made_up_spaces(text: str) -> str:
    """Return a text without the spaces that decoding puts between words of scripts without spaces."""
    places = (place for place in range(1, len(text) - 1) if text[place] == " ")
    made_up = {place for place in places if unspaced(text[place - 1], text[place + 1])}
    return "".join(character for place, character in enumerate(text) if place not in made_up) if made_up else text


__all__ = ["generated"]
