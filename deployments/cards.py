"""Which replicas share a card: two on one take turns, so a set cut over them gains nothing.

Each replica tells Serve its card once, when it is ready; Serve hands it on to the routers of those
who call.
"""

from collections.abc import Iterable, Mapping
from typing import Any

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
    cards = [str(told.get(CARD, UNKNOWN)) for told in metadata]
    return cards.count(OWN) + len({*cards} - {OWN, UNKNOWN})
