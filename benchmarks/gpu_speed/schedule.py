"""Runs the cells one after another, within the minutes there are."""

import gc
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.gpu_speed.cells import Bench, Cell
from benchmarks.gpu_speed.deadline import OutOfTimeError
from benchmarks.gpu_speed.race import sentence_of

_HURRY = 1.5


def run_cells(cells: Sequence[Cell], bench: Bench) -> None:
    """Run each cell that is not finished yet, and write down what became of it.

    Raises:
        RuntimeError: the GPU answers no more after a cell that failed.
    """
    for cell in cells:
        report = bench.report
        if report.is_finished(cell.name) and not cell.is_stale(report):
            continue
        needed_s = _needed_s(cell, bench)
        left_s = bench.deadline.left_s()
        if left_s < max(needed_s, 0.0):
            sentence = f"needs about {needed_s:.0f} s and {max(left_s, 0):.0f} s were left"
            report.set_cell(cell.name, "not begun", error=sentence, **_spent(bench, cell))
            continue
        _run(cell, bench)


def _needed_s(cell: Cell, bench: Bench) -> float:
    """Return the estimate, or more where the cell was broken off after that time."""
    if bench.workload.name != "full":
        return 0.0
    return max(cell.estimate_s, _HURRY * _spent(bench, cell).get("spent_s", 0.0))


def _spent(bench: Bench, cell: Cell) -> dict[str, float]:
    before = bench.report.cells.get(cell.name, {})
    return {"spent_s": before["spent_s"]} if "spent_s" in before else {}


def _run(cell: Cell, bench: Bench) -> None:
    sys.stderr.write(f"{cell.name} ({bench.deadline.left_s():.0f} s left)\n")
    started = time.monotonic()
    status, facts = _outcome(cell, bench)
    spent_s = time.monotonic() - started
    bench.report.set_cell(cell.name, status, spent_s=spent_s, **facts)
    gc.collect()
    torch.compiler.reset()  # torch compiles one function for eight modules at most
    try:
        bench.clock.synchronize()
        bench.clock.release()
    except RuntimeError as error:
        raise RuntimeError(
            f"the GPU answers no more after {cell.name} ({sentence_of(error)}): what was measured "
            "is kept, run the same command again with --resume"
        ) from error


def _outcome(cell: Cell, bench: Bench) -> tuple[str, dict[str, Any]]:
    try:
        with bench.deadline.alarm():
            figures = cell.run(bench)
    except OutOfTimeError:
        return "broken off", {"error": "the minutes were over: run again with --resume"}
    except Exception as error:  # whatever a card, a compiler or a backend refuses
        sentence = sentence_of(error)
        sys.stderr.write(f"twinset: {cell.name}: {sentence}\n")
        return "failed", {"error": sentence}
    return _status(figures), {"figures": figures}


def _status(figures: dict[str, Any]) -> str:
    """Tell figures from a list of errors, and a whole cell from one that ran short of time."""
    errors = [one["error"] for one in figures.values() if isinstance(one, dict) and "error" in one]
    if any(one.startswith(OutOfTimeError.__name__) for one in errors):
        return "broken off"
    return "failed" if errors and len(errors) == len(figures) else "measured"
