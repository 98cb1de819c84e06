"""One decoding worker, as the service sees it: started, asked, and replaced when it fails."""

import logging
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from os import pathsep
from typing import Any

from deployments import errors
from deployments.decoding import frames

TASK_S = 60.0
"""For one task, by the clock: on a busy machine more than what its processor time allows."""
_START_S = 60.0
_KINDS = {kind.__name__: kind for kind in errors.HTTP_STATUS}
_LOGGER = logging.getLogger("ray.serve")


class WorkerProcess:
    """A process that does one task at a time; used by one thread at a time."""

    def __init__(self) -> None:
        """Start the process; it is ready some tenths of a second later."""
        self._process, self._channel = _started()
        self._is_ready = False

    @property
    def pid(self) -> int:
        """Which process it is now."""
        return self._process.pid

    def ask(
        self, task: str, arguments: Mapping[str, Any], data: bytes
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Wait for what a task makes of some bytes.

        Raises:
            TwinsetError: the task refuses them; or they ended the worker, which is replaced.
        """
        self._wait_until_ready()
        until = time.monotonic() + TASK_S
        try:
            self._channel.settimeout(TASK_S)
            frames.send(self._channel, {"task": task, "arguments": dict(arguments)}, [data])
            head, parts = frames.receive(self._channel, until)
        except (OSError, frames.BrokenFrameError):
            self._replace(task)
            raise errors.InvalidRequestError(
                "what was sent takes too long or too much memory to be read: save the picture "
                "anew, as a plain JPEG, PNG or WebP file",
                param="image",
            ) from None
        except BaseException:  # whatever it is: the next answer would begin with the rest of this
            self._replace(task)
            raise
        if "error" in head:
            facts = head["error"]
            raise _KINDS[facts["kind"]](facts["message"], param=facts["param"])
        return head["result"], parts

    def end(self) -> None:
        """End the process."""
        self._channel.close()
        self._process.kill()
        self._process.wait()

    def _wait_until_ready(self) -> None:
        if self._is_ready and self._process.poll() is not None:  # somebody ended it meanwhile
            self._replace("none")
        try:
            if not self._is_ready:
                frames.receive(self._channel, time.monotonic() + _START_S)
                self._is_ready = True
        except frames.BrokenFrameError:
            self._replace("start")
            raise errors.TwinsetError(
                "something of ours broke: what was sent is not read"
            ) from None

    def _replace(self, task: str) -> None:
        self.end()
        _LOGGER.warning(
            "a decoding worker ended at the task %s, status %d: another takes its place",
            task,
            self._process.returncode,
        )
        self._process, self._channel = _started()
        self._is_ready = False


def _started() -> tuple["subprocess.Popen[bytes]", socket.socket]:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "deployments.decoding.worker", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            env={
                "PYTHONPATH": pathsep.join(path for path in sys.path if path),
                "OPENBLAS_NUM_THREADS": "1",  # each thread would reserve address space
            },
        )
    return process, ours
