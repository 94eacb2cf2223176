# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Mean of a loss over the items of all processes."""

from typing import Any

import torch
from torch import distributed


class ShareOfAll:
    """Weight of the loss of one process in the mean over all processes.

    Data parallelism averages the losses of the processes, each a mean over some items. With these weights, the result
    is the mean over all items. The constructor starts the sum over processes, which runs while each computes its loss.

    Args:
        items: Number of items in the loss of this process, a scalar tensor.
    """

    def __init__(self, items: torch.Tensor):
        self.items = items.float()
        self.all = self.items.clone()
        self.sum: Any = distributed.all_reduce(self.all, async_op=True)

    def weigh(self, loss: torch.Tensor) -> torch.Tensor:
        """Return the loss of this process, weighted by its share of the items of all processes.

        Args:
            loss: Mean loss of the items of this process, a scalar.
        """
        self.sum.wait()
        return loss * self.items * (distributed.get_world_size() / self.all)


__all__ = ["ShareOfAll"]
