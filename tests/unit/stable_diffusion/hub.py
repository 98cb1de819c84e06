"""A small hub on this machine: the routes of the real one that fetching weights touches."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlparse

from models.stable_diffusion.config import PUBLISHED_ID, PUBLISHED_REVISION

LARGE_BYTES = 2000  # files from here on are told of by their sha256, as the hub's large ones are


class Hub(ThreadingHTTPServer):
    """Serves one repository at one commit.

    Attributes:
        files: name to content.
        gets: what was asked for with GET, and from which byte on.
        slow: after so many bytes of a file over `LARGE_BYTES`, each further block takes a second.
        liar: a file whose content is not what the listing says.
        token: without which nothing is shown; None for everybody.
        asked_through: addresses that were asked for as of a proxy, whole.
    """

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = dict(files)
        self.gets: list[tuple[str, int]] = []
        self.slow: int | None = None
        self.liar: str | None = None
        self.token: str | None = None
        self.asked_through: list[str] = []

    @property
    def url(self) -> str:
        """Return what HF_ENDPOINT has to be."""
        return f"http://127.0.0.1:{self.server_port}"

    def fetched(self) -> list[str]:
        """Return the names of the files that were asked for, each once, in order."""
        return list(dict.fromkeys(name for name, _ in self.gets))


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(send=False)

    def do_GET(self) -> None:
        self._answer(send=True)

    def _answer(self, send: bool) -> None:
        path = unquote(urlparse(self.path).path)
        if self.path.startswith("http"):
            self.server.asked_through.append(self.path)
        token = self.server.token
        if token is not None and self.headers.get("Authorization") != f"Bearer {token}":
            path = "/not-shown"
        resolve = f"/{PUBLISHED_ID}/resolve/{PUBLISHED_REVISION}/"
        if path == f"/api/models/{PUBLISHED_ID}/revision/{PUBLISHED_REVISION}":
            self._json(self._info())
        elif path == f"/api/models/{PUBLISHED_ID}/tree/{PUBLISHED_REVISION}":
            self._json(self._tree())
        elif path.startswith(resolve) and path.removeprefix(resolve) in self.server.files:
            self._file(path.removeprefix(resolve), send)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _info(self) -> dict[str, Any]:
        siblings = [
            {"rfilename": name, "size": len(content), "blobId": _git_sha1(content)}
            | ({"lfs": _lfs(content)} if len(content) >= LARGE_BYTES else {})
            for name, content in self.server.files.items()
        ]
        return {"id": PUBLISHED_ID, "sha": PUBLISHED_REVISION, "siblings": siblings}

    def _tree(self) -> list[dict[str, Any]]:
        return [
            {"type": "file", "path": name, "size": len(content), "oid": _git_sha1(content)}
            | ({"lfs": _lfs(content, "oid")} if len(content) >= LARGE_BYTES else {})
            for name, content in self.server.files.items()
        ]

    def _json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _file(self, name: str, send: bool) -> None:
        content = self.server.files[name]
        etag = _git_sha1(content)
        if len(content) >= LARGE_BYTES:
            etag = hashlib.sha256(content).hexdigest()
        if name == self.server.liar:
            content = bytes(len(content))
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("X-Repo-Commit", PUBLISHED_REVISION)
        self.send_header("ETag", f'"{etag}"')
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if send:
            self.server.gets.append((name, start))
            self._send(content[start:])

    def _send(self, content: bytes) -> None:
        slow = self.server.slow
        if slow is None or len(content) < LARGE_BYTES:
            self.wfile.write(content)
            return
        self.wfile.write(content[:slow])
        for begin in range(slow, len(content), 100):
            time.sleep(1)
            self.wfile.write(content[begin : begin + 100])


def _git_sha1(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def _lfs(content: bytes, key: str = "sha256") -> dict[str, Any]:
    return {key: hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}


@contextmanager
def running_hub(files: Mapping[str, bytes]) -> Iterator[Hub]:
    """Serve files as the published repository while the context lasts."""
    hub = Hub(files)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
