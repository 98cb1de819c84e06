"""The picture of a report: seconds a set of each arm, and the floor."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.gpu_speed.report import Report
from benchmarks.gpu_speed.table import arms


def plot(report: Report, path: Path) -> bool:
    """Draw the arms that were timed; False where there is no matplotlib, or nothing to draw."""
    try:
        import matplotlib
    except ImportError:  # it is not needed to measure
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = list(_rows(report))
    if not rows:
        return False
    names, medians, least, most = zip(*rows, strict=True)
    spread = [np.subtract(medians, least), np.subtract(most, medians)]
    colours = ["0.6" if "notebook" in one or "diffusers" in one else "tab:blue" for one in names]
    figure, axes = pyplot.subplots(figsize=(8, 1.2 + 0.3 * len(rows)), layout="constrained")
    axes.barh(names, medians, xerr=spread, color=colours)
    axes.invert_yaxis()
    floor_s = report.figures("card").get("floor_s")
    if floor_s:
        axes.axvline(floor_s, color="tab:red", linestyle="--", label=f"floor {floor_s:.3g} s")
        axes.legend(loc="lower right", frameon=False)
    images = report.facts["workload"]["images"]
    axes.set_xlabel(f"seconds a set of {images} images, median with fastest and slowest")
    axes.set_title(f"{report.facts['machine']['card']}, {report.facts.get('measured', '')[:10]}")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return True


def _rows(report: Report) -> Iterator[tuple[str, float, float, float]]:
    """Yield name, median, fastest and slowest of the arms that made a set of the usual size."""
    for cell, arm, one in arms(report):
        if one.get("images") == report.facts["workload"]["images"] and "median_s" in one:
            yield f"{cell}: {arm}", one["median_s"], min(one["times_s"]), max(one["times_s"])
