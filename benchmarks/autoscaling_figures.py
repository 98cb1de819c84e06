"""What a run of `benchmarks.autoscaling` comes to."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.autoscaling_settings import Setting
from benchmarks.closed_loop import Answer, quantile_s
from benchmarks.watching import Moment, Watch, mean_cpu_percent
from models.roles import DIFFUSION, VAE


@dataclass(frozen=True)
class Phase:
    """So many users from a moment on, until the next phase."""

    users: int
    from_s: float


@dataclass(frozen=True)
class Figures:
    """Of one setting; None for what did not happen while anybody looked.

    Attributes:
        target_right_s: from the largest jump in users until the target is one replica a user.
        running_s: until so many run.
        most_target: of diffusion.
        least_target: of diffusion after it was right, as long as those users were there.
        most_vae: target of the VAE.
        small_again_s: from the end until one diffusion replica is left.
        missing_s: replica-seconds that users wanted and did not have.
        idle_s: replica-seconds that nobody wanted.
        p50_s: of the answers to what was asked after the jump.
        p95_s: of them.
        late_p95_s: of those asked once all replicas ran.
        sets: right answers.
        failed: answers that were not right.
        problems: the first of them in words.
        cpu_percent: of the host, from the jump to the end.
    """

    target_right_s: float | None
    running_s: float | None
    most_target: int
    least_target: int
    most_vae: int
    small_again_s: float | None
    missing_s: float
    idle_s: float
    p50_s: float
    p95_s: float
    late_p95_s: float
    sets: int
    failed: int
    problems: list[str]
    cpu_percent: float


def figures(phases: Sequence[Phase], watch: Watch, answers: Sequence[Answer]) -> Figures:
    """Work them out of what was seen."""
    jump = max(range(1, len(phases)), key=lambda one: phases[one].users - phases[one - 1].users)
    users, from_s = phases[jump].users, phases[jump].from_s
    until_s, end_s = phases[jump + 1].from_s, phases[-1].from_s
    during = watch.between(from_s, until_s)
    right_s = _first(during, from_s, lambda one: one.target[DIFFUSION] >= users)
    running_s = _first(during, from_s, lambda one: one.running[DIFFUSION] >= users)
    after = [one for one in during if right_s is not None and one.at_s >= from_s + right_s]
    asked = [one for one in answers if one.asked_s >= from_s]
    late = [one for one in asked if running_s is not None and one.asked_s >= from_s + running_s]
    wrong = [one.problem for one in answers if one.problem]
    loaded = watch.between(phases[0].from_s, end_s)
    return Figures(
        target_right_s=right_s,
        running_s=running_s,
        most_target=max(one.target[DIFFUSION] for one in watch.moments),
        least_target=min((one.target[DIFFUSION] for one in after), default=0),
        most_vae=max(one.target[VAE] for one in watch.moments),
        small_again_s=watch.first(end_s, lambda one: one.running[DIFFUSION] == 1),
        missing_s=_area(loaded, lambda one: one.users - one.running[DIFFUSION]),
        idle_s=_area(watch.moments, lambda one: one.running[DIFFUSION] - max(1, one.users)),
        p50_s=quantile_s(asked, 0.5),
        p95_s=quantile_s(asked, 0.95),
        late_p95_s=quantile_s(late, 0.95),
        sets=len(answers) - len(wrong),
        failed=len(wrong),
        problems=wrong[:5],
        cpu_percent=mean_cpu_percent(watch.between(from_s, end_s)),
    )


def table(results: Sequence[tuple[Setting, Figures]]) -> str:
    """Lay the settings out as Markdown."""
    lines = [
        "| setting | target right | replicas run | target most / least | VAE most | small again "
        "| missing / idle replica-s | p50 / p95 / p95 once all run | sets | failed | host CPU |",
        "|---" + "|---:" * 10 + "|",
    ]
    return "\n".join([*lines, *(_row(setting, one) for setting, one in results)])


def _row(setting: Setting, one: Figures) -> str:
    return (
        f"| {setting.name} | {_seconds(one.target_right_s)} | {_seconds(one.running_s)} | "
        f"{one.most_target} / {one.least_target} | {one.most_vae} | "
        f"{_seconds(one.small_again_s)} | {one.missing_s:.0f} / {one.idle_s:.0f} | "
        f"{one.p50_s:.1f} / {one.p95_s:.1f} / {one.late_p95_s:.1f} s | {one.sets} | {one.failed} | "
        f"{one.cpu_percent:.0f} % |"
    )


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


def _first(
    moments: Sequence[Moment], from_s: float, holds: Callable[[Moment], bool]
) -> float | None:
    return next((one.at_s - from_s for one in moments if holds(one)), None)


def _area(moments: Sequence[Moment], height: Callable[[Moment], float]) -> float:
    """Return what a quantity sums to over time, where it is positive."""
    pairs = itertools.pairwise(moments)
    return sum(max(0.0, height(one)) * (later.at_s - one.at_s) for one, later in pairs)
