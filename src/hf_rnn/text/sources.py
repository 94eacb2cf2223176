# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""From a path, a Hub id or a table in memory to the splits of a data set, each whole or as a stream."""

from __future__ import annotations

import hashlib
import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from huggingface_hub import HfApi

from ..utils.errors import UserError, first_line, looks_local
from ..utils.hub_errors import LONGEST_QUESTION, PATIENCE, NotServed, as_user_error, patiently
from .arguments import BUILT_IN, IN_MEMORY, DataArguments
from .columns import KNOWN_NAMES, named_columns
from .encodings import COMPRESSIONS, kind_of, open_utf8, stem_of, wrong_encoding
from .formats import READERS, Conll, Lines, Parallel, Reader
from .made_up_reviews import made_up_reviews
from .schema import fingerprint
from .tables import collect, column_of, in_memory, table_of, tables_of

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

logger = logging.getLogger(__name__)

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "eval", "evaluation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# Files and folders that operating systems and programs leave behind. Names that begin with a dot are no data either.
_NO_DATA = ("__macosx", "thumbs.db", "desktop.ini", "__pycache__", "dataset_info.json", "dataset_infos.json")
# The ending of a file of one language, such as train.en or train.pt-BR.
_LANGUAGE = re.compile(r"\.[a-zA-Z]{2,3}([-_][a-zA-Z]{2,8})?")


@dataclass
class Files:
    """A split in files of one format.

    Args:
        paths: of its files, one after the other; of parallel files, those of a split by their languages.
        data: how they are written.
        reader: of their format.
    """

    paths: Sequence[Any]
    data: DataArguments
    reader: type[Reader]

    def __post_init__(self):
        self.known = {*KNOWN_NAMES, *named_columns(self.data)}

    @cached_property
    def first(self) -> Reader:
        """The reader of the first file."""
        return self.reader(self.paths[0], self.data, self.known)

    @cached_property
    def readers(self) -> list[Reader]:
        """One for each file; raises [`UserError`] where the columns of one are not those of the first."""
        readers = [self.first, *(self.reader(path, self.data, self.known) for path in self.paths[1:])]
        for reader in readers[1:]:
            first = readers[0].columns
            if reader.columns is not None and first is not None and set(reader.columns) != set(first):
                raise UserError(
                    f"{reader.file.name} in {self.data.path!r} has the columns {', '.join(reader.columns)}, and "
                    f"{readers[0].file.name} has {', '.join(first)}: give all files of a split the same columns."
                )
            if reader.features != readers[0].features:
                raise UserError(
                    f"{reader.file.name} in {self.data.path!r} has other kinds of columns or names of classes than "
                    f"{readers[0].file.name}: give all files of a split the same."
                )
        return readers

    def dataset(self) -> Dataset:
        """All rows."""
        rows = collect(table for reader in self.readers for table in reader.tables())
        features = self.first.features
        # Kinds that Arrow does not know, such as names of classes.
        return rows.cast(features) if features is not None and features != rows.features else rows

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows, one after the other, none of them kept."""
        for reader in self.readers:
            yield from reader.rows()

    def stream(self) -> IterableDataset:
        """The rows as a stream, whose shards are the files."""
        from datasets import IterableDataset

        features = self.first.features
        shards = {"paths": list(self.paths), "of": replace(self, paths=())}
        return IterableDataset.from_generator(_rows_of, gen_kwargs=shards, features=features)

    def described(self) -> str:
        """Return one line that says how the first file is written."""
        return self.first.described()

    def fingerprint(self) -> str:
        """A hash of the bytes of all files, and of how they are read."""
        digest = hashlib.sha256(repr([self.reader.__name__, [reader.described() for reader in self.readers]]).encode())
        for reader in self.readers:
            for path in reader.paths:
                with path.open("rb") as file:
                    while part := file.read(1 << 20):
                        digest.update(part)
        return digest.hexdigest()


class Whole:
    """A split whose rows are here, as [`Files`]."""

    def __init__(self, whole: Dataset):
        self.whole = whole

    def rows(self) -> Iterator[dict[str, Any]]:
        yield from self.whole

    def described(self) -> str:
        return ""

    def fingerprint(self) -> str:
        return fingerprint({"": self.whole}, [])


def _rows_of(paths: list[Any], of: Files) -> Iterator[dict[str, Any]]:
    for path in paths:
        yield from replace(of, paths=[path]).rows()


def is_on_hub(data: DataArguments) -> bool:
    """Return whether the path names a data set on the Hub: nothing here has this name."""
    path = Path(data.path)
    here = data.path in (BUILT_IN, IN_MEMORY) or path.exists()
    return not (here or kind_of(path) in READERS or looks_local(data.path))


def open_splits(data: DataArguments, source: Any = None, tagged: bool = False) -> Mapping[str, Files | Dataset | Any]:
    """Find the splits of a data set; of files, nothing is read yet.

    Args:
        data: where they are.
        source: rows that were handed over in Python, in the place of `data.path`.
        tagged: whether .txt files are CoNLL files, and not texts.

    Returns:
        By their names [`Files`]; data sets of rows that were in memory; or what the Hub gives, with `data.streaming`
        streams.

    Raises:
        UserError: nothing is there that can be read.
    """
    if source is not None:
        return splits_in(source)
    if data.path == IN_MEMORY:
        raise UserError("the rows of the run were handed over in Python and are not kept: name a file, --data PATH.")
    path = Path(data.path)
    if data.path == BUILT_IN:
        from datasets import Dataset

        rows = made_up_reviews()
        cut = len(rows["text"]) * 4 // 5
        splits = {"train": slice(0, cut), "test": slice(cut, None)}
        return {split: Dataset.from_dict({k: v[rows_of] for k, v in rows.items()}) for split, rows_of in splits.items()}
    if not data.path:
        raise UserError("data.path is empty: name a file, a folder or a data set on the Hub.")
    if path.is_dir():
        with reading(data):
            return _in_folder(path, data, tagged)
    if path.is_file():
        return {"train": Files([path], data, _reader_of([path], data, tagged))}
    if is_on_hub(data):
        with reading(data):
            return _on_hub(data)
    raise UserError(f"there is no file or folder {data.path!r}: name one that exists, or a data set on the Hub.")


def _on_hub(data: DataArguments) -> Any:
    """Load a data set from the Hub; from the cache where the Hub does not answer, which is asked first, since
    `load_dataset` would wait for it for minutes."""
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
            # The cache does not say of which revision its rows are.
            cached = _in_cache(load) if data.revision is None else None
            if cached is not None:
                logger.warning(f"{error} Until then {data.path!r} is read from the cache, as it was fetched last.")
                return cached
            ask(PATIENCE)
    except UserError as error:
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


def _not_on_hub(data: DataArguments, reason: str) -> UserError:
    return UserError(
        f"the data set {data.path!r} is neither a file or folder here nor readable on the Hub: {reason} "
        "A copy that you have: --data.path FOLDER."
    )


def _errors() -> tuple[type[Exception], ...]:
    """Return the errors of readers, of the Hub and of `datasets`."""
    from datasets import exceptions

    found = (exceptions.DatasetNotFoundError, exceptions.DatasetGenerationError)
    return (*found, OSError, EOFError, ValueError, RuntimeError)


@contextmanager
def reading(data: DataArguments) -> Iterator[None]:
    """Turn errors of readers and of the Hub inside the block into a [`UserError`]."""
    try:
        yield
    except UserError:
        raise
    except _errors() as error:
        if is_on_hub(data):
            explained = as_user_error(error, data.path, data.revision, repo_type="dataset")
            raise _not_on_hub(data, str(explained or f"{first_line(error)}.")) from error
        cause = error.__cause__ or error
        raise UserError(
            f"{data.path!r} cannot be read: {first_line(cause)}. Write or fetch it again, if it was cut."
        ) from error


# Folders -------------------------------------------------------------------------------------------------------------


def _in_folder(folder: Path, data: DataArguments, tagged: bool) -> Mapping[str, Files | Dataset]:
    there = [path for path in sorted(folder.iterdir()) if _is_data(path)]
    by_split: dict[str, list[Path]] = {}
    for file in (path for path in there if path.is_file()):
        # A .txt file of another name is a text among others, or says something about the folder.
        if kind_of(file) in READERS and (kind_of(file) != ".txt" or split_of(file) in SPLITS.values()):
            by_split.setdefault(split_of(file), []).append(file)
    if len(by_split) == 1 and len(next(iter(by_split.values()))) == 1 and not set(by_split) & set(SPLITS.values()):
        # A folder with one file is that file.
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
        reader = _reader_of([file for files in by_split.values() for file in files], data, tagged)
        return {split: Files(files, data, reader) for split, files in by_split.items()}
    if languages := _languages(there):
        return {split: Files([files], data, Parallel) for split, files in languages.items()}
    found = _class_folders([path for path in there if path.is_dir()], data)
    if not found:
        texts = [path for path in there if path.is_file() and kind_of(path) == ".txt"]
        found = {"train": _texts(dict.fromkeys(texts, folder.name), data)} if texts else {}
    if not found:
        raise UserError(
            f"the folder {str(folder)!r} has neither files of {', '.join(READERS)} "
            "nor one subfolder of .txt files per class."
        )
    return found


def _is_data(path: Path) -> bool:
    # Excel keeps a lock called ~$name beside a file that is open.
    return not path.name.startswith((".", "~$")) and path.name.lower() not in _NO_DATA


def split_of(path: Path) -> str:
    """`train-00000-of-00002.csv` and `dev.csv.gz` are pieces of the splits `train` and `validation`."""
    stem = re.sub(r"-\d{5}-of-\d{5}$", "", stem_of(path))
    return SPLITS.get(stem.lower(), stem)


def _check_pieces(split: str, files: list[Path], data: DataArguments) -> None:
    whole = [file.name for file in files if not re.search(r"-\d{5}-of-\d{5}$", stem_of(file))]
    if len(files) > 1 and whole:
        raise UserError(
            f"the folder {data.path!r} has several files for the split {split}: "
            f"{', '.join(file.name for file in files)}. Keep one of them, or call its pieces "
            f"{split}-00000-of-{len(files):05} and so on."
        )


def _reader_of(files: list[Path], data: DataArguments, tagged: bool) -> type[Reader]:
    kinds = sorted({kind_of(file) for file in files})
    readers = {READERS.get(kind) for kind in kinds}
    if len(readers) > 1:
        raise UserError(f"the folder {data.path!r} mixes {', '.join(kinds)} files: keep one kind.")
    reader = readers.pop()
    if reader is None:
        hint = " Save it as .xlsx." if kinds == [".xls"] else ""
        raise UserError(
            f"{data.path!r} is not one of the kinds that can be read: {', '.join(READERS)}, and all but Parquet and "
            f"Excel files compressed too ({', '.join(COMPRESSIONS)}).{hint}"
        )
    return Conll if tagged and reader is Lines else reader


def _languages(there: list[Path]) -> dict[str, dict[str, Path]]:
    """Parallel files, by split and language; none where no split has two."""
    found: dict[str, dict[str, Path]] = {}
    for file in (path for path in there if path.is_file()):
        plain = file.with_suffix("") if file.suffix.lower() in COMPRESSIONS else file
        if _LANGUAGE.fullmatch(plain.suffix) and split_of(file) in SPLITS.values():
            found.setdefault(split_of(file), {})[plain.suffix[1:]] = file
    if not any(len(files) > 1 for files in found.values()):
        return {}
    if len({frozenset(files) for files in found.values()}) > 1:
        listed = "; ".join(f"{split}: {', '.join(files)}" for split, files in found.items())
        raise UserError(
            f"the parallel files in {str(there[0].parent)!r} are not in the same languages ({listed}): give each split "
            "a file in each."
        )
    return found


def _class_folders(folders: list[Path], data: DataArguments) -> dict[str, Dataset]:
    """The splits of folders of .txt files, one a class. A folder is a split if it is called like one and holds folders
    of classes; otherwise it is a class, whatever its name."""
    splits: dict[str, Path] = {}
    for folder in folders:
        split = SPLITS.get(folder.name.lower())
        if split is not None and any(map(_files_in, _inside(folder))):
            if split in splits:
                raise UserError(
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
    return [path for path in sorted(folder.iterdir()) if path.is_file() and _is_data(path) and kind_of(path) == ".txt"]


def _texts(files: Mapping[Path, str], data: DataArguments) -> Dataset:
    """A text a file, with its label."""

    def rows() -> Iterator[dict[str, str]]:
        for file, label in files.items():
            with open_utf8(file, data.encoding) as stream:
                content = b"".join(iter(partial(stream.read, 1 << 20), b""))
            try:
                yield {"text": content.decode(), "label": label}
            except UnicodeDecodeError as error:
                raise wrong_encoding(file, "utf-8", content[error.start]) from error

    return collect(tables_of(rows()))


# Rows in Python ------------------------------------------------------------------------------------------------------


def splits_in(source: Any) -> dict[str, Dataset]:
    """Take up rows that were handed over in Python.

    Args:
        source: a pandas or polars DataFrame, a pyarrow Table, a `datasets.Dataset`, a list of dicts or of pairs (text,
            label), or a dict of columns; or a `datasets.DatasetDict` or a dict of such, by their splits.

    Raises:
        UserError: anything else.
    """
    if isinstance(source, Mapping) and source and not all(map(_is_column, source.values())):
        found: dict[str, Dataset] = {}
        for name, rows in source.items():
            split = SPLITS.get(str(name).lower(), str(name))
            if split in found:
                raise UserError(
                    f"there are several tables for the split {split}: {', '.join(map(str, source))}. Pass one."
                )
            found[split] = _rows_in(rows)
        return found
    return {"train": _rows_in(source)}


def _is_column(value: Any) -> bool:
    """Return whether a value is a column of a table, and not a table."""
    plain = isinstance(value, (list, tuple)) or type(value).__module__.split(".")[0] == "numpy"
    return plain and not (len(value) and isinstance(value[0], (dict, tuple)))


def is_table(rows: Any) -> bool:
    """Return whether a value of Python is a table, and not texts."""
    if _is_dataset(rows) or isinstance(rows, (Mapping, pa.Table)):
        return True
    if isinstance(rows, (list, tuple)):
        return bool(rows) and isinstance(rows[0], Mapping)
    return type(rows).__module__.split(".")[0] in ("pandas", "polars") and hasattr(rows, "columns")


def _is_dataset(rows: Any) -> bool:
    """Return whether a value is a `datasets.Dataset`, of which there is none before the library is loaded."""
    library = sys.modules.get("datasets")
    return library is not None and isinstance(rows, library.Dataset)


def _rows_in(rows: Any) -> Dataset:
    kind = type(rows).__module__.split(".")[0]
    if _is_dataset(rows):
        return rows
    if isinstance(rows, pa.Table):
        return in_memory(rows)
    if kind == "polars" and hasattr(rows, "to_arrow"):
        return in_memory(rows.to_arrow())
    if kind == "pandas" and hasattr(rows, "columns"):
        names = [str(name) for name in rows.columns]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UserError(f"the DataFrame has several columns called {twice!r}: give each its own name.")
        return in_memory(pa.table({n: _series(rows.iloc[:, place]) for place, n in enumerate(names)}))
    if isinstance(rows, Mapping) and rows and all(map(_is_column, rows.values())):
        lengths = {str(name): len(values) for name, values in rows.items()}
        if len(set(lengths.values())) > 1:
            raise UserError(f"the columns have different lengths, {lengths}: give each row a value in each column.")
        return in_memory(pa.table({str(name): column_of(list(map(_plain, values))) for name, values in rows.items()}))
    if isinstance(rows, (list, tuple)) and rows:
        if all(isinstance(row, Mapping) for row in rows):
            return in_memory(table_of([{str(name): _plain(value) for name, value in row.items()} for row in rows]))
        if all(isinstance(row, (tuple, list)) and len(row) == 2 for row in rows):
            return in_memory(table_of([{"text": text, "label": label} for text, label in rows]))
        if all(isinstance(row, str) for row in rows):
            return in_memory(table_of([{"text": text} for text in rows]))
    what = f"{type(rows).__module__}.{type(rows).__qualname__}"
    raise UserError(
        f"{what}{' without rows' if hasattr(rows, '__len__') and not len(rows) else ''} cannot be read as rows: pass a "
        "pandas or polars DataFrame, a datasets.Dataset, a list of dicts, or a list of pairs (text, label)."
    )


def _series(values: Any) -> pa.Array:
    """A column of pandas; what is missing there is missing here, and a category is its name."""
    missing = values.isna()
    return column_of([None if gone else _plain(value) for value, gone in zip(values, missing, strict=True)])


def _plain(value: Any) -> Any:
    return value.tolist() if type(value).__module__ == "numpy" and hasattr(value, "tolist") else value


__all__ = ["SPLITS", "Files", "Whole", "is_on_hub", "is_table", "open_splits", "reading", "split_of", "splits_in"]
