"""A small HTTP server that misbehaves as told, for tests of downloads."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reply:
    """How one request is answered; the default is a server that knows ranges."""

    status: int | None = None
    content: bytes | None = None
    ranges: bool = True
    drop_after: int | None = None
    """Bytes of the body after which the connection is cut."""
    moved_by: int = 0
    """Bytes by which a range starts off what was asked."""
    silent_s: float = 0.0


@dataclass
class FileServer:
    """Serves `content`; the first replies as planned, the later ones faultlessly."""

    content: bytes
    plan: list[Reply] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    """The Range header of each request so far."""
    encodings: list[str | None] = field(default_factory=list)
    port: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/file.pth"

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range")
        self.ranges.append(asked)
        self.encodings.append(handler.headers.get("Accept-Encoding"))
        reply = self.plan.pop(0) if self.plan else Reply()
        self.stopped.wait(reply.silent_s)
        content = self.content if reply.content is None else reply.content
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if asked and reply.ranges and start >= len(content):
            handler.send_response(416)
            content = b""
        elif asked and reply.ranges and reply.status is None:
            start += reply.moved_by
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            content = content[start:]
        else:
            handler.send_response(reply.status or 200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: reply.drop_after])


@contextmanager
def serving(content: bytes, *plan: Reply) -> Iterator[FileServer]:
    """Serve on a free port of the loopback."""
    files = FileServer(content, list(plan))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(ConnectionError):  # the client gave up, as some tests want it to
                files.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        files.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield files
        finally:
            files.stopped.set()
            server.shutdown()
            thread.join()
