"""Test of a run on two hosts with one process each.

The hosts are two connected network namespaces if the permissions allow it, else two addresses of this host.
"""

import json
import os
import shutil
import socket
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from support.launch import ROOT, options
from support.waiting import PATIENCE

from hf_rnn.cli.main import main


def ip(*arguments) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def hosts():
    """Yield for each of two hosts the prefix of its commands, its address, and its network interface."""
    names = [f"hf{os.getpid()}a", f"hf{os.getpid()}b"]
    try:
        if os.geteuid() != 0 or not shutil.which("ip"):
            raise PermissionError
        for name in names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", names[0], "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", names[1])
        for number, name in enumerate(names, start=1):
            ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up")
        yield [(["ip", "netns", "exec", name], f"10.77.0.{number}", "cable") for number, name in enumerate(names, 1)]
    except (PermissionError, subprocess.CalledProcessError):
        yield [([], "127.0.0.1", "lo"), ([], "127.0.0.2", "lo")]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True) if shutil.which("ip") else None


@pytest.mark.proof
@pytest.mark.slow
def test_two_hosts_train_as_one(hosts, reviews, tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    running = []
    for number, (there, address, interface) in enumerate(hosts):
        command = [
            *there,
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nnodes=2",
            "--nproc-per-node=1",
            f"--node-rank={number}",
            f"--master-addr={hosts[0][1]}",
            f"--master-port={port}",
            f"--local-addr={address}",
            str(ROOT / "scripts" / "train.py"),
            *options(reviews, tmp_path / "two", 8),
        ]
        variables = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": interface}
        log = (tmp_path / f"host {number}.txt").open("w+")
        running.append((subprocess.Popen(command, env=variables, stdout=log, stderr=log), log))
    assert main(["train", *options(reviews, tmp_path / "one", 16)]) == 0
    for process, log in running:
        code = process.wait(timeout=PATIENCE)
        log.seek(0)
        assert code == 0, log.read()
        log.close()
    assert json.loads((tmp_path / "two" / "metrics.json").read_text())["run"]["world_size"] == 2
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert all(torch.allclose(one[name], two[name], rtol=0, atol=1e-6) for name in one)
