"""The HTTP application in this process, on a port of its own: no Ray, real models and real HTTP."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.in_process import answering
from tests.support.services import ROOT


@pytest.fixture(scope="session")
def demo() -> Iterator[httpx.Client]:
    """Return a client of the demo, started once for all tests that leave it as it was."""
    with answering(ROOT / "configs" / "demo.yaml") as client:
        yield client


@pytest.fixture(scope="session")
def simulated() -> Iterator[httpx.Client]:
    """Return a client of the simulation: quick, light, no torch."""
    with answering(ROOT / "configs" / "simulated.yaml") as client:
        yield client
