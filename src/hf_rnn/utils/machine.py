# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The machine: its processor or GPU, its versions, and how its memory and threads are used."""

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
    """Return whether this processor runs an LSTM in bf16: oneDNN needs instructions that some processors lack."""
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.nn.LSTM(4, 4)(torch.zeros(1, 1, 4))
    except RuntimeError:
        return False
    return True


def hardware() -> str:
    """Return the name of the processor, or of the GPUs, with their number."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} × {torch.cuda.get_device_name()}"
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or 'CPU'}, {os.cpu_count()} cores"


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide a result."""
    packages = ("torch", "transformers", "tokenizers", "datasets", "accelerate")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def bound_kernel_caches() -> None:
    """Let torch keep few kernels, for training on batches whose shapes seldom come back.

    On a CPU, oneDNN makes a kernel for each shape of a product or a layer, and torch and oneDNN each keep a thousand:
    with batches of many lengths they grow to gigabytes, and are hardly ever asked for again. It counts where no such
    kernel has run in the process; what the environment says already stays.
    """
    for name in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
        os.environ.setdefault(name, "64")


@cache
def keep_freed_memory() -> bool:
    """Let this process keep memory that it frees, for its next step.

    glibc gives large blocks back to the system at once, and the next step faults them in again, page by page: about a
    third of an LSTM's training step on a CPU. Memory that was needed once then stays with the process.

    Returns:
        True if the allocator took the settings: glibc's does, others have no such calls.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    mmap_max, trim_threshold, never = -4, -1, -1  # of malloc.h
    return bool(mallopt(mmap_max, 0) and mallopt(trim_threshold, never))


def give_back_freed_memory() -> None:
    """Give freed memory back to the system, where glibc allocates.

    [`keep_freed_memory`] keeps it, and memory that threads have freed in places of their own may grow to many times
    that in use.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute products inside the block in the calling thread alone.

    A thread that is not a process' first one gets helpers of its own from OpenMP. Without them, texts are answered one
    by one several times faster.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, of a GPU or of the machine.

    accelerate's `should_reduce_batch_size` also takes CUDNN_STATUS_NOT_SUPPORTED for it, which says that cuDNN has no
    kernel, and leaves out the allocations of cuDNN and cuBLAS.

    Args:
        error: of a step or of an allocation.
    """
    words = ("out of memory", "not enough memory", "can't allocate memory", "_STATUS_ALLOC_FAILED")
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(w in str(error) for w in words))


def on_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Return a batch with its tensors on a device. A GPU takes them from pinned memory, so that the host need not wait
    until they are there; all else in the batch stays.

    Args:
        batch: tensors, and other values, by their names.
        device: of the model.
    """
    gpu = device.type == "cuda"
    return {
        name: (value.pin_memory() if gpu and not value.is_cuda else value).to(device, non_blocking=gpu)
        if isinstance(value, torch.Tensor)
        else value
        for name, value in batch.items()
    }


def default_device() -> str:
    """Return the name of this process' GPU, where there is one; else of the CPU."""
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"


__all__ = [
    "bound_kernel_caches",
    "default_device",
    "give_back_freed_memory",
    "hardware",
    "is_out_of_memory",
    "keep_freed_memory",
    "on_device",
    "one_thread",
    "runs_bf16",
    "versions",
]
