"""Which code was measured."""

import subprocess

from benchmarks.paths import ROOT


def commit() -> str:
    """Return the commit, and that the tree differs from it if it does; "unknown" without git."""
    try:
        command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"
