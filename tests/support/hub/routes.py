"""Answers of the Hub of the tests to each request of huggingface_hub's client."""

import base64
import hashlib
import json
import re
import urllib.parse

import yaml

from .connection import Connection, HubError
from .repositories import CARD, LFS_SUFFIXES, Blob, Commit, Repo

_KIND, _ID, _REV = r"(?P<kind>models|datasets|spaces)", r"(?P<id>[^/]+/[^/]+)", r"(?P<revision>[^/]+)"
_REPO = rf"/api/{_KIND}/{_ID}"
_PLAIN = r"/(?P<kind>datasets/|spaces/)?(?P<id>[^/]+/[^/]+?)"


class Routes(Connection):
    routes = (
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
            # The real Hub also redirects to another host. `_cdn` refuses a client that sends its token there.
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
            if self.fault is not None and self.fault.kind == "refused_object":
                answer["error"] = {"code": 403, "message": self.fault.reason}
            elif oid not in self.hub.objects:
                upload = {"href": f"{self.hub.url}/lfs/{oid}"}
                if self.hub.chunk_size and size > self.hub.chunk_size:
                    count = -(-size // self.hub.chunk_size)
                    urls = {str(i): f"{self.hub.url}/lfs/{oid}/{i}" for i in range(1, count + 1)}
                    upload["header"] = {"chunk_size": str(self.hub.chunk_size), **urls}
                answer["actions"] = {"upload": upload, "verify": {"href": f"{self.hub.url}/lfs/{oid}/verify"}}
            objects.append(answer)
        self._json({"transfer": "basic", "objects": objects})

    def _lfs_put(self, oid: str) -> None:
        """Store an object from its body or from its uploaded parts; two files of a push may share one object."""
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
        """Check the types of well-known fields and the required fields of a model-index, as the real Hub does."""
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
