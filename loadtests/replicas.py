"""How many replicas of each model ran, and when that changed, as `GET /v1/models` tells it."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException

from loadtests.checks import parse_object

PERIOD_S = 1.0
ANSWER_TIMEOUT_S = 5.0

Counts = dict[str, str]


class ReplicaLog:
    """The changes in a series of samples, and why samples are missing where they are."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.changes: list[tuple[float, Counts]] = []
        self.trouble: str | None = None

    def add(self, elapsed_s: float, counts: Counts) -> None:
        """Note a sample, unless it equals the one before."""
        if not self.changes or self.changes[-1][1] != counts:
            self.changes.append((elapsed_s, counts))

    def table(self) -> str:
        """Return the changes as a table, or a sentence where there is nothing to show."""
        if not self.changes:
            return f"Replicas over time: not known ({self.trouble or 'never sampled'}).\n"
        names = sorted({name for _, counts in self.changes for name in counts})
        title = "Replicas over time, running (of target, where stated), changes only"
        lines = [title, write_row("time", names)]
        lines += [
            write_row(f"{elapsed_s:.0f} s", [counts.get(name, "-") for name in names], names)
            for elapsed_s, counts in self.changes
        ]
        if self.trouble:
            lines.append(f"(some samples are missing: {self.trouble})")
        return "\n".join(lines) + "\n"


def write_row(time_cell: str, cells: list[str], names: list[str] | None = None) -> str:
    """Return one row, each cell as wide as its column's name."""
    widths = [max(len(name), 5) for name in names or cells]
    aligned = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
    return "   ".join([time_cell.rjust(8), *aligned])


def read_counts(body: bytes) -> Counts:
    """Return "running/target" for each model that states its replicas."""
    models = (parse_object(body) or {}).get("data")
    counts: Counts = {}
    for model in models if isinstance(models, list) else []:
        replicas = model.get("replicas") if isinstance(model, dict) else None
        if isinstance(replicas, dict) and "running" in replicas:
            counts[str(model.get("id"))] = write_count(replicas)
    return counts


def write_count(replicas: Mapping[str, object]) -> str:
    """Return "running/target", or "running" alone where no target is stated."""
    running, target = replicas["running"], replicas.get("target")
    return str(running) if target is None else f"{running}/{target}"


def fetch(url: str, headers: Mapping[str, str]) -> bytes:
    """Return the body at a URL; raises OSError or HTTPException where none comes."""
    request = urllib.request.Request(url, headers=dict(headers))
    with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_S) as response:
        body: bytes = response.read()
    return body


class ReplicaSampler:
    """Asks for the replicas every second, beside the users, until told to stop.

    `fetch_models` returns the body of `GET /v1/models`; it is an argument so that a test can
    play the service.
    """

    def __init__(self, fetch_models: Callable[[], bytes], period_s: float = PERIOD_S) -> None:
        """Take the source of samples and the time between two of them."""
        self.log = ReplicaLog()
        self._fetch_models = fetch_models
        self._period_s = period_s
        self._stopped = threading.Event()
        # Under Locust the standard library is patched: this thread is one of its greenlets.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started_s = time.monotonic()

    def start(self) -> None:
        """Begin to sample."""
        self._thread.start()

    def stop(self) -> None:
        """End sampling; returns when the last sample is noted."""
        self._stopped.set()
        self._thread.join(timeout=ANSWER_TIMEOUT_S)

    def _run(self) -> None:
        """Sample until stopped."""
        while not self._stopped.is_set():
            self.sample()
            self._stopped.wait(self._period_s)

    def sample(self) -> None:
        """Take one sample; a service that gives none is noted, and the run goes on."""
        try:
            counts = read_counts(self._fetch_models())
        except urllib.error.HTTPError as error:
            self.log.trouble = f"GET /v1/models answers {error.code}"
        except (OSError, HTTPException, ValueError) as error:
            self.log.trouble = f"GET /v1/models: {error or type(error).__name__}"
        else:
            self._note(counts)

    def _note(self, counts: Counts) -> None:
        """Keep one sample, or note that the answer states no replicas."""
        if counts:
            self.log.add(time.monotonic() - self._started_s, counts)
        else:
            self.log.trouble = "GET /v1/models states no replicas"
