# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Truncate rows of token ids, and pad them to batches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..utils.errors import DataError

# Column of encoded rows, and entry of batches, with the answers of a teacher.
TEACHER = "teacher"


def cut(ids: list[int], max_length: int | None, truncation: str) -> list[int]:
    """Return token ids, truncated to `max_length`.

    Args:
        ids: Token ids of a text.
        max_length: Largest number of tokens; None for no limit.
        truncation: Part of a longer text to keep: `head`, `tail`, or `head_tail` for half of each.
    """
    if max_length is None or len(ids) <= max_length:
        return ids
    head = {"head": max_length, "tail": 0, "head_tail": (max_length + 1) // 2}[truncation]
    return ids[:head] + ids[len(ids) - (max_length - head) :]


def cut_pair(ids: list[int], texts: Sequence[int | None], max_length: int | None, truncation: str) -> list[int]:
    """Return the token ids of a pair of texts, truncated to `max_length`.

    The longer text is truncated first, and then both equally. The special tokens around and between them are kept.

    Args:
        ids: Token ids of the pair.
        texts: Text of each token: 0 for the first, 1 for the second, None for a special token.
        max_length: Largest number of tokens of the pair; None for no limit.
        truncation: Part of each longer text to keep, same as in [`cut`].

    Raises:
        DataError: `max_length` has no room for one token of each text.
    """
    if max_length is None or len(ids) <= max_length:
        return ids
    first, second = ([place for place, text in enumerate(texts) if text == which] for which in (0, 1))
    room = max_length - (len(ids) - len(first) - len(second))
    if room < 2:
        raise DataError(
            f"data.max_length={max_length} is too small for two texts and their special tokens: write "
            f"{max_length - room + 2} or more."
        )
    # The longer text gets the room that the shorter one leaves.
    of_second = min(len(second), max(room // 2, room - len(first)))
    kept = {*cut(first, room - of_second, truncation), *cut(second, of_second, truncation)}
    return [token for place, token in enumerate(ids) if texts[place] is None or place in kept]


@dataclass
class RaggedCollator:
    """Collator that pads rows to the longest of their batch: `input_ids` and `attention_mask` [B, T], and `labels`.

    Rows may have the answers of a teacher too, which become `teacher` [B, C], or, if each token has one, [B, T, C].

    Args:
        pad_token_id: Token id at padded positions. The attention mask, not this id, marks padding.
        label_dtype: Type of labels of whole rows: `torch.long` for class indices, `torch.float` for multi-label
            classification and regression.
        label_of_padding: Label at padded positions, for rows with one label per token; None for labels of whole rows.
    """

    pad_token_id: int
    label_dtype: torch.dtype = torch.long
    label_of_padding: int | None = None

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        lengths = [len(row["input_ids"]) for row in rows]
        # A batch of empty texts keeps one position. Without it, half of the parameters would get no gradient.
        T = max(1, *lengths)
        # numpy converts lists of numbers several times as fast as torch.
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
        if TEACHER in rows[0] and self.label_of_padding is not None:
            C = max(len(row[TEACHER][0]) for row in rows if len(row[TEACHER]))
            scores = torch.zeros(len(rows), T, C)
            for of_row, row in zip(scores, rows, strict=True):
                of_row[: len(row[TEACHER])] = torch.tensor(row[TEACHER], dtype=torch.float).view(-1, C)
            batch[TEACHER] = scores
        elif TEACHER in rows[0]:
            batch[TEACHER] = torch.tensor([row[TEACHER] for row in rows], dtype=torch.float)
        return batch


__all__ = ["TEACHER", "RaggedCollator", "cut", "cut_pair"]
