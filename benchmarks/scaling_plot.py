"""The picture of `benchmarks.scaling`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot


class Measured(Protocol):
    """What is drawn of a point."""

    @property
    def replicas(self) -> int:
        """Return the number of replicas."""

    @property
    def sets_per_min(self) -> float:
        """Return their throughput."""

    @property
    def cpu_percent(self) -> float:
        """Return the host's CPU."""


def plot(points: Sequence[Measured], path: Path) -> None:
    """Draw sets a minute against replicas, with the line that 0.9 of linear is, and host CPU."""
    figure, axes = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
    replicas = [one.replicas for one in points]
    single = points[0].sets_per_min / points[0].replicas
    axes.plot(replicas, [single * one for one in replicas], color="0.7", label="linear")
    axes.plot(
        replicas, [0.9 * single * one for one in replicas], ":", color="0.6", label="0.9 of it"
    )
    axes.plot(replicas, [one.sets_per_min for one in points], "o-", color="tab:blue", label="made")
    axes.set(xlabel="simulated diffusion replicas", ylabel="sets a minute", xticks=replicas)
    load = axes.twinx()
    load.plot(replicas, [one.cpu_percent for one in points], "x--", color="tab:red")
    load.set_ylabel("host CPU, %", color="tab:red")
    load.set_ylim(0, 100)
    axes.legend(loc="upper left", frameon=False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
