"""The arms without a server: a child process each, which makes a set when it is told to."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from benchmarks.comparison.in_process import Arm, environment_of
from benchmarks.paths import ROOT

_PATIENCE_S = 300.0
_STOP_TIMEOUT_S = 30.0


class Child:
    """A process that has loaded its model."""

    def __init__(self, process: "subprocess.Popen[str]", complaints: IO[str]) -> None:
        """Take a process that was just started, and the file of its standard error."""
        self._process = process
        self._complaints = complaints

    @property
    def pid(self) -> int:
        """Return its id."""
        return self._process.pid

    def ask(self, seeds: Sequence[int]) -> dict[str, Any]:
        """Return what it says of the set it made.

        Raises:
            RuntimeError: it ended, or took minutes.
        """
        stdin = cast(IO[str], self._process.stdin)
        stdin.write(json.dumps({"seeds": list(seeds)}) + "\n")
        stdin.flush()
        return self.read()

    def read(self) -> dict[str, Any]:
        """Return its next line.

        Raises:
            RuntimeError: it ended, or took minutes.
        """
        patience = threading.Timer(_PATIENCE_S, self._process.kill)
        patience.start()
        try:
            line = cast(IO[str], self._process.stdout).readline()
        finally:
            patience.cancel()
        if not line:
            self._complaints.seek(0)
            raise RuntimeError(f"a child process ended:\n{self._complaints.read()}")
        said: dict[str, Any] = json.loads(line)
        return said


@contextmanager
def child_of(name: str, directory: Path) -> Iterator[Child]:
    """Start the child process of an arm; yields it once it has loaded its model.

    Raises:
        RuntimeError: it ended instead.
    """
    command = [sys.executable, "-m", "benchmarks.comparison.in_process", name]
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(
            [*command, "--out", str(directory)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env={**inherited_environment(), **environment_of(cast(Arm, name))},
            start_new_session=True,  # Ctrl-C is for the runner, which ends this one in its turn
        )
        try:
            child = Child(process, complaints)
            child.read()
            yield child
        finally:
            _end(process)


def inherited_environment() -> dict[str, str]:
    """Return this process's environment, for a child."""
    return dict(os.environ)  # noqa: TID251 (handed on as it is, no setting is read from it)


def _end(process: "subprocess.Popen[str]") -> None:
    """Let it end with its input; what does not is killed."""
    cast(IO[str], process.stdin).close()
    try:
        process.wait(timeout=_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    cast(IO[str], process.stdout).close()
