"""What uvicorn and the kernel know of one connection; uvicorn 0.54 has no public names for it.

All of uvicorn's private names that we use stand in this file.
"""

import fcntl
import socket
import struct
import termios
from typing import Any

from starlette.types import Send

# An answer that nobody takes would otherwise lie in the kernel with up to 4 MB (`tcp_wmem`). What
# is on its way stays without a bound of ours, so that long lines are as fast as ever.
_MAX_UNSENT_BYTES = 131_072


class UvicornConnection:
    """One connection, whichever of its HTTP implementations uvicorn chose."""

    def __init__(self, protocol: Any) -> None:
        """Take uvicorn's protocol object, and keep the kernel's part of its answers small."""
        self._protocol = protocol
        self._option(socket.IPPROTO_TCP, getattr(socket, "TCP_NOTSENT_LOWAT", None), _unsent())

    @property
    def is_under_way(self) -> bool:
        """Whether a request is being answered."""
        cycle = getattr(self._protocol, "cycle", None)  # a WebSocket has none
        return cycle is not None and not cycle.response_complete

    @property
    def is_kept_alive(self) -> bool:
        """Whether it waits for its next request, under uvicorn's own timeout."""
        return getattr(self._protocol, "timeout_keep_alive_task", None) is not None

    def unread_bytes(self) -> int:
        """Return how much of what uvicorn was given has not been taken by the other side."""
        transport = self._protocol.transport
        return int(transport.get_write_buffer_size()) + self._kernel_bytes()

    def abort(self) -> None:
        """Close it at once, and let the kernel forget what it holds."""
        self._option(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._protocol.transport.abort()

    def _kernel_bytes(self) -> int:
        connected = self._protocol.transport.get_extra_info("socket")
        try:
            answer = fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4))
        except (OSError, ValueError, AttributeError):  # closed meanwhile, or not on Linux
            return 0
        return int(struct.unpack("i", answer)[0])

    def _option(self, level: int, name: int | None, value: bytes) -> None:
        connected = self._protocol.transport.get_extra_info("socket")
        if connected is None or name is None:
            return
        try:
            connected.setsockopt(level, name, value)
        except OSError:  # closed meanwhile, or a kernel that does not know it
            return


def protocol_behind(send: Send) -> Any:
    """Return uvicorn's protocol object behind the `send` that it hands out.

    Raises:
        AttributeError: uvicorn has other names than those we know.
    """
    protocol = send.__self__.on_response.__self__  # type: ignore[attr-defined]
    for name in ("transport", "cycle", "timeout_keep_alive_task", "server_state"):
        getattr(protocol, name)
    _ = protocol.cycle.response_complete, protocol.transport.get_write_buffer_size
    return protocol


def all_beside(protocol: Any) -> set[Any]:
    """Return the protocol objects of all connections of one's server: a set that it keeps up."""
    there: set[Any] = protocol.server_state.connections
    return there


def _unsent() -> bytes:
    return struct.pack("i", _MAX_UNSENT_BYTES)
