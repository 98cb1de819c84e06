"""Real services on real ports: a real Ray, started as a user starts it."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.services import ROOT, serving


@pytest.fixture(scope="session")
def demo() -> Iterator[httpx.Client]:
    """Return a client of the demo, started once for all tests that leave it as it was."""
    with serving(ROOT / "configs" / "demo.yaml") as client:
        yield client


@pytest.fixture(scope="session")
def simulated() -> Iterator[httpx.Client]:
    """Return a client of the simulation on one pretended GPU: quick, light, no torch."""
    with serving(ROOT / "configs" / "simulated.yaml", num_gpus=1) as client:
        yield client
