"""One request to the Hub of the tests: transport, failures on demand, and permissions."""

from __future__ import annotations

import json
import re
import socket
import urllib.parse
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

from .repositories import Commit, Repo

if TYPE_CHECKING:
    from .server import HubServer

# User and role of each token.
TOKENS = {"hf_writer": ("user", "write"), "hf_reader": ("user", "read"), "hf_other": ("other", "write")}

PAGE = {"Content-Type": "text/html; charset=utf-8"}
JSON = {"Content-Type": "application/json"}
# Answers of servers that are not a Hub, as status, body and headers. They are the same for any request.
STRANGERS = {
    "html": (200, b"<!DOCTYPE html>\n<html><title>Welcome to the hotel</title></html>", PAGE),
    "login": (302, b"", {"Location": "/login"}),
    "bad_json": (200, b'{"id": "user/', JSON),
    "other_json": (200, b'["no", "hub"]', JSON),
    "no_sha": (200, b'{"id": "user/x", "siblings": []}', JSON),
    "no_names": (200, b'{"id": "user/x", "siblings": [{"rfilename": null}]}', JSON),
    "no_date": (200, b'{"id": "user/x", "lastModified": "yesterday"}', JSON),
    "404 html": (404, b"<html><title>Not here</title></html>", PAGE),
    "511 html": (511, b"<html><title>Log in</title></html>", {"Content-Type": "text/plain"}),
    "502 html": (502, b"<html><body>Bad Gateway</body></html>", PAGE),
}


class HubError(Exception):
    def __init__(self, status: int, message: str, code: str | None = None, **headers: str):
        super().__init__(message)
        self.status, self.message = status, message
        self.headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **headers}


class Connection(BaseHTTPRequestHandler):
    hub: HubServer
    # HTTP methods, pattern of the path, and name of the handler.
    routes: tuple[tuple[str, str, str], ...]
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
        if kind in ("hang", "close"):
            return self._break_off()
        length = int(self.headers.get("Content-Length") or 0)
        if kind == "cut" and length:
            self.rfile.read(length // 2)
            return self._break_off()
        self.body = self._chunked() if self.headers.get("Transfer-Encoding") == "chunked" else self.rfile.read(length)
        if kind in STRANGERS or self.place == "/login":
            return self._send(*(STRANGERS["html"] if self.place == "/login" else STRANGERS[kind]))
        try:
            if isinstance(kind, int):
                wait = {} if self.fault.retry_after is None else {"Retry-After": str(self.fault.retry_after)}
                error = HubError(kind, self.fault.reason, **wait)
                if not self.fault.in_header:
                    del error.headers["X-Error-Message"]
                raise error
            self._route()
        except HubError as error:
            self._send(error.status, json.dumps({"error": error.message, **self._url()}).encode(), error.headers)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve

    def _url(self) -> dict:
        # The answer to a conflict of repository names must contain the URL of the repository.
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
        if self.fault is not None and self.fault.kind == "bare":
            headers = {}
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
        for methods, pattern, name in self.routes:
            found = re.fullmatch(pattern, self.place)
            if found and self.command in methods.split():
                named = {key: urllib.parse.unquote(value or "") for key, value in found.groupdict().items()}
                with self.hub.changed:
                    getattr(self, f"_{name}")(**named)
                    self.hub.changed.notify_all()
                return
        raise HubError(404, f"there is nothing at {self.place}")

    # Permissions -----------------------------------------------------------------------------------------------------

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
