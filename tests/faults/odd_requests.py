"""HTTP as strangers write it: bytes for a socket, and what may come back."""

import re
import socket
import time
from dataclasses import dataclass

_HEAD = b"Host: x\r\nConnection: close\r\n"
_POST = b"POST /v1/pairs HTTP/1.1\r\n" + _HEAD
_GET = b"GET /livez HTTP/1.1\r\n" + _HEAD
_HIDDEN = b"GET /v1/hidden HTTP/1.1\r\nHost: x\r\n\r\n"
_KEPT = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"

# Two readers could disagree where these end: nothing but a refusal will do, and no second answer.
SMUGGLED: dict[str, bytes] = {
    "length and chunks": _POST
    + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": _POST
    + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nX",
    "two lengths": _POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    "a list of lengths": _POST + b"Content-Length: 4, 4\r\n\r\nabcd",
    "a negative length": _POST + b"Content-Length: -1\r\n\r\n",
    "a signed length": _POST + b"Content-Length: +4\r\n\r\nabcd",
    "a huge length": _POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "a hexadecimal length": _POST + b"Content-Length: 0x4\r\n\r\nabcd",
    "another encoding": _POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": _POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": _POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "chunks without a size": _POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n\r\n",
    "a chunk beyond 64 bits": _POST
    + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n\r\n",
    "a folded header": _GET + b"X-A: a\r\n  Content-Length: 5\r\n\r\n",
    "line feeds alone": b"GET /livez HTTP/1.1\nHost: x\nConnection: close\n\n",
    "a bare carriage return": _GET + b"X: a\rTransfer-Encoding: chunked\r\n\r\n",
    "a zero byte": _GET + b"X: a\0b\r\n\r\n",
}
# No request at all, or one of another protocol.
FOREIGN: dict[str, bytes] = {
    "noise": b"\0\1\2\3\xff" * 50,
    "TLS": bytes.fromhex("16030100c8010000c403") + b"\0" * 80,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown method": b"FROBNICATE /livez HTTP/1.1\r\n" + _HEAD + b"\r\n",
    "a tunnel": b"CONNECT elsewhere.example:443 HTTP/1.1\r\n" + _HEAD + b"\r\n",
    "a file": b"GET file:///etc/passwd HTTP/1.1\r\n" + _HEAD + b"\r\n",
    "a path beyond ASCII": b"GET /\xff\xfe HTTP/1.1\r\n" + _HEAD + b"\r\n",
    "a path of 200 kB": b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + _HEAD + b"\r\n",
}
# Requests that can be read: the status of each.
ODD: dict[str, tuple[bytes, int]] = {
    "an absolute address": (
        b"GET http://elsewhere.example/livez HTTP/1.1\r\n" + _HEAD + b"\r\n",
        200,
    ),
    "HTTP/1.0": (b"GET /livez HTTP/1.0\r\n\r\n", 200),
    "no host": (b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n", 200),
    "a host that is none": (
        b"GET /nope HTTP/1.1\r\nHost: [\xff::\r\nConnection: close\r\n\r\n",
        404,
    ),
    "an asterisk": (b"OPTIONS * HTTP/1.1\r\n" + _HEAD + b"\r\n", 404),
    "TRACE": (b"TRACE /livez HTTP/1.1\r\n" + _HEAD + b"\r\n", 405),
    "a method of WebDAV": (b"PROPFIND /livez HTTP/1.1\r\n" + _HEAD + b"\r\n", 405),
    "two dots": (b"GET /web/../../../../etc/passwd HTTP/1.1\r\n" + _HEAD + b"\r\n", 404),
    "two dots, encoded": (b"GET /web/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n" + _HEAD + b"\r\n", 404),
    "a slash, encoded": (b"GET /web/..%2f..%2fsettings.py HTTP/1.1\r\n" + _HEAD + b"\r\n", 404),
    "dots below the docs": (b"GET /docs/..%2f..%2fapp.py HTTP/1.1\r\n" + _HEAD + b"\r\n", 404),
    "a zero byte in a name": (b"GET /web/%00 HTTP/1.1\r\n" + _HEAD + b"\r\n", 404),
    "no UTF-8": (b"GET /%ff%fe%00 HTTP/1.1\r\n" + _HEAD + b"\r\n", 404),
    "a long name": (b"GET /web/" + b"a" * 5000 + b" HTTP/1.1\r\n" + _HEAD + b"\r\n", 404),
    "a long query": (b"GET /livez?" + b"a" * 10_000 + b" HTTP/1.1\r\n" + _HEAD + b"\r\n", 414),
    "a header of 2 MB": (_GET + b"X-A: " + b"a" * 2_000_000 + b"\r\n\r\n", 431),
    "20,000 headers": (_GET + b"X-A: aaaa\r\n" * 20_000 + b"\r\n", 431),
    "an id of odd bytes": (_GET + b"X-Request-ID: \xff\xfe\r\n\r\n", 200),
    "a session of odd bytes": (_GET + b"X-Session-ID: \xff\xfe\r\n\r\n", 200),
    "a model of odd bytes": (_GET + b"serve_multiplexed_model_id: \xff\xfe\r\n\r\n", 200),
    "a timeout of odd bytes": (_GET + b"X-Request-Timeout-Seconds: \xff\r\n\r\n", 200),
    "a timeout that is no number": (_GET + b"X-Request-Timeout-Seconds: nan\r\n\r\n", 200),
    "a trace of odd bytes": (_GET + b"traceparent: \xff\r\nbaggage: \xff\r\n\r\n", 200),
    "a key of odd bytes": (_POST + b"Authorization: Bearer \xff\xfe\r\n\r\n", 401),
    "a body where none belongs": (_GET + b"Content-Length: 5\r\n\r\nabcde", 200),
    "a range backwards": (b"GET / HTTP/1.1\r\n" + _HEAD + b"Range: bytes=5-1\r\n\r\n", 400),
    "a range too far": (b"GET / HTTP/1.1\r\n" + _HEAD + b"Range: bytes=9999999-\r\n\r\n", 416),
    "a date that is none": (
        b"GET / HTTP/1.1\r\n" + _HEAD + b"If-Modified-Since: \xff\r\n\r\n",
        200,
    ),
    "an upgrade to HTTP/2": (
        _GET + b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        200,
    ),
    "a WebSocket": (
        b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        403,
    ),
}
PIPELINED = _KEPT * 19 + _GET + b"\r\n"
# The body of the first is a request, too: it must not be answered.
BODY_LIKE_A_REQUEST = (
    b"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(_HIDDEN)
    + _HIDDEN
    + _GET
    + b"\r\n"
)


@dataclass(frozen=True)
class RawAnswer:
    """What came back on a connection until the other side closed it."""

    content: bytes
    took_s: float

    @property
    def statuses(self) -> list[int]:
        """The status of each answer, but "continue"."""
        return [int(one) for one in re.findall(rb"HTTP/1\.1 ([2-5]\d\d) ", self.content)]


def ask(port: int, request: bytes, timeout_s: float = 10.0) -> RawAnswer:
    """Send bytes and read until the other side closes the connection.

    Raises:
        TimeoutError: it does not.
    """
    started, content = time.monotonic(), b""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        try:
            connection.sendall(request)
            while block := connection.recv(65_536):
                content += block
        except (ConnectionResetError, BrokenPipeError):  # it did not want to read the rest
            pass
    return RawAnswer(content, time.monotonic() - started)
