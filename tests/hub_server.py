"""A Hub on 127.0.0.1: repositories with commit history, for tests and for trying things by hand.

    python -m tests.hub_server          # then, in another shell, what it prints

It speaks what huggingface_hub's client asks for: whoami, create and delete, info, tree, refs, preupload, LFS (whole
and in parts), commit, resolve with ETag and Range, branches, tags, card validation. Everything lives in memory.
`Fault`s make it fail on demand.
"""

import base64
import hashlib
import json
import re
import socket
import threading
import urllib.parse
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

# Token → user and role.
TOKENS = {"hf_writer": ("user", "write"), "hf_reader": ("user", "read"), "hf_other": ("other", "write")}
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
        """The commit that a branch, a tag or a commit's own id names."""
        revision = revision.removeprefix("refs/heads/")
        return (
            self.branches.get(revision) or self.tags.get(revision) or (revision if revision in self.commits else None)
        )

    def history(self, revision: str = "main") -> list[Commit]:
        """Commits from the newest to the oldest."""
        found, oid = [], self.find(revision)
        while oid is not None:
            found.append(self.commits[oid])
            oid = self.commits[oid].parent
        return found

    def files(self, revision: str = "main") -> dict[str, bytes]:
        return {path: blob.data for path, blob in self.commits[self.find(revision)].files.items()}

    def card(self, commit: Commit) -> dict:
        """The metadata of the card; none where it cannot be read."""
        readme = commit.files.get("README.md")
        found = readme and CARD.match(readme.data.decode(errors="replace"))
        try:
            metadata = yaml.safe_load(found[1]) if found else None
        except yaml.YAMLError:
            metadata = None
        return metadata if isinstance(metadata, dict) else {}


@dataclass
class Fault:
    """Makes matching requests fail.

    Args:
        kind: an HTTP status (`429`, `500`, …); `cut` (the connection breaks in the middle of the body); `wrong_hash`
            (the bytes that arrive are not those that were sent); `race` (another commit comes first); `lost` (all is
            done, but the answer never arrives); `hang` (no answer until the server closes).
        match: regular expression over `METHOD path`.
        times: how many requests it spoils.
        after: how many matching requests pass before.
    """

    kind: int | str
    match: str
    times: int = 1
    after: int = 0
    retry_after: int | None = None

    def hits(self, request: str) -> bool:
        if not self.times or not re.search(self.match, request):
            return False
        if self.after:
            self.after -= 1
            return False
        self.times -= 1
        return True


class HubError(Exception):
    def __init__(self, status: int, message: str, code: str | None = None, **headers: str):
        super().__init__(message)
        self.status, self.message = status, message
        self.headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **headers}


class HubServer:
    """`with HubServer() as hub:` serves `hub.url` until the end of the block."""

    def __init__(self, port: int = 0, chunk_size: int | None = None):
        self.repos: dict[tuple[str, str], Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = defaultdict(dict)
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.chunk_size = chunk_size
        self.changed = threading.Condition(threading.RLock())
        self.closing = threading.Event()
        handler = type("Handler", (_Handler,), {"hub": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.http.daemon_threads = True
        self.http.block_on_close = False
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def __enter__(self) -> "HubServer":
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()

    def environment(self, home, token: str | None = "hf_writer") -> dict[str, str]:
        """The environment variables with which a process uses this Hub and no other."""
        variables = {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
        variables |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0"}
        return variables | ({"HF_TOKEN": token} if token else {"HF_TOKEN": ""})

    def repo(self, name: str, kind: str = "model") -> Repo:
        return self.repos[kind, name]

    def create(
        self, name: str, kind: str = "model", private: bool = False, files: dict[str, bytes] | None = None
    ) -> Repo:
        repo = self.repos[kind, name] = Repo(name, kind, private)
        start = {".gitattributes": Blob(b"*.safetensors filter=lfs\n")}
        repo.add(start, "initial commit", name.split("/")[0])
        if files:
            blobs = {path: Blob(data, path.endswith(LFS_SUFFIXES)) for path, data in files.items()}
            repo.add(start | blobs, "files", name.split("/")[0])
        return repo

    def wait_for(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Waits until something that a commit changes holds."""
        with self.changed:
            assert self.changed.wait_for(condition, seconds), "the server never saw it"


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_) -> None:
        pass

    # One request -----------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        self.place = url.path
        self.query = dict(urllib.parse.parse_qsl(url.query))
        request = f"{self.command} {urllib.parse.unquote(self.path)}"
        with self.hub.changed:
            self.hub.requests.append(request)
            self.fault = next((fault for fault in self.hub.faults if fault.hits(request)), None)
        kind = self.fault.kind if self.fault else None
        if kind == "hang":
            self.hub.closing.wait()
            return self._break_off()
        length = int(self.headers.get("Content-Length") or 0)
        if kind == "cut" and length:
            self.rfile.read(length // 2)
            return self._break_off()
        self.body = self._chunked() if self.headers.get("Transfer-Encoding") == "chunked" else self.rfile.read(length)
        try:
            if isinstance(kind, int):
                wait = {} if self.fault.retry_after is None else {"Retry-After": str(self.fault.retry_after)}
                raise HubError(kind, "told to fail", **wait)
            self._route()
        except HubError as error:
            self._send(error.status, json.dumps({"error": error.message, **self._url()}).encode(), error.headers)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve

    def _url(self) -> dict:
        # A conflict over a repository's name must say where it is.
        return {"url": f"{self.hub.url}/{self.conflict}"} if getattr(self, "conflict", None) else {}

    def _chunked(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _break_off(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, status: int, body: bytes = b"", headers: dict | None = None) -> None:
        if self.fault is not None and self.fault.kind == "lost":
            return self._break_off()
        cut = self.fault is not None and self.fault.kind == "cut"
        if self.fault is not None and self.fault.kind == "wrong_hash" and self.command == "GET" and status < 300:
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "X-Request-Id": "test", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.wfile.flush()
            self._break_off()

    def _json(self, value, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _route(self) -> None:
        for methods, pattern, name in _ROUTES:
            found = re.fullmatch(pattern, self.place)
            if found and self.command in methods.split():
                named = {key: urllib.parse.unquote(value or "") for key, value in found.groupdict().items()}
                with self.hub.changed:
                    getattr(self, f"_{name}")(**named)
                    self.hub.changed.notify_all()
                return
        raise HubError(404, f"there is nothing at {self.place}")

    # Who may do what -------------------------------------------------------------------------------------------------

    def _user(self) -> tuple[str, str] | None:
        header = self.headers.get("Authorization")
        if header is None:
            return None
        token = header.removeprefix("Bearer ")
        if token not in TOKENS:
            raise HubError(401, "Invalid credentials in Authorization header")
        return TOKENS[token]

    def _find(self, kind: str, id: str, write: bool = False, content: bool = False) -> Repo:
        user, repo = self._user(), self.hub.repos.get((kind.rstrip("s"), id))
        owner = user is not None and id.split("/")[0] == user[0]
        if repo is None or (repo.private and not owner):
            if user is None:
                raise HubError(401, "Invalid username or password.", "RepoNotFound")
            raise HubError(404, "Repository not found", "RepoNotFound")
        if content and repo.gated and not owner:
            raise HubError(403 if user else 401, f"Access to model {id} is restricted.", "GatedRepo")
        if write and not (owner and user[1] == "write"):
            raise HubError(403, "you must use a token with write access" if owner else "you must be its owner")
        return repo

    def _commit_of(self, repo: Repo, revision: str) -> Commit:
        oid = repo.find(revision)
        if oid is None:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return repo.commits[oid]

    # Users and repositories ------------------------------------------------------------------------------------------

    def _whoami(self) -> None:
        user = self._user()
        if user is None:
            raise HubError(401, "Invalid username or password.")
        access = {"type": "access_token", "accessToken": {"displayName": "test", "role": user[1]}}
        self._json({"type": "user", "name": user[0], "fullname": user[0], "orgs": [], "auth": access})

    def _create(self) -> None:
        asked, user = json.loads(self.body), self._user()
        if user is None:
            raise HubError(401, "Invalid username or password.")
        owner, kind = asked.get("organization") or user[0], asked.get("type") or "model"
        name = f"{owner}/{asked['name']}"
        if (kind, name) in self.hub.repos and owner == user[0]:
            self.conflict = name
            raise HubError(409, "You already created this model repo")
        if owner != user[0] or user[1] != "write":
            raise HubError(403, f'You don\'t have the rights to create a {kind} under the namespace "{owner}"')
        self.hub.create(name, kind, asked.get("private") or asked.get("visibility") == "private")
        self._json({"url": f"{self.hub.url}/{name}", "name": name, "id": name})

    def _delete(self) -> None:
        asked = json.loads(self.body)
        name = f"{asked.get('organization') or self._user()[0]}/{asked['name']}"
        repo = self._find(asked.get("type") or "model", name, write=True)
        del self.hub.repos[repo.kind, repo.id]
        self._json({})

    def _list(self, kind: str) -> None:
        user, wanted = self._user(), self.query
        found = []
        for repo in self.hub.repos.values():
            owner = repo.id.split("/")[0]
            visible = repo.kind == kind.rstrip("s") and not (repo.private and (user is None or user[0] != owner))
            if visible and wanted.get("author", owner) == owner and wanted.get("search", "") in repo.id:
                found.append(self._described(repo, repo.history()[0]))
        self._json(found)

    def _described(self, repo: Repo, commit: Commit) -> dict:
        card = repo.card(commit)
        facts = {"_id": repo.id, "id": repo.id, "sha": commit.oid, "private": repo.private, "gated": repo.gated}
        facts |= {"author": repo.id.split("/")[0], "disabled": False, "downloads": 0, "likes": 0, "cardData": card}
        facts |= {"tags": card.get("tags") or [], "createdAt": commit.date, "lastModified": commit.date}
        facts |= {key: card[key] for key in ("pipeline_tag", "library_name") if key in card}
        return facts | {"siblings": [{"rfilename": path} for path in sorted(commit.files)]}

    def _info(self, kind: str, id: str, revision: str = "main") -> None:
        repo = self._find(kind, id)
        self._json(self._described(repo, self._commit_of(repo, revision or "main")))

    def _settings(self, kind: str, id: str) -> None:
        repo, asked = self._find(kind, id, write=True), json.loads(self.body)
        repo.private = asked.get(
            "private", asked.get("visibility") == "private" if "visibility" in asked else repo.private
        )
        repo.gated = bool(asked.get("gated", repo.gated))
        self._json({})

    def _refs(self, kind: str, id: str) -> None:
        repo = self._find(kind, id)
        named = {"heads": repo.branches, "tags": repo.tags}
        heads, tags = (
            [{"name": name, "ref": f"refs/{place}/{name}", "targetCommit": oid} for name, oid in refs.items()]
            for place, refs in named.items()
        )
        self._json({"branches": heads, "tags": tags, "converts": []})

    def _branch(self, kind: str, id: str, name: str) -> None:
        self._ref(
            self._find(kind, id, write=True), "branches", name, (json.loads(self.body or "{}")).get("startingPoint")
        )

    def _tag(self, kind: str, id: str, name: str) -> None:
        repo = self._find(kind, id, write=True)
        if self.command == "DELETE":
            return self._ref(repo, "tags", name, None)
        self._ref(repo, "tags", json.loads(self.body)["tag"], name)

    def _ref(self, repo: Repo, place: str, name: str, start: str | None) -> None:
        refs = getattr(repo, place)
        if self.command == "DELETE":
            refs.pop(name, None)
        elif name in refs:
            raise HubError(409, f"Reference already exists: {name}")
        else:
            refs[name] = self._commit_of(repo, start or "main").oid
        self._json({})

    def _commits(self, kind: str, id: str, revision: str) -> None:
        repo = self._find(kind, id)
        self._commit_of(repo, revision)
        rows = repo.history(revision)
        authors = [{"user": commit.author} for commit in rows]
        self._json(
            [
                {"id": c.oid, "title": c.title, "message": "", "date": c.date, "authors": [a]}
                for c, a in zip(rows, authors, strict=True)
            ]
        )

    # Reading files ---------------------------------------------------------------------------------------------------

    def _entry(self, path: str, blob: Blob) -> dict:
        entry = {"type": "file", "path": path, "size": len(blob.data), "oid": blob.oid}
        return entry | ({"lfs": {"oid": blob.etag, "size": len(blob.data), "pointerSize": 134}} if blob.lfs else {})

    def _folder(self, path: str) -> dict:
        return {"type": "directory", "path": path, "size": 0, "oid": hashlib.sha1(path.encode()).hexdigest()}

    def _tree(self, kind: str, id: str, revision: str, path: str = "") -> None:
        files = self._commit_of(repo := self._find(kind, id, content=True), revision).files
        prefix = f"{path}/" if path else ""
        below = {name: blob for name, blob in files.items() if name.startswith(prefix)}
        if path and not below:
            raise HubError(404, f"{path} does not exist", "EntryNotFound", **{"X-Repo-Commit": repo.find(revision)})
        parents = {
            prefix + "/".join(parts[: i + 1])
            for name in below
            for parts in [name[len(prefix) :].split("/")]
            for i in range(len(parts) - 1)
        }
        entries = [self._folder(name) for name in sorted(parents)] + [
            self._entry(*item) for item in sorted(below.items())
        ]
        deep = self.query.get("recursive", "").lower() in ("1", "true")
        self._json([e for e in entries if deep or "/" not in e["path"][len(prefix) :]])

    def _paths_info(self, kind: str, id: str, revision: str) -> None:
        files = self._commit_of(self._find(kind, id, content=True), revision).files
        form = "form" in self.headers.get("Content-Type", "")
        paths = urllib.parse.parse_qs(self.body.decode())["paths"] if form else json.loads(self.body)["paths"]
        paths = [path.strip("/") for path in paths]
        found = [self._entry(path, files[path]) for path in paths if path in files]
        folders = [p for p in paths if p not in files and any(name.startswith(f"{p}/") for name in files)]
        self._json(found + [self._folder(path) for path in folders])

    def _resolve(self, id: str, revision: str, path: str, kind: str = "model") -> None:
        repo = self._find(kind.strip("/") or "model", id, content=True)
        commit = self._commit_of(repo, revision)
        headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
        blob = commit.files.get(path)
        if blob is None:
            raise HubError(404, f"{path} does not exist on {revision}", "EntryNotFound", **headers)
        if blob.lfs:
            self.hub.objects[blob.etag] = blob.data
            headers |= {"X-Linked-Etag": f'"{blob.etag}"', "X-Linked-Size": str(len(blob.data))}
            # Another host by name, as the real one has: a client that sends its token there is caught below.
            headers["Location"] = f"{self.hub.url}/cdn/{blob.etag}".replace("127.0.0.1", "localhost")
            return self._send(302, b"", headers)
        self._content(blob.data, headers | {"ETag": f'"{blob.etag}"'})

    def _cdn(self, oid: str) -> None:
        if "Authorization" in self.headers:
            raise HubError(400, "a token was sent to a host that has no business with it")
        self._content(self.hub.objects[oid], {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"})

    def _content(self, data: bytes, headers: dict) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not asked:
            return self._send(200, data, headers)
        start, end = int(asked[1]), min(int(asked[2] or len(data) - 1), len(data) - 1)
        if start >= len(data):
            raise HubError(416, "Range Not Satisfiable", **{"Content-Range": f"bytes */{len(data)}"})
        self._send(206, data[start : end + 1], headers | {"Content-Range": f"bytes {start}-{end}/{len(data)}"})

    # Writing files ---------------------------------------------------------------------------------------------------

    def _preupload(self, kind: str, id: str, revision: str) -> None:
        files = self._commit_of(self._find(kind, id, write=True), revision).files
        answer = []
        for asked in json.loads(self.body)["files"]:
            path, old = asked["path"], files.get(asked["path"])
            mode = "lfs" if path.endswith(LFS_SUFFIXES) else "regular"
            answer.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": old.etag if old else None})
        self._json({"files": answer})

    def _lfs_batch(self, id: str, kind: str = "") -> None:
        self._find(kind.strip("/") or "model", id, write=True)
        objects = []
        for asked in json.loads(self.body)["objects"]:
            oid, size = asked["oid"], asked["size"]
            answer = {"oid": oid, "size": size}
            if oid not in self.hub.objects:
                upload = {"href": f"{self.hub.url}/lfs/{oid}"}
                if self.hub.chunk_size and size > self.hub.chunk_size:
                    count = -(-size // self.hub.chunk_size)
                    urls = {str(i): f"{self.hub.url}/lfs/{oid}/{i}" for i in range(1, count + 1)}
                    upload["header"] = {"chunk_size": str(self.hub.chunk_size), **urls}
                answer["actions"] = {"upload": upload, "verify": {"href": f"{self.hub.url}/lfs/{oid}/verify"}}
            objects.append(answer)
        self._json({"transfer": "basic", "objects": objects})

    def _lfs_put(self, oid: str) -> None:
        """The object, or the word that all of its parts are there; two files of a push may hold the same one."""
        if oid in self.hub.objects:
            return self._json({})
        parts = b"".join(part for _, part in sorted(self.hub.parts.pop(oid, {}).items()))
        body = parts if self.command == "POST" else self.body
        if self.fault is not None and self.fault.kind == "wrong_hash":
            body = body[:-1] + bytes([body[-1] ^ 1])
        if hashlib.sha256(body).hexdigest() != oid:
            raise HubError(400, "The SHA-256 of the object is not the one that was announced")
        self.hub.objects[oid] = body
        self._json({})

    def _lfs_part(self, oid: str, part: str) -> None:
        self.hub.parts[oid][int(part)] = self.body
        self._send(200, b"", {"ETag": hashlib.md5(self.body).hexdigest()})

    def _lfs_verify(self, oid: str) -> None:
        if oid not in self.hub.objects:
            raise HubError(404, "no such object")
        self._json({})

    def _commit(self, kind: str, id: str, revision: str) -> None:
        repo = self._find(kind, id, write=True)
        if self.fault is not None and self.fault.kind == "race":
            repo.add(
                {**repo.history(revision)[0].files, "RACE.md": Blob(b"first")},
                "the other was faster",
                "other",
                revision,
            )
        lines = [json.loads(line) for line in self.body.splitlines() if line.strip()]
        header = lines[0]["value"]
        if revision not in repo.branches:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        if header.get("parentCommit") not in (None, repo.branches[revision]):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repo.commits[repo.branches[revision]].files)
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = Blob(base64.b64decode(value["content"]))
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.hub.objects:
                    raise HubError(400, f"{value['path']} points to an object that was never uploaded")
                files[value["path"]] = Blob(self.hub.objects[value["oid"]], lfs=True)
            else:
                gone = [f for f in files if f == value["path"] or f.startswith(f"{value['path'].rstrip('/')}/")]
                if not gone:
                    raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
                for path in gone:
                    del files[path]
        oid = repo.add(files, header["summary"], self._user()[0], revision)
        self._json(
            {"success": True, "commitOid": oid, "commitUrl": f"{self.hub.url}/{id}/commit/{oid}", "hookOutput": ""}
        )

    def _validate(self) -> None:
        """As the real one: the types of the well-known fields, and what a model-index must hold."""
        found = CARD.match(json.loads(self.body)["content"])
        errors = []
        try:
            card = yaml.safe_load(found[1]) or {} if found else {}
        except yaml.YAMLError as error:
            card, errors = {}, [f"YAML: {error}"]
        for key in ("tags", "datasets", "metrics"):
            if not (isinstance(card.get(key, []), list) and all(isinstance(v, str) for v in card.get(key, []))):
                errors.append(f'"{key}" must be an array of strings')
        for key, form in (
            ("license", r"[a-z0-9.\-]+"),
            ("pipeline_tag", r"[a-z0-9\-]+"),
            ("library_name", r"[\w.\-]+"),
        ):
            if key in card and not (isinstance(card[key], str) and re.fullmatch(form, card[key])):
                errors.append(f'"{key}" must match {form}')
        languages = card.get("language", [])
        for language in [languages] if isinstance(languages, str) else languages:
            if not re.fullmatch(r"[a-z]{2,3}(-[\w-]+)?|multilingual|code", str(language)):
                errors.append(f'"language" must be an ISO 639 code, not {language!r}')
        for model in card.get("model-index", []):
            for result in model.get("results", [None]):
                for path in ("task.type", "dataset.type", "dataset.name", "metrics.0.type", "metrics.0.value"):
                    value = result
                    for step in path.split("."):
                        value = value[int(step)] if isinstance(value, list) else (value or {}).get(step)
                    if value is None:
                        errors.append(f'"model-index[0].results[0].{path}" is required')
        self._json({"errors": [{"message": e} for e in errors], "warnings": []}, 400 if errors else 200)


_KIND, _ID, _REV = r"(?P<kind>models|datasets)", r"(?P<id>[^/]+/[^/]+)", r"(?P<revision>[^/]+)"
_REPO = rf"/api/{_KIND}/{_ID}"
_PLAIN = r"/(?P<kind>datasets/)?(?P<id>[^/]+/[^/]+?)"
_ROUTES = (
    ("GET", r"/api/whoami-v2", "whoami"),
    ("POST", r"/api/repos/create", "create"),
    ("DELETE", r"/api/repos/delete", "delete"),
    ("POST", r"/api/validate-yaml", "validate"),
    ("GET", rf"/api/{_KIND}", "list"),
    ("GET", rf"{_REPO}(?:/revision/{_REV})?", "info"),
    ("PUT", rf"{_REPO}/settings", "settings"),
    ("GET", rf"{_REPO}/refs", "refs"),
    ("GET", rf"{_REPO}/commits/{_REV}", "commits"),
    ("GET", rf"{_REPO}/tree/{_REV}(?:/(?P<path>.+))?", "tree"),
    ("POST", rf"{_REPO}/paths-info/{_REV}", "paths_info"),
    ("POST", rf"{_REPO}/preupload/{_REV}", "preupload"),
    ("POST", rf"{_REPO}/commit/{_REV}", "commit"),
    ("POST DELETE", rf"{_REPO}/branch/(?P<name>.+)", "branch"),
    ("POST DELETE", rf"{_REPO}/tag/(?P<name>.+)", "tag"),
    ("POST", rf"{_PLAIN}\.git/info/lfs/objects/batch", "lfs_batch"),
    ("PUT POST", r"/lfs/(?P<oid>[0-9a-f]{64})", "lfs_put"),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})/(?P<part>\d+)", "lfs_part"),
    ("POST", r"/lfs/(?P<oid>[0-9a-f]{64})/verify", "lfs_verify"),
    ("GET HEAD", r"/cdn/(?P<oid>[0-9a-f]{64})", "cdn"),
    ("GET HEAD", rf"{_PLAIN}/resolve/{_REV}/(?P<path>.+)", "resolve"),
)


def main() -> None:
    with HubServer(port=8899) as hub:
        print(f"A Hub is at {hub.url}, until Ctrl-C. In another shell:\n")
        for name, value in hub.environment("/tmp/hub-server-home").items():
            print(f"export {name}={value}")
        print("\nTokens: " + ", ".join(f"{token} ({user}, {role})" for token, (user, role) in TOKENS.items()))
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
