# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The machine that this runs on: what it is, and how its memory is kept."""

import ctypes
import logging
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import distributed


@cache
def runs_bf16() -> bool:
    """Return whether this processor runs an LSTM in bf16: oneDNN needs instructions that some processors lack."""
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.nn.LSTM(4, 4)(torch.zeros(1, 1, 4))
    except RuntimeError:
        return False
    return True


def say(text: str) -> None:
    """Print a text on a standard output of any encoding; a character that it lacks is escaped."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


@contextmanager
def unsaid(name: str, words: str) -> Iterator[None]:
    """Keep a library from a line that does not fit here.

    Args:
        name: of its logger.
        words: by which the line is known.
    """
    logger = logging.getLogger(name)

    def fits(record: logging.LogRecord) -> bool:
        return words not in record.getMessage()

    logger.addFilter(fits)
    try:
        yield
    finally:
        logger.removeFilter(fits)


def hardware() -> str:
    """The processor, or the GPUs, in words."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} × {torch.cuda.get_device_name()}"
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or 'CPU'}, {os.cpu_count()} cores"


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide a result."""
    packages = ("torch", "transformers", "tokenizers", "datasets", "accelerate")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def bound_kernel_caches() -> None:
    """Lets torch keep few kernels, for training on batches whose shapes seldom come back.

    On a CPU, oneDNN makes a kernel for each shape of a product or a layer, and torch and oneDNN each keep a thousand:
    with batches of many lengths they grow to gigabytes, and are hardly ever asked for again. It counts where no such
    kernel has run in the process; what the environment says already stays.
    """
    for name in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
        os.environ.setdefault(name, "64")


@cache
def keep_freed_memory() -> bool:
    """Lets this process keep memory that it frees, for its next step.

    glibc gives large blocks back to the system at once, and the next step faults them in again, page by page: about a
    third of an LSTM's training step on a CPU. Memory that was needed once then stays with the process.

    Returns:
        Whether the allocator took the settings: glibc's does, others have no such calls.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    mmap_max, trim_threshold, never = -4, -1, -1  # of malloc.h
    return bool(mallopt(mmap_max, 0) and mallopt(trim_threshold, never))


def give_back_freed_memory() -> None:
    """Gives freed memory back to the system, where glibc allocates: [`keep_freed_memory`] keeps it, and what threads
    have freed in places of their own may grow to many times what is in use."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return


@contextmanager
def one_thread() -> Iterator[None]:
    """Products are computed in the calling thread alone, as long as it lasts. A thread that is not a process' first one
    gets helpers of its own from OpenMP, and texts one by one are answered several times faster without."""
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
    """
    words = ("out of memory", "not enough memory", "can't allocate memory", "_STATUS_ALLOC_FAILED")
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(w in str(error) for w in words))


def join_after_restart(backend: str, timeout: timedelta) -> None:
    """Joins the processes of a job that torchrun has started again, before anything else does.

    torch 2.13 keeps the store of the attempt before, and in it the addresses of processes that are gone; whoever reads
    one of them there before it is written anew waits in vain. Each attempt gets names of its own here.
    """
    attempt, several = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), int(os.environ.get("WORLD_SIZE") or 1) > 1
    kept = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    if attempt == "0" or not several or not kept or distributed.is_initialized():
        return
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = distributed.TCPStore(address, port, is_master=False, timeout=timeout)
    distributed.init_process_group(
        backend,
        store=distributed.PrefixStore(f"attempt {attempt}", store),
        rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
        timeout=timeout,
    )


def leave_processes() -> None:
    """Takes leave of the other processes of a job that ends well. One that just exits may be aborted by the threads
    that talk to them, and its launcher then says that it failed."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def was_restarted() -> bool:
    """Whether a launcher (torchrun, accelerate launch) or a cluster (SLURM) runs this job once more, since it died."""
    return any(int(os.environ.get(name) or 0) for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"))


def job_id() -> str:
    """What a launcher's or a cluster's job is called, the same in all its processes and after a restart."""
    names = ("SLURM_JOB_ID", "TORCHELASTIC_RUN_ID")
    given = [os.environ[name] for name in names if os.environ.get(name, "none") != "none"]
    return given[0] if given else f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"


def on_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Return a batch with its tensors on a device. A GPU takes them from pinned memory, so that the host need not wait
    until they are there; all else in the batch stays."""
    gpu = device.type == "cuda"
    return {
        name: (value.pin_memory() if gpu and not value.is_cuda else value).to(device, non_blocking=gpu)
        if isinstance(value, torch.Tensor)
        else value
        for name, value in batch.items()
    }


def default_device() -> str:
    """The GPU of this process, where there is one; else the CPU."""
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
