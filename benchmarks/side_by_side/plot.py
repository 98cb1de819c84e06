"""The picture of a run: throughput beside the floor, and p95, by arm and count of clients."""

from collections.abc import Sequence
from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks.side_by_side.arms import ARMS, Arm
from benchmarks.side_by_side.figures import Row, rows
from benchmarks.side_by_side.records import Run
from scripts.report_style import LIGHT

_WIDTH, _ROW, _HEAD, _FOOT, _DPI = 11.5, 0.5, 1.25, 0.75, 130
_MARKS = ("o", "D", "s")
_OURS, _OTHERS, _FLOOR = LIGHT.diffusion, LIGHT.vae, "#2e6b3e"
_STEPS = (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100)


def draw(run: Run) -> bytes:
    """Return the picture as a PNG file."""
    found = [row for row in rows(run) if row.arm.form != "pair"]
    arms = [arm for arm in ARMS if any(row.arm == arm for row in found)]
    counts = sorted({row.clients for row in found})
    high = _HEAD + _FOOT + _ROW * len(arms)
    figure = Figure(figsize=(_WIDTH, high), dpi=_DPI, facecolor=LIGHT.ground)
    left, right = (_panel(figure, high, place) for place in ((0.215, 0.42), (0.665, 0.32)))
    _name_arms(left, arms)
    right.set_yticks(range(len(arms)), [""] * len(arms))
    for axes in (left, right):
        axes.set_ylim(max(1, len(arms)) - 0.5, -0.5)
    for row in found:
        _draw_throughput(left, row, arms, counts)
        _draw_p95(right, row, arms, counts)
    _finish_throughput(left, run)
    _finish_p95(right, found)
    _head(figure, run, counts, high)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _panel(figure: Figure, high: float, place: tuple[float, float]) -> Axes:
    left, width = place
    bottom = _FOOT / high
    axes = figure.add_axes((left, bottom, width, 1 - bottom - _HEAD / high), facecolor=LIGHT.ground)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(LIGHT.soft)
    axes.tick_params(colors=LIGHT.soft, labelsize=9.5, length=0, pad=6)
    axes.grid(color=LIGHT.rule, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def _name_arms(axes: Axes, arms: Sequence[Arm]) -> None:
    axes.set_yticks(range(len(arms)), [f"({arm.letter}) {arm.title}" for arm in arms])
    for label, arm in zip(axes.get_yticklabels(), arms, strict=True):
        label.set_color(_colour(arm))
        label.set_fontweight("bold" if _is_ours(arm) else "normal")


def _draw_throughput(axes: Axes, row: Row, arms: Sequence[Arm], counts: Sequence[int]) -> None:
    if row.sets_per_min is None:
        return
    made, place = row.sets_per_min, _place(row, arms, counts)
    axes.plot([made.least, made.most], [place, place], color=_colour(row.arm), linewidth=1.2)
    _mark(axes, made.median, place, row, counts)


def _draw_p95(axes: Axes, row: Row, arms: Sequence[Arm], counts: Sequence[int]) -> None:
    if row.p95_s is not None:
        _mark(axes, row.p95_s, _place(row, arms, counts), row, counts)


def _mark(axes: Axes, x: float, y: float, row: Row, counts: Sequence[int]) -> None:
    """Mark a value: hollow where some sets did not count."""
    has_faults = row.wrong + row.failed > 0
    axes.plot(
        [x],
        [y],
        _shape(row.clients, counts),
        markersize=6,
        markerfacecolor=LIGHT.ground if has_faults else _colour(row.arm),
        markeredgecolor=_colour(row.arm),
        clip_on=False,
    )


def _finish_throughput(axes: Axes, run: Run) -> None:
    if run.floor is not None:
        most = 60 / run.floor.set_s
        axes.axvline(most, color=_FLOOR, linewidth=1.4, linestyle=(0, (4, 3)))
        axes.annotate(
            f"what the arithmetic allows: {most:.0f}",
            (most, 1.0),
            (-5, 5),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="right",
            fontsize=9,
            color=_FLOOR,
        )
    axes.set_xlim(left=0)
    axes.set_xlabel("sets of ten images a minute (more is better)", color=LIGHT.ink, fontsize=10)


def _finish_p95(axes: Axes, found: Sequence[Row]) -> None:
    axes.set_xscale("log")
    taken = [row.p95_s for row in found if row.p95_s is not None] or [1.0]
    least, most = 0.8 * min(taken), 1.25 * max(taken)
    axes.set_xlim(least, most)
    axes.xaxis.set_major_locator(FixedLocator([s for s in _STEPS if least <= s <= most]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(
        "p95 of a set, seconds, log scale (less is better)", color=LIGHT.ink, fontsize=10
    )


def _head(figure: Figure, run: Run, counts: Sequence[int], high: float) -> None:
    about = run.circumstances
    title = "The same ten images, made by Twinset and by what people write otherwise"
    if run.settings["is_smoke"]:
        title = "Smoke run, no result: " + title[0].lower() + title[1:]
    below = (
        f"{about['machine']['cores']} cores of {about['machine']['processor']}; demo weights; "
        f"medians and ranges over repetitions: {run.repetitions}; "
        f"{about['measured'][:10]}, {about['commit']}"
    )
    for words, down, size, colour in ((title, 0.3, 13, LIGHT.ink), (below, 0.57, 9.5, LIGHT.soft)):
        figure.text(0.012, 1 - down / high, words, fontsize=size, color=colour, va="center")
    figure.legend(
        handles=_legend(counts),
        loc="center left",
        bbox_to_anchor=(0.205, 1 - 0.85 / high),
        ncols=len(counts) + 1,
        frameon=False,
        fontsize=9.5,
        labelcolor=LIGHT.soft,
    )


def _legend(counts: Sequence[int]) -> list[Line2D]:
    def handle(shape: str, face: str, words: str) -> Line2D:
        return Line2D(
            [], [], marker=shape, linestyle="", markersize=6,
            markerfacecolor=face, markeredgecolor=LIGHT.soft, label=words,
        )  # fmt: skip

    named = [(count, f"{count} client{'s' if count > 1 else ''}") for count in counts]
    return [
        *(handle(_shape(count, counts), LIGHT.soft, words) for count, words in named),
        handle("o", LIGHT.ground, "hollow: some sets failed or were wrong, and do not count"),
    ]


def _place(row: Row, arms: Sequence[Arm], counts: Sequence[int]) -> float:
    """Return the height of a mark: a little apart, in the order of the counts."""
    own = [count for count in counts if row.arm.is_server or count == 1]
    return arms.index(row.arm) + 0.27 * (own.index(row.clients) - (len(own) - 1) / 2)


def _shape(clients: int, counts: Sequence[int]) -> str:
    return _MARKS[counts.index(clients) % len(_MARKS)]


def _is_ours(arm: Arm) -> bool:
    return arm.runs == "twinset"


def _colour(arm: Arm) -> str:
    return _OURS if _is_ours(arm) else _OTHERS
