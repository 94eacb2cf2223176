"""Brings transformers' own test suite, of the installed version, out of its source distribution on the package index.

It is laid out under `.cache/conformance` as a package `tests`, with the four small things that the archive lacks. Run
it before `pytest tests/conformance`; where the suite is there already, it is not fetched again.

The tests of generation are not in the archive. Out of a clone of transformers' repository of about the same version
they run too: `make conformance GENERATION_TESTS=CLONE/tests/generation/test_utils.py`.
"""

import os
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache" / "conformance"

# Empty stand-ins for modules that the archive's tests import and the archive leaves out.
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
    """The folder that holds the suite of the installed transformers."""
    return CACHE / f"transformers-{version('transformers')}"


def fetch() -> Path:
    folder = suite()
    if not folder.is_dir():
        _unpack(folder)
    given = os.environ.get("GENERATION_TESTS")
    tests = Path(given).read_text(encoding="utf-8") if given else GENERATION
    (folder / "tests" / "generation" / "test_utils.py").write_text(tests, encoding="utf-8")
    return folder


def _unpack(folder: Path) -> None:
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
    # The suite asks the sources beside it for class names.
    import transformers

    (source / "src").mkdir(exist_ok=True)
    (source / "src" / "transformers").symlink_to(Path(transformers.__file__).parent)
    source.rename(folder)


if __name__ == "__main__":
    print(f"transformers' tests are in {fetch()}")
