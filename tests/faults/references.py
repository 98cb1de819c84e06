"""The right answers, taken on the idle service before anything is broken."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from tests.faults.answers import Images, images_of
from tests.faults.asks import Asks


@dataclass(frozen=True)
class References:
    """The images of the idle service, by the name of the ask."""

    asks: Asks
    images: Mapping[str, Images]

    @classmethod
    def taken(cls, url: str, headers: Mapping[str, str], steps: int = 10) -> "References":
        """Ask for everything once; `steps` a diffusion set decide how long one takes."""
        asks, images = Asks(steps), {}
        with httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False) as client:
            for name, ask in asks.with_images().items():
                response = client.request(**ask.request).raise_for_status()
                images[name] = images_of(ask, response)
        distinct = {file for sets in images.values() for made in sets.values() for *_, file in made}
        if len(distinct) < 6 * len(asks.by_kind["pairs"]):
            raise ValueError(f"{len(distinct)} distinct images are too few to tell them apart")
        return cls(asks, images)
