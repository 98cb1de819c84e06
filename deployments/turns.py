"""Whose turn it is among callers who wait for the same thing."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager


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

    def add(self, caller: str, cost: float) -> None:
        """Count that what a caller was given took more than was charged for it."""
        self._finish[caller] = self._start(caller) + cost

    def _start(self, caller: str) -> float:
        return max(self._now, self._finish.get(caller, 0.0))


class Turns:
    """A number of places; whoever finds none waits, and callers get the next ones in turn.

    However many requests one caller has waiting, another caller's first one waits for one place
    to become free, not for all of them.
    """

    def __init__(self, places: int, is_timed: bool = False) -> None:
        """Take the number of places, and whether costs are seconds, of which the true ones count.

        Where nobody knows beforehand what something will take, a caller's next turn comes the
        later the longer the last one took.
        """
        self._free = places
        self._is_timed = is_timed
        self._order = FairOrder()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, caller: str | None, cost: float) -> AsyncIterator[None]:
        """Hold a place while the context lasts.

        Args:
            caller: a name that tells callers apart; None where they are not.
            cost: of what is done meanwhile, as far as it is known, in a unit that is the same for
                all.
        """
        name = caller or ""
        if not self._free:
            await self._place(name)
        else:
            self._free -= 1
        self._order.charge(name, cost)
        started = time.monotonic()
        try:
            yield
        finally:
            if self._is_timed:
                self._order.add(name, max(0.0, time.monotonic() - started - cost))
            self._pass_on()

    async def _place(self, name: str) -> None:
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(name, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # it was given, and nobody takes it
                self._pass_on()
            self._forget(name, place)
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            name = self._order.next(self._waiting)
            places = self._waiting.pop(name)
            place = places.popleft()
            if places:
                self._waiting[name] = places  # behind the others: among equals they come first
            if not place.done():  # else it was cancelled, and its task does not know yet
                place.set_result(None)
                return
        self._free += 1

    def _forget(self, name: str, place: "asyncio.Future[None]") -> None:
        places = self._waiting.get(name, deque())
        if place in places:
            places.remove(place)
            if not places:
                del self._waiting[name]
