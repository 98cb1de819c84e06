"""Whether a model still makes progress, judged by how long its steps have taken so far."""

import math
import time
from collections import deque

_REMEMBERED_STEPS = 1000
_ENOUGH_STEPS = 20
_FACTOR = 20


class StallDetector:
    """Measures the steps of a model's calls, and knows when the one under way takes too long.

    A step is what lies between two beats: also what a call does before its first step and after
    its last one. Too long is 20 times the 99th percentile of the steps that were measured, and at
    least `stalled_after_s`; before 20 of them were measured, at least `unmeasured_s`.

    The model's thread beats, the event loop looks: each reads or writes single attributes.
    """

    def __init__(self, stalled_after_s: float, unmeasured_s: float = 900.0) -> None:
        """Take the least times after which a step counts as stalled, seconds."""
        self._least_s = stalled_after_s
        self._unmeasured_s = max(unmeasured_s, stalled_after_s)
        self._steps_s: deque[float] = deque(maxlen=_REMEMBERED_STEPS)
        self._since: float | None = None

    def start(self) -> None:
        """Begin a call."""
        self._since = time.monotonic()

    def beat(self) -> None:
        """End a step and begin the next one."""
        now = time.monotonic()
        if self._since is not None:
            self._steps_s.append(now - self._since)
        self._since = now

    def stop(self) -> None:
        """End a call; its last step is not measured when the call failed."""
        self._since = None

    def stalled_s(self) -> float | None:
        """Return for how long the step under way has stalled; None when all is well."""
        since = self._since
        if since is None:
            return None
        taken_s = time.monotonic() - since
        return taken_s if taken_s > self.limit_s() else None

    def limit_s(self) -> float:
        """Return after how many seconds a step counts as stalled."""
        steps_s = sorted(self._steps_s)
        if len(steps_s) < _ENOUGH_STEPS:
            return self._unmeasured_s
        slow_s = steps_s[math.ceil(0.99 * len(steps_s)) - 1]
        return max(self._least_s, _FACTOR * slow_s)
