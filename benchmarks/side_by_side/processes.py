"""CPU and memory of an arm's processes: read between bursts, so that reading disturbs nothing."""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks.side_by_side.records import Memory

_MIB = 2**20
_QUIET_S, _QUIET_SHARE, _SETTLE_LIMIT_S = 0.5, 0.15, 180.0


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all below it."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that the living processes of a tree have used."""
    total = 0.0
    for one in family(pid):
        with contextlib.suppress(psutil.Error):
            times = one.cpu_times()
            total += times.user + times.system
    return total


def memory(pid: int) -> Memory:
    """Return what a tree holds; needs Linux, as its peak comes from /proc."""
    held, peaks = [], []
    for one in family(pid):
        with contextlib.suppress(psutil.Error, OSError):
            held.append(one.memory_full_info().pss / _MIB)
            peaks.append(_peak_rss_mib(one.pid))
    return Memory(round(sum(held), 1), round(sum(peaks), 1), len(held))


def idle_cpu_percent(pids: Sequence[int], seconds: float) -> float:
    """Return what some trees take of one core while nobody asks them."""
    before = sum(map(cpu_s, pids))
    time.sleep(seconds)
    return round(100 * (sum(map(cpu_s, pids)) - before) / seconds, 1)


def pause(pid: int) -> None:
    """Stop a tree where it stands, until `resume`: idle services take none of the processor."""
    for one in family(pid):
        with contextlib.suppress(psutil.Error):
            one.suspend()


def resume(pid: int) -> None:
    """Let a tree go on, those below first."""
    for one in reversed(family(pid)):
        with contextlib.suppress(psutil.Error):
            one.resume()


def settle(pid: int, limit_s: float = _SETTLE_LIMIT_S) -> bool:
    """Wait until a tree is idle: after an error its other requests may still be worked on."""
    until_s = time.monotonic() + limit_s
    while time.monotonic() < until_s:
        before = cpu_s(pid)
        time.sleep(_QUIET_S)
        if cpu_s(pid) - before < _QUIET_SHARE * _QUIET_S:
            return True
    return False


def _peak_rss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = next((line for line in lines if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(found.split()[1]) / 1024
