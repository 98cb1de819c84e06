"""Starts models in processes of their own, as `replica_process.py` runs them."""

import json
import subprocess
import sys
import tempfile
from typing import Any

from benchmarks.gpu import weights
from benchmarks.gpu.parts import CheckSetting
from benchmarks.gpu.running import last_line
from benchmarks.paths import ROOT


class Replica:
    """A process that makes sets until it is told to end."""

    def __init__(self, role: str, share: float, setting: CheckSetting, *options: str) -> None:
        """Start it; `ready` waits for it."""
        command = [sys.executable, "-m", "benchmarks.gpu.replica_process", role]
        command += ["--weights", str(weights.of(setting)), "--device", str(setting.device)]
        command += ["--share", f"{share:.4f}", "--image-px", str(setting.workload.image_px)]
        self._messages = tempfile.TemporaryFile("w+")  # noqa: SIM115, as long as the process
        self._process = subprocess.Popen(
            [*command, *options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            text=True,
        )

    def ready(self) -> dict[str, Any]:
        """Wait until it has loaded and warmed up, and return what it says.

        Raises:
            RuntimeError: it ended; the last line that it wrote.
        """
        return self._line()

    def end(self) -> dict[str, Any]:
        """Let it finish its set, and return what it made.

        Raises:
            RuntimeError: it ended before; the last line that it wrote.
        """
        if self._process.stdin:
            self._process.stdin.close()
        facts = self._line()
        self._process.wait()
        return facts

    def refusal(self) -> str:
        """Wait until it ends by itself, and return its last line.

        Raises:
            RuntimeError: it did not refuse to start.
        """
        if self._process.stdin:
            self._process.stdin.close()
        said = self._process.stdout.read() if self._process.stdout else ""
        if self._process.wait() == 0:
            raise RuntimeError(f"it started all the same: {said}")
        return self._complaint()

    def _line(self) -> dict[str, Any]:
        for line in self._process.stdout or ():
            if line.startswith("{"):
                facts: dict[str, Any] = json.loads(line)
                return facts
        self._process.wait()
        raise RuntimeError(self._complaint() or "it ended without a word")

    def _complaint(self) -> str:
        self._messages.seek(0)
        return last_line(self._messages.read())
