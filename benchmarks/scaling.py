"""Sets a minute with 1, 2, 4 ... simulated diffusion replicas, all of them busy.

    python -m benchmarks.scaling --replicas 1,2,4,8,16

The law is slowed so far that the host's CPU is not what is measured: what is left is whether the
proxy, the ingress and the router keep all replicas busy. A run is good when its host CPU stays
below 60 % and the throughput is at least 0.9 of linear.

A set counts with the part of its model's time that lies within the measured while, so that what
is under way at either end of it counts for neither too much nor too little.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.circumstances import circumstances
from benchmarks.closed_loop import Answer, ClosedLoop
from benchmarks.rehearsal import Config, rehearsal, serving, with_replicas
from benchmarks.scaling_plot import plot
from benchmarks.watching import Moment, mean_cpu_percent, watching
from models.roles import DIFFUSION

RESULTS = Path(__file__).resolve().parent / "results"
SET_S = 3.0
"""Seconds of a set by the slowed law."""
JITTER = 0.02
WARM_UP_S = 8.0
USERS_PER_REPLICA = 3
LEAST_EFFICIENCY, MOST_CPU_PERCENT = 0.9, 60.0


@dataclass(frozen=True)
class Point:
    """What so many replicas did.

    Attributes:
        replicas: of the diffusion model.
        users: who each wait for their answer before they ask again.
        sets_per_min: that were made.
        efficiency: sets a minute by those of as many single replicas.
        busy: share of the time that the models worked.
        cpu_percent: of the host, all of it: service, users and this program.
        answers: that were checked in the measured while.
        failed: of them, not as the idle service answers.
    """

    replicas: int
    users: int
    sets_per_min: float
    efficiency: float
    busy: float
    cpu_percent: float
    answers: int
    failed: int


def main() -> int:
    """Parse the command line, measure, print and write; 1 when it falls short."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicas", default="1,2,4,8,16")
    parser.add_argument("--seconds", type=float, default=40.0, help="measured with each count")
    parser.add_argument("--set-s", type=float, default=SET_S, help="seconds of a set")
    parser.add_argument("--out", type=Path, default=RESULTS / "scaling.json")
    arguments = parser.parse_args()
    counts = sorted(int(one) for one in arguments.replicas.split(","))
    points: list[Point] = []
    for replicas in counts:
        points.append(_measure(replicas, arguments.set_s, arguments.seconds, points))
        print(_row(points[-1]), flush=True)
    document = {
        "set_s": arguments.set_s,
        "jitter": JITTER,
        "seconds": arguments.seconds,
        "points": [asdict(point) for point in points],
        **circumstances(),
    }
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(document, indent=1) + "\n")
    plot(points, arguments.out.with_suffix(".png"))
    print("\n" + table(points))
    return int(not all(map(_is_good, points)))


def table(points: Sequence[Point]) -> str:
    """Lay the points out as Markdown."""
    lines = [
        "| replicas | users | sets/min | of linear | models busy | host CPU | answers | failed |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    return "\n".join([*lines, *map(_row, points)])


def slowed(config: Config, set_s: float) -> Config:
    """Change the config in place so that a set takes so many seconds, whatever is asked for."""
    model = config["applications"][0]["args"][DIFFUSION]
    model["options"] = {"fixed_s": 0, "step_s": set_s / 10, "image_step_s": 0, "jitter": JITTER}
    return config


def _measure(replicas: int, set_s: float, seconds: float, before: Sequence[Point]) -> Point:
    users = USERS_PER_REPLICA * replicas
    with serving(with_replicas(slowed(rehearsal(), set_s), replicas)) as url:
        # Ten steps, so that 10 x step_s is a set; few images, for a host of two cores.
        loop = ClosedLoop(
            url, n=2, models=DIFFUSION, num_inference_steps=10, strength=1, timeout_s=120
        )
        with watching(url) as watch, loop.running():
            _wait_until_running(watch.moments, replicas)
            loop.set_users(users)
            time.sleep(WARM_UP_S)
            from_s = time.monotonic()
            time.sleep(seconds)
            until_s = time.monotonic()
        inside = [one for one in loop.answers if from_s <= one.done_s < until_s]
        sets = sum(_share(one, from_s, until_s) for one in loop.answers)
        per_min = 60 * sets / (until_s - from_s)
        single = before[0].sets_per_min / before[0].replicas if before else per_min / replicas
        model_s = sum(
            one.model_s.get(DIFFUSION, 0) * _share(one, from_s, until_s) for one in loop.answers
        )
        return Point(
            replicas=replicas,
            users=users,
            sets_per_min=round(per_min, 2),
            efficiency=round(per_min / (replicas * single), 4),
            busy=round(model_s / (replicas * (until_s - from_s)), 4),
            cpu_percent=round(mean_cpu_percent(watch.between(from_s, until_s)), 1),
            answers=len(inside),
            failed=sum(bool(one.problem) for one in loop.answers),
        )


def _wait_until_running(moments: Sequence[Moment], replicas: int, timeout_s: float = 90) -> None:
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        if moments and moments[-1].running[DIFFUSION] == replicas:
            return
        time.sleep(0.5)
    raise RuntimeError(f"{replicas} replicas did not run within {timeout_s} s")


def _share(answer: Answer, from_s: float, until_s: float) -> float:
    """Return which part of a right set's model time, which ends with the answer, is in a while."""
    model_s = answer.model_s.get(DIFFUSION, 0.0)
    if answer.problem or not model_s:
        return 0.0
    overlap_s = min(until_s, answer.done_s) - max(from_s, answer.done_s - model_s)
    return max(0.0, overlap_s) / model_s


def _row(point: Point) -> str:
    return (
        f"| {point.replicas} | {point.users} | {point.sets_per_min:.1f} | {point.efficiency:.3f} | "
        f"{100 * point.busy:.0f} % | {point.cpu_percent:.0f} % | {point.answers} | {point.failed} |"
    )


def _is_good(point: Point) -> bool:
    is_light = point.cpu_percent < MOST_CPU_PERCENT
    return is_light and point.efficiency >= LEAST_EFFICIENCY and not point.failed


if __name__ == "__main__":
    sys.exit(main())
