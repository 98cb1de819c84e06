"""Who is let in: a bounded number of requests under way, fair between callers.

A request first has a slot among the bodies that are read; then, by the slowest model that it
needs, one in the queue of that model. A pair counts with diffusion alone: its VAE set is made in no
time, and requests for VAE sets only must not wait behind diffusion. Whoever gets no slot is told
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
from models.roles import FACTS, Role


class Slot:
    """One request's slot among those under way; given back once, by whoever ends the request.

    Attributes:
        caller: whose it is; None where callers are not told apart.
        started: on the clock of `time.monotonic()`, seconds.
        is_handed_over: whoever streams the answer releases it.
    """

    def __init__(self, admission: "Admission", caller: str | None, slots: FairShare) -> None:
        """Take one of a queue's slots, or of those of the bodies that are read."""
        self.caller = caller
        self.started = time.monotonic()
        self.is_handed_over = False
        self._admission = admission
        self._slots: FairShare | None = slots
        self._work: tuple[WaitEstimate, int] | None = None
        slots.take(caller)

    def enter(self, queue: Role) -> None:
        """Move from those whose body is read to those who wait for a model.

        Raises:
            OverloadedError: the queue is full.
            KeyLimitError: the caller holds as many of its slots as one caller may.
        """
        slots = self._admission.queue_for(queue, self.caller)
        self._leave()
        slots.take(self.caller)
        self._slots = slots
        self._admission.tell()

    def expect(self, queue: Role, work: int, deadline: float) -> None:
        """Count the work of this request; refuse it now if others' work lets it come too late.

        Raises:
            OverloadedError: it would be ready in time if it were alone, but not behind the others.
            KeyLimitError: the caller has as many seconds of work under way as one caller may.
        """
        estimate = self._admission.estimates[queue]
        self._admission.check_time(estimate, self.caller, work, deadline - time.monotonic())
        estimate.add(work, self.caller)
        self._work = (estimate, work)

    def hand_over(self) -> "Slot":
        """Leave it to the caller to release the slot: an answer that is streamed lasts longer."""
        self.is_handed_over = True
        return self

    def release(self) -> None:
        """Give the slot back; a second time does nothing."""
        self._leave()
        if self._work is not None:
            estimate, work = self._work
            estimate.remove(work, self.caller)
            self._work = None
        self._admission.tell()

    def _leave(self) -> None:
        if self._slots is not None:
            self._slots.give_back(self.caller)
            self._slots = None


class Admission:
    """Lets a bounded number of requests in.

    Attributes:
        estimates: by queue, the work under way.
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
        self._queues = {role: FairShare() for role in estimates}
        self._rate: RateLimit | None = None
        self.limit(settings)

    def limit(self, settings: LiveSettings) -> None:
        """Set the limits; whoever holds a slot keeps it."""
        self._longest_s = settings.request_timeout_s
        self._reading.limit = settings.max_reading
        for slots in self._queues.values():
            slots.limit = settings.max_admitted_requests
        for slots in (self._reading, *self._queues.values()):
            slots.per_caller = settings.max_requests_per_key
        per_minute = settings.requests_per_minute_per_key
        self._rate = None if per_minute is None else RateLimit(per_minute)

    @contextmanager
    def admit(self, caller: str | None) -> Iterator[Slot]:
        """Hold one slot, for the context or until it is released by whom it was handed to.

        Args:
            caller: a name that tells callers apart; None where they are not.

        Raises:
            OverloadedError: all slots are taken.
            KeyLimitError: the caller holds too many slots, or comes too often.
        """
        slot = self._let_in(caller)
        try:
            yield slot
        except BaseException:
            slot.release()
            raise
        if not slot.is_handed_over:
            slot.release()

    def queue_for(self, queue: Role, caller: str | None) -> FairShare:
        """Return the slots of a queue, of which the caller may take one.

        Raises:
            OverloadedError: it is full.
            KeyLimitError: the caller holds too many of its slots.
        """
        slots = self._queues[queue]
        self._check(slots, caller, FACTS[queue].queue, self._retry_after_s(queue))
        return slots

    def check_time(
        self, estimate: WaitEstimate, caller: str | None, work: int, left_s: float
    ) -> None:
        """Refuse work that would be ready in time by itself, but not behind what is under way.

        Time is shared as slots are: of `k` callers who have work under way each may have one part
        in `k + 1` of the longest wait, so that the next one's work comes in time, too.

        Raises:
            OverloadedError: it would come too late.
            KeyLimitError: the caller's work under way takes the caller's share already.
        """
        own_s, ahead_s = estimate.own_s(work), estimate.turns_ahead_s(caller, work)
        late_s = ahead_s + own_s - left_s
        if own_s <= left_s and late_s > 0:
            message = (
                f"the queue takes about {ahead_s:.0f} s, and your request has {left_s:.0f} s: "
                "try again later, or allow more time"
            )
            raise OverloadedError(message, None, math.ceil(late_s), "deadline")
        if caller is not None:
            self._check_share(estimate, caller, own_s)

    def _check_share(self, estimate: WaitEstimate, caller: str, own_s: float) -> None:
        under_way_s = estimate.by_caller_s()
        mine_s = under_way_s.get(caller, 0.0)
        share_s = self._longest_s / (len(under_way_s.keys() | {caller}) + 1)
        if mine_s > 0 and mine_s + own_s > share_s:
            message = (
                f"your key has about {mine_s:.0f} s of work under way, as much as one key may have "
                "now: wait for some of it"
            )
            raise KeyLimitError(message, None, math.ceil(mine_s + own_s - share_s), "share")

    def tell(self) -> None:
        """Update the gauges."""
        self._metrics.admitted.set(self._reading.taken, tags={"lane": "reading"})
        for queue, slots in self._queues.items():
            self._metrics.admitted.set(slots.taken, tags={"lane": queue})

    def _let_in(self, caller: str | None) -> Slot:
        if all(slots.is_full for slots in self._queues.values()):  # no need to read the body
            soonest_s = min(self._retry_after_s(queue) for queue in self._queues)
            raise self._full("", sum(slots.limit for slots in self._queues.values()), soonest_s)
        self._check(self._reading, caller, "reading", 1)
        if self._rate is not None and caller is not None:
            self._check_rate(self._rate, caller)
        slot = Slot(self, caller, self._reading)
        self.tell()
        return slot

    def _check(self, slots: FairShare, caller: str | None, what: str, retry_after_s: int) -> None:
        refusal = slots.refusal(caller)
        if refusal == "full":
            raise self._full(f" for {what}", slots.limit, retry_after_s)
        if refusal == "share":
            message = (
                f"your key has as many requests for {what} under way as one key may have now: "
                "wait for some of them"
            )
            raise KeyLimitError(message, None, retry_after_s, "share")

    def _check_rate(self, rate: RateLimit, caller: str) -> None:
        wait_s = rate.wait_s(caller)
        if wait_s > 0:
            message = f"your key came too often: its next request may come in {wait_s:.1f} s"
            raise KeyLimitError(message, None, math.ceil(wait_s), "rate")
        rate.count(caller)

    def _full(self, what: str, limit: int, retry_after_s: int) -> TwinsetError:
        message = (
            f"{limit} requests{what} are under way, as many as allowed: try again in "
            f"{retry_after_s} s"
        )
        return OverloadedError(message, None, retry_after_s, "full")

    def _retry_after_s(self, queue: Role) -> int:
        return self.estimates[queue].retry_after_s(self._longest_s)
