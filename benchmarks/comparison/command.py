"""What the commands of the compared servers have in common: a port, and word when they answer."""

import argparse
import http.client
import sys
import threading
import time

from scripts.local_ray import free_port, is_busy

HOST = "127.0.0.1"
READY = "ready "
"""What stands before the URL in the line that says that a server answers."""
_PERIOD_S = 0.2


def chosen_port(description: str | None) -> int:
    """Return the port of the command line, or a free one; ends the process when it is busy."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    port: int = parser.parse_args().port or free_port()
    if is_busy(HOST, port):
        sys.exit(f"port {port} is busy: choose another with --port")
    return port


def announce_when_ready(port: int, path: str) -> None:
    """Print `ready URL` from a thread of its own, once a GET of `path` is answered with 200."""
    threading.Thread(target=_announce, args=(port, path), name="announce", daemon=True).start()


def announce(port: int) -> None:
    """Print `ready URL`."""
    print(f"{READY}http://{HOST}:{port}", flush=True)


def _announce(port: int, path: str) -> None:
    while not _answers(port, path):
        time.sleep(_PERIOD_S)
    announce(port)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
