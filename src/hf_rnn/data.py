# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The names of `hf_rnn.text` that were of this module before."""

from .text.arguments import BUILT_IN, DataArguments
from .text.collation import RaggedCollator, cut
from .text.columns import check_column, choose_text, find_columns
from .text.loading import load
from .text.sources import SPLITS, is_on_hub
from .text.splits import choose_split, split_validation


def choose_columns(rows, data: DataArguments):
    """The columns of the text and the label, as [`~hf_rnn.text.columns.find_columns`] finds them."""
    found = find_columns(rows, data)
    return found.text, found.label


__all__ = [
    "BUILT_IN",
    "SPLITS",
    "DataArguments",
    "RaggedCollator",
    "check_column",
    "choose_columns",
    "choose_split",
    "choose_text",
    "cut",
    "is_on_hub",
    "load",
    "split_validation",
]
