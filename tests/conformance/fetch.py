"""Brings transformers' own test suite, of the installed version, out of its source distribution on the package index.

It is laid out under `.cache/conformance` as a package `tests`, with the four small things that the archive lacks. Run
it before `pytest tests/conformance`; it does nothing where the suite is there already.
"""

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
    "tests/generation/test_utils.py": "class GenerationTesterMixin:\n    pass\n",
}


def suite() -> Path:
    """The folder that holds the suite of the installed transformers."""
    return CACHE / f"transformers-{version('transformers')}"


def fetch() -> Path:
    folder = suite()
    if folder.is_dir():
        return folder
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
    return folder


if __name__ == "__main__":
    print(f"transformers' tests are in {fetch()}")
