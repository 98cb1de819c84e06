"""Starts one of the compared services as a process of its own, and stops all of it."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import psutil

from benchmarks.comparison.job import ROOT

NAMES = (
    "twinset",
    "ray_documented",
    "ray_documented_serial",
    "ray_expert",
    "litserve_documented",
    "litserve_expert",
    "fastapi_documented",
    "fastapi_expert",
)
_TWINSET = ("scripts.serve", "--config", str(ROOT / "configs" / "demo.yaml"))
# What stands before the URL in the line that says that a service is ready.
_ANNOUNCED: Mapping[bool, str] = {True: "Twinset serves at ", False: "ready "}
_START_TIMEOUT_S = 240.0
_STOP_TIMEOUT_S = 60.0
_PERIOD_S = 0.1


@dataclass(frozen=True)
class ServerProcess:
    """A service that answers.

    Attributes:
        name: which one.
        url: its base URL.
        pid: root of its process tree.
    """

    name: str
    url: str
    pid: int


@contextmanager
def serving(name: str, port: int = 0) -> Iterator[ServerProcess]:
    """Serve with one of `NAMES` while the context lasts; port 0 takes a free one.

    Raises:
        ValueError: there is no such service.
        RuntimeError: it did not start; the message is what it printed.
    """
    if name not in NAMES:
        raise ValueError(f"name is {name!r}: use one of {', '.join(NAMES)}")
    module = _TWINSET if name == "twinset" else (f"benchmarks.comparison.{name}",)
    command = [sys.executable, "-m", *module, "--port", str(port)]
    # A file and no pipe: nobody reads on once the service is ready, and a full pipe would stop it.
    with TemporaryFile("w+") as said:
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
        try:
            url = _announced_url(process, said, _ANNOUNCED[name == "twinset"])
            yield ServerProcess(name, url, process.pid)
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
