# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Hardware, library versions, and settings for memory and threads."""

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


@cache
def runs_bf16() -> bool:
    """Return whether this processor runs an LSTM in bf16.

    oneDNN needs instructions that some processors lack.
    """
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.nn.LSTM(4, 4)(torch.zeros(1, 1, 4))
    except RuntimeError:
        return False
    return True


def emulates_bf16() -> bool:
    """Return True if this is an x86 processor without instructions for bf16, on which bf16 is slower than float32.

    Releases of torch that do not know the processor's instructions give False.
    """
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return known.get("architecture") == "x86_64" and not (known.get("avx512_bf16") or known.get("amx_bf16"))


def hardware() -> str:
    """Return the name and number of the GPUs, or the name and number of cores of the processor."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} × {torch.cuda.get_device_name()}"
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or 'CPU'}, {os.cpu_count()} cores"


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that affect a result."""
    packages = ("torch", "transformers", "tokenizers", "datasets", "accelerate")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def bound_kernel_caches() -> None:
    """Limit the number of CPU kernels that torch and oneDNN cache, for training on batches of many shapes.

    On a CPU, oneDNN makes a kernel for each shape of a product or a layer. torch and oneDNN each keep a thousand. With
    batches of many lengths, these caches grow to gigabytes, and their kernels are rarely used again.

    The limit has an effect only if no such kernel has run in the process. Environment variables that are already set
    stay as they are.
    """
    for name in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
        os.environ.setdefault(name, "64")


@cache
def keep_freed_memory() -> bool:
    """Make the allocator keep freed memory for the next step of this process.

    glibc returns large blocks to the system at once, and the next step faults them in again page by page. This takes
    about a third of an LSTM's training step on a CPU. The process then keeps its peak memory.

    Returns:
        True if the allocator took the settings: glibc's does, others have no such calls.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    mmap_max, trim_threshold, never = -4, -1, -1  # constants of malloc.h
    return bool(mallopt(mmap_max, 0) and mallopt(trim_threshold, never))


def give_back_freed_memory() -> None:
    """Return freed memory to the system, if glibc allocates it.

    [`keep_freed_memory`] keeps such memory. Freed memory in the arenas of threads may grow to many times the memory in
    use.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute products inside the block in the calling thread alone.

    OpenMP gives a thread other than the process's first one helper threads of its own. Without them, predicting texts
    one by one is several times faster.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the GPU or the machine is out of memory.

    accelerate's `should_reduce_batch_size` is not used for two reasons. It counts CUDNN_STATUS_NOT_SUPPORTED, which
    says that cuDNN has no kernel. It does not count failed allocations of cuDNN and cuBLAS.

    Args:
        error: Error of a training step or an allocation.
    """
    words = ("out of memory", "not enough memory", "can't allocate memory", "_STATUS_ALLOC_FAILED")
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(w in str(error) for w in words))


def on_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Return a batch with its tensors on a device; other values stay as they are.

    Copies to a GPU go through pinned memory, so that the host does not wait for them.

    Args:
        batch: Tensors and other values by name.
        device: Device of the model.
    """
    gpu = device.type == "cuda"
    return {
        name: (value.pin_memory() if gpu and not value.is_cuda else value).to(device, non_blocking=gpu)
        if isinstance(value, torch.Tensor)
        else value
        for name, value in batch.items()
    }


def default_device() -> str:
    """Return the name of this process's GPU if there is one, otherwise `cpu`."""
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"


__all__ = [
    "bound_kernel_caches",
    "default_device",
    "emulates_bf16",
    "give_back_freed_memory",
    "hardware",
    "is_out_of_memory",
    "keep_freed_memory",
    "on_device",
    "one_thread",
    "runs_bf16",
    "versions",
]
