# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Read vectors of a tokenizer's vocabulary from safetensors: static embeddings and input embeddings.

Static embeddings are those of model2vec and sentence-transformers. Input embeddings are those of a transformers model.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer, decoders
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.initialization import no_init_weights
from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from ..utils.errors import DataError, first_line
from .vector_reader import VectorReader

TOKENIZER_FILE = "tokenizer.json"
# Names of the tensor of vectors in files of model2vec and sentence-transformers, and the latter's subfolder.
STATIC_NAMES = ("embeddings", "embedding.weight")
STATIC_FOLDER = "0_StaticEmbedding"


class TableVectors(VectorReader):
    """Vectors of the tokens of a tokenizer.

    A word of one token has the vector of that token. [`compose`] gives a word of several tokens the mean of their
    vectors.

    Args:
        path: Folder of the source.
        tokenizer: Tokenizer of the source.
        table: Vectors, shape [V, E].
        weights: Factor of each token's vector, shape [V]; None for 1.
        mapping: Row of `table` for each token, shape [V]; None if the row is the token id.

    Raises:
        DataError: The shapes of the tensors do not fit together.
    """

    format = "embeddings"

    def __init__(
        self,
        path: Path,
        tokenizer: Tokenizer,
        table: torch.Tensor,
        weights: torch.Tensor | None = None,
        mapping: torch.Tensor | None = None,
    ):
        super().__init__(path)
        if table.dim() != 2:
            raise DataError(f"the vectors of {str(path)!r} have the shape {list(table.shape)}, and not [V, E].")
        entries = len(table if mapping is None else mapping)
        last = 0 if mapping is None or not entries else int(mapping.max())
        if (weights is not None and len(weights) < entries) or last >= max(1, len(table)):
            raise DataError(
                f"the tensors of {str(path)!r} do not fit together: {len(table):,} vectors"
                + ("" if weights is None else f", {len(weights):,} weights")
                + ("" if mapping is None else f", {entries:,} entries, one of which refers to vector {last:,}")
                + ". Fetch the folder again."
            )
        self.tokenizer, self.table, self.weights, self.mapping = tokenizer, table, weights, mapping
        self.width = table.shape[1]
        self.examples = [tokenizer.id_to_token(i) or "" for i in range(min(3, tokenizer.get_vocab_size()))]
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._known = entries
        model = json.loads(tokenizer.to_str())["model"]
        unknown = model.get("unk_token")
        self._unknown = model.get("unk_id") if unknown is None else tokenizer.token_to_id(unknown)

    def read(self, words: Collection[str]) -> dict[str, np.ndarray]:
        return self._means({word: pieces for word, pieces in self._pieces(words).items() if len(pieces) == 1})

    def compose(self, words: Collection[str]) -> dict[str, np.ndarray]:
        return self._means(self._pieces(words))

    def rows(self, vocabulary: dict[str, int]) -> np.ndarray | None:
        if vocabulary != self.tokenizer.get_vocab(with_added_tokens=True) or len(vocabulary) > self._known:
            return None
        return self._vectors(range(len(vocabulary)))

    def _words(self) -> Iterator[str]:
        """Yield the tokens that are whole words, or beginnings of words, in the order of their ids."""
        special = {token.content for token in self.tokenizer.get_added_tokens_decoder().values() if token.special}
        parts = json.loads(self.tokenizer.to_str())
        steps = json.dumps([parts[name] for name in ("normalizer", "pre_tokenizer", "decoder")], ensure_ascii=False)
        # SentencePiece and byte-level tokenizers mark the beginning of a word, and WordPiece its continuation.
        is_byte_level = '"ByteLevel"' in steps
        mark = "Ġ" if is_byte_level else "▁" if "▁" in steps or '"Metaspace"' in steps else ""
        for token in (self.tokenizer.id_to_token(i) or "" for i in range(self._known)):
            if token not in special and token.startswith(mark) and not token.startswith("##") and token != mark:
                # A byte-level tokenizer shows each byte of a token as one letter.
                word = decoders.ByteLevel().decode([token]) if is_byte_level else token.removeprefix(mark)
                yield word.strip()

    def _vectors(self, ids: Sequence[int]) -> np.ndarray:
        places = torch.tensor(list(ids), dtype=torch.long)
        vectors = self.table[places if self.mapping is None else self.mapping[places].long()].float()
        return (vectors if self.weights is None else vectors * self.weights[places, None].float()).numpy()

    def _means(self, pieces: dict[str, list[int]]) -> dict[str, np.ndarray]:
        means = {word: self._vectors(ids).mean(0) for word, ids in pieces.items()}
        return {word: vector for word, vector in means.items() if self.finite(vector)}

    def _pieces(self, words: Collection[str]) -> dict[str, list[int]]:
        """Return the token ids of each word that has no unknown token.

        Each word is tokenized with a space before it, as inside a text, and without one. The shorter result is kept.
        """
        words = list(words)
        inside, alone = (
            [encoding.ids for encoding in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
            for texts in ([f" {word}" for word in words], words)
        )
        pieces = {word: min(both, key=len) for word, *both in zip(words, inside, alone, strict=True)}
        return {word: ids for word, ids in pieces.items() if ids and all(map(self._is_known, ids))}

    def _is_known(self, token: int) -> bool:
        return token != self._unknown and token < self._known


class StaticVectors(TableVectors):
    """Static embeddings, as model2vec and sentence-transformers save them."""

    format = "static embeddings"


class InputEmbeddings(TableVectors):
    """Input embeddings of a transformers model."""

    format = "input embeddings"


def static_folder(folder: Path) -> Path | None:
    """Return the folder that holds static embeddings: the given one, its subfolder `0_StaticEmbedding`, or None.

    Args:
        folder: Folder to search.

    Raises:
        DataError: A weights file is damaged.
    """
    for place in (folder, folder / STATIC_FOLDER):
        file = place / SAFE_WEIGHTS_NAME
        if file.is_file() and (place / TOKENIZER_FILE).is_file() and set(_names(file)) & set(STATIC_NAMES):
            return place
    return None


def static_vectors(folder: Path) -> StaticVectors:
    """Return the vectors of a folder of static embeddings.

    Args:
        folder: Folder that [`static_folder`] returned.

    Raises:
        DataError: A file is damaged, or its tensors do not fit together.
    """
    file = folder / SAFE_WEIGHTS_NAME
    names = _names(file)
    table, weights, mapping = (
        _tensor(file, name) if name in names else None
        for name in (next(name for name in STATIC_NAMES if name in names), "weights", "mapping")
    )
    assert table is not None
    return StaticVectors(folder, _tokenizer(folder), table, weights, mapping)


def input_embeddings(folder: Path) -> InputEmbeddings:
    """Return the input embeddings of a transformers model.

    Args:
        folder: Folder with the configuration, the safetensors files and the tokenizer of the model.

    Raises:
        DataError: The model has no input embeddings in safetensors, or files are missing or damaged.
    """
    name = embedding_name(folder)
    for file in sorted(folder.glob("*.safetensors")):
        key = stored_name(_names(file), name)
        if key is not None:
            return InputEmbeddings(folder, _tokenizer(folder), _tensor(file, key))
    pickles = any(folder.glob("*.bin"))
    why = " (its pickle files are not read, because a pickle can run any code)" if pickles else ""
    raise DataError(
        f"{str(folder)!r} has no safetensors file with the input embeddings, {name!r}{why}: save the model with "
        "model.save_pretrained."
    )


def embedding_name(folder: Path) -> str:
    """Return the parameter name of a model's input embeddings in its base class.

    Args:
        folder: Folder with the configuration of the model.

    Raises:
        DataError: transformers does not know the model, or the model does not embed tokens.
    """
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        with torch.device("meta"), no_init_weights():
            model: Any = AutoModel.from_config(config, trust_remote_code=False)
        weight = model.get_input_embeddings().weight
        return next(name for name, parameter in model.named_parameters() if parameter is weight)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, ImportError, NotImplementedError) as error:
        raise DataError(
            f"the input embeddings of {str(folder)!r} cannot be found ({first_line(error)}): name a model of "
            "transformers that reads tokens, or a file of vectors."
        ) from error


def stored_name(names: Collection[str], name: str) -> str | None:
    """Return the name under which a file stores a parameter, or None if the file does not have it.

    Models with a head store the parameters of their base class with a prefix. The shortest matching name is returned.

    Args:
        names: Names of the tensors in the file.
        name: Name of the parameter in the base class.
    """
    return min((key for key in names if key == name or key.endswith(f".{name}")), key=len, default=None)


def shard_of_embeddings(folder: Path) -> str:
    """Return the name of the weights file that holds the input embeddings of a model.

    Args:
        folder: Folder with the configuration of the model and, for sharded weights, their index.

    Raises:
        DataError: Same as in [`embedding_name`].
    """
    index = folder / SAFE_WEIGHTS_INDEX_NAME
    if not index.is_file():
        return SAFE_WEIGHTS_NAME
    files = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    return files.get(stored_name(files, embedding_name(folder)), SAFE_WEIGHTS_NAME)


def _names(file: Path) -> list[str]:
    try:
        with safe_open(file, framework="pt") as tensors:
            return list(tensors.keys())
    except (SafetensorError, OSError) as error:
        raise DataError(f"{str(file)!r} is damaged ({first_line(error)}): fetch it again.") from error


def _tensor(file: Path, name: str) -> torch.Tensor:
    with safe_open(file, framework="pt") as tensors:
        # safetensors maps the file into memory, so only the rows that are used are read.
        return tensors.get_tensor(name)


def _tokenizer(folder: Path) -> Tokenizer:
    try:
        if (folder / TOKENIZER_FILE).is_file():
            return Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        found: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        return found.backend_tokenizer
    # tokenizers raises a plain Exception for an invalid file.
    except Exception as error:
        raise DataError(
            f"no fast tokenizer can be loaded from {str(folder)!r} ({first_line(error)}): save it with "
            "tokenizer.save_pretrained beside the weights."
        ) from error


__all__ = [
    "CONFIG_NAME",
    "STATIC_FOLDER",
    "InputEmbeddings",
    "StaticVectors",
    "TableVectors",
    "embedding_name",
    "input_embeddings",
    "shard_of_embeddings",
    "static_folder",
    "static_vectors",
    "stored_name",
]
