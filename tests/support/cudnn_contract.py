"""Checks of cuDNN's contracts on a CPU: the package takes its GPU branches, and kernels raise where cuDNN would.

cuDNN requires contiguous states, one data type for inputs, states and weights, weights in one buffer, and at most
65,535 time steps. It gives no gradients without `train`. A host that reads a value from a GPU waits for the GPU, and
[`Waits`] counts these operations.
"""

import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from hf_rnn.models import recurrence

LONGEST = 65_535
KERNELS = {"lstm": 2, "gru": 1, "rnn_tanh": 1, "rnn_relu": 1}
# Operations for which the host needs the result, or its shape, at once.
WAITS = ("_local_scalar_dense", "nonzero", "unique", "aten.equal", "is_nonzero", "masked_select")
COPIES = ("tolist", "cpu", "numpy", "__array__")


def _checked(kernel, states: int, seen: Counter):
    def run(x: Tensor, hx, weights, has_biases, layers, dropout, train, bidirectional, batch_first):
        state = list(hx) if states == 2 else [hx]
        seen[str(x.dtype)] += 1
        assert not torch.is_autocast_enabled(x.device.type) or x.dtype == torch.float64, (
            "torch's autocast would run the kernel in fp16"
        )
        for part in [*state, *weights]:
            assert part.dtype == x.dtype, f"Input and hidden/parameter tensors are not the same dtype: {part.dtype}"
        for part in state:
            assert part.is_contiguous(), "rnn: hx is not contiguous"
        assert x.shape[1] <= LONGEST, f"CUDNN_STATUS_NOT_SUPPORTED: {x.shape[1]} steps"
        assert recurrence._in_one_buffer(weights), "RNN module weights are not part of single contiguous chunk"
        asked = torch.is_grad_enabled() and any(part.requires_grad for part in [x, *state, *weights])
        assert train or not asked, "cudnn RNN backward can only be called in training mode"
        # Few CPUs run the kernel in half precision. Other data types than float64 are computed in float32.
        wide = torch.float64 if x.dtype == torch.float64 else torch.float32
        hx = tuple(part.to(wide) for part in state) if states == 2 else state[0].to(wide)
        found = kernel(
            x.to(wide),
            hx,
            [w.to(wide) for w in weights],
            has_biases,
            layers,
            dropout,
            train,
            bidirectional,
            batch_first,
        )
        return tuple(part.to(x.dtype) for part in found)

    return run


@contextmanager
def like_cudnn() -> Iterator[Counter]:
    """Make the package take its GPU branches on the CPU, with kernels that raise where cuDNN would.

    Yields:
        Number of kernel calls by the data type of the input.
    """
    seen: Counter = Counter()
    modules = [module for name, module in sys.modules.items() if name.startswith("hf_rnn.")]
    with ExitStack() as patches:
        for name, states in KERNELS.items():
            patches.enter_context(patch.object(torch._VF, name, _checked(getattr(torch._VF, name), states, seen)))
        patches.enter_context(patch.object(recurrence, "_wants_one_buffer", lambda x: True))
        patches.enter_context(patch.dict(recurrence.LONGEST, {"cpu": LONGEST}))
        for module in modules:
            if hasattr(module, "may_ask"):
                patches.enter_context(patch.object(module, "may_ask", lambda x: False))
        yield seen


class Waits(TorchDispatchMode):
    """Context that counts the operations for which a host would wait for a GPU."""

    def __init__(self):
        super().__init__()
        self.found: Counter = Counter()
        self.copies = _Copies(self)

    def __enter__(self):
        self.copies.__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self.copies.__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if any(name in str(func) for name in WAITS):
            self.add(str(func))
        return func(*args, **(kwargs or {}))

    def add(self, name: str) -> None:
        frames = [f for f in traceback.extract_stack() if "/hf_rnn/" in f.filename or "/transformers/" in f.filename]
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        self.found[f"{name} at {where}"] += 1


class _Copies(TorchFunctionMode):
    """Context that reports copies between host and GPU to [`Waits`], because a CPU does not dispatch them."""

    def __init__(self, waits: Waits):
        super().__init__()
        self.waits = waits

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        if name in COPIES or (name in ("tensor", "as_tensor") and kwargs.get("device") is not None):
            self.waits.add(name)
        return func(*args, **kwargs)
