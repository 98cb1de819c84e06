"""Who is let in: a bounded number of requests under way, fair between callers.

A request first has a place among the bodies that are read; then, by the slowest model that it
needs, one in the lane of that model. A pair counts with diffusion alone: its VAE set is made in no
time, and requests for VAE sets only must not wait behind diffusion. Whoever gets no place is told
so at once, with a time to come again.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from deployments.admission.fair_share import FairShare, RateLimit
from deployments.admission.wait_estimate import WaitEstimate
from deployments.errors import KeyLimitError, OverloadedError, TwinsetError
from deployments.metrics import IngressMetrics
from deployments.settings import LiveSettings
from models.interfaces import Role

_MODEL = {"vae": "VAE sets alone", "stable_diffusion": "diffusion"}


class Slot:
    """One request's place among those under way; given back once, by whoever ends the request.

    Attributes:
        caller: whose it is; None where callers are not told apart.
        started: on the clock of `time.monotonic()`, seconds.
        is_handed_over: whoever streams the answer releases it.
    """

    def __init__(self, admission: "Admission", caller: str | None, room: FairShare) -> None:
        """Take a place in a room."""
        self.caller = caller
        self.started = time.monotonic()
        self.is_handed_over = False
        self._admission = admission
        self._room: FairShare | None = room
        self._work: tuple[WaitEstimate, int] | None = None
        room.take(caller)

    def enter(self, lane: Role) -> None:
        """Move from those whose body is read to those who wait for a model.

        Raises:
            OverloadedError: the lane is full.
            KeyLimitError: the caller holds as many of its places as one caller may.
        """
        room = self._admission.room_in(lane, self.caller)
        self._leave()
        room.take(self.caller)
        self._room = room
        self._admission.tell()

    def expect(self, lane: Role, work: int, deadline: float) -> None:
        """Count the work of this request; refuse it now if others' work lets it come too late.

        Raises:
            OverloadedError: it would be ready in time if it were alone, but not behind the others.
        """
        estimate = self._admission.estimates[lane]
        self._admission.check_time(estimate, work, deadline - time.monotonic())
        estimate.add(work)
        self._work = (estimate, work)

    def hand_over(self) -> "Slot":
        """Leave it to the caller to release the place: an answer that is streamed lasts longer."""
        self.is_handed_over = True
        return self

    def release(self) -> None:
        """Give the place back; a second time does nothing."""
        self._leave()
        if self._work is not None:
            estimate, work = self._work
            estimate.remove(work)
            self._work = None
        self._admission.tell()

    def _leave(self) -> None:
        if self._room is not None:
            self._room.give_back(self.caller)
            self._room = None


class Admission:
    """Lets a bounded number of requests in.

    Attributes:
        estimates: by lane, the work under way.
    """

    def __init__(
        self,
        settings: LiveSettings,
        estimates: Mapping[Role, WaitEstimate],
        metrics: IngressMetrics,
    ) -> None:
        """Take the limits and what is known of the models' work."""
        self.estimates = estimates
        self._metrics = metrics
        self._reading = FairShare()
        self._lanes = {role: FairShare() for role in estimates}
        self._rate: RateLimit | None = None
        self.limit(settings)

    def limit(self, settings: LiveSettings) -> None:
        """Set the limits; whoever holds a place keeps it."""
        self._longest_s = settings.request_timeout_s
        self._reading.limit = settings.max_reading
        for room in self._lanes.values():
            room.limit = settings.max_admitted_requests
        for room in (self._reading, *self._lanes.values()):
            room.per_caller = settings.max_requests_per_key
        per_minute = settings.requests_per_minute_per_key
        self._rate = None if per_minute is None else RateLimit(per_minute)

    @contextmanager
    def admit(self, caller: str | None) -> Iterator[Slot]:
        """Hold one place, for the context or until it is released by whom it was handed to.

        Args:
            caller: a name that tells callers apart; None where they are not.

        Raises:
            OverloadedError: all places are taken.
            KeyLimitError: the caller holds too many places, or comes too often.
        """
        place = self._let_in(caller)
        try:
            yield place
        except BaseException:
            place.release()
            raise
        if not place.is_handed_over:
            place.release()

    def room_in(self, lane: Role, caller: str | None) -> FairShare:
        """Return the room of a lane, in which the caller may take a place.

        Raises:
            OverloadedError: it is full.
            KeyLimitError: the caller holds too many of its places.
        """
        room = self._lanes[lane]
        self._check(room, caller, _MODEL[lane], self._retry_after_s(lane))
        return room

    def check_time(self, estimate: WaitEstimate, work: int, left_s: float) -> None:
        """Refuse work that would be ready in time by itself, but not behind what is under way.

        Raises:
            OverloadedError: it would come too late.
        """
        own_s, ahead_s = estimate.own_s(work), estimate.ahead_s()
        late_s = ahead_s + own_s - left_s
        if own_s <= left_s and late_s > 0:
            message = (
                f"the queue takes about {ahead_s:.0f} s, and your request has {left_s:.0f} s: "
                "try again later, or allow more time"
            )
            raise self._refused("deadline", OverloadedError(message, None, math.ceil(late_s)))

    def tell(self) -> None:
        """Update the gauges."""
        self._metrics.admitted.set(self._reading.taken, tags={"lane": "reading"})
        for lane, room in self._lanes.items():
            self._metrics.admitted.set(room.taken, tags={"lane": lane})

    def _let_in(self, caller: str | None) -> Slot:
        if all(room.is_full for room in self._lanes.values()):  # no need to read the body
            soonest_s = min(self._retry_after_s(lane) for lane in self._lanes)
            raise self._full("", sum(room.limit for room in self._lanes.values()), soonest_s)
        self._check(self._reading, caller, "reading", 1)
        if self._rate is not None and caller is not None:
            self._check_rate(self._rate, caller)
        place = Slot(self, caller, self._reading)
        self.tell()
        return place

    def _check(self, room: FairShare, caller: str | None, what: str, retry_after_s: int) -> None:
        refusal = room.refusal(caller)
        if refusal == "full":
            raise self._full(f" for {what}", room.limit, retry_after_s)
        if refusal == "share":
            message = (
                f"your key has as many requests for {what} under way as one key may have now: "
                "wait for some of them"
            )
            raise self._refused("share", KeyLimitError(message, None, retry_after_s))

    def _check_rate(self, rate: RateLimit, caller: str) -> None:
        wait_s = rate.wait_s(caller)
        if wait_s > 0:
            message = f"your key came too often: its next request may come in {wait_s:.1f} s"
            raise self._refused("rate", KeyLimitError(message, None, math.ceil(wait_s)))
        rate.count(caller)

    def _full(self, what: str, limit: int, retry_after_s: int) -> TwinsetError:
        message = (
            f"{limit} requests{what} are under way, as many as allowed: try again in "
            f"{retry_after_s} s"
        )
        return self._refused("full", OverloadedError(message, None, retry_after_s))

    def _retry_after_s(self, lane: Role) -> int:
        return self.estimates[lane].retry_after_s(self._longest_s)

    def _refused(self, reason: str, error: TwinsetError) -> TwinsetError:
        self._metrics.refused.inc(tags={"reason": reason})
        return error
