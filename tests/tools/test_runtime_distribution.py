"""Tests of the distribution `hf-rnn-runtime`, whose folder links to the code of hf_rnn."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from support import ROOT

pytest.importorskip("hatchling", reason="needs hatchling: pip install hatchling")


def build(kind: str, source: Path, output: Path) -> Path:
    """Build a distribution, and return its file."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(output)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (file,) = output.iterdir()
    return file


def contents(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel by name, without the list of their hashes."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


@pytest.mark.slow
def test_the_wheel_has_the_same_files_from_the_repository_and_from_the_source_distribution(tmp_path):
    direct = contents(build("wheel", ROOT / "runtime", tmp_path / "direct"))
    with tarfile.open(build("sdist", ROOT / "runtime", tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    assert contents(build("wheel", source, tmp_path / "again")) == direct
    package = ROOT / "src" / "hf_rnn" / "runtime"
    modules = {f"hf_rnn_runtime/{file.name}": file.read_bytes() for file in package.iterdir() if file.is_file()}
    assert {name: direct.get(name) for name in modules} == modules
    license_text = (ROOT / "LICENSE").read_bytes()
    assert [text for name, text in direct.items() if name.endswith("/licenses/LICENSE")] == [license_text]


def test_the_release_builds_both_distributions():
    workflow = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert "python -m build && python -m build --outdir dist runtime" in workflow
    assert "src/hf_rnn/runtime/__init__.py" in workflow
