"""A decoding worker's process: takes a task, does it within its bounds, and takes the next.

It is started with a socket as its only argument and ends when the other side of it does. What it
works on comes from strangers: it has no keys and no token in its environment, writes no file, and a
task that takes more memory or time than any honest picture ends it.
"""

import resource
import signal
import socket
import sys
from typing import Any

from deployments.decoding import frames
from deployments.decoding.tasks import TASKS
from deployments.errors import InvalidRequestError, TwinsetError

MEMORY_BYTES = 2_000_000_000
"""Of its address space; the largest picture within the limits takes 0.8 GB as WebP."""
CPU_S = 15
"""Of the processor's time for one task; the largest picture takes two."""
_OPEN_FILES = 32
_UNREADABLE = "what was sent is nested too deeply to be read"


def main() -> None:
    """Serve tasks until the other side ends."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started the service
    _set_bounds()
    frames.send(channel, {"ready": True}, [])
    while True:
        try:
            head, parts = frames.receive(channel)
        except frames.BrokenFrameError:
            return
        _allow_cpu_time()
        answer, made = _answer(head, parts)
        frames.send(channel, answer, made)


def _answer(head: dict[str, Any], parts: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    try:
        result, made = TASKS[head["task"]](parts[0], **head["arguments"])
        return {"result": result}, made
    except TwinsetError as error:
        facts = {"kind": type(error).__name__, "message": error.message, "param": error.param}
        return {"error": facts}, []
    except RecursionError:
        facts = {"kind": InvalidRequestError.__name__, "message": _UNREADABLE, "param": None}
        return {"error": facts}, []
    except MemoryError:
        message = "the picture takes too much memory to be decoded: send a smaller one"
        facts = {"kind": InvalidRequestError.__name__, "message": message, "param": "image"}
        return {"error": facts}, []


def _set_bounds() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold the picture
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))


def _allow_cpu_time() -> None:
    """Let this process live for so much more of the processor's time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until_s = int(used.ru_utime + used.ru_stime) + CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (until_s, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
