"""A search for bytes in everything that a service may have left on a disk."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

_BLOCK_BYTES = 4 * 2**20
MEMORY = "/dev/shm/"
"""Ray's object store: memory, which every process of this user may read while Ray runs."""


def find(paths: Iterator[Path], needles: Mapping[str, bytes]) -> list[str]:
    """Return "what in which file" for each needle in each regular file; no file twice."""
    found, seen = [], set()
    for path in paths:
        try:
            facts = path.stat()
            if not stat.S_ISREG(facts.st_mode) or (facts.st_dev, facts.st_ino) in seen:
                continue
            seen.add((facts.st_dev, facts.st_ino))
            found += [f"{name} in {path}" for name in _in_file(path, needles)]
        except OSError:  # it went away meanwhile
            continue
    return found


def _in_file(path: Path, needles: Mapping[str, bytes]) -> set[str]:
    longest = max(map(len, needles.values()))
    found: set[str] = set()
    with path.open("rb") as file:
        rest = b""
        while block := file.read(_BLOCK_BYTES):
            window = rest + block
            found |= {name for name, needle in needles.items() if needle in window}
            rest = window[-longest:]
    return found


def files_below(*roots: Path) -> Iterator[Path]:
    """Yield every file below directories; links to directories are not followed."""
    for root in roots:
        for directory, _, names in os.walk(root):
            yield from (Path(directory) / name for name in names)


def files_since(started: float, *roots: Path) -> Iterator[Path]:
    """Yield the files below directories that were written after a time."""
    for path in files_below(*roots):
        try:
            if path.lstat().st_mtime >= started:
                yield path
        except OSError:
            continue


def open_files(processes: list[psutil.Process]) -> Iterator[Path]:
    """Yield what processes hold open and could be on a disk, also files without a name."""
    for process in processes:
        try:
            descriptors = list(Path(f"/proc/{process.pid}/fd").iterdir())
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                target = os.readlink(descriptor)
            except OSError:
                continue
            if target.startswith("/") and not target.startswith((MEMORY, "/memfd:", "/dev/")):
                yield descriptor


def written_bytes(processes: list[psutil.Process]) -> int:
    """Return how many bytes the processes have meant for a disk so far, mapped files included."""
    total = 0
    for process in processes:
        try:
            total += process.io_counters().write_bytes
        except psutil.Error:
            continue
    return total
