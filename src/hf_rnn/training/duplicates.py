# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Texts that stand in several splits, or several times in one with different labels."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from ..text.dialects import MARKS

# Spaces, punctuation and digits; Python has no class for letters alone. Marks are vowels in the scripts of India and of
# Thailand.
_NO_LETTERS = re.compile(rf"(?:[^\w{MARKS}]|[\d_])+")
_SPLITS = ("train", "validation", "test")


def normalised(text: str) -> str:
    """Return a text without case, spaces, punctuation and digits, by which near-duplicates are found.

    Args:
        text: of a row; of a pair, both texts.
    """
    return _NO_LETTERS.sub("", unicodedata.normalize("NFKC", text).casefold())


def find_duplicates(texts: Mapping[str, Sequence[str]], labels: Mapping[str, Sequence[Any]]) -> list[dict]:
    """Return a row for each two splits that share texts, and for a training split that has one with several labels.

    Args:
        texts: of each split; pairs as one text each.
        labels: of each split.

    Returns:
        Dicts with `split` and `other`; `same`, the rows of `split` whose text stands in `other` too, and `near`, those
        of which only the normalised text does; `other_label`, those of `same` with another label there; and `example`
        and `near_example`, the places of two such rows, or None.
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
    """Return each text with the place where it stands first."""
    places: dict[str, int] = {}
    for place, text in enumerate(texts):
        places.setdefault(text, place)
    return places


def _conflicts(texts: Sequence[str], labels: Sequence[Any]) -> dict[str, Any]:
    """Return the training rows whose text stands before with another label."""
    first, other_label, example = _first(texts), 0, None
    for place, text in enumerate(texts):
        if text.strip() and labels[place] != labels[first[text]]:
            other_label += 1
            example = example or [place, first[text]]
    found = {"split": "train", "other": "train", "same": other_label, "near": 0, "other_label": other_label}
    return found | {"rows": len(texts), "example": example, "near_example": None}


__all__ = ["find_duplicates", "normalised"]
