"""The HTTP application in this process, on a port of its own: no Ray, real models and real HTTP."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from models.roles import ROLES
from tests.support.in_process import answering
from tests.support.services import ROOT, changed_config


@pytest.fixture(scope="session")
def demo() -> Iterator[httpx.Client]:
    """Return a client of the demo, started once for all tests that leave it as it was."""
    with answering(ROOT / "configs" / "demo.yaml") as client:
        yield client


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Return a client of the simulation, with models ten times as fast: light, no torch."""

    def change(application: dict[str, Any]) -> None:
        for role in ROLES:
            options = application["args"][role]["options"]
            options |= {name: seconds / 10 for name, seconds in options.items()}

    config = changed_config(tmp_path_factory.mktemp("simulated"), "simulated.yaml", change)
    with answering(config) as client:
        yield client
