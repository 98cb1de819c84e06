"""How long the work that was let in will take, learnt from the sets that were made."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable

_FORGETTING = 0.95


class WaitEstimate:
    """The work under way for one model, as this ingress replica knows it.

    A set takes `fixed + unit * work` seconds; both are fitted to the sets made lately, by least
    squares with exponential forgetting: small sets are mostly fixed cost and say little of large
    ones. Others' work is not seen here: each ingress replica counts on its share of the replicas.
    """

    def __init__(self, replicas: Callable[[], float]) -> None:
        """Take a function that returns how many model replicas work for this ingress replica."""
        self._replicas = replicas
        self._under_way: Counter[tuple[str, int]] = Counter()
        self._largest = 0
        # Weighted sums: of ones, work, seconds, work squared, work times seconds.
        self._sums = (0.0, 0.0, 0.0, 0.0, 0.0)

    def add(self, work: int, caller: str | None = None) -> None:
        """Count a request's work that was let in; a caller of None is nobody in particular."""
        self._under_way[caller or "", work] += 1

    def remove(self, work: int, caller: str | None = None) -> None:
        """Count it no longer."""
        self._under_way[caller or "", work] -= 1
        self._under_way += Counter()  # works that nobody waits for are gone

    def observe(self, work: int, taken_s: float) -> None:
        """Learn from a set that a model has made in so many seconds."""
        new = (1.0, work, taken_s, work * work, work * taken_s)
        self._sums = tuple(  # type: ignore[assignment]
            _FORGETTING * old + one for old, one in zip(self._sums, new, strict=True)
        )
        self._largest = max(self._largest, work)

    def ahead_s(self) -> float:
        """Return the seconds that the work under way will take; 0 before any set was made."""
        return sum(self.by_caller_s().values())

    def by_caller_s(self) -> dict[str, float]:
        """Return, by caller, the seconds that the work under way will take."""
        seconds: defaultdict[str, float] = defaultdict(float)
        replicas = max(self._replicas(), 0.1)
        for (caller, work), count in self._under_way.items():
            seconds[caller] += count * self.own_s(work) / replicas
        return dict(seconds)

    def turns_ahead_s(self, caller: str | None, work: int) -> float:
        """Return the seconds until a caller's new work has its turn.

        Callers are served in turn: all that the caller has under way comes before it, and of
        every other caller's as much as the caller gets, the new work included.
        """
        ahead_s = self.by_caller_s()
        mine_s = ahead_s.pop(caller or "", 0.0)
        turn_s = mine_s + self.own_s(work)
        return mine_s + sum(min(theirs_s, turn_s) for theirs_s in ahead_s.values())

    def own_s(self, work: int) -> float:
        """Return the seconds that a set takes by itself, on one replica.

        Work larger than any that was seen counts as the largest: better let in than be refused by
        a guess; the deadline will tell.
        """
        ones, works, seconds, squares, products = self._sums
        if not ones:
            return 0.0
        work = min(work, self._largest)
        spread = ones * squares - works * works
        if spread < 1e-6 * squares * ones:  # all of one size
            return seconds / works * work
        unit_s = max(0.0, (ones * products - works * seconds) / spread)
        fixed_s = max(0.0, (seconds - unit_s * works) / ones)
        return fixed_s + unit_s * work

    def retry_after_s(self, most_s: float) -> int:
        """Return after how many seconds to come again: when half of what is under way is done.

        Sooner, everybody who was turned away would find the places taken by each other; later,
        replicas would wait for callers.
        """
        return math.ceil(min(max(1.0, self.ahead_s() / 2), max(1.0, most_s)))
