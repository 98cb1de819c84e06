"""Callers who ask and do not take the answer, over real sockets."""

import select
import socket
import struct
import time
from contextlib import suppress


class Reader:
    """One connection that takes of its answer what it is told to take."""

    def __init__(self, port: int, receive_buffer_bytes: int = 4_096) -> None:
        """Connect, with little room for what is not read."""
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", port))

    def ask(self, path: str, key: str | None = None, body: bytes = b"", **headers: str) -> None:
        """Send a request: POST where there is a body."""
        lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", "Host: twinset"]
        lines += [f"Authorization: Bearer {key}"] if key else []
        lines += [f"Content-Length: {len(body)}"] if body else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def take(self, most_bytes: int = 65_536) -> bytes:
        """Take some of what is there; nothing at the end, or once the connection is closed."""
        try:
            return self.socket.recv(most_bytes)
        except ConnectionError:
            return b""

    def take_all(self, pause_s: float = 0.0, piece_bytes: int = 65_536) -> bytes:
        """Take the whole answer with a pause after each piece; shorter when it is cut off."""
        received = b""
        while b"\r\n\r\n" not in received and (more := self.take(piece_bytes)):
            received += more
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        pieces, left = [body], length - len(body)
        while left > 0 and (more := self._whole(min(piece_bytes, left))):
            pieces.append(more)
            left -= len(more)
            time.sleep(pause_s)
        self.head = head
        return b"".join(pieces)

    def has_begun(self) -> bool:
        """Whether something of the answer is there, or will never be."""
        return self.is_closed() or bool(select.select([self.socket], [], [], 0)[0])

    def is_closed(self) -> bool:
        """Whether the service has closed the connection, without taking anything from it."""
        # The first byte of struct tcp_info is the state: 1 established, 7 closed, 8 close-wait.
        (state,) = struct.unpack_from("B", self.socket.getsockopt(socket.IPPROTO_TCP, 11, 8))
        return state != 1

    def _whole(self, piece_bytes: int) -> bytes:
        try:
            return self.socket.recv(piece_bytes, socket.MSG_WAITALL)
        except ConnectionError:
            return b""

    def close(self) -> None:
        """Leave."""
        with suppress(OSError):
            self.socket.close()
