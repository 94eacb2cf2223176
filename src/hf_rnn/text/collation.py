# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Pad rows of token ids, and their labels, to batches."""

from dataclasses import dataclass

import numpy as np
import torch

from ..runtime.batching import padded

# Column of encoded rows, and entry of batches, with the answers of a teacher.
TEACHER = "teacher"


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
        # numpy converts lists of numbers several times as fast as torch.
        input_ids, attention_mask = padded([row["input_ids"] for row in rows], self.pad_token_id)
        T = input_ids.shape[1]
        batch = {"input_ids": torch.from_numpy(input_ids), "attention_mask": torch.from_numpy(attention_mask)}
        if "labels" in rows[0] and self.label_of_padding is None:
            batch["labels"] = torch.tensor([row["labels"] for row in rows], dtype=self.label_dtype)
        elif "labels" in rows[0]:
            T = max(1, *(len(row["labels"]) for row in rows))
            labels = np.full((len(rows), T), self.label_of_padding, dtype=np.int64)
            for of_row, row in zip(labels, rows, strict=True):
                of_row[: len(row["labels"])] = row["labels"]
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


__all__ = ["TEACHER", "RaggedCollator"]
