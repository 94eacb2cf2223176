"""Print the lowest versions that pyproject.toml promises, as constraints for pip: `make test-lowest`.

torch stays at the version of constraints.txt, because other builds of it may not be available.
"""

import re
from pathlib import Path

import tomllib

ROOT = Path(__file__).parents[1]
# Extras for users. Tools for development and comparison may be newer.
EXTRAS = ("excel", "explain", "tagging", "translation", "tune")
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)(\[[^]]*])?>=(?P<version>[0-9.]+)")


def lowest(requirements: list[str]) -> dict[str, str]:
    """Return the lower bound of each requirement, by the name of its package.

    Args:
        requirements: Requirements, as in pyproject.toml.

    Raises:
        ValueError: A requirement has no lower bound.
    """
    found = {}
    for requirement in requirements:
        if requirement.startswith("hf-rnn["):
            continue
        match = REQUIREMENT.match(requirement)
        if match is None:
            raise ValueError(f"{requirement!r} of pyproject.toml has no lower bound: write one with >=")
        found[match["name"]] = match["version"]
    return found


def pinned(name: str) -> str:
    """Return the version of a package in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    (version,) = [line.partition("==")[2] for line in lines if line.lower().startswith(f"{name}==")]
    return version


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    versions = {**lowest(project["dependencies"] + extras), "torch": pinned("torch")}
    for name, version in versions.items():
        print(f"{name}=={version}")


if __name__ == "__main__":
    main()
