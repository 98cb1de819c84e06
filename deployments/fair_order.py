"""Whose turn it is among callers who wait for the same thing."""

from collections.abc import Iterable


class FairOrder:
    """Of the callers who wait, the next is the one who has been given the least lately.

    Start-time fair queueing (Goyal, Vin and Cheng, 1996): who was idle has saved up nothing, and
    who asked for much has to let others pass. A caller's own requests keep their order.
    """

    def __init__(self) -> None:
        """Begin with nobody served."""
        self._now = 0.0
        self._finish: dict[str, float] = {}

    def next(self, waiting: Iterable[str]) -> str:
        """Return the caller whose turn it is; among equals the first of `waiting`.

        Raises:
            ValueError: nobody waits.
        """
        return min(waiting, key=self._start)

    def charge(self, caller: str, cost: float) -> None:
        """Count what a caller is given now, in any unit, the same for all."""
        self._now = self._start(caller)
        self._finish[caller] = self._now + cost
        # Who has been given no more than everybody starts as everybody does.
        self._finish = {name: at for name, at in self._finish.items() if at > self._now}

    def _start(self, caller: str) -> float:
        return max(self._now, self._finish.get(caller, 0.0))
