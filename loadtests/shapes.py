"""How the number of users changes over a run, as stages."""

from __future__ import annotations

from dataclasses import dataclass

SHAPES = {
    "constant": "--users from beginning to end",
    "staircase": "up to --users in --stairs equal steps",
    "spike": "a sixth of the time --base-users, half of it --users, then --base-users again",
    "soak": "a tenth of the time to reach --users, then on and on",
}
RAMP_STEPS = 10
SPIKE_BEFORE, SPIKE_DURING = 1 / 6, 1 / 2


@dataclass(frozen=True)
class Stage:
    """So many users for so long."""

    users: int
    duration_s: float


def plan(
    shape: str, users: int, run_time_s: float, base_users: int = 1, stairs: int = 4
) -> list[Stage]:
    """Return the stages of a shape; their durations add up to the run time."""
    if shape == "staircase":
        return climb(users, stairs, run_time_s)
    if shape == "spike":
        before_s, during_s = SPIKE_BEFORE * run_time_s, SPIKE_DURING * run_time_s
        return [
            Stage(base_users, before_s),
            Stage(users, during_s),
            Stage(base_users, run_time_s - before_s - during_s),
        ]
    if shape == "soak":
        ramp_s = run_time_s / 10
        return [*climb(users, RAMP_STEPS, ramp_s), Stage(users, run_time_s - ramp_s)]
    return [Stage(users, run_time_s)]


def climb(users: int, steps: int, duration_s: float) -> list[Stage]:
    """Return equal steps up to a number of users, at least one user on the first."""
    return [
        Stage(max(1, round(users * step / steps)), duration_s / steps)
        for step in range(1, steps + 1)
    ]


def users_at(stages: list[Stage], elapsed_s: float) -> int | None:
    """Return how many users there are after so many seconds, None when the run is over."""
    for stage in stages:
        if elapsed_s < stage.duration_s:
            return stage.users
        elapsed_s -= stage.duration_s
    return None
