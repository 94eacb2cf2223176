# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Open pretrained vectors by a path or a Hub id, and choose the reader of their format."""

import codecs
from collections.abc import Collection
from pathlib import Path

from ..models.weight_files import is_intact, is_pointer
from ..utils.errors import DataError, HfRnnError, looks_local
from ..utils.hub_download import snapshot
from .tokenization import TOKENIZER_FILES
from .vector_fasttext import MAGIC, FastTextVectors
from .vector_reader import VectorReader, open_file, reading, split_archive
from .vector_tables import (
    CONFIG_NAME,
    STATIC_FOLDER,
    input_embeddings,
    shard_of_embeddings,
    static_folder,
    static_vectors,
)
from .vector_text import BinaryVectors, TextVectors, header_of, is_binary

ENDINGS = (".txt", ".vec", ".bin", ".gz", ".bz2", ".zst", ".zip", ".w2v", ".glove")
# Bytes of a file that are read to detect its format.
_HEAD = 1 << 16
_SMALL_FILES = (CONFIG_NAME, "model.safetensors.index.json", *TOKENIZER_FILES, f"{STATIC_FOLDER}/*")
_FILES = "a file of GloVe, word2vec or fastText, or a folder or Hub id of static embeddings or of a transformers model"


def open_vectors(path: str) -> VectorReader:
    """Open a source of pretrained vectors, and download it if it is on the Hub.

    The reader is returned before any vector is read.

    Args:
        path: File, folder or Hub id. A file is of GloVe, word2vec (text or binary) or fastText (.vec or .bin). All of
            them but fastText's .bin may be compressed (.gz, .bz2, .zst, .zip). A folder or Hub id has one such file,
            static embeddings, or a transformers model, whose input embeddings are used.

    Raises:
        DataError: The source does not exist or is damaged, or its format is not supported.
    """
    place = Path(path)
    if path and place.is_dir():
        return _reader_of_folder(place)
    if place.is_file() or split_archive(place)[0]:
        return reader_of(place)
    if not path or looks_local(path) or place.suffix.lower() in ENDINGS:
        raise DataError(f"model.vectors={path!r}: there is no such file or folder: name {_FILES}.")
    try:
        return _reader_of_folder(_fetch(path))
    except HfRnnError as error:
        if repr(path) in str(error):
            raise
        raise DataError(f"model.vectors={path!r}: there is no such file or folder, and on the Hub: {error}") from error


def _fetch(repo_id: str) -> Path:
    """Download the necessary files of a Hub repository; of sharded weights, only the shard of the input embeddings."""

    def fetch(patterns: Collection[str], revision: str | None = None) -> Path:
        def is_whole(folder: Path) -> bool:
            return any(any(folder.glob(pattern)) for pattern in patterns)

        return snapshot(repo_id, patterns, is_whole, revision, is_intact=is_intact)

    folder = fetch(_SMALL_FILES)
    weights = [shard_of_embeddings(folder)]
    if not (folder / CONFIG_NAME).is_file():
        # fastText's own repositories have only this file.
        weights.append("model.bin")
    return fetch([*_SMALL_FILES, *weights], revision=folder.name)


def _reader_of_folder(folder: Path) -> VectorReader:
    static = static_folder(folder)
    if static is not None:
        return static_vectors(static)
    if (folder / CONFIG_NAME).is_file():
        return input_embeddings(folder)
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and file.suffix.lower() in ENDINGS]
    if len(files) == 1:
        return reader_of(files[0])
    several = f"it has {', '.join(file.name for file in files)}; name one of them" if files else "it has none"
    raise DataError(f"the folder {str(folder)!r} has no single file of vectors ({several}): name {_FILES}.")


def reader_of(path: Path) -> VectorReader:
    """Return the reader of a file of vectors, chosen by the content of the file.

    Args:
        path: File to read. A member of an archive is `ARCHIVE.zip/MEMBER`.

    Raises:
        DataError: The file is empty or damaged, or its format is not supported.
    """
    if path.is_file() and is_pointer(path):
        raise DataError(f"{str(path)!r} is a pointer of Git LFS, not the file itself: git lfs pull.")
    with reading(path), open_file(path) as stream:
        head = stream.read(_HEAD)
    if not head.strip():
        raise DataError(f"{str(path)!r} is empty: name another file of vectors.")
    if head.startswith(MAGIC):
        return FastTextVectors(path)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{str(path)!r} is UTF-16: write it as UTF-8 (iconv -f utf-16 -t utf-8 FILE > NEW).")
    first, _, rest = head.partition(b"\n")
    header = header_of(first.removeprefix(codecs.BOM_UTF8))
    if header and header[1] and is_binary(rest, header[1]):
        return BinaryVectors(path, header)
    if b"\0" in head:
        raise DataError(
            f"{str(path)!r} is neither text nor a model of fastText nor word2vec's binary format: save the vectors in "
            "one of them (with gensim: vectors.save_word2vec_format('vectors.txt'))."
        )
    return TextVectors(path, head)


__all__ = ["open_vectors"]
