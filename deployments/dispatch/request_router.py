"""Which replica a call goes to: the one with the least to do."""

import asyncio
import contextlib
import random
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ray.serve.request_router import (
    PendingRequest,
    ReplicaID,
    RequestRouter,
    RunningReplica,
)

from deployments.cards import CARD, OWN, UNKNOWN
from deployments.jobs import SetJob, work_of
from deployments.turns import FairOrder

DESCRIBE = "describe"
"""The call with which the ingress asks a replica about its model; it takes milliseconds."""
_CHOSEN_S = 0.25
_ASKED_WHEN_FULL = 2
_NOBODY = "nobody"


class Standing(NamedTuple):
    """What is known of a replica when a call needs one."""

    load: float
    """Calls that it has."""
    card: str
    """What it shares with the replicas that take turns with it."""
    chosen_at: float
    """When it was last chosen, seconds of the monotonic clock; 0.0 where that is forgotten."""


def by_load(replicas: Sequence[Standing]) -> list[int]:
    """Return the indices of the replicas, the one with which a call is done soonest first.

    Replicas on one card take turns, so the calls of the whole card come before those of the
    replica: an idle replica beside a busy one is no better than one that is busy alone. Among
    equals comes first the one chosen longest ago, whose call may be over by now.
    """
    cards = defaultdict[str, float](float)
    for replica in replicas:
        cards[replica.card] += replica.load
    return sorted(
        range(len(replicas)),
        key=lambda index: (
            cards[replicas[index].card],
            replicas[index].load,
            replicas[index].chosen_at,
        ),
    )


class LeastLoadedRouter(RequestRouter):
    """Looks at all replicas of a model, and lets callers have them in turn.

    Serve's own router compares two random replicas, which is right for thousands of short calls. A
    set takes seconds, and one that waits behind another while a third replica idles takes twice as
    long; of two chunks sent at once each must find a replica of its own.

    Its queue is first in, first out. Here the caller comes next who has been given the least
    lately, and has at most half of a replica's places from one ingress replica: the others' half
    is there at once, and the replica itself takes callers in turn.
    """

    def initialize_state(self) -> None:
        """Begin without memory; Serve calls this once."""
        self._chosen: dict[ReplicaID, tuple[float, float]] = {}
        self._order = FairOrder()
        self._held = HeldPlaces()
        self._news = asyncio.Event()

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """Return the replicas one by one, in the order in which Serve shall try them.

        By the calls that each has (`by_load`), as this router knows; nothing known lately counts as
        none, and Serve asks that replica. Serve counts a call some time after it has chosen: until
        then what was chosen has one call more, and comes after its equals. Of those that are full
        Serve asks two whether that is still true: everybody who waits does so again and again.
        """
        if pending_request is not None:
            # Else Serve asks again without a pause, for as long as a call waits (Ray 2.60).
            pending_request.routing_context.should_backoff = True
        self._forget()
        waiting = {_caller(call) for call in self._pending_requests_to_fulfill}
        load = {each.replica_id: self._load(each.replica_id) for each in candidate_replicas}
        ordered = self._ordered(candidate_replicas, load)
        full = [each for each in ordered if load[each.replica_id] >= each.max_ongoing_requests]
        # One with room is of use if anybody who waits may have it: whose turn it is, is seen later.
        roomy = [
            each
            for each in ordered
            if each not in full and any(self._may(name, each) for name in waiting)
        ]
        if roomy and _takes_time(pending_request):
            best = roomy[0].replica_id
            self._chosen[best] = (time.monotonic(), load[best] + 1.1)
        return [[replica] for replica in [*roomy, *full[:_ASKED_WHEN_FULL]]]

    def on_request_completed(self, replica_id: ReplicaID, internal_request_id: str) -> None:
        """Give a call's place back; Serve calls this when a call that was sent has ended."""
        self._held.give_back(replica_id, internal_request_id)
        self._tell()

    async def _choose_replica_for_request(
        self, pending_request: PendingRequest, *, is_retry: bool = False
    ) -> RunningReplica:
        """Wait for a replica; Serve calls this for each call, and again when one was refused."""
        self._tell()
        try:
            return await super()._choose_replica_for_request(pending_request, is_retry=is_retry)
        except asyncio.CancelledError:
            if pending_request.future.done() and not pending_request.future.cancelled():
                # It got a replica in the moment in which nobody wanted it any more.
                replica = pending_request.future.result()
                self._held.give_back(replica.replica_id, _id(pending_request))
            raise

    async def _backoff(self, attempt: int) -> None:
        """Wait until a place is free or a call has come, and at most as long as Serve would."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._compute_backoff_s(attempt)):
                await self._news.wait()

    def _fulfill_next_pending_request(
        self, replica: RunningReplica, request_metadata: Any = None
    ) -> None:
        """Give a replica to the caller whose turn it is, among those who may have it."""
        waiting: dict[str, int] = {}
        for place, call in enumerate(self._pending_requests_to_fulfill):
            if not call.future.done() and self._may(_caller(call), replica):
                waiting.setdefault(_caller(call), place)
        if not waiting:
            return
        name = self._order.next(waiting)
        call = self._pending_requests_to_fulfill[waiting[name]]
        del self._pending_requests_to_fulfill[waiting[name]]
        self._order.charge(name, _cost(call))
        self._held.take(replica.replica_id, _id(call), name)
        self._cancel_routing_task_for_pending_request(call)
        self._record_queue_wait_time(call)
        call.future.set_result(replica)
        self._remove_pending_request_from_indices(call)

    def _may(self, caller: str, replica: RunningReplica) -> bool:
        most = max(1, replica.max_ongoing_requests // 2)
        return self._held.of(replica.replica_id, caller) < most

    def _ordered(
        self, replicas: list[RunningReplica], load: Mapping[ReplicaID, float]
    ) -> list[RunningReplica]:
        shuffled = random.sample(replicas, len(replicas))
        standings = [
            Standing(load[each.replica_id], _card(each), self._when(each)) for each in shuffled
        ]
        return [shuffled[index] for index in by_load(standings)]

    def _load(self, replica: ReplicaID) -> float:
        _, expected = self._chosen.get(replica, (0.0, 0.0))
        return max(expected, self.replica_queue_len_cache.get(replica) or 0)

    def _when(self, replica: RunningReplica) -> float:
        return self._chosen.get(replica.replica_id, (0.0, 0.0))[0]

    def _forget(self) -> None:
        since = time.monotonic() - _CHOSEN_S
        self._chosen = {replica: seen for replica, seen in self._chosen.items() if seen[0] > since}

    def _tell(self) -> None:
        """Wake all who wait for news."""
        self._news.set()
        self._news = asyncio.Event()


class HeldPlaces:
    """Which callers have how many calls at which replicas, by what this ingress replica sent."""

    def __init__(self) -> None:
        """Begin with none."""
        self._calls: dict[tuple[ReplicaID, str], list[str]] = {}
        self._counts = Counter[tuple[ReplicaID, str]]()

    def of(self, replica: ReplicaID, caller: str) -> int:
        """Return how many calls of a caller a replica has."""
        return self._counts[replica, caller]

    def take(self, replica: ReplicaID, call: str, caller: str) -> None:
        """Count a call; those of one HTTP request may have the same id."""
        self._calls.setdefault((replica, call), []).append(caller)
        self._counts[replica, caller] += 1

    def give_back(self, replica: ReplicaID, call: str) -> None:
        """Count it no longer; one that was not counted does nothing."""
        callers = self._calls.get((replica, call))
        if not callers:
            return
        self._counts[replica, callers.pop()] -= 1
        if not callers:
            del self._calls[replica, call]
        self._counts += Counter()  # zeros are gone


def _job(call: PendingRequest) -> SetJob | None:
    return next((each for each in call.args if isinstance(each, SetJob)), None)


def _caller(call: PendingRequest) -> str:
    """Return whose call it is; one that makes no set is nobody's, and has turns of its own."""
    job = _job(call)
    return _NOBODY if job is None else job.caller


def _cost(call: PendingRequest) -> float:
    job = _job(call)
    return 0.0 if job is None else work_of(job.parameters, len(job.seeds))


def _id(call: PendingRequest) -> str:
    return call.metadata.internal_request_id


def _takes_time(call: PendingRequest | None) -> bool:
    """Return whether a call keeps its replica busy: making a set does, describing the model not."""
    return call is None or call.metadata.call_method != DESCRIBE


def _card(replica: RunningReplica) -> str:
    """Return what replicas that take turns have in common; each has its own where none is known."""
    card = str(replica.replica_metadata.get(CARD, OWN))
    return str(replica.replica_id) if card in (OWN, UNKNOWN) else card
