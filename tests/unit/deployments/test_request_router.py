"""Which replica a call goes to, by the calls that each replica and each card has."""

import asyncio
from typing import Any

import numpy as np
import pytest
from ray.serve._private.common import (
    DeploymentHandleSource,
    DeploymentID,
    ReplicaID,
    RequestMetadata,
)
from ray.serve.request_router import PendingRequest

from deployments.dispatch.request_router import LeastLoadedRouter, Standing, by_load
from deployments.jobs import SetJob
from models.parameters import VariationParameters
from models.pixels import Crop, SquarePicture


def _first(*replicas: tuple[float, str]) -> str:
    standings = [Standing(load, card, 0.0) for load, card in replicas]
    return standings[by_load(standings)[0]].card


@pytest.mark.parametrize(
    ("replicas", "card"),
    [
        ([(0.0, "a"), (1.0, "b")], "a"),
        # The other replica of card a has just been chosen.
        ([(1.1, "a"), (0.0, "a"), (0.0, "b")], "b"),
        # As is known when the call before is over on b, but not counted off yet.
        ([(1.1, "a"), (0.0, "a"), (1.0, "b")], "b"),
        # Neither card is idle: the replica that is.
        ([(1.0, "a"), (0.0, "a"), (1.0, "b")], "a"),
        ([(1.0, "a"), (1.0, "a"), (1.0, "b")], "b"),
    ],
)
def test_a_call_goes_to_the_card_with_least_to_do(
    replicas: list[tuple[float, str]], card: str
) -> None:
    assert _first(*replicas) == card


def test_among_equals_the_one_chosen_longest_ago_comes_first() -> None:
    standings = [Standing(0.0, "a", 3.0), Standing(0.0, "b", 1.0), Standing(0.0, "c", 2.0)]
    assert by_load(standings) == [1, 2, 0]


def _job(caller: str) -> SetJob:
    pixels = np.zeros((64, 64, 3), np.uint8)
    picture = SquarePicture(pixels, "digest", 64, 64, Crop(0, 0, 64))
    return SetJob(picture, [1], VariationParameters(7.0), "png", [1], caller=caller)


class _Replica:
    """What the router asks of a replica of Serve's."""

    def __init__(self, name: str, places: int) -> None:
        self.replica_id = ReplicaID(name, DeploymentID("Model"))
        self.max_ongoing_requests = places


async def _router() -> LeastLoadedRouter:
    router = LeastLoadedRouter(DeploymentID("Model"), DeploymentHandleSource.UNKNOWN)
    router.initialize_state()
    return router


def _call(router: LeastLoadedRouter, caller: str, number: int) -> PendingRequest:
    metadata = RequestMetadata(f"{caller}{number}", f"{caller}{number}")
    call = PendingRequest(args=[_job(caller)], kwargs={}, metadata=metadata)
    router._pending_requests_to_fulfill.append(call)
    router._add_pending_request_to_indices(call)
    return call


def _served(router: LeastLoadedRouter, calls: list[PendingRequest], replica: Any) -> list[str]:
    """Offer a replica again and again; return whose calls got it, in order."""
    names = []
    for _ in range(20):
        waiting = [call for call in calls if not call.future.done()]
        router._fulfill_next_pending_request(replica)
        names += [call.metadata.request_id for call in waiting if call.future.done()]
    return names


def test_callers_get_a_replica_in_turn_and_half_of_its_places_each() -> None:
    async def scene() -> None:
        router = await _router()
        calls = [_call(router, "greedy", number) for number in range(6)]
        replica = _Replica("one", 4)
        assert _served(router, calls, replica) == ["greedy0", "greedy1"]
        calls += [_call(router, "modest", number) for number in range(6)]
        assert _served(router, calls, replica) == ["modest0", "modest1"]
        shared = _served(router, calls, _Replica("two", 4))
        assert sorted(shared) == ["greedy2", "greedy3", "modest2", "modest3"]

    asyncio.run(scene())


def test_a_place_is_free_again_when_its_call_has_ended() -> None:
    async def scene() -> None:
        router = await _router()
        calls, replica = [_call(router, "a", number) for number in range(3)], _Replica("one", 2)
        assert _served(router, calls, replica) == ["a0"]
        router.on_request_completed(replica.replica_id, "a0")
        router.on_request_completed(replica.replica_id, "never sent")
        assert _served(router, calls, replica) == ["a1"]

    asyncio.run(scene())


def test_a_call_that_was_given_up_takes_no_place() -> None:
    async def scene() -> None:
        router = await _router()
        calls, replica = [_call(router, "a", number) for number in range(2)], _Replica("one", 2)
        calls[0].future.cancel()
        assert _served(router, calls, replica) == ["a1"]

    asyncio.run(scene())
