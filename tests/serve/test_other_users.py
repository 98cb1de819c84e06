"""Another user of the machine finds nothing of a running service that can be listed or written."""

import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import httpx
import psutil
import pytest

from scripts.run_file import RUN_DIRECTORY
from tests.faults.processes import ServiceProcesses

_NOBODY = 65534

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


def _open_to_others(paths: Iterable[Path]) -> list[str]:
    """Return which of the paths and what lies below them a stranger can write to or list."""
    tests = ["(", "-writable", "-o", "-type", "d", "-readable", ")"]
    done = subprocess.run(
        ["find", *map(str, paths), "-not", "-type", "c", "-not", "-type", "l", *tests],
        user=_NOBODY,
        group=_NOBODY,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.splitlines()


def _used_by(processes: Iterable[psutil.Process]) -> set[Path]:
    """Return the files that processes have open, and the sockets that they listen on."""
    found = set()
    for process in processes:
        try:
            found |= {Path(one.path) for one in process.open_files()}
            found |= {
                Path(one.laddr) for one in process.net_connections("unix") if one.laddr[:1] == "/"
            }
        except psutil.Error:  # it ended meanwhile
            continue
    return found


def test_what_a_service_keeps_is_closed_to_other_users(simulated: httpx.Client) -> None:
    processes = ServiceProcesses.behind(simulated)
    used = _used_by(processes.all())
    assert any(path.name == "raylet" for path in used)  # Ray's sockets are among them
    memory = Path("/dev/shm") / processes.directory.name
    assert memory.exists()
    assert processes.session.exists()
    assert _open_to_others([processes.directory, memory, RUN_DIRECTORY, *used]) == []


def test_another_user_would_find_an_open_folder() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        file = Path(folder) / "serve.yaml"
        file.touch()
        file.chmod(0o666)
        Path(folder).chmod(0o777)
        assert _open_to_others([Path(folder)]) == [folder, str(file)]
