"""Fixtures of the Hub tests: a local Hub, empty at the start of each test, and a process that uses only it."""

import re
import shutil
from pathlib import Path

import pytest
from support.hub.client import Client
from support.hub.server import HubServer


@pytest.fixture(scope="session")
def server():
    with HubServer(chunk_size=10_000) as server:
        yield server


@pytest.fixture(scope="session")
def client(server, tmp_path_factory):
    client = Client(server, tmp_path_factory.mktemp("home"))
    yield client
    client.pool.shutdown()


@pytest.fixture(autouse=True)
def _an_empty_hub(server):
    server.repos.clear()
    server.objects.clear()
    server.faults.clear()


@pytest.fixture
def repo_id(request) -> str:
    """Return a repository name that no other test uses, because tests share the client's cache."""
    return "user/" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[-80:].strip("-")


@pytest.fixture
def model(tiny_run, tmp_path) -> Path:
    """Return a copy of a trained model's folder that the test may change."""
    return Path(shutil.copytree(tiny_run, tmp_path / "model"))
