"""Replicas and host CPU over time, on the clock of the users."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil

PERIOD_S = 0.5


@dataclass(frozen=True)
class Moment:
    """One look at the service.

    Attributes:
        at_s: on the clock of `time.monotonic()`.
        users: who were meant to be there.
        target: by role, the replicas that autoscaling wants.
        running: by role, the replicas that run.
        cpu_percent: of the host, since the look before; of all cores together.
    """

    at_s: float
    users: int
    target: dict[str, int]
    running: dict[str, int]
    cpu_percent: float


@dataclass
class Watch:
    """All looks, growing while a context of `watching` lasts."""

    moments: list[Moment] = field(default_factory=list)

    def between(self, from_s: float, until_s: float) -> list[Moment]:
        """Return the looks of a while."""
        return [one for one in self.moments if from_s <= one.at_s < until_s]

    def first(self, from_s: float, holds: Callable[[Moment], bool]) -> float | None:
        """Return how many seconds after a moment something held first; None if it never did."""
        found = (one.at_s - from_s for one in self.moments if one.at_s >= from_s and holds(one))
        return next(found, None)


def mean_cpu_percent(moments: Sequence[Moment]) -> float:
    """Return the mean of the host's CPU over some looks."""
    return sum(one.cpu_percent for one in moments) / max(1, len(moments))


@contextmanager
def watching(url: str, users: Callable[[], int] = lambda: 0) -> Iterator[Watch]:
    """Look at the service twice a second while the context lasts."""
    watch, over = Watch(), threading.Event()

    def look() -> None:
        psutil.cpu_percent()
        with httpx.Client(base_url=url, timeout=10, trust_env=False) as client:
            while not over.wait(PERIOD_S):
                moment = _look(client, users())
                if moment is not None:
                    watch.moments.append(moment)

    thread = threading.Thread(target=look, name="watch")
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join(timeout=30)


def _look(client: httpx.Client, users: int) -> Moment | None:
    try:
        cards: list[dict[str, Any]] = client.get("/v1/models").raise_for_status().json()["data"]
    except httpx.HTTPError:
        return None
    counts = {card["role"]: card["replicas"] for card in cards}
    return Moment(
        at_s=time.monotonic(),
        users=users,
        target={role: one["target"] for role, one in counts.items()},
        running={role: one["running"] for role, one in counts.items()},
        cpu_percent=psutil.cpu_percent(),
    )
