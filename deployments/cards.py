"""Which replicas share a card: two on one take turns, so a set cut over them gains nothing.

Each replica tells Serve its card once, when it is ready; Serve hands it on to the routers of those
who call.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ray.serve.handle import DeploymentHandle

CARD = "card"
OWN = ""
"""Of a replica that computes on no GPU: it has its CPUs to itself."""
UNKNOWN = "unknown"


def card_of(model: Any) -> str:
    """Return the uuid of the card that a model computes on; `OWN` or `UNKNOWN` without one.

    Args:
        model: with an `info`; a model on a GPU also has a `card`, if it knows it.
    """
    if not str(model.info.device).startswith("cuda"):
        return OWN
    return str(getattr(model, "card", "")) or UNKNOWN


def places(metadata: Iterable[Mapping[str, Any]]) -> int:
    """Return on how many cards replicas compute at the same time, by what each has told.

    Those that are on a GPU and do not know on which count for nothing: they may share any.
    """
    cards = [str(one.get(CARD, UNKNOWN)) for one in metadata]
    return cards.count(OWN) + len({*cards} - {OWN, UNKNOWN})


def places_of(handle: DeploymentHandle) -> int:
    """Return on how many cards the replicas of a deployment compute, at least 1.

    Ray has no public name for it: as in `deployments/proxy/middleware.py` (2.60).
    """
    try:
        router = handle._init_router()._asyncio_router._request_router
        replicas = list(router.curr_replicas.values())
    except AttributeError:
        return 1
    return max(1, places(one.replica_metadata for one in replicas))
