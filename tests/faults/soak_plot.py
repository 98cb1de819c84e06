"""The memory of a run as a picture: ours above, Ray's daemons below."""

from pathlib import Path
from typing import Literal

import matplotlib as mpl
import numpy as np

from tests.faults.memory import ProcessMemory

mpl.use("Agg")  # no screen is needed

from matplotlib import pyplot as plt


def plot(
    processes: list[ProcessMemory],
    measure: Literal["resident", "private"],
    warm_up: float,
    unit: str,
    path: Path,
) -> None:
    """Draw the memory of each process over seconds or sets, and the fitted line of ours."""
    figure, axes = plt.subplots(2, 1, figsize=(10, 9), sharex=True, layout="constrained")
    for process in processes:
        axis = axes[0 if process.is_ours else 1]
        at, mib = np.array(process.at), np.array(getattr(process, f"{measure}_mib"))
        (line,) = axis.plot(at, mib, linewidth=1, label=process.label)
        late = at >= warm_up
        if process.is_ours and late.sum() >= 2:
            fit = np.poly1d(np.polyfit(at[late], mib[late], 1))
            axis.plot(at[late], fit(at[late]), "--", color=line.get_color())
    for axis, name in zip(axes, ("Ours", "Ray's daemons"), strict=True):
        axis.set_title(name, loc="left")
        axis.set_ylabel(f"{measure} memory, MB")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axes[1].set_xlabel(unit)
    figure.savefig(path, dpi=110)
    plt.close(figure)
