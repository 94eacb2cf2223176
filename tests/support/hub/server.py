"""A Hub on 127.0.0.1 that has repositories with commit history, for tests and for manual trials.

    cd tests; python -m support.hub.server     # then run the printed lines in another shell

It answers the requests of huggingface_hub's client: whoami, create and delete, info, tree, refs, preupload, LFS (whole
and in parts), commit, resolve with ETag and Range, branches, tags, card validation. All data is in memory.
[`Fault`] makes requests fail on demand.
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
    """Failure of the requests that match a pattern.

    Args:
        kind: HTTP status (`429`, `500`, …); `cut` (the connection breaks in the middle of the body); `wrong_hash` (a
            byte of the body is changed); `race` (another commit comes first); `lost` (the server handles the request,
            but the answer does not arrive); `hang` (no answer until the server closes); `close` (the connection ends
            without an answer); `bare` (the answer has none of the Hub's headers); `refused_object` (the answer refuses
            a large file and is otherwise normal); or a key of `STRANGERS`.
        match: Regular expression for `METHOD path`.
        times: Number of requests that fail.
        after: Number of matching requests that succeed before the first failure.
        retry_after: Seconds in the `Retry-After` header of an HTTP status; None: the header is absent.
        reason: Reason in the answer with an HTTP status.
        in_header: True: a header of the answer repeats the reason; False: only the body has it.
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
    """Server of the Hub. `with HubServer() as hub:` serves `hub.url` until the end of the block."""

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
        """Return the environment variables that make a process use this Hub and no other."""
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
        """Wait until a condition holds; requests such as commits can change it."""
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
