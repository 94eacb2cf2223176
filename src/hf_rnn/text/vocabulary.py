# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The check that a tokenizer is the one that a model was trained with."""

import hashlib
import json
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from ..models.configuration_rnn import RNNConfig
from ..utils.errors import UserError
from .tokenization import load_tokenizer

# Entries that a fingerprint reads.
PROBED = 100


def fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return a fingerprint, of 16 characters, of a vocabulary without added tokens, and of how the tokenizer reads some
    of its entries.

    Args:
        tokenizer: that has the vocabulary.
    """
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = tokenizer.get_vocab() if backend is None else backend.get_vocab(with_added_tokens=False)
    entries: list[Any] = sorted(vocabulary.items(), key=lambda entry: entry[1])
    if backend is not None:
        # Upper case, spaces and their lack show another normalizer or pre-tokenizer. Their settings in tokenizer.json
        # do not: releases of tokenizers write them in different ways.
        words = [word for word, _ in entries[:PROBED]]
        entries.append(_read(backend, f"{' '.join(words)} {' '.join(words).upper()} {''.join(words)}"))
    return hashlib.sha256(json.dumps(entries, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()[:16]


def _read(backend: Any, text: str) -> list[int]:
    """Return the token ids of a text, whatever truncation, padding and added tokens are set."""
    text = text if backend.normalizer is None else backend.normalizer.normalize_str(text)
    cutter = backend.pre_tokenizer
    parts = [text] if cutter is None else [part for part, _ in cutter.pre_tokenize_str(text)]
    return [token.id for part in parts for token in backend.model.tokenize(part)]


def check_vocabulary(tokenizer: PreTrainedTokenizerBase, config: RNNConfig, path: str) -> None:
    """Raise [`UserError`] for a tokenizer that is not the one of a model.

    Args:
        tokenizer: to be checked.
        config: of the model.
        path: of the tokenizer, for the error.
    """
    if config.wide_vocabulary not in (None, fingerprint(tokenizer)):
        raise UserError(
            f"the tokenizer in {path!r} is not the one that the n-grams of the model's wide path were fitted with: put "
            "the tokenizer files of the training run back, or train the model again."
        )
    if len(tokenizer) > config.vocab_size + config.num_rare_tokens:
        grow = f"call model.resize_token_embeddings({len(tokenizer)}) and save the model again"
        if config.num_rare_tokens:
            grow = "train the model again with them in its training rows: its wide path has the next ids"
        raise UserError(
            f"the tokenizer in {path!r} has {len(tokenizer)} entries and the model a vocab_size of "
            f"{config.vocab_size}: they do not belong together. Put the tokenizer files of the training run back; or, "
            f"if you added tokens, {grow}."
        )


def check_folder(folder: Path, config: RNNConfig) -> None:
    """Raise [`UserError`] where the tokenizer in a model's folder is not the one of the model; nothing where there is
    none.

    Args:
        folder: of the weights.
        config: of the model.
    """
    if (folder / "tokenizer.json").is_file():
        check_vocabulary(load_tokenizer(str(folder)), config, str(folder))


__all__ = ["check_folder", "check_vocabulary", "fingerprint"]
