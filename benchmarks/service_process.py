"""A service as a process of its own: started, waited for, and all of it stopped."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import psutil

from benchmarks.paths import ROOT

TWINSET_SAYS = "Twinset serves at "
"""What stands before the URL in the line of `scripts.serve` that says that it is ready."""
_START_TIMEOUT_S = 240.0
_STOP_TIMEOUT_S = 60.0
_PERIOD_S = 0.1


@contextmanager
def service_process(module: Sequence[str], says: str) -> Iterator[tuple[str, int]]:
    """Run a module while the context lasts; yields the URL that it says, and its process.

    Args:
        module: its name, and its arguments.
        says: what stands before the URL in the line that says that it is ready.

    Raises:
        RuntimeError: it did not start; the message is what it printed.
    """
    # A file and no pipe: nobody reads on once the service is ready, and a full pipe would stop it.
    with TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", *module], cwd=ROOT, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            yield _announced_url(process, said, says), process.pid
        finally:
            _stop(process)


def _announced_url(process: "subprocess.Popen[bytes]", said: IO[str], prefix: str) -> str:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        is_over = process.poll() is not None  # asked before its last words are read
        lines = _lines(said)
        if found := [line for line in lines if line.startswith(prefix) and line.endswith("\n")]:
            return found[0].removeprefix(prefix).split()[0]
        if is_over:
            raise RuntimeError(f"the service did not start:\n{''.join(lines)}")
        time.sleep(_PERIOD_S)
    raise RuntimeError(f"the service was not ready after {_START_TIMEOUT_S:.0f} s")


def _lines(said: IO[str]) -> list[str]:
    # By its own file description: the service writes where the shared one stands.
    with Path(f"/proc/self/fd/{said.fileno()}").open(errors="replace") as file:
        return file.readlines()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End a service and wait for all of its processes: the next one must have the machine."""
    family = _family(process.pid)
    process.terminate()
    try:
        process.wait(timeout=_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _, left = psutil.wait_procs(family, timeout=_STOP_TIMEOUT_S)
    for one in left:
        one.kill()


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
