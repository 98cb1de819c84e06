"""The command itself, its child processes, and what it sees of them."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.paths import ROOT
from benchmarks.side_by_side.children import child_of
from benchmarks.side_by_side.floor import best_of
from benchmarks.side_by_side.processes import cpu_s, memory, settle
from benchmarks.side_by_side.publishing import store
from benchmarks.side_by_side.records import Floor
from tests.unit.benchmarks.side_by_side_runs import made_run

pytestmark = pytest.mark.heavy

_BUSY_S = 1.0
_PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", '''
import time
held = bytearray(64 * 2**20)
while time.process_time() < {_BUSY_S}: pass
print("idle", flush=True)
time.sleep(60)
'''])
child.wait()
"""


def _command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "benchmarks.side_by_side", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.fixture
def family() -> Iterator["subprocess.Popen[str]"]:
    """Start a process whose child takes a second of CPU and is then idle."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    yield process
    subprocess.run(["kill", "--", f"-{process.pid}"], check=True)
    process.communicate(timeout=10)


def test_records_are_shown_again_and_left_as_they_are(tmp_path: Path) -> None:
    records = tmp_path / "side_by_side.json"
    store(made_run(), records)
    before = records.read_bytes()
    done = _command("--replot", str(records), "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "| (d) Twinset over HTTP" in done.stdout
    assert "at commit 0123456789ab" in done.stdout
    assert (tmp_path / "side_by_side.png").read_bytes().startswith(b"\x89PNG")
    assert records.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--arms", "z"), "there is no arm 'z'"),
        (("--clients", "0"), "give counts from 1 to 64"),
        (("--repetitions", "0"), "repetitions is 0: give 1 to 100"),
        (("--replot", "nowhere.json"), "nowhere.json"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_a_sentence(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    done = _command(*arguments, "--out", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("twinset: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_child_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="invalid choice"), child_of("nonsense", tmp_path):
        pass


def test_the_whole_tree_of_an_arm_is_counted(family: "subprocess.Popen[str]") -> None:
    if family.stdout is None:
        pytest.fail("the process has no output")
    family.stdout.readline()
    used_s = cpu_s(family.pid)
    assert used_s > 0.9 * _BUSY_S
    found = memory(family.pid)
    assert found.processes == 2
    assert found.pss_mib > 64
    assert found.peak_rss_mib > found.pss_mib


def test_settling_waits_until_a_tree_is_idle(family: "subprocess.Popen[str]") -> None:
    started_s = time.monotonic()
    assert settle(family.pid, limit_s=30)
    assert time.monotonic() - started_s > 0.5
    assert cpu_s(family.pid) > 0.9 * _BUSY_S
    assert not settle(family.pid, limit_s=0)


def test_the_best_rate_of_both_measurements_makes_the_floor() -> None:
    first = Floor({"unet": 4e11}, {"matmul": 100.0, "convolution": 300.0})
    second = Floor({"unet": 4e11}, {"matmul": 200.0, "convolution": 250.0})
    assert best_of([first, second]).rates_gflop_s == {"matmul": 200.0, "convolution": 300.0}
    assert best_of([first, second]).set_s == pytest.approx(4e11 / 300e9)
