# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Find the splits of a data set: a file, a folder, a data set on the Hub, or rows in memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import HfApi

from ..utils.errors import DataError, HfRnnError, did_you_mean, first_line, is_mistyped, looks_local
from ..utils.hub_errors import LONGEST_QUESTION, PATIENCE, NotServed, as_user_error, patiently
from .arguments import BUILT_IN, FORMER_BUILT_IN, IN_MEMORY, DataArguments
from .encodings import ending_of
from .files import Files
from .folders import reader_of, splits_in_folder
from .formats import READERS
from .made_up_messages import made_up_messages
from .python_rows import splits_in

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)


def is_on_hub(data: DataArguments) -> bool:
    """Return whether `data.path` names a data set on the Hub, and not a local file, a folder or built-in rows.

    Args:
        data: Settings; `path` is read.
    """
    path = Path(data.path)
    here = data.path in (BUILT_IN, IN_MEMORY) or path.exists()
    return not (here or ending_of(path) in READERS or looks_local(data.path) or is_mistyped(data.path))


def open_splits(data: DataArguments, source: Any = None, tagged: bool = False) -> Mapping[str, Files | Dataset | Any]:
    """Find the splits of a data set.

    Args:
        data: Settings with the path and the file format.
        source: Rows that were passed in Python, in place of `data.path`; None to use the path.
        tagged: True if .txt files have the CoNLL format; False if they have one text per line.

    Returns:
        Splits by their names: [`Files`] whose rows are not read yet, data sets of rows in memory, or data sets from the
        Hub (streams with `data.streaming`).

    Raises:
        DataError: Nothing readable is found.
    """
    if source is not None:
        return splits_in(source)
    if data.path == IN_MEMORY:
        raise DataError("the rows of the run were passed in Python and are not saved: name a file, data=PATH.")
    path = Path(data.path)
    if data.path == BUILT_IN:
        from datasets import Dataset

        rows = made_up_messages()
        cut = len(rows["text"]) * 4 // 5
        splits = {"train": slice(0, cut), "test": slice(cut, None)}
        return {split: Dataset.from_dict({k: v[rows_of] for k, v in rows.items()}) for split, rows_of in splits.items()}
    if data.path == FORMER_BUILT_IN and not path.exists():
        raise DataError(
            f"data.path={data.path!r}: these rows are no longer part of hf_rnn. Name a file, a folder or a data set on "
            f"the Hub, or write data.path={BUILT_IN!r}."
        )
    if not data.path:
        raise DataError("data.path is empty: name a file, a folder or a data set on the Hub.")
    if path.is_dir():
        with reading(data):
            return splits_in_folder(path, data, tagged)
    if path.is_file():
        return {"train": Files([path], data, reader_of([path], data, tagged))}
    if is_on_hub(data):
        with reading(data):
            return _on_hub(data)
    raise DataError(
        f"there is no file or folder {data.path!r}: name one that exists, or a data set on the Hub, OWNER/NAME."
        f"{did_you_mean(data.path)}"
    )


def _on_hub(data: DataArguments) -> Any:
    """Load a data set from the Hub, or from the cache if the Hub does not answer.

    A short request tests this first, because `load_dataset` would wait for minutes.
    """
    from datasets import config, load_dataset

    def load() -> Any:
        return load_dataset(data.path, data.name, revision=data.revision, streaming=data.streaming)

    def ask(patience: float) -> None:
        question = partial(HfApi().dataset_info, data.path, revision=data.revision, timeout=LONGEST_QUESTION)
        patiently(question, data.path, None, data.revision, patience, "dataset")

    if config.HF_HUB_OFFLINE:
        return load()
    try:
        try:
            ask(patience=0)
        except NotServed as error:
            # The cache does not record the revision of its rows.
            cached = _in_cache(load) if data.revision is None else None
            if cached is not None:
                logger.warning(f"{error} Until then {data.path!r} is read from the cache, as it was fetched last.")
                return cached
            ask(PATIENCE)
    except HfRnnError as error:
        raise _not_on_hub(data, str(error)) from error
    return load()


def _in_cache(load: Callable[[], Any]) -> Any:
    """Return the rows that `load` finds in the cache, or None."""
    from datasets import config

    config.HF_HUB_OFFLINE = True
    try:
        return load()
    except _errors():
        return None
    finally:
        config.HF_HUB_OFFLINE = False


def _not_on_hub(data: DataArguments, reason: str) -> DataError:
    return DataError(
        f"the data set {data.path!r} is neither a file or folder here nor readable on the Hub: {reason} "
        "To read a copy that you have, write data.path=FOLDER."
    )


def _errors() -> tuple[type[Exception], ...]:
    """Return the exception types that readers, the Hub and `datasets` raise."""
    from datasets import exceptions

    found = (exceptions.DatasetNotFoundError, exceptions.DatasetGenerationError)
    return (*found, OSError, EOFError, ValueError, RuntimeError)


@contextmanager
def reading(data: DataArguments) -> Iterator[None]:
    """Convert exceptions of readers and of the Hub inside the block to [`DataError`].

    Args:
        data: Settings of the data that the block reads; used in errors.

    Raises:
        DataError: The block raised such an exception.
    """
    try:
        yield
    except HfRnnError:
        raise
    except _errors() as error:
        if is_on_hub(data):
            explained = as_user_error(error, data.path, data.revision, repo_type="dataset")
            raise _not_on_hub(data, str(explained or f"{first_line(error)}.")) from error
        cause = error.__cause__ or error
        raise DataError(
            f"{data.path!r} cannot be read: {first_line(cause)}. Write or fetch it again, if it is truncated."
        ) from error


__all__ = ["is_on_hub", "open_splits", "reading"]
