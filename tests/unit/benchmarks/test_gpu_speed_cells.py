"""Cells of the GPU benchmark: kept when they fail, broken off in time, measured anew."""

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.gpu_speed import cells, schedule
from benchmarks.gpu_speed.cells import CELLS, Bench, Cell, best_variant
from benchmarks.gpu_speed.clock import Clock
from benchmarks.gpu_speed.deadline import Deadline, OutOfTimeError
from benchmarks.gpu_speed.floor import count_operations
from benchmarks.gpu_speed.report import FILE, Report
from benchmarks.gpu_speed.schedule import run_cells
from benchmarks.gpu_speed.variant import Variant
from benchmarks.gpu_speed.workload import FULL, TINY
from tests.unit.benchmarks.gpu_speed_runs import read

pytestmark = pytest.mark.usefixtures("one_thread")


def _bench(directory: Path, minutes: float = 5.0) -> Bench:
    report = Report.begin(directory / FILE, {"card": "none"}, {"name": "tiny"})
    return Bench(TINY, Clock(torch.device("cpu")), Deadline(minutes), report)


def test_a_cell_that_fails_is_written_down_and_the_next_one_runs(tmp_path: Path) -> None:
    def fail(bench: Bench) -> dict[str, Any]:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")

    bench = _bench(tmp_path)
    run_cells([Cell("first", 0, fail), Cell("second", 0, lambda bench: {"one": 1})], bench)
    found = read(tmp_path)["cells"]
    assert found["first"]["status"] == "failed"
    assert found["first"]["error"] == "OutOfMemoryError: CUDA out of memory."
    assert found["second"]["figures"] == {"one": 1}


def test_what_was_found_is_on_disk_before_the_next_cell_begins(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    def look(bench: Bench) -> dict[str, Any]:
        seen.append(read(tmp_path)["cells"])
        return {}

    run_cells(
        [Cell("first", 0, lambda bench: {"one": 1}), Cell("second", 0, look)], _bench(tmp_path)
    )
    assert seen[0]["first"]["figures"] == {"one": 1}
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_cell_that_takes_too_long_is_broken_off(tmp_path: Path) -> None:
    def endless(bench: Bench) -> dict[str, Any]:
        while True:
            try:
                sum(range(1000))
            except Exception:  # as torch's compiler does
                continue

    bench = _bench(tmp_path, minutes=0.02)
    run_cells([Cell("endless", 0, endless), Cell("next", 0, lambda bench: {})], bench)
    found = read(tmp_path)["cells"]
    assert found["endless"]["status"] == "broken off"
    assert 1 < found["endless"]["spent_s"] < 10
    assert found["next"]["status"] == "not begun"
    assert not bench.report.is_finished("endless")


def test_a_cell_is_not_begun_without_the_time_it_needs(tmp_path: Path) -> None:
    bench = _bench(tmp_path, minutes=1)
    bench.workload = FULL  # estimates are for the full size; neither cell builds it
    ran: list[str] = []

    def cell(name: str, estimate_s: float) -> Cell:
        return Cell(name, estimate_s, lambda bench: {"ran": ran.append(name)})

    long_ago = {"status": "broken off", "spent_s": 50.0}
    bench.report.cells["slow"] = long_ago
    run_cells([cell("long", 70), cell("slow", 10), cell("short", 10)], bench)
    assert ran == ["short"]
    found = read(tmp_path)["cells"]
    assert "needs about 70 s" in found["long"]["error"]
    assert "needs about 75 s" in found["slow"]["error"]  # half as much again as was not enough
    assert found["slow"]["spent_s"] == 50.0


def test_arms_stop_in_time_and_say_so(tmp_path: Path) -> None:
    bench = _bench(tmp_path, minutes=5)
    bench.deadline.left_s = lambda: 0.0  # type: ignore[method-assign]
    figures = bench.race({"eager": Variant("ours", "float32")})
    assert figures["eager"]["error"].startswith(OutOfTimeError.__name__)
    assert schedule._status(figures) == "broken off"


def test_the_best_is_the_fastest_of_ours_and_is_measured_anew_when_another_is(
    tmp_path: Path,
) -> None:
    report = _bench(tmp_path).report
    fast = Variant("ours", channels_last=True, compile="default")

    def arm(variant: Variant, median_s: float) -> dict[str, Any]:
        return {"variant": variant.facts(), "median_s": median_s}

    figures = {
        "diffusers": arm(Variant("diffusers"), 0.5),
        "eager": arm(Variant("ours"), 2.0),
        "half": arm(Variant("ours", images=1), 0.1),
        "failed": {"variant": fast.facts(), "error": "no"},
    }
    report.set_cell("a", "measured", figures=figures)
    assert best_variant(report) == Variant("ours")
    is_stale = next(one for one in CELLS if one.name == "best_again").is_stale
    report.set_cell("best_again", "measured", figures={"best": arm(Variant("ours"), 1.9)})
    assert not is_stale(report)
    report.set_cell("b", "measured", figures={"compiled": arm(fast, 1.4)})
    assert best_variant(report) == fast
    assert is_stale(report)


def test_the_floor_is_the_operations_over_the_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "matrix_rate", lambda clock, side, dtype: 2e9)
    figures = cells.measure_card(_bench(tmp_path))
    operations = count_operations(TINY)
    unet = 2 * TINY.images * TINY.unet_calls * operations.unet
    rest = TINY.images * operations.decode + operations.encode + 2 * operations.text
    assert figures["floor_s"] == pytest.approx((unet + rest) / 2e9)
