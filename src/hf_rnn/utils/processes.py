# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Processes of one distributed job: joining, leaving and restarts."""

import os
from datetime import timedelta


def is_one_of_several() -> bool:
    """Return whether a launcher has started this process as one of several.

    The function does not import torch.
    """
    return int(os.environ.get("WORLD_SIZE") or 1) > 1


def join_after_restart(backend: str, timeout: timedelta) -> None:
    """Join the process group of a job that torchrun has restarted; call it before anything else joins.

    torch 2.13 keeps the store of the previous attempt, which has the addresses of processes that no longer exist. A
    process that reads such an address before it is replaced waits in vain. This function gives each attempt its own
    prefix in the store. It does nothing in a job that was not restarted.

    Args:
        backend: Backend of torch.distributed, such as `"gloo"`.
        timeout: Maximum time that a process waits for the others.
    """
    from torch import distributed

    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    kept = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    if attempt == "0" or not is_one_of_several() or not kept or distributed.is_initialized():
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
    """Leave the process group of a job that ends without an error.

    Otherwise, the communication threads of a process may abort it at exit, and its launcher reports a failure.
    """
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def was_restarted() -> bool:
    """Return whether a launcher (torchrun, accelerate launch) or a cluster (SLURM) has restarted this job."""
    return any(int(os.environ.get(name) or 0) for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"))


def job_id() -> str:
    """Return the id of the job that a launcher or a cluster gives.

    It is the same in all processes and after a restart.
    """
    names = ("SLURM_JOB_ID", "TORCHELASTIC_RUN_ID")
    given = [os.environ[name] for name in names if os.environ.get(name, "none") != "none"]
    return given[0] if given else f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"


__all__ = ["is_one_of_several", "job_id", "join_after_restart", "leave_processes", "was_restarted"]
