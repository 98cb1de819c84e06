"""What a user does: wait for each answer (closed loop), or send at a rate (open loop)."""

from __future__ import annotations

import itertools
import random
import time
from importlib import import_module
from typing import Any, Protocol

from locust.exception import StopUser

from loadtests.arrivals import Arrivals
from loadtests.asks import make_ask
from loadtests.calls import new_session
from loadtests.options import Options
from loadtests.visits import Visits

# Locust's engine. Imported by name, for it carries no types.
gevent: Any = import_module("gevent")

# Far enough apart that the request numbers of two worker processes never meet.
NUMBERS_PER_WORKER = 2**20


class Shared:
    """What the users of one process share during one run."""

    def __init__(self, options: Options, visits: Visits, worker_index: int) -> None:
        """Count requests and users from 0, each worker process in a range of its own."""
        self.options = options
        self.visits = visits
        self.worker_index = max(0, worker_index)
        self.started_s = time.perf_counter()
        self.in_flight = 0
        self.users_done = 0
        self._requests = itertools.count(self.worker_index * NUMBERS_PER_WORKER)
        self._users = itertools.count()

    def next_number(self) -> int:
        """Return the number of the next request."""
        return next(self._requests)

    def next_user(self) -> int:
        """Return the place of the next user among those of all workers."""
        return self.worker_index + next(self._users) * self.options.worker_count


class Loop(Protocol):
    """The conduct of one user."""

    def step(self) -> None:
        """Do what is due."""

    def wait_s(self) -> float:
        """Return the seconds until the next step."""

    def finish(self, patience_s: float) -> None:
        """See to what is under way when the user is stopped, for so long at most."""


class ClosedLoop:
    """The next request leaves when the last answer is checked."""

    def __init__(self, shared: Shared) -> None:
        """Begin with the user's first request."""
        self._shared = shared
        self._session = new_session()
        self._dice = random.Random(shared.next_user())
        self._pause_s = 0.0
        self._done = 0

    def step(self) -> None:
        """Send one request, and on a sample of them the same request again."""
        shared = self._shared
        ask = make_ask(shared.options, shared.next_number())
        verdict = shared.visits.make(self._session, ask, time.perf_counter())
        self._pause_s = verdict.pause_s
        if verdict.pictures is not None and self._dice.random() < shared.options.repeat_share:
            again = shared.visits.make(
                self._session, ask, time.perf_counter(), first=verdict.pictures
            )
            self._pause_s = again.pause_s
        self._count()

    def wait_s(self) -> float:
        """Return the pause that the service asked for; one who waits can be stopped at once."""
        return self._pause_s

    def finish(self, patience_s: float) -> None:
        """Do nothing: Locust waits for the request under way."""

    def _count(self) -> None:
        self._done += 1
        if self._shared.options.iterations and self._done >= self._shared.options.iterations:
            self._shared.users_done += 1
            raise StopUser


class OpenLoop:
    """Requests arrive at a rate; each goes its own way, and nobody waits for an answer."""

    def __init__(self, shared: Shared) -> None:
        """Take a share of the arrivals: as many users, as many equal shares."""
        options = shared.options
        place = shared.next_user()
        self._shared = shared
        self._session = new_session()
        self._dice = random.Random(place)
        now_s = time.perf_counter()
        is_even = options.spacing == "even"
        self._arrivals = Arrivals(
            options.arrival_rate / options.peak_users,
            options.spacing,
            shared.started_s + place / options.arrival_rate if is_even else now_s,
            self._dice,
        )
        self._arrivals.skip_to(now_s)
        self._open: set[Any] = set()

    def step(self) -> None:
        """Send off what is due by now."""
        while self._arrivals.due_s <= time.perf_counter():
            self._arrive(self._arrivals.advance())

    def wait_s(self) -> float:
        """Return the time until the next arrival."""
        return max(0.0, self._arrivals.due_s - time.perf_counter())

    def _arrive(self, due_s: float) -> None:
        shared = self._shared
        if shared.in_flight >= shared.options.max_in_flight:
            shared.visits.drop(make_ask(shared.options, shared.next_number()), due_s)
            return
        shared.in_flight += 1
        greenlet = gevent.spawn(self._visit, shared.next_number(), due_s)
        self._open.add(greenlet)
        greenlet.link(self._close)

    def _visit(self, number: int, due_s: float) -> None:
        shared = self._shared
        ask = make_ask(shared.options, number)
        verdict = shared.visits.make(self._session, ask, due_s)
        if verdict.pictures is not None and self._dice.random() < shared.options.repeat_share:
            # Beyond the rate, and therefore due only now.
            shared.visits.make(self._session, ask, time.perf_counter(), first=verdict.pictures)

    def _close(self, greenlet: Any) -> None:
        self._shared.in_flight -= 1
        self._open.discard(greenlet)

    def finish(self, patience_s: float) -> None:
        """Wait for what is open; what is still open then is noted as cut off."""
        try:
            gevent.joinall(list(self._open), timeout=patience_s)
        finally:
            gevent.killall(list(self._open))
