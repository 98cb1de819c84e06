"""A port is claimed before anything is started on it: of two services one serves, one says why not.

Serve's proxy shares its port with other processes of the same user (SO_REUSEPORT), so that a new
proxy can follow one that was killed. Two services on one port would therefore both start, and share
the requests.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from scripts.local_ray import is_busy

_CREDENTIALS = struct.Struct("3i")  # of the listener: process, user, group; see unix(7)


class PortTakenError(Exception):
    """Somebody else has the port; the sentence says who, where that can be known."""


@contextmanager
def claimed(port: int) -> Iterator[None]:
    """Hold a TCP port of the loopback interface against other services while the context lasts.

    The claim is a Unix socket in the abstract namespace: like a port it belongs to the network
    namespace, is taken by one process at a time, and is free once that process has ended.

    Raises:
        PortTakenError: another service has claimed it, or something listens on it.
        OSError: the port cannot be used for another reason.
    """
    with socket.socket(socket.AF_UNIX) as claim:
        name = f"\0twinset-port-{port}"
        try:
            claim.bind(name)
        except OSError:
            raise PortTakenError(_described(_claimant(name))) from None
        claim.listen()  # only a listener tells who it is
        if is_busy("127.0.0.1", port):
            raise PortTakenError(_described(_listener(port)))
        yield


def _claimant(name: str) -> int | None:
    """Return the process that has claimed a name; None where it does not answer."""
    with socket.socket(socket.AF_UNIX) as asker:
        asker.settimeout(1.0)
        try:
            asker.connect(name)
            options = asker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return None
    pid: int = _CREDENTIALS.unpack(options)[0]
    return pid


def _listener(port: int) -> int | None:
    """Return the process that listens on a port; None where that is another user's secret."""
    return next(
        (
            one.pid
            for one in psutil.net_connections("tcp")
            if one.pid and one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port
        ),
        None,
    )


def _described(pid: int | None) -> str:
    try:
        process = psutil.Process(pid) if pid else None
        if process is None:
            return "another user's process"
        command = " ".join(process.cmdline())[:120] or process.name()
        return f"process {process.pid} of {process.username()}: {command}"
    except psutil.Error:
        return f"process {pid}"
