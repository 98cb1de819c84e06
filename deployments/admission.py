"""A bounded number of requests under way; the others are told at once when to come back."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from deployments.errors import OverloadedError
from deployments.metrics import IngressMetrics

_SMOOTHING = 0.1


class Place:
    """One request's place among those under way; given back once, by whoever ends the request.

    Attributes:
        started: on the clock of `time.monotonic()`, seconds.
    """

    def __init__(self, admission: "Admission") -> None:
        """Take the place."""
        self.started = time.monotonic()
        self.is_handed_over = False
        self._admission: Admission | None = admission

    def hand_over(self) -> "Place":
        """Leave it to the caller to release the place: an answer that is streamed lasts longer."""
        self.is_handed_over = True
        return self

    def release(self, succeeded: bool = False) -> None:
        """Give the place back; a second time does nothing."""
        if self._admission is not None:
            self._admission.leave(time.monotonic() - self.started if succeeded else None)
            self._admission = None


class Admission:
    """Lets a bounded number of requests in."""

    def __init__(self, limit: int, metrics: IngressMetrics) -> None:
        """Take the number of requests that may be under way."""
        self._limit = limit
        self._metrics = metrics
        self._under_way = 0
        self._typical_s = 1.0

    @contextmanager
    def admit(self) -> Iterator[Place]:
        """Hold one place, for the context or until it is released by whom it was handed to.

        Raises:
            OverloadedError: all places are taken.
        """
        if self._under_way >= self._limit:
            raise OverloadedError(
                f"{self._limit} requests are under way, as many as allowed: try again later",
                retry_after_s=max(1, math.ceil(self._typical_s)),
            )
        self._move(+1)
        place = Place(self)
        try:
            yield place
        except BaseException:
            place.release()
            raise
        if not place.is_handed_over:
            place.release(succeeded=True)

    def leave(self, taken_s: float | None) -> None:
        """Free a place; `taken_s` is None for a request that did not come to its end."""
        self._move(-1)
        if taken_s is not None:  # only those that came to their end tell how long one takes
            self._typical_s += _SMOOTHING * (taken_s - self._typical_s)

    def _move(self, change: int) -> None:
        self._under_way += change
        self._metrics.admitted.set(self._under_way)
