"""Test of `make chaos` in a short form."""

import os
import subprocess
import sys

import pytest
from support import ROOT
from support.waiting import PATIENCE


@pytest.mark.proof
@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="chaos.py forks")
def test_runs_that_were_killed_starved_and_damaged_end_as_if_nothing_had_been():
    command = [sys.executable, str(ROOT / "tools" / "chaos.py"), "--kills", "6", "--others", "1"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Each run ended with the weights, metrics and log of the one that nobody touched" in ended.stdout
