"""Which replica a call goes to: the one with the least to do."""

import random
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from ray.serve.request_router import (
    FIFOMixin,
    PendingRequest,
    ReplicaID,
    RequestRouter,
    RunningReplica,
)

from deployments.cards import CARD, OWN, UNKNOWN

DESCRIBE = "describe"
"""The call with which the ingress asks a replica about its model; it takes milliseconds."""
_CHOSEN_S = 0.25
_ASKED_WHEN_FULL = 2


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


class LeastLoadedRouter(FIFOMixin, RequestRouter):
    """Looks at all replicas of a model instead of two that are drawn by lot.

    Serve's own router compares two random replicas, which is right for thousands of short calls. A
    set takes seconds, and one that waits behind another while a third replica idles takes twice as
    long; of two chunks sent at once each must find a replica of its own.
    """

    def initialize_state(self) -> None:
        """Begin without memory; Serve calls this once."""
        self._chosen: dict[ReplicaID, tuple[float, float]] = {}

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
        load = {each.replica_id: self._load(each.replica_id) for each in candidate_replicas}
        shuffled = random.sample(candidate_replicas, len(candidate_replicas))
        ordered = [
            shuffled[index]
            for index in by_load(
                [
                    Standing(load[each.replica_id], _card(each), self._when(each))
                    for each in shuffled
                ]
            )
        ]
        roomy = [each for each in ordered if load[each.replica_id] < each.max_ongoing_requests]
        full = [each for each in ordered if load[each.replica_id] >= each.max_ongoing_requests]
        if roomy and _takes_time(pending_request):
            best = roomy[0].replica_id
            self._chosen[best] = (time.monotonic(), load[best] + 1.1)
        return [[replica] for replica in [*roomy, *full[:_ASKED_WHEN_FULL]]]

    def _load(self, replica: ReplicaID) -> float:
        _, expected = self._chosen.get(replica, (0.0, 0.0))
        return max(expected, self.replica_queue_len_cache.get(replica) or 0)

    def _when(self, replica: RunningReplica) -> float:
        return self._chosen.get(replica.replica_id, (0.0, 0.0))[0]

    def _forget(self) -> None:
        since = time.monotonic() - _CHOSEN_S
        self._chosen = {replica: seen for replica, seen in self._chosen.items() if seen[0] > since}


def _takes_time(call: PendingRequest | None) -> bool:
    """Return whether a call keeps its replica busy: making a set does, describing the model not."""
    return call is None or call.metadata.call_method != DESCRIBE


def _card(replica: RunningReplica) -> str:
    """Return what replicas that take turns have in common; each has its own where none is known."""
    card = str(replica.replica_metadata.get(CARD, OWN))
    return str(replica.replica_id) if card in (OWN, UNKNOWN) else card
