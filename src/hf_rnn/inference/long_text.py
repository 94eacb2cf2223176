# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Classification of texts of any length in the memory of one window."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import torch
from torch import Tensor

from ..models.windows import read_in_windows
from ..utils.machine import give_back_freed_memory

# The number of tokens in a window, and the number of windows after which freed memory is given back to the system.
LONG_TEXT_WINDOW, TIDIED = 4096, 16


@torch.inference_mode()
def logits_of(model: Any, ids: Sequence[int], window: int = LONG_TEXT_WINDOW) -> Tensor:
    """Return the logits of a classifier for one text, `[1, C]`, the same as for the whole text in one pass.

    Args:
        model: Text classifier in eval mode.
        ids: Token ids of the text.
        window: Number of tokens that are in memory together.
    """
    windows = count()

    def tidy() -> None:
        if next(windows) % TIDIED == 0:
            give_back_freed_memory()

    text = torch.as_tensor(ids, dtype=torch.long, device=model.device)[None]
    pooled, _ = read_in_windows(model.model, model.pooling, text, None, window, tidy)
    logits = model.classifier(pooled)
    if model.wide_path is None:
        return logits
    return model.wide_path.mixed(logits, *model.wide_path.totals_of_long(text, window))


__all__ = ["logits_of"]
