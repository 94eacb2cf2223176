"""Tests that `make gpu-check` reports which steps it leaves out, and why."""

import subprocess

import gpu_check
import pytest


@pytest.mark.parametrize("name", gpu_check.STEPS)
def test_a_step_without_its_packages_is_left_out(name, monkeypatch):
    monkeypatch.setattr(gpu_check, "has_gpu", lambda: True)
    monkeypatch.setattr(gpu_check, "find_spec", lambda package: None if package == "transformers" else package)
    assert "has no transformers" in gpu_check.run(name)


@pytest.mark.parametrize("gpu", [False, True])
def test_what_became_of_each_step_is_said(gpu, monkeypatch, capsys):
    def run(command, timeout, **options):
        if "--probe" in command:
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, returncode=int("-m" in command and "gpu" in command))

    monkeypatch.setattr(gpu_check, "has_gpu", lambda: gpu)
    monkeypatch.setattr(gpu_check, "find_spec", lambda package: package)
    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(SystemExit) as ended:
        gpu_check.main()
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert said["contracts"] == "passed"
    assert bool(ended.value.code) == gpu
    if gpu:
        assert said["equations"] == "passed"
        assert said["tests"] == "FAILED: exit code 1"
        assert said["figures"] == "FAILED: not done after 150 s"
    else:
        assert {said[name] for name in ("equations", "tests", "figures")} == {"left out: there is no CUDA device here"}
