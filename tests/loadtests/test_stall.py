"""A stall shows in an open loop and hides in a closed one (coordinated omission)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.loadtests.test_locustfile import ROOT, command

STALL_S = 2.0
FEW = ("--mix", "vae", "--pairs-n", "1", "--repeat-share", "0", "--same-parameters", "-u", "1")


def p99_s(service: Any, *load: str) -> float:
    """Return the 99th percentile of a run in whose midst the service stalls once."""
    stall = threading.Thread(target=stall_once, args=(service,), daemon=True)
    service.forms.clear()
    stall.start()
    arguments = command(service.url, *FEW, *load)
    done = subprocess.run(
        arguments, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )
    stall.join()
    assert done.returncode == 0, done.stdout
    found = re.search(r"p99 ([0-9.]+)", done.stdout)
    assert found, done.stdout
    return float(found[1])


def stall_once(service: Any) -> None:
    """Let nobody get on for a while, once requests come."""
    while len(service.forms) < 8:
        time.sleep(0.01)
    service.stalled_until_s = time.monotonic() + STALL_S


@pytest.mark.slow
def test_a_stall_shows_in_the_open_loop_and_hides_in_the_closed_one(service: Any) -> None:
    # So many requests that the one which meets the stall is less than a hundredth of them.
    closed_s = p99_s(service, "--iterations", "250", "-t", "60s")
    open_s = p99_s(service, "--arrival-rate", "10", "-t", "4s")
    sys.stdout.write(f"\na stall of {STALL_S} s: p99 closed {closed_s} s, open {open_s} s\n")
    assert closed_s < 0.25 * STALL_S
    assert open_s > 0.75 * STALL_S


@pytest.mark.slow
def test_a_stopped_replica_of_the_simulation_shows_in_the_open_loop_alone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.loadtest_stall", "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stderr
    p99 = {
        name: json.loads((tmp_path / name / "run.json").read_text())["summary"]["figures"]["p99_s"]
        for name in ("closed", "open")
    }
    assert p99["closed"] < 2
    assert p99["open"] > 7
