"""Fetch transformers' test suite for the installed version from its source distribution on the package index.

The script unpacks the suite under `.cache/conformance` as a package `tests`, and adds the modules that the archive
lacks. Run it before `pytest tests/conformance`. It does not fetch a suite that is already there.

The archive does not contain the generation tests. To run them too, take them from a clone of transformers' repository
of about the same version: `make conformance GENERATION_TESTS=CLONE/tests/generation/test_utils.py`.
"""

import os
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache" / "conformance"

# Stand-ins for modules that the archive's tests import but the archive does not contain.
STAND_INS = {
    "tests/__init__.py": "",
    "tests/utils/__init__.py": "",
    "tests/utils/test_configuration_utils.py": "config_common_kwargs = {}\n",
    "tests/exporters/__init__.py": "",
    "tests/exporters/test_export.py": "class ExportTesterMixin:\n    pass\n",
    "tests/generation/__init__.py": "",
}
GENERATION = "class GenerationTesterMixin:\n    pass\n"


def suite() -> Path:
    """Return the folder of the test suite for the installed version of transformers."""
    return CACHE / f"transformers-{version('transformers')}"


def fetch() -> Path:
    """Fetch the suite unless it is already there; return its folder."""
    folder = suite()
    if not folder.is_dir():
        _unpack(folder)
    given = os.environ.get("GENERATION_TESTS")
    tests = Path(given).read_text(encoding="utf-8") if given else GENERATION
    (folder / "tests" / "generation" / "test_utils.py").write_text(tests, encoding="utf-8")
    return folder


def _unpack(folder: Path) -> None:
    """Download the source distribution and unpack its tests into a folder."""
    CACHE.mkdir(parents=True, exist_ok=True)
    wanted = f"transformers=={version('transformers')}"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"),
            *("--no-build-isolation", "--dest", str(CACHE), wanted),
        ],
        check=True,
    )
    archive = next(CACHE.glob(f"transformers-{version('transformers')}.tar.gz"))
    unpacking = CACHE / "unpacking"
    shutil.rmtree(unpacking, ignore_errors=True)
    with tarfile.open(archive) as tar:
        members = [member for member in tar.getmembers() if "/tests/" in member.name]
        tar.extractall(unpacking, members=members, filter="data")
    source = unpacking / folder.name
    for name, text in STAND_INS.items():
        file = source / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    # The suite looks up class names in the sources beside it.
    import transformers

    (source / "src").mkdir(exist_ok=True)
    (source / "src" / "transformers").symlink_to(Path(transformers.__file__).parent)
    source.rename(folder)


if __name__ == "__main__":
    print(f"transformers' tests are in {fetch()}")
