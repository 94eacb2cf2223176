"""A Hub on 127.0.0.1: repositories with commit history, for tests and for trying things by hand.

    cd tests; python -m support.hub.server     # then, in another shell, what it prints

It speaks what huggingface_hub's client asks for: whoami, create and delete, info, tree, refs, preupload, LFS (whole
and in parts), commit, resolve with ETag and Range, branches, tags, card validation. Everything lives in memory.
`Fault`s make it fail on demand.
"""

import re
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from http.server import ThreadingHTTPServer

from support.waiting import PATIENCE

from .connection import TOKENS
from .repositories import LFS_SUFFIXES, Blob, Repo
from .routes import Routes


@dataclass
class Fault:
    """Makes matching requests fail.

    Args:
        kind: an HTTP status (`429`, `500`, …); `cut` (the connection breaks in the middle of the body); `wrong_hash`
            (the bytes that arrive are not those that were sent); `race` (another commit comes first); `lost` (all is
            done, but the answer never arrives); `hang` (no answer until the server closes); `close` (the connection
            ends without an answer); `bare` (the answer has none of the Hub's headers); `refused_object` (a large file
            is refused, and the rest of the answer is as ever); or one of `STRANGERS`.
        match: regular expression over `METHOD path`.
        times: how many requests it spoils.
        after: how many matching requests pass before.
        retry_after: seconds after which the answer of that status asks for another try.
        reason: what the answer of that status gives as its reason.
        in_header: whether the reason stands in a header too, not in the body alone.
    """

    kind: int | str
    match: str
    times: int = 1
    after: int = 0
    retry_after: int | None = None
    reason: str = "told to fail"
    in_header: bool = True

    def hits(self, request: str) -> bool:
        if not self.times or not re.search(self.match, request):
            return False
        if self.after:
            self.after -= 1
            return False
        self.times -= 1
        return True


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
        handler = type("Handler", (Routes,), {"hub": self})
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

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds that a commit changes."""
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), "the server never saw it"


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
