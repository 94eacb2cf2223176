# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The processes of one job: how they join, leave and are started again."""

import os
from datetime import timedelta

from torch import distributed


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


__all__ = ["job_id", "join_after_restart", "leave_processes", "was_restarted"]
