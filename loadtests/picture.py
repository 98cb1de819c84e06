"""The picture of a run: load, answers and times above the replicas and the CPU, on one clock."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.panels import PANELS, Panel, View, replica_panel
from loadtests.storing import StoredRun
from loadtests.style import BAD, GOOD, GROUND, INK, RULE, SOFT, duration_ticks
from loadtests.summary import NO_FAULT

WIDTH_PX, DPI = 1200, 100
HEADER_PX, PANEL_PX, GAP_PX, FOOTER_PX = 112, 132, 34, 46
LEFT_PX, RIGHT_PX = 78, 150


def draw(run: StoredRun, title: str, facts: str, verdict: Sequence[str]) -> bytes:
    """Return the picture of one run as a PNG file, 1200 px wide.

    `verdict` holds what speaks against the run, nothing where it is good.
    """
    return draw_side_by_side([(run, title, facts, verdict)])


def draw_side_by_side(runs: Sequence[tuple[StoredRun, str, str, Sequence[str]]]) -> bytes:
    """Return one column of panels for each run; panels in a row share their scale."""
    columns = [list_panels(run) for run, *_ in runs]
    names = list(dict.fromkeys(panel.title for column in columns for panel in column))
    names.sort(key=lambda name: order(name, columns))
    height_px = (
        HEADER_PX
        + FOOTER_PX
        + sum(round(PANEL_PX * share_of(name, columns)) + GAP_PX for name in names)
    )
    width_px = WIDTH_PX * len(runs)
    figure = Figure(figsize=(width_px / DPI, height_px / DPI), dpi=DPI, facecolor=GROUND)
    duration_s = max(run.duration_s for run, *_ in runs)
    rows: dict[str, list[Axes]] = {name: [] for name in names}
    for index, ((run, title, facts, verdict), panels) in enumerate(zip(runs, columns, strict=True)):
        write_header(figure, index * WIDTH_PX, title, facts, verdict)
        place_column(figure, index, names, panels, View(run), duration_s, rows)
    for axes in rows.values():
        align(axes)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def list_panels(run: StoredRun) -> list[Panel]:
    """Return the panels of a run: the replicas of each model have one of their own."""
    models = list(dict.fromkeys(name for tick in run.ticks for name in tick.replicas))
    models.sort(key=lambda name: "vae" in name.lower())
    replicas = [replica_panel(name) for name in models]
    return [*PANELS[:-1], *replicas, PANELS[-1]]


def order(name: str, columns: Sequence[Sequence[Panel]]) -> int:
    """Return where a panel stands from the top, the CPU last of all."""
    places = [
        index - len(column)
        for column in columns
        for index, panel in enumerate(column)
        if panel.title == name
    ]
    longest = max(len(column) for column in columns)
    return max(places) + longest


def share_of(name: str, columns: Sequence[Sequence[Panel]]) -> float:
    """Return how high a panel is."""
    return next(panel.height for column in columns for panel in column if panel.title == name)


def place_column(
    figure: Figure,
    index: int,
    names: Sequence[str],
    panels: Sequence[Panel],
    view: View,
    duration_s: float,
    rows: dict[str, list[Axes]],
) -> None:
    """Draw the panels of one run below each other; a panel that it lacks stays empty."""
    width_px, height_px = (side * DPI for side in figure.get_size_inches())
    by_title = {panel.title: panel for panel in panels}
    top_px = float(HEADER_PX)
    for name in names:
        panel = by_title.get(name)
        high_px = round(PANEL_PX * (panel.height if panel else 1.0))
        if panel is not None:
            rectangle = (
                (index * WIDTH_PX + LEFT_PX) / width_px,
                1 - (top_px + high_px) / height_px,
                (WIDTH_PX - LEFT_PX - RIGHT_PX) / width_px,
                high_px / height_px,
            )
            axes = figure.add_axes(rectangle, facecolor=GROUND)
            frame(axes, duration_s, is_last=name == names[-1])
            panel.draw(axes, view)
            axes.set_title(panel.title, loc="left", fontsize=10.5, color=INK, pad=5)
            rows[name].append(axes)
        top_px += high_px + GAP_PX


def frame(axes: Axes, duration_s: float, is_last: bool) -> None:
    """Give a panel the clock that all share, and faint lines to read by."""
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(SOFT)
    axes.set_xlim(0, max(duration_s, 1.0))
    moments, labels = duration_ticks(duration_s)
    axes.set_xticks(moments, labels if is_last else [""] * len(labels))
    axes.tick_params(colors=SOFT, labelsize=9, length=0, pad=5)
    axes.grid(color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    if is_last:
        axes.set_xlabel("since the run began", fontsize=9, color=SOFT, loc="left")


def align(axes: Sequence[Axes]) -> None:
    """Give the panels of one row the same scale."""
    top = max((one.get_ylim()[1] for one in axes), default=1.0)
    for one in axes:
        one.set_ylim(0, top)


def write_header(
    figure: Figure, left_px: float, title: str, facts: str, verdict: Sequence[str]
) -> None:
    """Write what was run and what came of it."""
    width_px, height_px = (cast(float, side * DPI) for side in figure.get_size_inches())
    judgement = "; ".join(verdict) or NO_FAULT
    lines = (
        (title, 26, 15, INK, "bold"),
        (facts, 50, 9.5, SOFT, "normal"),
        (f"{'FAILED' if verdict else 'PASSED'}: {shorten(judgement)}", 71, 10, None, "bold"),
    )
    for words, top_px, size, colour, weight in lines:
        figure.text(
            (left_px + 24) / width_px,
            1 - top_px / height_px,
            words,
            fontsize=size,
            color=colour or (BAD if verdict else GOOD),
            weight=weight,
            va="center",
            parse_math=False,
        )


def shorten(text: str, most: int = 150) -> str:
    """Return a text that fits on one line."""
    return text if len(text) <= most else text[: most - 3] + "..."
