"""A card dies under one of two replicas: it is replaced, and callers get the right images."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.conftest import light
from tests.faults.processes import ServiceProcesses
from tests.faults.references import References
from tests.faults.traffic import Traffic
from tests.support.services import changed_config, running_replicas, serving, wait_for

REPLICAS = 2
USERS = 6
DEPLOYMENT = "StableDiffusionDeployment"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Path]]:
    """Return a client of a service with two diffusion replicas, and the file that kills a card."""
    directory = tmp_path_factory.mktemp("cards")
    dead = directory / "dead"

    def change(application: dict[str, Any]) -> None:
        light(application, REPLICAS)
        model = application["args"]["stable_diffusion"]
        model["factory"] = "tests.faults.faulty_models:load_diffusion_on_a_dying_card"
        model["options"]["dead"] = str(dead)

    with serving(changed_config(directory, "simulated.yaml", change), num_gpus=1) as client:
        wait_for(lambda: running_replicas(client)["stable_diffusion"] == REPLICAS, timeout_s=60)
        yield client, dead


def test_a_dead_card_ends_its_replica_and_no_caller_notices(
    service: tuple[httpx.Client, Path],
) -> None:
    client, dead = service
    processes = ServiceProcesses.behind(client)
    headers = {"Authorization": client.headers["Authorization"]}
    references = References.taken(str(client.base_url), headers)
    victim = processes.replicas(DEPLOYMENT)[0]
    with Traffic(str(client.base_url), headers, references).running(USERS, at_most_s=150) as tally:
        wait_for(lambda: len(tally.answered) > 20, timeout_s=60)
        dead.write_text(str(victim.pid))
        victim.wait(timeout=30)
        wait_for(lambda: len(processes.replicas(DEPLOYMENT)) == REPLICAS, timeout_s=60)
        wait_for(lambda: running_replicas(client)["stable_diffusion"] == REPLICAS, timeout_s=60)
        before = len(tally.answered)
        wait_for(lambda: len(tally.answered) > before + 20, timeout_s=60)
    sys.stdout.write(f"\n{tally}\n")
    assert len(tally.answered) > 40
    assert not tally.wrong
    assert tally.share_right == 1.0
