"""One clock for everything beside the requests: users, replicas and CPU, once a second."""

from __future__ import annotations

import threading
import time
import urllib.error
from collections.abc import Callable
from http.client import HTTPException

import psutil

from loadtests.records import Replicas, Tick
from loadtests.replicas import ANSWER_TIMEOUT_S, read_replicas

PERIOD_S = 1.0


class Sampler:
    """Takes a tick every second, beside the users, until told to stop.

    `fetch_models` returns the body of `GET /v1/models`; it is an argument so that a test can
    play the service. The CPU is that of this machine, all cores together: where the service runs
    elsewhere, it is the load generator's alone.
    """

    def __init__(
        self,
        fetch_models: Callable[[], bytes],
        count_users: Callable[[], int] = lambda: 0,
        period_s: float = PERIOD_S,
    ) -> None:
        """Take the sources of a tick and the time between two of them."""
        self.ticks: list[Tick] = []
        self.trouble: str | None = None
        self._fetch_models = fetch_models
        self._count_users = count_users
        self._period_s = period_s
        self._stopped = threading.Event()
        # Under Locust the standard library is patched: this thread is one of its greenlets.
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to sample."""
        self._thread.start()

    def stop(self) -> None:
        """End sampling; returns when the last tick is noted."""
        self._stopped.set()
        self._thread.join(timeout=ANSWER_TIMEOUT_S)

    def _run(self) -> None:
        """Sample until stopped, on a grid that a slow answer does not shift."""
        due_s = time.monotonic()
        while not self._stopped.is_set():
            self.sample()
            due_s = max(due_s + self._period_s, time.monotonic())
            self._stopped.wait(due_s - time.monotonic())

    def sample(self) -> None:
        """Take one tick; a service that states no replicas is noted, and the run goes on."""
        at_s, users, cpu_percent = time.time(), self._count_users(), psutil.cpu_percent()
        # The first reading says nothing: it opens the interval that the next one closes.
        self.ticks.append(Tick(at_s, users, cpu_percent if self.ticks else None, self._read()))

    def _read(self) -> Replicas:
        try:
            replicas = read_replicas(self._fetch_models())
        except urllib.error.HTTPError as error:
            self.trouble = f"GET /v1/models answers {error.code}"
        except (OSError, HTTPException, ValueError) as error:
            self.trouble = f"GET /v1/models: {error or type(error).__name__}"
        else:
            if replicas:
                return replicas
            self.trouble = "GET /v1/models states no replicas"
        return {}
