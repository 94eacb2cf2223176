# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Texts of a lesson: those of the data, transfer texts and made-up texts.

A text of a classifier is `(text,)`, and a pair of texts `(text, second text)`. A text of a tagger is the tuple of its
words, and one of a translator is `(source,)`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..inference.columns import own_columns, text_columns
from ..inference.generated_text import generated
from ..tasks.tagged_words import parted
from ..teachers.base import TAGS
from ..text.augmentation import Augmenter
from ..text.columns import text_of
from ..text.formats import looks_tagged
from ..text.loading import load
from ..utils.errors import ConfigError, DataError
from .open_teachers import ColumnsTeacher

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from .run_config import RunConfig

logger = logging.getLogger(__name__)

Text = tuple[str, ...]
# Columns of texts in prepared rows.
TEXTS = ("text", "text_pair", "source")
UNKNOWN = "\ufffd"


def columns_in(rows: Dataset) -> list[str]:
    """Return the columns of texts in prepared rows.

    Args:
        rows: Prepared rows of a split.
    """
    return [name for name in TEXTS if name in rows.column_names]


def texts_in(rows: Dataset | None) -> list[Text]:
    """Return the texts of prepared rows.

    Args:
        rows: Prepared rows of a split; None for none.
    """
    if rows is None:
        return []
    if "words" in rows.column_names:
        return [tuple(words) for words in rows["words"]]
    return list(zip(*(rows[name] for name in columns_in(rows)), strict=True))


def transfer_texts(run: RunConfig, task: Any, prepared: DatasetDict, known: set[Text]) -> list[Text]:
    """Return the texts without labels, each once. Texts of the labelled splits are left out, those for tests too.

    Args:
        run: Run of the student.
        task: Task of the run, which has prepared the rows.
        prepared: Prepared splits.
        known: Texts of the labelled splits.

    Raises:
        DataError: There are transfer texts, and none is left.
    """
    read: list[Text] = []
    if run.teacher.columns is not None and (run.distil.transfer or "unlabelled" in prepared):
        raise ConfigError(
            "teacher.columns has answers to the labelled rows only, and distil.transfer or data.unlabelled_splits has "
            "other texts: leave them out, or name a model, teacher.path=FOLDER."
        )
    pairs = "text_pair" in prepared["train"].column_names
    if "unlabelled" in prepared:
        if pairs:
            raise DataError(
                f"data.unlabelled_splits={run.data.unlabelled_splits} have single texts, and the rows are pairs: name "
                "a file with both columns, distil.transfer=FILE."
            )
        read += texts_in(prepared["unlabelled"])
    for path in run.distil.transfer:
        read += _texts_of_file(path, task, 1 + pairs)
    fresh = [text for text in dict.fromkeys(read) if any(part.strip() for part in text) and text not in known]
    if read and not fresh:
        raise DataError(
            f"none of the {len(read):,} texts of {', '.join([*run.distil.transfer, *run.data.unlabelled_splits])} is "
            "left: they are empty, or among the labelled rows. Name other texts, distil.transfer=FILE, or write "
            "distil.size=100000 to make up texts."
        )
    if len(fresh) < len(read):
        logger.info(
            f"{len(read) - len(fresh):,} of {len(read):,} transfer texts are empty, repeated or among the labelled "
            "rows, and were left out."
        )
    return fresh


def _texts_of_file(path: str, task: Any, count: int) -> list[Text]:
    """Return the texts, or pairs of texts, or words, of all splits of a data set."""
    found: list[Text] = []
    columns = getattr(task, "columns", None)
    text, pair = (columns.text, columns.text_pair) if columns else (task.chosen["text_column"], None)
    data = replace(task.data.elsewhere(path), text_column=text, text_pair_column=pair)
    tagged = task.tagged and Path(path).is_file() and looks_tagged(Path(path), data.encoding)
    for name, rows in load(data, tagged=tagged).items():
        reader = task.with_data(own_columns(task.with_data(data), rows, ()))
        columns = text_columns(reader, rows)
        if len(columns) < count:
            raise DataError(
                f"the split {name!r} of {path!r} has one text a row, in {columns[0]!r}, and the model reads pairs: "
                "name a file with both columns, as in the training rows."
            )
        where = f"of {path!r}"
        if task.problem_type == TAGS:
            texts = enumerate(rows[columns[0]])
            found += [tuple(map(str, parted(value, f"row {number} {where}"))) for number, value in texts]
            continue
        parts = [[text_of(value, f"the column {name!r} {where}") for value in rows[name]] for name in columns[:count]]
        found += zip(*parts, strict=True)
    return found


def made_up_texts(
    run: RunConfig, task: Any, teachers: Sequence[Any], texts: list[Text], known: set[Text]
) -> list[Text]:
    """Return made-up texts, so that there are `distil.size` in all.

    The words of a tagger are joined by spaces, and a made-up text is split at white space.

    Args:
        run: Run of the student.
        task: Task of the run.
        teachers: The teachers, whose mask is used.
        texts: Texts of the lesson that are not made up.
        known: Texts that are not returned.

    Raises:
        DataError: The answers of the teacher are columns, or `distil.generator` does not fit the texts.
    """
    distil, have = run.distil, len(texts)
    if distil.size is None or distil.size <= have:
        if distil.size is not None:
            logger.info(f"distil.size={distil.size:,} makes up no texts: the data has {have:,} already.")
        return []
    of_words = task.problem_type == TAGS
    if of_words:
        texts, known = [(" ".join(words),) for words in texts], {(" ".join(words),) for words in known}
    if distil.generator is not None and len(texts[0]) > 1:
        raise DataError(
            f"distil.generator={distil.generator!r} writes single texts, and the rows are pairs: leave it out."
        )
    if any(isinstance(each, ColumnsTeacher) for each in teachers):
        raise DataError(
            f"distil.size={distil.size} makes up texts, and teacher.columns has answers to the texts of the data only: "
            "leave it out, or name a model, teacher.path=FOLDER."
        )
    wanted, seed = distil.size - have, run.training.seed
    made: list[Text] = []
    if distil.generator is not None:
        like, single = [text[0] for text in texts], [text[0] for text in known]
        made = [(text,) for text in generated(distil.generator, wanted // 2, seed, like=like, known=single)]
    mask = next(iter(masks_of(teachers)), None)
    augmenter = Augmenter(texts, distil.augment, seed, mask=mask, vectors=run.model.vectors)
    made += augmenter.draw(wanted - len(made), known | set(made))
    if len(made) < wanted:
        logger.warning(
            f"only {len(made):,} of {wanted:,} texts could be made up from {len(texts):,}: name more transfer texts, "
            f"distil.transfer=FILE, or write distil.size={have + len(made)}."
        )
    return [tuple(text.split()) for (text,) in made] if of_words else made


def masks_of(teachers: Sequence[Any]) -> list[str]:
    """Return the mask tokens of the teachers that have one.

    Args:
        teachers: Teachers.
    """
    return [mask for each in teachers if (mask := getattr(each, "mask", None))]


def without(masks: list[str], text: str) -> str:
    """Return a text whose masks are replaced by a character that is in no vocabulary.

    Args:
        masks: Mask tokens of teachers.
        text: Text, or word.
    """
    for mask in masks:
        text = text.replace(mask, UNKNOWN)
    return text


__all__ = ["Text", "columns_in", "made_up_texts", "masks_of", "texts_in", "transfer_texts", "without"]
