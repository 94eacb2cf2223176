# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""From rows of token ids to batches: what is kept of long texts, and padding."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..utils.errors import UserError


def cut(ids: list[int], max_length: int | None, truncation: str) -> list[int]:
    """Keeps the head, the tail, or half of each of an over-long text."""
    if max_length is None or len(ids) <= max_length:
        return ids
    head = {"head": max_length, "tail": 0, "head_tail": (max_length + 1) // 2}[truncation]
    return ids[:head] + ids[len(ids) - (max_length - head) :]


def cut_pair(ids: list[int], texts: Sequence[int | None], max_length: int | None, truncation: str) -> list[int]:
    """Cuts the longer of two texts that were made one, and then both alike; what the tokenizer put around and between
    them is kept.

    Args:
        ids: of both.
        texts: of each token, whether it is of the first text (0), the second (1) or none (None).
        max_length: of all tokens; None for no limit.
        truncation: what is kept of each text.

    Raises:
        UserError: there is no room for a token of each.
    """
    if max_length is None or len(ids) <= max_length:
        return ids
    first, second = ([place for place, text in enumerate(texts) if text == which] for which in (0, 1))
    room = max_length - (len(ids) - len(first) - len(second))
    if room < 2:
        raise UserError(
            f"data.max_length={max_length} has no room for two texts and the tokens around them: write "
            f"{max_length - room + 2} or more."
        )
    # The longer text gets the room that the shorter one leaves.
    of_second = min(len(second), max(room // 2, room - len(first)))
    kept = {*cut(first, room - of_second, truncation), *cut(second, of_second, truncation)}
    return [token for place, token in enumerate(ids) if texts[place] is None or place in kept]


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


__all__ = ["RaggedCollator", "cut", "cut_pair"]
