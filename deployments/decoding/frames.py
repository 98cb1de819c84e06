"""Messages between a service and its decoding workers: JSON and bytes, nothing that runs."""

import json
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

_LENGTHS = struct.Struct(">QQ")
_MAX_HEAD_BYTES = 16_000_000
_MAX_FRAME_BYTES = 256_000_000
_PIECE_BYTES = 1 << 20


class BrokenFrameError(Exception):
    """The other side ended, took too long, or sent something that is no message."""


def send(channel: socket.socket, head: dict[str, Any], parts: Sequence[bytes]) -> None:
    """Send a message: an object that JSON can hold, and any number of byte strings.

    Raises:
        OSError: the other side is gone, or does not take it in time.
    """
    text = json.dumps({**head, "parts": [len(part) for part in parts]}).encode()
    channel.sendall(_LENGTHS.pack(len(text), sum(len(part) for part in parts)) + text)
    for part in parts:
        channel.sendall(part)


def receive(
    channel: socket.socket, until: float | None = None
) -> tuple[dict[str, Any], list[bytes]]:
    """Wait for a message.

    Args:
        channel: a connected socket.
        until: on the clock of `time.monotonic()`, seconds; None waits for ever.

    Raises:
        BrokenFrameError: it did not come, or not as a message.
    """
    text_bytes, parts_bytes = _LENGTHS.unpack(_read(channel, _LENGTHS.size, until))
    if text_bytes > _MAX_HEAD_BYTES or parts_bytes > _MAX_FRAME_BYTES:
        raise BrokenFrameError("it is longer than any message")
    try:
        head = json.loads(bytes(_read(channel, text_bytes, until)))
        lengths = head.pop("parts")
    except (ValueError, AttributeError, KeyError) as error:
        raise BrokenFrameError("it is no message") from error
    body, parts, position = _read(channel, parts_bytes, until), list[bytes](), 0
    for length in lengths:
        parts.append(bytes(body[position : position + length]))
        position += length
    return head, parts


def _read(channel: socket.socket, size: int, until: float | None) -> memoryview:
    view = memoryview(bytearray(size))
    position = 0
    while position < size:
        try:
            if until is not None:
                channel.settimeout(max(0.001, until - time.monotonic()))
            count = channel.recv_into(view[position : position + _PIECE_BYTES])
        except OSError as error:
            raise BrokenFrameError("nothing came in time") from error
        if not count:
            raise BrokenFrameError("the other side ended")
        position += count
    return view
