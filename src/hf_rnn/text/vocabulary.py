# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Check that a tokenizer is the one that a model was trained with."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from ..models.configuration_rnn import RNNConfig
from ..utils.errors import DataError
from .tokenization import TOKENIZER_FILES, load_tokenizer

# Number of vocabulary entries that a fingerprint tokenizes.
PROBED = 100


def fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return a fingerprint of a tokenizer, 16 characters long.

    It depends on the vocabulary without added tokens, and on the token ids of some of its entries.

    Args:
        tokenizer: Tokenizer to fingerprint.
    """
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = tokenizer.get_vocab() if backend is None else backend.get_vocab(with_added_tokens=False)
    entries: list[Any] = sorted(vocabulary.items(), key=lambda entry: entry[1])
    if backend is not None:
        # Upper case, spaces and missing spaces reveal another normalizer or pre-tokenizer. Their settings in
        # tokenizer.json are not compared, because releases of tokenizers write them in different ways.
        words = [word for word, _ in entries[:PROBED]]
        entries.append(_read(backend, f"{' '.join(words)} {' '.join(words).upper()} {''.join(words)}"))
    return hashlib.sha256(json.dumps(entries, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()[:16]


def _read(backend: Any, text: str) -> list[int]:
    """Return the token ids of a text, without truncation, padding and added tokens."""
    text = text if backend.normalizer is None else backend.normalizer.normalize_str(text)
    cutter = backend.pre_tokenizer
    parts = [text] if cutter is None else [part for part, _ in cutter.pre_tokenize_str(text)]
    return [token.id for part in parts for token in backend.model.tokenize(part)]


def check_vocabulary(folder: Path, config: RNNConfig, name: str) -> None:
    """Raise [`DataError`] if the tokenizer in a folder is not the one of a model.

    Args:
        folder: Folder of the tokenizer.
        config: Configuration of the model.
        name: Name of the folder as the user wrote it; used in errors.
    """
    files = sorted(file for pattern in TOKENIZER_FILES for file in folder.glob(pattern))
    stats = [file.stat() for file in files]
    entries, found = _identity(str(folder), tuple((stat.st_mtime_ns, stat.st_size) for stat in stats))
    if config.wide_vocabulary not in (None, found):
        raise DataError(
            f"the tokenizer in {name!r} is not the one that the n-grams of the model's wide path were fitted with: put "
            "the tokenizer files of the training run back, or train the model again."
        )
    if entries > config.vocab_size + config.num_rare_tokens:
        grow = f"call model.resize_token_embeddings({entries}) and save the model again"
        if config.num_rare_tokens:
            grow = "train the model again with them in its training rows, because its wide path uses the next ids"
        raise DataError(
            f"the tokenizer in {name!r} has {entries} entries and the model a vocab_size of "
            f"{config.vocab_size}: they do not belong together. Put the tokenizer files of the training run back; or, "
            f"if you added tokens, {grow}."
        )


@lru_cache(maxsize=16)
def _identity(folder: str, state: tuple[tuple[int, int], ...]) -> tuple[int, str]:
    """Return the number of entries and the fingerprint of the tokenizer in a folder.

    They are cached, because both the check of a folder and `from_pretrained` ask for them. `state` has the modification
    times and sizes of the files, so a changed file is read again.
    """
    tokenizer = load_tokenizer(folder)
    return len(tokenizer), fingerprint(tokenizer)


def check_folder(folder: Path, config: RNNConfig) -> None:
    """Raise [`DataError`] if the folder of a model has a tokenizer that is not the one of the model.

    Args:
        folder: Folder of the weights.
        config: Configuration of the model.
    """
    if (folder / "tokenizer.json").is_file():
        check_vocabulary(folder, config, str(folder))


__all__ = ["check_folder", "check_vocabulary", "fingerprint"]
