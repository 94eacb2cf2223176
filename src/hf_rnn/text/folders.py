# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Find the splits of a data set in a folder."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..utils.errors import DataError
from .arguments import DataArguments
from .encodings import COMPRESSIONS, ending_of, open_utf8, stem_of, wrong_encoding
from .files import Files
from .formats import READERS, Conll, Lines, Parallel
from .reader import Reader
from .splits import SPLITS, split_of
from .tables import collect, tables_of

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)

# Files and folders of operating systems and programs. Names that begin with a dot are not data either.
_NO_DATA = ("__macosx", "thumbs.db", "desktop.ini", "__pycache__", "dataset_info.json", "dataset_infos.json")
# Extension of a parallel file, such as that of train.en or train.pt-BR.
_LANGUAGE = re.compile(r"\.[a-zA-Z]{2,3}([-_][a-zA-Z]{2,8})?")


def splits_in_folder(folder: Path, data: DataArguments, tagged: bool) -> Mapping[str, Files | Dataset]:
    """Find the splits in a folder: files per split, parallel files, one subfolder per class, or one text per file.

    Args:
        folder: Folder to search.
        data: Settings of the file format.
        tagged: True if .txt files have the CoNLL format; False if they have one text per line.

    Returns:
        Splits by their names: [`Files`] whose rows are not read yet, or data sets of texts.

    Raises:
        DataError: There is nothing to read, or the choice of files is unclear.
    """
    there = [path for path in sorted(folder.iterdir()) if _is_data(path)]
    by_split: dict[str, list[Path]] = {}
    for file in (path for path in there if path.is_file()):
        # A .txt file without the name of a split is one text of several, or a description of the folder.
        if ending_of(file) in READERS and (ending_of(file) != ".txt" or split_of(file) in SPLITS.values()):
            by_split.setdefault(split_of(file), []).append(file)
    if len(by_split) == 1 and len(next(iter(by_split.values()))) == 1 and not set(by_split) & set(SPLITS.values()):
        # The only file of a folder is the training split, whatever its name.
        by_split = {"train": next(iter(by_split.values()))}
    if by_split:
        for split, files in by_split.items():
            _check_pieces(split, files, data)
        unread = [path for path in there if path.is_dir() and any(map(_files_in, [path, *_inside(path)]))]
        if unread:
            logger.warning(
                f"{data.path}: the folders {', '.join(path.name for path in unread)} are not read, as there are tables "
                "beside them."
            )
        reader = reader_of([file for files in by_split.values() for file in files], data, tagged)
        return {split: Files(files, data, reader) for split, files in by_split.items()}
    if languages := _languages(there):
        return {split: Files([files], data, Parallel) for split, files in languages.items()}
    found = _class_folders([path for path in there if path.is_dir()], data)
    if not found:
        texts = [path for path in there if path.is_file() and ending_of(path) == ".txt"]
        found = {"train": _texts(dict.fromkeys(texts, folder.name), data)} if texts else {}
    if not found:
        raise DataError(
            f"the folder {str(folder)!r} has neither files of {', '.join(READERS)} "
            "nor one subfolder of .txt files per class."
        )
    return found


def _is_data(path: Path) -> bool:
    # Excel creates a lock file ~$name beside an open file.
    return not path.name.startswith((".", "~$")) and path.name.lower() not in _NO_DATA


def _check_pieces(split: str, files: list[Path], data: DataArguments) -> None:
    whole = [file.name for file in files if not re.search(r"-\d{5}-of-\d{5}$", stem_of(file))]
    if len(files) > 1 and whole:
        raise DataError(
            f"the folder {data.path!r} has several files for the split {split}: "
            f"{', '.join(file.name for file in files)}. Keep one of them, or call its pieces "
            f"{split}-00000-of-{len(files):05} and so on."
        )


def reader_of(files: list[Path], data: DataArguments, tagged: bool) -> type[Reader]:
    """Return the class of the reader for files of one format.

    Args:
        files: Paths of the files.
        data: Settings; `path` is used in errors.
        tagged: True if .txt files have the CoNLL format; False if they have one text per line.

    Raises:
        DataError: The files have different formats, or one that no reader of [`READERS`] reads.
    """
    kinds = sorted({ending_of(file) for file in files})
    readers = {READERS.get(kind) for kind in kinds}
    if len(readers) > 1:
        raise DataError(f"the folder {data.path!r} mixes {', '.join(kinds)} files: keep one kind.")
    reader = readers.pop()
    if reader is None:
        hint = " Save it as .xlsx." if kinds == [".xls"] else ""
        raise DataError(
            f"{data.path!r} has none of the supported endings: {', '.join(READERS)}; all but Parquet and Excel "
            f"files may also be compressed ({', '.join(COMPRESSIONS)}).{hint}"
        )
    return Conll if tagged and reader is Lines else reader


def _languages(there: list[Path]) -> dict[str, dict[str, Path]]:
    """Return the parallel files by split and language; an empty dict if no split has two languages."""
    found: dict[str, dict[str, Path]] = {}
    for file in (path for path in there if path.is_file()):
        plain = file.with_suffix("") if file.suffix.lower() in COMPRESSIONS else file
        if _LANGUAGE.fullmatch(plain.suffix) and split_of(file) in SPLITS.values():
            found.setdefault(split_of(file), {})[plain.suffix[1:]] = file
    if not any(len(files) > 1 for files in found.values()):
        return {}
    if len({frozenset(files) for files in found.values()}) > 1:
        listed = "; ".join(f"{split}: {', '.join(files)}" for split, files in found.items())
        raise DataError(
            f"the parallel files in {str(there[0].parent)!r} are not in the same languages ({listed}): give each split "
            "a file in each language."
        )
    return found


def _class_folders(folders: list[Path], data: DataArguments) -> dict[str, Dataset]:
    """Return the splits in folders of .txt files, with one folder per class.

    A folder is a split if it has the name of one and holds class folders. Otherwise it is a class, whatever its name.
    """
    splits: dict[str, Path] = {}
    for folder in folders:
        split = SPLITS.get(folder.name.lower())
        if split is not None and any(map(_files_in, _inside(folder))):
            if split in splits:
                raise DataError(
                    f"the folder {data.path!r} has several folders for the split {split}: {splits[split].name}, "
                    f"{folder.name}. Keep one of them."
                )
            splits[split] = folder
    by_split = {split: _inside(folder) for split, folder in splits.items()} or {"train": folders}
    left_out = [folder.name for folder in folders if splits and folder not in splits.values()]
    left_out += [folder.name for folder in folders if not splits and not _files_in(folder)]
    if left_out:
        logger.warning(
            f"{data.path}: the folders {', '.join(left_out)} are not read: they hold no .txt files of a class."
        )
    found = {}
    for split, classes in by_split.items():
        files = {file: each.name for each in classes for file in _files_in(each)}
        if files:
            found[split] = _texts(files, data)
    return found


def _inside(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and _is_data(path)]


def _files_in(folder: Path) -> list[Path]:
    return [
        path for path in sorted(folder.iterdir()) if path.is_file() and _is_data(path) and ending_of(path) == ".txt"
    ]


def _texts(files: Mapping[Path, str], data: DataArguments) -> Dataset:
    """Return a data set with the text and the label of each file."""

    def rows() -> Iterator[dict[str, str]]:
        for file, label in files.items():
            with open_utf8(file, data.encoding) as stream:
                content = b"".join(iter(partial(stream.read, 1 << 20), b""))
            try:
                yield {"text": content.decode(), "label": label}
            except UnicodeDecodeError as error:
                raise wrong_encoding(file, "utf-8", content[error.start]) from error

    return collect(tables_of(rows()))


__all__ = ["reader_of", "splits_in_folder"]
