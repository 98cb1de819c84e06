"""When the requests of an open loop are due: at a rate, whatever the answers do."""

from __future__ import annotations

import math
import random


class Arrivals:
    """The moments at which one source sends, in seconds on a clock of the caller's choice.

    Sources add up: the arrivals of two Poisson sources are those of one with the sum of their
    rates, and evenly spaced sources that are apart by a part of their gap interlock.
    """

    def __init__(
        self, rate_per_s: float, spacing: str, start_s: float, dice: random.Random
    ) -> None:
        """Take arrivals a second, `poisson` or `even`, and the moment from which on they come."""
        self._gap_s = 1 / rate_per_s
        self._is_even = spacing == "even"
        self._dice = dice
        self.due_s = start_s if self._is_even else start_s + self._gap()

    def _gap(self) -> float:
        return self._gap_s if self._is_even else self._dice.expovariate(1 / self._gap_s)

    def skip_to(self, now_s: float) -> None:
        """Leave out what was due before this source existed."""
        missed = max(0, math.ceil((now_s - self.due_s) / self._gap_s))
        self.due_s += missed * self._gap_s

    def advance(self) -> float:
        """Return when the request at hand was due, and go on to the next one."""
        due_s = self.due_s
        self.due_s += self._gap()
        return due_s
