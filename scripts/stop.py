"""Stops every service of this checkout, running or left behind, and removes its files."""

import json
import sys
import time
from pathlib import Path

import psutil

from scripts.local_ray import remove_files
from scripts.run_file import RUN_DIRECTORY

PATIENCE_S = 25.0


def main() -> int:
    """Stop them all."""
    files = sorted(RUN_DIRECTORY.glob("*.json"))
    for file in files:
        facts = json.loads(file.read_text())
        stop(facts["pid"], facts["started"], Path(facts["directory"]))
        file.unlink(missing_ok=True)
        sys.stdout.write(f"twinset: stopped {facts['url']}\n")
    if not files:
        sys.stdout.write("twinset: nothing of this checkout runs\n")
    return 0


def stop(pid: int, started: float, directory: Path) -> None:
    """Ask the process to stop, then end whatever still works in `directory`, and remove it."""
    _terminate([process for process in _of_pid(pid) if process.create_time() == started])
    _terminate(_working_in(directory))
    remove_files(directory)


def _of_pid(pid: int) -> list[psutil.Process]:
    try:
        return [psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return []


def _working_in(directory: Path) -> list[psutil.Process]:
    return [one for one in psutil.process_iter() if _belongs_to(one, str(directory))]


def _belongs_to(process: psutil.Process, directory: str) -> bool:
    # Ray's workers and agents rename themselves; what they were started with stays.
    try:
        return process.environ().get("RAY_TMPDIR") == directory
    except (psutil.Error, OSError):
        return False


def _terminate(processes: list[psutil.Process]) -> None:
    for process in processes:
        _signal(process, hard=False)
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE_S)
    for process in alive:
        _signal(process, hard=True)
    time.sleep(0.1 if processes else 0.0)


def _signal(process: psutil.Process, hard: bool) -> None:
    try:
        process.kill() if hard else process.terminate()
    except psutil.Error:
        return


if __name__ == "__main__":
    sys.exit(main())
