# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Search for texts that occur in several splits, or in the training split with different labels."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from ..text.dialects import MARKS

# Spaces, punctuation and digits. Python has no character class for letters alone. Combining marks count as letters,
# because they are vowels in the scripts of India and Thailand.
_NO_LETTERS = re.compile(rf"(?:[^\w{MARKS}]|[\d_])+")
_SPLITS = ("train", "validation", "test")


def normalised(text: str) -> str:
    """Return a text in lower case without spaces, punctuation and digits, to compare near-duplicates.

    Args:
        text: Text of a row; for a pair, both texts in one string.
    """
    return _NO_LETTERS.sub("", unicodedata.normalize("NFKC", text).casefold())


def find_duplicates(texts: Mapping[str, Sequence[str]], labels: Mapping[str, Sequence[Any]]) -> list[dict]:
    """Find texts that two splits share, and texts of the training split that have different labels.

    Args:
        texts: Texts by split; a pair is one string.
        labels: Labels by split.

    Returns:
        One dict for each pair of splits with common texts, and one for the training split if it has conflicting labels:
        - `split`, `other`: names of the two splits, both train in the case of conflicting labels;
        - `rows`: number of rows of `split`;
        - `same`: number of rows of `split` whose text also occurs in `other`;
        - `near`: number of further rows of `split` whose normalised text occurs in `other`;
        - `other_label`: number of the `same` rows that have another label in `other`;
        - `example`, `near_example`: indices of one such row in `split` and in `other`, or None.
    """
    found = [_conflicts(texts["train"], labels["train"])]
    splits = [split for split in _SPLITS if split in texts]
    first: dict[str, dict[str, int]] = {split: _first(texts[split]) for split in splits}
    near: dict[str, dict[str, int]] = {split: _first(map(normalised, texts[split])) for split in splits[:-1]}
    for number, split in enumerate(splits):
        for other in splits[:number]:
            row: dict[str, Any] = {"split": split, "other": other, "same": 0, "near": 0, "other_label": 0}
            row |= {"rows": len(texts[split]), "example": None, "near_example": None}
            for place, text in enumerate(texts[split]):
                if not text.strip():
                    continue
                if text in first[other]:
                    there = first[other][text]
                    row["same"] += 1
                    row["other_label"] += labels[split][place] != labels[other][there]
                    row["example"] = row["example"] or [place, there]
                elif (plain := normalised(text)) and plain in near[other]:
                    row["near"] += 1
                    row["near_example"] = row["near_example"] or [place, near[other][plain]]
            found.append(row)
    return [row for row in found if row["same"] or row["near"]]


def _first(texts: Any) -> dict[str, int]:
    """Return the index of the first occurrence of each text."""
    places: dict[str, int] = {}
    for place, text in enumerate(texts):
        places.setdefault(text, place)
    return places


def _conflicts(texts: Sequence[str], labels: Sequence[Any]) -> dict[str, Any]:
    """Count the training rows whose text has another label at its first occurrence."""
    first, other_label, example = _first(texts), 0, None
    for place, text in enumerate(texts):
        if text.strip() and labels[place] != labels[first[text]]:
            other_label += 1
            example = example or [place, first[text]]
    found = {"split": "train", "other": "train", "same": other_label, "near": 0, "other_label": other_label}
    return found | {"rows": len(texts), "example": example, "near_example": None}


__all__ = ["find_duplicates", "normalised"]
