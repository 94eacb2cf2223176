# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Reading a data set from files or the Hub, choosing its columns, and collating ragged batches."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import ClassLabel, Dataset, DatasetDict, IterableDataset, load_dataset
from datasets import exceptions as datasets_exceptions

from .errors import UserError, first_line, looks_local, nearest
from .hub_errors import explain
from .made_up_reviews import made_up_reviews

logger = logging.getLogger(__name__)

READERS = {
    # Only an empty field is a missing one: "NA" and "null" are words, and may be labels.
    ".csv": ("csv", {"keep_default_na": False, "na_values": [""]}),
    ".tsv": ("csv", {"keep_default_na": False, "na_values": [""], "sep": "\t"}),
    ".json": ("json", {}),
    ".jsonl": ("json", {}),
    ".parquet": ("parquet", {}),
    ".txt": ("text", {}),
}
SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "dev": "validation", "test": "test"}
BUILT_IN = "made_up_reviews"
VALIDATIONS = ("random", "end")


@dataclass
class DataArguments:
    """
    Args:
        path: a data set on the Hub; a CSV, TSV, JSON, JSON Lines or Parquet file, or a .txt file, whose lines are its
            rows; a folder with one such file per split (train.csv, test.csv, …), or one subfolder of .txt files per
            class, or .txt files that are a text each; or made_up_reviews.
        name: configuration of a data set on the Hub that has several.
        revision: branch, tag or commit of a data set on the Hub.
        text_column: column of the text; found by its name or content if None.
        text_pair_column: column of a second text, for pairs.
        label_column: column of the label; found by its name or content if None.
        label_names: names of the labels 0, 1, … where the column holds numbers without names.
        problem_type: single_label_classification, multi_label_classification or regression; read off the column if
            None.
        train_split: split to train on; of several names, the first that the data set has.
        validation_split: split to choose the best model by; made out of the training split where there is none.
        unlabelled_splits: splits whose texts alone are read: a language model trains on them as on train_split, a
            classifier by objectives that need no label, such as training.virtual_adversarial.
        test_split: split for the last evaluation; null for none.
        validation_size: share of the training rows that become the validation split where there is none.
        validation_from: which rows these are: random, or the end of the training split, where rows follow from those
            before them, such as the lines of one text.
        max_length: tokens that are kept of a longer text; null for all.
        truncation: what is kept of a longer text, head, tail or head_tail (half of each).
        encoding: of CSV, TSV, JSON and text files.
        seed: of the validation split.
        streaming: read the training split row by row, without end, for one that fits neither disk nor memory;
            training.max_steps says when training ends.
        streaming_sample: its first rows by which columns and labels are chosen, the tokenizer is trained, and the
            data described; and the most rows that are read of other splits.
    """

    path: str = BUILT_IN
    name: str | None = None
    revision: str | None = None
    text_column: str | None = None
    text_pair_column: str | None = None
    label_column: str | None = None
    label_names: list[str] | None = None
    problem_type: str | None = None
    train_split: list[str] | str = field(default_factory=lambda: ["train"])
    validation_split: list[str] | str = field(default_factory=lambda: ["validation"])
    unlabelled_splits: list[str] = field(default_factory=list)
    test_split: str | None = "test"
    validation_size: float = 0.1
    validation_from: str = "random"
    max_length: int | None = None
    truncation: str = "head_tail"
    encoding: str = "utf-8"
    seed: int = 0
    streaming: bool = False
    streaming_sample: int = 50_000

    def elsewhere(self, path: str) -> "DataArguments":
        """Those of other data, which a model that was trained on these is to read as it read them."""
        return replace(self, path=path, name=None, revision=None, label_names=None, encoding="utf-8", streaming=False)


def is_on_hub(data: DataArguments) -> bool:
    """Whether the path is that of a data set on the Hub, for it is nothing here."""
    path = Path(data.path)
    here = data.path == BUILT_IN or path.exists()
    return not (here or path.suffix.lower() in READERS or looks_local(data.path))


def load(data: DataArguments, split: str | None = None) -> DatasetDict:
    """Reads all splits, as they are; of what is streamed, the first rows of the one that is named.

    Raises:
        UserError: nothing is there, the file cannot be read, or it has no rows.
    """
    found = open_splits(data)
    if data.streaming:
        wanted = [name for name in found if split in (None, name)]
        found = DatasetDict({name: read_first(found[name], data) for name in wanted or found})
    # A column may hold several, such as a text in each language: column.en, column.de.
    found = {split: rows.flatten() for split, rows in found.items()}  # type: ignore[union-attr]
    empty = [split for split, rows in found.items() if not len(rows)]
    if empty or not found:
        raise UserError(f"the data set {data.path!r} has no rows in {', '.join(empty) or 'any split'}.")
    return DatasetDict(found)


def read_first(rows: Dataset | IterableDataset, data: DataArguments) -> Dataset:
    """The first `data.streaming_sample` rows of a stream, in memory."""
    if isinstance(rows, Dataset):
        return rows
    with reading(data):
        read = list(rows.take(data.streaming_sample))
        if len(read) == data.streaming_sample:
            logger.info(f"only the first {len(read):,} rows of a split are read (data.streaming_sample).")
        if not read:
            raise UserError(f"the data set {data.path!r} has no rows in a split that is needed.")
        columns = {name: of_one_kind([row.get(name) for row in read]) for name in read[0]}
        return Dataset.from_dict(columns, features=rows.features)


def of_one_kind(values: list) -> list:
    """Values of a column as text if any of them is: a reader may take a part of a file for numbers, and another not."""
    if not any(isinstance(value, str) for value in values):
        return values

    def text(value: Any) -> str | None:
        whole = isinstance(value, float) and value.is_integer()
        return None if value is None else str(int(value) if whole else value)

    return [text(value) for value in values]


def open_splits(data: DataArguments) -> Mapping[str, Dataset | IterableDataset]:
    """All splits, as they are; with `data.streaming`, streams that have read nothing yet.

    Raises:
        UserError: nothing is there, or the file cannot be read.
    """
    path = Path(data.path)
    if data.path == BUILT_IN:
        rows = made_up_reviews()
        cut = len(rows["text"]) * 4 // 5
        splits = {"train": slice(0, cut), "test": slice(cut, None)}
        return {split: Dataset.from_dict({k: v[rows_of] for k, v in rows.items()}) for split, rows_of in splits.items()}
    if path.is_dir():
        return _load_folder(path, data)
    if path.is_file():
        return _load_files({"train": [path]}, data)
    if is_on_hub(data):
        return _load_from_hub(data)
    raise UserError(f"there is no file or folder {data.path!r}: name one that exists, or a data set on the Hub.")


def _load_from_hub(data: DataArguments) -> Mapping[str, Dataset | IterableDataset]:
    with reading(data):
        return load_dataset(data.path, data.name, revision=data.revision, streaming=data.streaming)


@contextmanager
def reading(data: DataArguments) -> Iterator[None]:
    """What the readers of files and of the Hub raise inside the block becomes a [`UserError`]."""
    try:
        yield
    except UserError:
        raise
    except UnicodeDecodeError as error:
        raise _wrong_encoding(Path(data.path), data, error) from error
    except (
        datasets_exceptions.DatasetNotFoundError,
        datasets_exceptions.DatasetGenerationError,
        OSError,
        ValueError,
        TypeError,
        RuntimeError,
    ) as error:
        if is_on_hub(data):
            reason = explain(error, data.path, data.revision, repo_type="dataset") or f"{first_line(error)}."
            raise UserError(
                f"the data set {data.path!r} is neither a file or folder here nor readable on the Hub: {reason} "
                "A copy that you have: --data.path FOLDER."
            ) from error
        cause, suffix = error.__cause__ or error, Path(data.path).suffix
        kind = f" as {suffix}" if suffix else ""
        if "corresponds to no data" in str(cause):
            raise UserError(f"the data set {data.path!r} has no rows.") from error
        raise UserError(
            f"{data.path!r} cannot be read{kind}: {first_line(cause)}. Check that each row has the same columns and "
            "that quotes are closed."
        ) from error


def _load_folder(path: Path, data: DataArguments) -> Mapping[str, Dataset | IterableDataset]:
    files: dict[str, list[Path]] = {}
    for file in sorted(path.iterdir()):
        kind, split = file.suffix.lower(), _split_of(file.stem)
        # A .txt file of another name is a text among others, or says something about the folder.
        if kind in READERS and (kind != ".txt" or split in SPLITS.values()):
            files.setdefault(split, []).append(file)
    if files:
        return _load_files(files, data)
    folders = sorted(p for p in path.iterdir() if p.is_dir())
    by_split = {_split_of(p.name): p for p in folders if _split_of(p.name) in SPLITS.values()}
    found = {split: _load_texts(folder, data) for split, folder in (by_split or {"train": path}).items()}
    if not any(found.values()):
        found = {"train": _load_texts(path, data, "*.txt")}
    if not any(found.values()):
        raise UserError(
            f"the folder {str(path)!r} has neither files of {', '.join(READERS)} "
            "nor one subfolder of .txt files per class."
        )
    return found


def _split_of(name: str) -> str:
    """`train-00000-of-00002` and `dev` are pieces of the splits `train` and `validation`."""
    stem = re.sub(r"-\d{5}-of-\d{5}$", "", name)
    return SPLITS.get(stem.lower(), stem)


def _load_texts(folder: Path, data: DataArguments, files: str = "*/*.txt") -> Dataset:
    texts, labels = [], []
    for file in sorted(folder.glob(files)):
        try:
            texts.append(file.read_text(encoding=data.encoding))
        except UnicodeDecodeError as error:
            raise _wrong_encoding(file, data, error) from error
        labels.append(file.parent.name)
    return Dataset.from_dict({"text": texts, "label": labels})


def _load_files(files: dict[str, list[Path]], data: DataArguments) -> Mapping[str, Dataset | IterableDataset]:
    suffixes = {file.suffix.lower() for split in files.values() for file in split}
    if len(suffixes) > 1:
        raise UserError(f"the folder {data.path!r} mixes {', '.join(sorted(suffixes))} files: keep one kind.")
    suffix = suffixes.pop()
    if suffix not in READERS:
        raise UserError(f"{data.path!r} is not one of the kinds that can be read: {', '.join(READERS)}.")
    reader, options = READERS[suffix]
    if reader != "parquet":
        # Spreadsheet programs put a mark before the first byte, which must not become part of a column's name.
        options = {**options, "encoding": "utf-8-sig" if data.encoding.lower() in ("utf-8", "utf8") else data.encoding}
        for file in [file for split in files.values() for file in split]:
            _check_text_file(file, data)
    with reading(data):
        # Each split by itself: a test file without labels has other columns than the training file.
        options = {**options, "streaming": data.streaming, "split": "train"}
        return {
            name: load_dataset(reader, data_files=[str(path) for path in paths], **options)
            for name, paths in files.items()
        }


def _check_text_file(file: Path, data: DataArguments) -> None:
    """A first look at the bytes: the readers' own errors name neither the file nor the remedy."""
    try:
        with file.open(encoding=data.encoding) as lines:
            anything = any(chunk.strip() for chunk in iter(lambda: lines.read(1 << 20), ""))
    except UnicodeDecodeError as error:
        raise _wrong_encoding(file, data, error) from error
    except LookupError as error:
        raise UserError(f"data.encoding={data.encoding!r} is no encoding that Python knows: write utf-8.") from error
    if not anything:
        raise UserError(f"the file {str(file)!r} is empty.")


def _wrong_encoding(file: Path, data: DataArguments, error: UnicodeDecodeError) -> UserError:
    return UserError(
        f"{str(file)!r} is not {data.encoding} (byte {error.object[error.start]:#04x}): name its encoding, "
        "for example --data.encoding gb18030 (Chinese) or --data.encoding cp1252 (Western European)."
    )


TEXT_NAMES = ("text", "sentence", "review", "content", "question", "comment", "document", "sentence1", "premise")
LABEL_NAMES = ("label", "labels", "coarse_label", "class", "category", "target", "sentiment", "score", "rating")


def choose_columns(rows: Dataset, data: DataArguments) -> tuple[str, str]:
    """The columns of text and label: those named, else by well-known names, else by what they hold.

    Raises:
        UserError: a named column is missing, or several could be meant; the message lists the columns.
    """
    for key in ("text_pair_column", "label_column"):
        check_column(rows, key, data)
    text = choose_text(rows, data)
    label = data.label_column or _choose_label(rows, text, data)
    return text, label


def _listed(rows: Dataset) -> str:
    return ", ".join(repr(name) for name in rows.column_names)


def check_column(rows: Dataset, key: str, data: DataArguments) -> None:
    """Raises [`UserError`] where a column that the settings name is not there."""
    name = getattr(data, key)
    if name is not None and name not in rows.column_names:
        near = nearest(name, rows.column_names)
        raise UserError(
            f"{key} {name!r} is not a column of {data.path!r}, which has {_listed(rows)}"
            + (f": did you mean {near!r}?" if near else ".")
        )


def choose_text(rows: Dataset, data: DataArguments) -> str:
    """The column of the text: the one named, else by a well-known name, else the strings that are longest by far.

    Raises:
        UserError: the named column is missing, or several could be meant; the message lists the columns.
    """
    if data.text_column is not None:
        check_column(rows, "text_column", data)
        return data.text_column
    strings = [
        c for c in rows.column_names if str(getattr(rows.features[c], "dtype", "")) in ("string", "large_string")
    ]
    strings = [c for c in strings if c not in (data.label_column, data.text_pair_column)]
    by_name = [c for name in TEXT_NAMES for c in strings if c.lower() == name]
    if by_name:
        return by_name[0]
    sample = rows[:1000]
    length = {c: np.mean([len(v or "") for v in sample[c]]) for c in strings}
    ranked = sorted(strings, key=lambda c: -length[c])
    if not ranked or (len(ranked) > 1 and length[ranked[0]] < 2 * length[ranked[1]]):
        raise UserError(
            f"the text column of {data.path!r} is not plain from its names: it has {_listed(rows)}. "
            f"Write --data.text_column {ranked[0] if ranked else 'NAME'}."
        )
    return ranked[0]


def _choose_label(rows: Dataset, text: str, data: DataArguments) -> str:
    others = [c for c in rows.column_names if c not in (text, data.text_pair_column)]
    by_name = [c for name in LABEL_NAMES for c in others if c.lower() == name]
    if by_name:
        return by_name[0]
    classes = [c for c in others if isinstance(rows.features[c], ClassLabel)]
    if len(classes) == 1:
        return classes[0]
    sample = rows[:1000]
    # A label comes back again and again; a number or key of the row does not.
    repeated = [c for c in others if 1 < len({str(v) for v in sample[c]}) <= max(2, len(sample[c]) // 2)]
    if len(repeated) != 1:
        candidates = repeated or others
        raise UserError(
            f"the label column of {data.path!r} is not plain from its names: it has {_listed(rows)}. "
            f"Write --data.label_column {candidates[0] if candidates else 'NAME'}."
        )
    return repeated[0]


def choose_split(splits: Mapping[str, Any], names: Sequence[str] | str) -> str | None:
    """The first of the names that the data set has, or None."""
    names = [names] if isinstance(names, str) else names
    return next((name for name in names if name in splits), None)


def split_validation(rows: Dataset, data: DataArguments, stratify_by: str | None) -> tuple[Dataset, Dataset]:
    """Training and validation rows, each class in both in its proportion where it has rows enough.

    Args:
        rows: the training split.
        data: its `validation_size`, `validation_from` and `seed`.
        stratify_by: column of integers, or None for a plain random split.
    """
    from sklearn.model_selection import train_test_split

    share = data.validation_size
    if not 0 < share < 1:
        raise UserError(f"data.validation_size={share} must be a share between 0 and 1, such as 0.1.")
    groups = None if stratify_by is None else np.asarray(rows[stratify_by])
    held_out = max(2, round(share * len(rows)))
    if groups is not None:
        classes, counts = np.unique(groups, return_counts=True)
        held_out = max(held_out, len(classes))
        if counts.min() < 2 or held_out > len(rows) - len(classes):
            logger.warning("a class has too few rows to stand in both splits: the validation split is plain random.")
            groups = None
    if held_out >= len(rows):
        raise UserError(
            f"{len(rows)} training rows are too few to hold {held_out} out for validation: name a data set of more "
            "rows (a .txt file has one for each line), or one with a validation split, --data.validation_split NAME."
        )
    if data.validation_from == "end":
        return rows.select(range(len(rows) - held_out)), rows.select(range(len(rows) - held_out, len(rows)))
    train, validation = train_test_split(
        np.arange(len(rows)), test_size=held_out, random_state=data.seed, stratify=groups, shuffle=True
    )
    return rows.select(np.sort(train)), rows.select(np.sort(validation))


def cut(ids: list[int], max_length: int | None, truncation: str) -> list[int]:
    """Keeps the head, the tail, or half of each of an over-long text."""
    if max_length is None or len(ids) <= max_length:
        return ids
    head = {"head": max_length, "tail": 0, "head_tail": (max_length + 1) // 2}[truncation]
    return ids[:head] + ids[len(ids) - (max_length - head) :]


@dataclass
class RaggedCollator:
    """Pads rows of token ids to the longest of their batch: `input_ids` and `attention_mask` `[B, T]`, and `labels`.

    Args:
        pad_token_id: written in padded places; the mask, not the id, says what padding is.
        label_dtype: `torch.long` for class indices, `torch.float` for several labels and for regression.
        label_of_padding: of labels that are one for each token, which are padded too; None where they are not.
    """

    pad_token_id: int
    label_dtype: torch.dtype = torch.long
    label_of_padding: int | None = None

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        lengths = [len(row["input_ids"]) for row in rows]
        # A batch of empty texts keeps one place: without any, half of the parameters would get no gradient.
        T = max(1, *lengths)
        # numpy takes lists of numbers several times as fast as torch does.
        input_ids = np.full((len(rows), T), self.pad_token_id, dtype=np.int64)
        attention_mask = np.zeros_like(input_ids)
        for ids, mask, length, row in zip(input_ids, attention_mask, lengths, rows, strict=True):
            ids[:length] = row["input_ids"]
            mask[:length] = 1
        batch = {"input_ids": torch.from_numpy(input_ids), "attention_mask": torch.from_numpy(attention_mask)}
        if "labels" in rows[0] and self.label_of_padding is None:
            batch["labels"] = torch.tensor([row["labels"] for row in rows], dtype=self.label_dtype)
        elif "labels" in rows[0]:
            T = max(1, *(len(row["labels"]) for row in rows))
            labels = np.full((len(rows), T), self.label_of_padding, dtype=np.int64)
            for padded, row in zip(labels, rows, strict=True):
                padded[: len(row["labels"])] = row["labels"]
            batch["labels"] = torch.from_numpy(labels)
        return batch


__all__ = ["DataArguments", "RaggedCollator", "load"]
