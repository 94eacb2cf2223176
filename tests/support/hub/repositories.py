"""Repositories of the Hub of the tests: files, commits, branches and tags, all in memory."""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime, timezone

import yaml

LFS_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".png", ".parquet")
CARD = re.compile(r"^\s*---[\r\n]+(.*?)[\r\n]+---(?:[\r\n]|$)", re.DOTALL)


@dataclass(frozen=True)
class Blob:
    data: bytes
    lfs: bool = False

    @property
    def oid(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()

    @property
    def etag(self) -> str:
        return hashlib.sha256(self.data).hexdigest() if self.lfs else self.oid


@dataclass(frozen=True)
class Commit:
    parent: str | None
    files: dict[str, Blob]
    title: str
    author: str
    date: str = field(default_factory=lambda: datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z"))

    @property
    def oid(self) -> str:
        tree = sorted((path, blob.oid) for path, blob in self.files.items())
        return hashlib.sha1(repr((self.parent, tree, self.title, self.date)).encode()).hexdigest()


@dataclass
class Repo:
    id: str
    kind: str
    private: bool = False
    gated: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def add(self, files: dict[str, Blob], title: str, author: str, branch: str = "main") -> str:
        commit = Commit(self.branches.get(branch), files, title, author)
        self.commits[commit.oid] = commit
        self.branches[branch] = commit.oid
        return commit.oid

    def find(self, revision: str) -> str | None:
        """Return the id of the commit that a branch, a tag or a commit id names, or None."""
        revision = revision.removeprefix("refs/heads/")
        return (
            self.branches.get(revision) or self.tags.get(revision) or (revision if revision in self.commits else None)
        )

    def history(self, revision: str = "main") -> list[Commit]:
        """Return the commits from the newest to the oldest."""
        found, oid = [], self.find(revision)
        while oid is not None:
            found.append(self.commits[oid])
            oid = self.commits[oid].parent
        return found

    def files(self, revision: str = "main") -> dict[str, bytes]:
        return {path: blob.data for path, blob in self.commits[self.find(revision)].files.items()}

    def card(self, commit: Commit) -> dict:
        """Return the metadata of the card, or an empty dictionary if the metadata cannot be read."""
        readme = commit.files.get("README.md")
        found = readme and CARD.match(readme.data.decode(errors="replace"))
        try:
            metadata = yaml.safe_load(found[1]) if found else None
        except yaml.YAMLError:
            metadata = None
        return metadata if isinstance(metadata, dict) else {}
