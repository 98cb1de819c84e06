"""How long the work that was let in will take, learnt from the sets that were made."""

import math
from collections import Counter
from collections.abc import Callable

from models.parameters import ImageToImageParameters, Parameters

_FORGETTING = 0.95


def work_of(parameters: Parameters, images: int) -> int:
    """Return the work of a set: images times denoising steps; a VAE's set has one step."""
    if isinstance(parameters, ImageToImageParameters):
        return images * max(1, int(parameters.num_inference_steps * parameters.strength))
    return images


class WaitEstimate:
    """The work under way for one model, as this ingress replica knows it.

    A set takes `fixed + unit * work` seconds; both are fitted to the sets made lately, by least
    squares with exponential forgetting: small sets are mostly fixed cost and say little of large
    ones. Others' work is not seen here: each ingress replica counts on its share of the replicas.
    """

    def __init__(self, replicas: Callable[[], float]) -> None:
        """Take a function that returns how many model replicas work for this ingress replica."""
        self._replicas = replicas
        self._under_way: Counter[int] = Counter()
        self._largest = 0
        # Weighted sums: of ones, work, seconds, work squared, work times seconds.
        self._sums = (0.0, 0.0, 0.0, 0.0, 0.0)

    def add(self, work: int) -> None:
        """Count a request's work that was let in."""
        self._under_way[work] += 1

    def remove(self, work: int) -> None:
        """Count it no longer."""
        self._under_way[work] -= 1
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
        seconds = sum(count * self.own_s(work) for work, count in self._under_way.items())
        return seconds / max(self._replicas(), 0.1)

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
