# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The statistics of a data set, which are printed before training and appear in the model card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..text.arguments import BUILT_IN, DataArguments
from ..text.sources import is_on_hub

if TYPE_CHECKING:
    from datasets import Dataset


class TaskFacts:
    """Statistics of the data of a task: its name, its rows and their lengths."""

    data: DataArguments

    def title(self) -> dict:
        """Return the name of the data set, and its id and revision on the Hub."""
        data, on_hub = self.data, is_on_hub(self.data)
        return {
            "title": data.path if on_hub or data.path == BUILT_IN else Path(data.path).stem,
            "hub_id": data.path if on_hub else None,
            "revision": data.revision,
        }

    def length_facts(self, rows: Dataset) -> dict:
        """Return the number of rows of an encoded split, their lengths in tokens, and the share of truncated rows.

        Args:
            rows: Rows of the split that `encode` returned.
        """
        lengths = np.asarray(rows["full_length"])
        p5, p50, p95 = np.percentile(lengths, [5, 50, 95]).astype(int).tolist()
        return {
            "rows": len(rows),
            "tokens": {"5 %": p5, "half": p50, "95 %": p95, "longest": int(lengths.max())},
            "cut": float(np.mean(lengths > self.data.max_length)) if self.data.max_length else 0.0,
            "empty": int((lengths == 0).sum()),
        }

    def length_summary(self, split: str, facts: dict) -> str:
        """Return the line of a split in the table that is printed before training.

        Args:
            split: Name of the split.
            facts: Statistics that `length_facts` returned.
        """
        tokens = ", ".join(f"{name} {count}" for name, count in facts["tokens"].items())
        line = f"{split:<11}{facts['rows']:>8} rows · tokens: {tokens}"
        if self.data.max_length is not None and facts["cut"] is not None:
            line += f" · cut to {self.data.max_length} ({self.data.truncation}): {facts['cut']:.1%}"
        return line + (f" · empty: {facts['empty']}" if facts["empty"] else "")


__all__ = ["TaskFacts"]
