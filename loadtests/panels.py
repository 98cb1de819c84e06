"""The panels of a run's picture; each draws one question's answer over the time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from loadtests.figures import Series, in_flight, series
from loadtests.objectives import AT_LEAST, Judged
from loadtests.records import Tick
from loadtests.storing import StoredRun
from loadtests.style import BAD, DIFFUSION, HIGH, INK, SOFT, VAE

LABEL_GAP_PX = 8
LABEL_SIZE = 9
FINE_MOMENTS = 400
DRAWN = ("p50_s", "p95_s", "p99_s")
TIMES = (*DRAWN, "first_image_p95_s")


class View:
    """A run as the panels look at it."""

    def __init__(self, run: StoredRun) -> None:
        """Take a run."""
        self.run = run

    @cached_property
    def series(self) -> Series:
        """What happened in each span of time."""
        return series(self.run.records, self.run.duration_s)

    @property
    def summary(self) -> dict[str, Any]:
        """The figures and objectives of the whole run."""
        summary: Any = self.run.run["summary"]
        return dict(summary)

    @property
    def is_open(self) -> bool:
        """Whether the requests came at a rate."""
        options: Any = self.run.run["options"]
        return bool(options.get("arrival_rate"))

    def judged(self, key: str) -> Judged | None:
        """Return an objective beside what was seen, None where nothing was wanted."""
        found = [one for one in self.summary["objectives"] if one["key"] == key]
        return Judged(key, found[0]["wanted"], found[0]["seen"]) if found else None


@dataclass(frozen=True)
class Panel:
    """One panel: its title, its height in units of the usual one, and how it is drawn."""

    title: str
    draw: Callable[[Axes, View], None]
    height: float = 1.0


def draw_load(axes: Axes, view: View) -> None:
    """Draw how many users there were and how many requests were open."""
    fine = [view.run.duration_s * index / FINE_MOMENTS for index in range(FINE_MOMENTS + 1)]
    opened = [float(one) for one in in_flight(view.run.records, fine)]
    axes.fill_between(fine, opened, step="post", color=SOFT, alpha=0.25, linewidth=0)
    label(axes, opened, "open", SOFT)
    if not view.is_open:
        moments = [tick.at_s for tick in view.run.ticks]
        users = [float(tick.users) for tick in view.run.ticks]
        axes.step(moments, users, where="post", color=INK, linewidth=1.8)
        label(axes, users, "users", INK)
    whole_numbers(axes, least=2.0)


def draw_rates(axes: Axes, view: View) -> None:
    """Draw arrivals, correct answers and failures, each a second."""
    found = view.series
    curves = ((found.arrivals_per_s, SOFT, "asked", 1.4), (found.correct_per_s, INK, "correct", 2))
    for values, colour, words, width in curves:
        axes.step(found.edges_s, [*values, values[-1]], where="post", color=colour, linewidth=width)
        label(axes, values, words, colour)
    failures_per_s = [
        count / wide for count, wide in zip(found.failures, found.widths_s, strict=True)
    ]
    if any(failures_per_s):
        axes.bar(found.edges_s[:-1], failures_per_s, found.widths_s, align="edge", color=BAD)
        label(axes, failures_per_s, "failed", BAD)
    axes.set_ylim(0, 1.15 * max([*found.arrivals_per_s, *found.correct_per_s, 0.1]))
    wanted = [view.judged(key) for key in ("sets_per_minute", "error_share")]
    write_note(axes, [judged for judged in wanted if judged])


def draw_times(axes: Axes, view: View) -> None:
    """Draw every answer's time at the moment it was due, the percentiles, the objectives."""
    answers = [record for record in view.run.records if record.is_answer]
    for is_bad, colour in ((False, SOFT), (True, BAD)):
        shown = [record for record in answers if record.is_failure == is_bad]
        axes.scatter(
            [one.due_s for one in shown],
            [one.latency_s for one in shown],
            s=12,
            color=colour,
            alpha=1 if is_bad else 0.45,
            linewidth=0,
            zorder=3,
        )
    slowest_s = max((one.latency_s for one in answers), default=1.0)
    curves = ((view.series.p50_s, INK, "p50"), (view.series.p95_s, HIGH, "p95"))
    for values, colour, words in curves:
        # A span in which nothing was due leaves a gap.
        steps = [math.nan if value is None else value for value in values]
        axes.stairs(steps, view.series.edges_s, baseline=None, color=colour, linewidth=1.8)
        known = [value for value in values if value is not None]
        label(axes, known, words, colour)
    axes.set_ylim(0, 1.12 * slowest_s)
    draw_objectives(axes, view, 1.12 * slowest_s)


def draw_objectives(axes: Axes, view: View, top_s: float) -> None:
    """Draw the objectives of the times; those far above all answers are said in words."""
    notes = []
    for key in TIMES:
        judged = view.judged(key)
        if judged is None:
            continue
        if judged.wanted > 1.6 * top_s or key not in DRAWN:
            notes.append(judged)
            continue
        wanted_s = judged.wanted
        axes.axhline(wanted_s, color=INK, linewidth=1, linestyle=(0, (5, 4)))
        words = f"objective {key.replace('_s', '')} {wanted_s:g} s"
        axes.annotate(words, (0, wanted_s), (4, 3), textcoords="offset points", fontsize=8)
        axes.set_ylim(0, max(axes.get_ylim()[1], 1.15 * wanted_s))
    write_note(axes, notes)


def write_note(axes: Axes, notes: Sequence[Judged]) -> None:
    """Write above a panel, to the right, the objectives that cannot be drawn in it."""
    if not notes:
        return
    axes.annotate(
        "objectives: " + ", ".join(shorten(note) for note in notes),
        (1, 1),
        (0, 5),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=8,
        color=SOFT if not any(note.is_met is False for note in notes) else BAD,
    )


def shorten(judged: Judged) -> str:
    """Return an objective in a few signs, such as `p95 10.7 ≤ 60 s`."""
    name, unit = judged.key.replace("_", " "), ""
    if judged.key.endswith("_s"):
        name, unit = name.removesuffix(" s"), " s"
    if judged.seen is None:
        return f"{name} not measured"
    at_least = judged.key in AT_LEAST
    sign = {(True, True): "≥", (True, False): "<", (False, True): "≤", (False, False): ">"}
    return f"{name} {judged.seen:.3g} {sign[at_least, bool(judged.is_met)]} {judged.wanted:g}{unit}"


def draw_replicas(model: str, axes: Axes, view: View) -> None:
    """Draw how many replicas of a model ran and how many were wanted."""
    ticks = [tick for tick in view.run.ticks if model in tick.replicas]
    colour = VAE if "vae" in model.lower() else DIFFUSION
    moments = [tick.at_s for tick in ticks]
    running = states(ticks, model, "running")
    axes.fill_between(moments, running, step="post", color=colour, alpha=0.3, linewidth=0)
    axes.step(moments, running, where="post", color=colour, linewidth=1.2)
    label(axes, running, "running", colour)
    if any("target" in tick.replicas[model] for tick in ticks):
        target = states(ticks, model, "target")
        axes.step(moments, target, where="post", color=INK, linewidth=1.4, linestyle=(0, (4, 2)))
        label(axes, target, "target", INK)
    whole_numbers(axes, least=2.0)


def draw_cpu(axes: Axes, view: View) -> None:
    """Draw how busy the machine was that generated the load."""
    known = [tick for tick in view.run.ticks if tick.cpu_percent is not None]
    moments, shares = [one.at_s for one in known], [float(one.cpu_percent or 0) for one in known]
    axes.plot(moments, shares, color=SOFT, linewidth=1.4)
    axes.set_ylim(0, 105)
    axes.set_yticks([0, 50, 100])
    label(axes, shares, "CPU", SOFT)


def states(ticks: Sequence[Tick], model: str, state: str) -> list[float]:
    """Return how many replicas of a model were in one state, tick by tick."""
    return [float(tick.replicas[model].get(state, 0)) for tick in ticks]


def label(axes: Axes, values: Sequence[float], words: str, colour: str) -> None:
    """Write a curve's name to the right of the panel, in its colour; names share no line."""
    if not values:
        return
    taken = len([text for text in axes.texts if text.get_gid() == "label"])
    text = axes.annotate(
        f"{words} (most {max(values):.3g})",
        (1, 1),
        (LABEL_GAP_PX, -4 - 14 * taken),
        xycoords="axes fraction",
        textcoords="offset points",
        color=colour,
        fontsize=LABEL_SIZE,
        va="top",
    )
    text.set_gid("label")


def whole_numbers(axes: Axes, least: float) -> None:
    """Let an axis of counts begin at 0 and show no halves."""
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_ylim(0, max(least, 1.1 * axes.dataLim.y1))


def replica_panel(model: str) -> Panel:
    """Return the panel of one model's replicas."""
    return Panel(f"Replicas of {model}", partial(draw_replicas, model), height=0.75)


PANELS = (
    Panel("Users and open requests", draw_load),
    Panel("Requests a second", draw_rates),
    Panel("Seconds to the answer, by when it was due", draw_times, height=1.7),
    Panel("CPU of the generator's machine, %", draw_cpu, height=0.55),
)
