"""Places that callers share, and how fast each of them may come."""

import math
import time
from collections import Counter
from typing import Literal

Refusal = Literal["full", "share"]


class FairShare:
    """A number of places, of which no caller can take those of all others.

    Of `k` callers who are here (the one who asks included) each may hold one part in `k + 1`,
    rounded up: there is always room for the next one. Where callers are not told apart, all count
    as one and may hold every place.

    Attributes:
        limit: the number of places.
        per_caller: how many one caller may hold at most; None for no such limit.
    """

    def __init__(self) -> None:
        """Begin without places; whoever sets the limits gives it some."""
        self.limit = 0
        self.per_caller: int | None = None
        self._held: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return self._held.total()

    @property
    def is_full(self) -> bool:
        """Whether no place is left."""
        return self.taken >= self.limit

    def refusal(self, caller: str | None) -> Refusal | None:
        """Say why a caller gets no place now, or None; a caller of None is nobody in particular."""
        if self.is_full:
            return "full"
        if caller is not None and self._held[caller] >= self._share(caller):
            return "share"
        return None

    def take(self, caller: str | None) -> None:
        """Take a place."""
        self._held[caller or ""] += 1

    def give_back(self, caller: str | None) -> None:
        """Give a place back."""
        self._held[caller or ""] -= 1
        self._held += Counter()  # those who hold none are gone

    def _share(self, caller: str) -> int:
        callers = len(self._held.keys() | {caller})
        fair = math.ceil(self.limit / (callers + 1))
        return fair if self.per_caller is None else min(fair, self.per_caller)


class RateLimit:
    """So many requests a minute for each caller; a minute's worth may come at once.

    The generic cell rate algorithm (ITU-T I.371): one time stamp a caller.
    """

    def __init__(self, per_minute: float) -> None:
        """Take the rate."""
        self._interval_s = 60.0 / per_minute
        self._due: dict[str, float] = {}

    def wait_s(self, caller: str) -> float:
        """Return after how many seconds the caller's next request may come; 0 for now."""
        earliest = self._due.get(caller, 0.0) + self._interval_s - 60.0
        return max(0.0, earliest - time.monotonic())

    def count(self, caller: str) -> None:
        """Count a request of a caller."""
        now = time.monotonic()
        self._due[caller] = max(self._due.get(caller, 0.0), now) + self._interval_s
