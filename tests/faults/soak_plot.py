"""The memory of a soak as a picture: ours above, Ray's daemons below."""

from pathlib import Path

import matplotlib as mpl
import numpy as np

from tests.faults.memory import ProcessMemory

mpl.use("Agg")  # no screen is needed

from matplotlib import pyplot as plt


def plot(processes: list[ProcessMemory], warm_up_s: float, path: Path) -> None:
    """Draw the resident memory of each process, and the fitted line of ours."""
    figure, axes = plt.subplots(2, 1, figsize=(10, 9), sharex=True, layout="constrained")
    for process in processes:
        axis = axes[0 if process.is_ours else 1]
        minutes = np.array(process.at_s) / 60
        (line,) = axis.plot(minutes, process.resident_mib, linewidth=1, label=process.label)
        late = minutes >= warm_up_s / 60
        if process.is_ours and late.sum() >= 2:
            fit = np.poly1d(np.polyfit(minutes[late], np.array(process.resident_mib)[late], 1))
            axis.plot(minutes[late], fit(minutes[late]), "--", color=line.get_color())
    for axis, name in zip(axes, ("Our replicas and the HTTP proxy", "Ray's daemons"), strict=True):
        axis.set_title(name, loc="left")
        axis.set_ylabel("resident memory, MB")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axes[1].set_xlabel("minutes")
    figure.savefig(path, dpi=110)
    plt.close(figure)
