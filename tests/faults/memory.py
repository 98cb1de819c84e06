"""The memory of every process of a service over a run, and a line through it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from tests.faults.processes import ServiceProcesses, title

MIB = 2**20
_OURS = ("ServeReplica:", "ProxyActor", "deployments.decoding.worker")


@dataclass(frozen=True)
class Growth:
    """What a fitted line says.

    Attributes:
        mib: by how much it grows.
        error_mib: the standard error of that.
    """

    mib: float
    error_mib: float


@dataclass
class ProcessMemory:
    """What one process held, sample by sample.

    Attributes:
        label: its role and process id.
        is_ours: a replica of ours, a decoding worker, or the HTTP proxy; the others are Ray's.
        at: how far the run was at each sample: in seconds, or in sets.
        resident_mib: resident memory, one a sample.
        private_mib: of it what no other process maps: without pages of Ray's object store.
    """

    label: str
    is_ours: bool
    at: list[float] = field(default_factory=list)
    resident_mib: list[float] = field(default_factory=list)
    private_mib: list[float] = field(default_factory=list)

    def growth(self, values: Sequence[float], after: float, over: float) -> Growth | None:
        """Return by how much a fitted line grows in `over`; None with under five samples.

        Samples before `after` are left out: a process that starts grows.
        """
        points = [(at, mib) for at, mib in zip(self.at, values, strict=True) if at >= after]
        if len(points) < 5:
            return None
        at, mib = np.array(points).T
        line, covariance = np.polyfit(at, mib, 1, cov=True)  # least squares
        return Growth(float(line[0]) * over, float(np.sqrt(covariance[0, 0])) * over)


class MemoryLog:
    """Samples the processes of a service."""

    def __init__(self, processes: ServiceProcesses) -> None:
        """Take the service."""
        self._processes = processes
        self._by_process: dict[tuple[int, float], ProcessMemory] = {}

    @property
    def processes(self) -> list[ProcessMemory]:
        """Return all that were seen, ours first."""
        return sorted(self._by_process.values(), key=lambda one: (not one.is_ours, one.label))

    def sample(self, at: float) -> None:
        """Note what each process holds now, and how far the run is."""
        for process in self._processes.all():
            try:
                key, memory = (process.pid, process.create_time()), process.memory_full_info()
            except psutil.Error:  # it ended meanwhile
                continue
            if key not in self._by_process:
                self._by_process[key] = _named(process)
            one = self._by_process[key]
            one.at.append(at)
            one.resident_mib.append(memory.rss / MIB)
            one.private_mib.append(memory.uss / MIB)


def _named(process: psutil.Process) -> ProcessMemory:
    command = title(process)
    is_ours = any(part in command for part in _OURS)
    return ProcessMemory(f"{_short(command)} {process.pid}", is_ours)


def _short(command: str) -> str:
    """Return the role of a process: what Ray calls it, or the name of its program or module."""
    words = command.split() or ["?"]
    if words[0].startswith("ray::"):
        role = words[0].removeprefix("ray::").split(".")[0]  # without the method that it runs
        return role.removeprefix("ServeReplica:twinset:")
    if Path(words[0]).name.startswith("python"):
        words = words[words.index("-m") + 1 :] if "-m" in words else words[1:]
        words = [word for word in words if not word.startswith("-")] or ["python"]
    return Path(words[0]).name
